"""Owns: turning pictures and sound of any codec into the H.264 (H.265) and AAC of a camera."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kilocam.core import ConfigError

_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoding:
    """How pictures become H.264; `None` keeps what the file has."""

    width: int | None = None
    height: int | None = None
    fps: Fraction | None = None
    bitrate_kbps: int | None = None
    """Mean bit rate; `None`: constant quality."""
    key_interval_s: float = 2.0
    b_frames: int = 0
    strict_cbr: bool = False
    """Constant bit rate with filler data, as many cameras send it; needs `bitrate_kbps`."""

    def __post_init__(self) -> None:
        if self.strict_cbr and self.bitrate_kbps is None:
            raise ConfigError("video encoding: strict_cbr needs bitrate_kbps; give both")

    @property
    def encoder(self) -> Literal["libx264", "libx265"]:
        """FFmpeg's name of it."""
        return "libx264"

    def options(self, fps: Fraction) -> dict[str, str]:
        """What the encoder is told."""
        interval = str(self._key_interval(fps))
        options = {
            "preset": "veryfast",
            "threads": "2",
            "g": interval,
            "keyint_min": interval,
            "sc_threshold": "0",
            "bf": str(self.b_frames),
        }
        if self.bitrate_kbps is not None:
            rate = self.bitrate_kbps * 1000
            peak, buffer = (rate, rate) if self.strict_cbr else (2 * rate, 2 * rate)
            options |= {"b": str(rate), "maxrate": str(peak), "bufsize": str(buffer)}
        if self.strict_cbr:
            options["nal-hrd"] = "cbr"
        return options

    def _key_interval(self, fps: Fraction) -> int:
        return max(1, round(self.key_interval_s * float(fps)))


@dataclass(frozen=True, slots=True, kw_only=True)
class H265Encoding(VideoEncoding):
    """How pictures become H.265.

    At least 64 pixels on a side: of smaller ones x265 spoils the heap.
    """

    @property
    def encoder(self) -> Literal["libx264", "libx265"]:
        """FFmpeg's name of it."""
        return "libx265"

    def options(self, fps: Fraction) -> dict[str, str]:
        """What the encoder is told, mostly in words of its own."""
        interval = self._key_interval(fps)
        said = {"keyint": interval, "min-keyint": interval, "scenecut": 0, "open-gop": 0,
                "bframes": self.b_frames, "pools": 2, "frame-threads": 1}  # fmt: skip
        if self.bitrate_kbps is not None:
            peak = self.bitrate_kbps if self.strict_cbr else 2 * self.bitrate_kbps
            said |= {"bitrate": self.bitrate_kbps, "vbv-maxrate": peak, "vbv-bufsize": peak}
        if self.strict_cbr:
            said |= {"strict-cbr": 1}
        params = [f"{name}={value}" for name, value in said.items()]
        return {"preset": "veryfast", "x265-params": ":".join(["log-level=none", *params])}


class VideoWriter:
    """Encodes pictures at a constant frame rate."""

    def __init__(self, out: OutputContainer, encoding: VideoEncoding, fps: Fraction) -> None:
        self._out = out
        self._fps = fps
        self._encoding = encoding
        self._written = 0
        self._stream: VideoStream = out.add_stream(
            encoding.encoder, rate=fps, options=encoding.options(fps)
        )
        self._stream.pix_fmt = "yuv420p"
        self._stream.thread_type = "FRAME"  # else each thread makes a slice of its own
        self._sized = False

    def write(self, frame: VideoFrame) -> None:
        """Encode the next picture, scaled to the encoding's size (else to the first one's)."""
        if not self._sized:
            # Pictures of 4:2:0 have even sides only.
            self._stream.width = (self._encoding.width or frame.width) // 2 * 2
            self._stream.height = (self._encoding.height or frame.height) // 2 * 2
            self._sized = True
        picture = frame.reformat(self._stream.width, self._stream.height, "yuv420p")
        picture.pts = self._written
        picture.time_base = 1 / self._fps
        self._written += 1
        self._out.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Write what the encoder still holds."""
        if self._written:
            self._out.mux(self._stream.encode(None))


def add_aac(out: OutputContainer, rate: int, layout: str) -> AudioStream:
    """An AAC stream of 64 kbit/s in `out`."""
    stream: AudioStream = out.add_stream("aac", rate=rate)
    stream.codec_context.layout = layout
    stream.codec_context.bit_rate = 64_000
    return stream


def transcode(source: InputContainer, out: OutputContainer, encoding: VideoEncoding) -> None:
    """Write the first video and audio track of `source` as H.264 and AAC."""
    video = source.streams.video[0] if source.streams.video else None
    audio = source.streams.audio[0] if source.streams.audio else None
    writer, timeline, sound = None, None, None
    if video is not None:
        fps = encoding.fps or video.average_rate or Fraction(25)
        writer, timeline = VideoWriter(out, encoding, fps), _Timeline(fps)
    if audio is not None:
        rate = audio.codec_context.sample_rate
        layout = "mono" if audio.codec_context.layout.nb_channels == 1 else "stereo"
        sound = add_aac(out, rate if rate in _AAC_RATES else 48_000, layout)
    for packet in source.demux([s for s in (video, audio) if s is not None]):
        for frame in packet.decode():
            if isinstance(frame, VideoFrame) and writer and timeline:
                for picture in timeline.place(frame):
                    writer.write(picture)
            elif isinstance(frame, AudioFrame) and sound is not None:
                out.mux(sound.encode(frame))
    if writer is not None:
        writer.close()
    if sound is not None:
        out.mux(sound.encode(None))


class _Timeline:
    """Repeats or drops pictures so that they come at a constant rate."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._start: Fraction | None = None
        self._placed = 0

    def place(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        if frame.pts is None or frame.time_base is None:
            until = self._placed + 1
        else:
            at = frame.pts * frame.time_base
            self._start = at if self._start is None else self._start
            until = ceil((at - self._start) * self._fps - Fraction(1, 2)) + 1
        while self._placed < until:
            yield frame
            self._placed += 1
