"""Owns: reading a video file as samples, transcoding it once when it holds what no camera sends.

A file that already holds H.264 or H.265 (and AAC, G.711 or Opus) is demultiplexed as it is.
Anything else, or a file for which an encoding is asked, is transcoded once to MP4; with a cache
folder the result is kept there under a name made of the file's identity and the encoding, so that
later starts only demultiplex.
"""

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import BinaryIO, Literal, TypeAlias

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from blake3 import blake3

from kilocam.bitstream import (
    BitstreamError,
    H265Kind,
    NalKind,
    h265_kind,
    nal_kind,
    opus_samples,
    parse_avc_config,
    parse_h265_config,
    split_annex_b,
    split_avcc,
)
from kilocam.core import ConfigError
from kilocam.media.transcode import VideoEncoding, VideoWriter, add_aac, transcode

VIDEO_CLOCK = 90_000
_CACHE_VERSION = 1
_CODECS: dict[str, Literal["h264", "h265"]] = {"h264": "h264", "hevc": "h265"}
_SOUNDS: dict[str, Literal["aac", "pcmu", "pcma", "opus"]] = {
    "aac": "aac",
    "pcm_mulaw": "pcmu",
    "pcm_alaw": "pcma",
    "opus": "opus",
}
"""Names of ours for FFmpeg's."""
_G711_FRAMES_S = 50
"""20 ms of G.711 are a frame (RFC 3551 section 4.2), whatever the file holds together."""
_ROUNDED_S = 0.005
"""Times in a file may be rounded, to milliseconds in Matroska."""
_SETS = frozenset({NalKind.SPS, NalKind.PPS})
_SETS_H265 = frozenset({H265Kind.VPS, H265Kind.SPS, H265Kind.PPS})

Picture: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
"""Height x width x 3 (RGB) or height x width (grey)."""
Sound: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int16]]
"""Mono samples."""
_Packet: TypeAlias = "Packet[Stream]"
_Write: TypeAlias = Callable[[OutputContainer], None]
_Timed: TypeAlias = Iterable[tuple[int, bytes]]
"""Frames of sound, each with its time in ticks of its clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSample:
    """The NAL units of a picture, or a frame of sound; times in the track's clock."""

    pts: int
    dts: int
    key: bool
    units: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTrack:
    """One medium of a file; samples in decoding order, the file's first moment is time 0."""

    codec: Literal["h264", "h265", "aac", "pcmu", "pcma", "opus"]
    clock_rate: int
    duration: int
    """Ticks from time 0 to the end of the last sample shown."""
    samples: tuple[FileSample, ...]
    parameter_sets: tuple[bytes, ...] = ()
    """SPS and PPS (and VPS) that stand outside of the samples, else the first ones within."""
    width: int = 0
    height: int = 0
    config: bytes = b""
    """AAC: the AudioSpecificConfig (ISO 14496-3 section 1.6.2.1)."""
    channels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """What a file holds that a camera can send."""

    name: str
    video: FileTrack | None
    audio: FileTrack | None


class _Unsendable(Exception):
    """The file must be transcoded before a camera could send it."""


def open_media(
    path: Path, *, cache: Path | None = None, encoding: VideoEncoding | None = None
) -> MediaFile:
    """The video and sound of `path`, transcoded first if a camera would not send them so.

    Args:
        path: any file FFmpeg can read.
        cache: folder for transcoded files; without it a transcoded file lives in memory only.
        encoding: transcode the video to this, which is H.264, whatever it is now.

    Raises:
        ConfigError: the file cannot be read, or holds neither video nor audio.
    """
    if encoding is None:
        try:
            return _demultiplex(path, path.name)
        except _Unsendable:
            encoding = VideoEncoding()
    chosen = encoding

    def write(out: OutputContainer) -> None:
        with _open(path, path.name) as source:
            try:
                transcode(source, out, chosen)
            except av.FFmpegError as error:
                raise _unreadable(path.name, error.strerror or str(error)) from None

    return _built(path.name, cache, f"{_identity(path)} {encoding}", write)


def encode_media(
    name: str,
    pictures: Iterable[Picture],
    *,
    encoding: VideoEncoding,
    sound: Sound | None = None,
    sound_rate: int = 48_000,
    cache: Path | None = None,
    cache_key: str = "",
) -> MediaFile:
    """Drawn pictures (and mono sound) as a media file; `pictures` is not read when cached.

    `encoding` must have a size and a frame rate. `cache_key` says what the pictures are made of.
    """

    def write(out: OutputContainer) -> None:
        video = VideoWriter(out, encoding, encoding.fps or Fraction(25))
        audio = None if sound is None else add_aac(out, sound_rate, "mono")
        for picture in pictures:
            form = "rgb24" if picture.ndim == 3 else "gray"
            video.write(VideoFrame.from_ndarray(picture, format=form))
        video.close()
        if audio is not None and sound is not None:
            frame = AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = sound_rate
            frame.pts = 0
            frame.time_base = Fraction(1, sound_rate)
            out.mux(audio.encode(frame))
            out.mux(audio.encode(None))

    return _built(name, cache, f"{cache_key} {encoding}", write)


def decode_pictures(path: Path) -> Iterator[Picture]:
    """Every picture of a file's first video track as RGB, in the order shown."""
    with _open(path, path.name) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


def _built(name: str, cache: Path | None, key: str, write: _Write) -> MediaFile:
    if cache is None:
        memory = io.BytesIO()
        _write_mp4(memory, write)
        memory.seek(0)
        return _demultiplex(memory, name)
    kept = cache / f"{blake3(f'{_CACHE_VERSION} {key}'.encode()).hexdigest(16)}.mp4"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fresh = Path(folder) / "fresh.mp4"
            with fresh.open("wb") as file:
                _write_mp4(file, write)
            fresh.rename(kept)
    return _demultiplex(kept, name)


def _write_mp4(target: BinaryIO, write: _Write) -> None:
    with av.open(target, "w", format="mp4") as out:
        write(out)


def _identity(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path.name, error.strerror or str(error)) from None
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def _open(source: Path | BinaryIO, name: str) -> InputContainer:
    try:
        return av.open(str(source) if isinstance(source, Path) else source, "r")
    except (av.FFmpegError, OSError) as error:
        raise _unreadable(name, error.strerror or str(error)) from None


def _unreadable(name: str, reason: str) -> ConfigError:
    return ConfigError(
        f"video file {name}: cannot be read ({reason}); give a file that ffprobe can read"
    )


# -- reading -----------------------------------------------------------------------------------


def _demultiplex(source: Path | BinaryIO, name: str) -> MediaFile:
    with _open(source, name) as container:
        video = container.streams.video[0] if container.streams.video else None
        audio = container.streams.audio[0] if container.streams.audio else None
        if video is None and audio is None:
            raise ConfigError(f"video file {name}: holds neither video nor audio; give another")
        _check_sendable(video, audio)
        packets = _packets(container, name)
        origin = min(
            (
                packet.pts * Fraction(packet.time_base)
                for packet in packets
                if packet.pts is not None
            ),
            default=Fraction(0),
        )
        try:
            return MediaFile(
                name=name,
                video=None if video is None else _video_track(video, packets, origin),
                audio=None if audio is None else _audio_track(audio, packets, origin),
            )
        except BitstreamError as error:
            raise _unreadable(name, str(error)) from None


def _check_sendable(video: VideoStream | None, audio: AudioStream | None) -> None:
    if video is not None and video.codec_context.name not in _CODECS:
        raise _Unsendable
    if audio is not None:
        codec = _sound_codec(audio)
        if codec is None or (codec == "aac" and not audio.codec_context.extradata):
            raise _Unsendable


def _sound_codec(audio: AudioStream) -> Literal["aac", "pcmu", "pcma", "opus"] | None:
    # The codec's own name: one of several decoders has another.
    return _SOUNDS.get(audio.codec_context.codec.canonical_name)


def _packets(container: InputContainer, name: str) -> list[_Packet]:
    try:
        packets = [p for p in container.demux() if p.size]
    except av.FFmpegError as error:
        raise _unreadable(name, error.strerror or str(error)) from None
    sent = [p for p in packets if p.stream.type in ("video", "audio")]
    for index in {p.stream_index for p in sent}:
        _fill_decoding_times([p for p in sent if p.stream_index == index])
    if any(p.pts is None or p.dts is None for p in sent):
        raise _Unsendable
    return packets


def _fill_decoding_times(packets: list[_Packet]) -> None:
    """Matroska has none; FFmpeg finds them, but not of the first packets of reordered pictures."""
    known = next((n for n, p in enumerate(packets) if p.dts is not None), len(packets))
    times = [p.dts for p in packets[known:] if p.dts is not None]
    if len(times) < 2:
        return
    step = round(median(after - before for before, after in pairwise(times)))
    for number, packet in enumerate(packets[:known]):
        packet.dts = times[0] - (known - number) * step


def _ticks(value: int | None, base: Fraction, origin: Fraction, rate: int) -> int:
    assert value is not None  # _packets has refused such files
    return round((value * base - origin) * rate)


def _video_track(stream: VideoStream, packets: list[_Packet], origin: Fraction) -> FileTrack:
    codec = _CODECS[stream.codec_context.name]
    sets, parse = (_sets, parse_avc_config) if codec == "h264" else (_sets_h265, parse_h265_config)
    extra = bytes(stream.codec_context.extradata or b"")
    if extra[:1] == b"\x01":  # avcC or hvcC; else start codes, as in transport streams and AVI
        length_size, outside = parse(extra)
    else:
        length_size, outside = 0, sets(split_annex_b(extra))
    samples = tuple(
        FileSample(
            pts=_ticks(p.pts, p.time_base, origin, VIDEO_CLOCK),
            dts=_ticks(p.dts, p.time_base, origin, VIDEO_CLOCK),
            key=p.is_keyframe,
            units=tuple(
                split_avcc(bytes(p), length_size) if length_size else split_annex_b(bytes(p))
            ),
        )
        for p in packets
        if p.stream_index == stream.index
    )
    return FileTrack(
        codec=codec,
        clock_rate=VIDEO_CLOCK,
        duration=_duration(samples),
        samples=samples,
        parameter_sets=outside or sets(unit for sample in samples[:1] for unit in sample.units),
        width=stream.codec_context.width,
        height=stream.codec_context.height,
    )


def _audio_track(stream: AudioStream, packets: list[_Packet], origin: Fraction) -> FileTrack:
    codec = _sound_codec(stream)
    assert codec is not None  # or the file would have been transcoded
    rate, channels = stream.codec_context.sample_rate, stream.codec_context.layout.nb_channels
    timed: _Timed = (
        (_ticks(p.pts, p.time_base, origin, rate), bytes(p))
        for p in packets
        if p.stream_index == stream.index
    )
    if codec == "opus":
        timed = _evened(timed, opus_samples, rate)
    elif codec != "aac":
        timed = _cut(_evened(timed, lambda data: len(data) // channels, rate), rate, channels)
    samples = tuple(FileSample(pts=at, dts=at, key=True, units=(data,)) for at, data in timed)
    return FileTrack(
        codec=codec,
        clock_rate=rate,
        duration=_duration(samples),
        samples=samples,
        config=bytes(stream.codec_context.extradata or b""),
        channels=channels,
    )


def _evened(timed: _Timed, length: Callable[[bytes], int], rate: int) -> _Timed:
    """Each frame where the one before ended, unless the file says clearly otherwise."""
    due: int | None = None
    for at, data in timed:
        if due is None or abs(at - due) > _ROUNDED_S * rate:
            due = at
        yield due, data
        due += length(data)


def _cut(timed: _Timed, rate: int, channels: int) -> _Timed:
    """G.711 as frames of 20 ms; what is left over before a hole is a shorter one."""
    size = rate // _G711_FRAMES_S
    start, kept = 0, b""
    for at, data in timed:
        if at != start + len(kept) // channels:
            if kept:
                yield start, kept
            start, kept = at, b""
        kept += data
        while len(kept) >= size * channels:
            yield start, kept[: size * channels]
            start, kept = start + size, kept[size * channels :]
    if kept:
        yield start, kept


def _duration(samples: tuple[FileSample, ...]) -> int:
    shown = sorted(sample.pts for sample in samples)
    steps = [after - before for before, after in pairwise(shown)]
    return shown[-1] + round(median(steps)) if steps else 0


def _sets(units: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(unit for unit in units if nal_kind(unit) in _SETS)


def _sets_h265(units: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(unit for unit in units if h265_kind(unit) in _SETS_H265)
