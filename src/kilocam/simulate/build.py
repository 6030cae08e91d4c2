"""Owns: turning a media file into a loop of packets, and its description."""

from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Sequence

from kilocam.bitstream import h265_kind
from kilocam.media import FileSample, FileTrack, MediaFile
from kilocam.rtsp import (
    H265_SPROPS,
    Description,
    SdpMedia,
    build_sdp,
    packetize_aac,
    packetize_h264,
    packetize_h265,
)
from kilocam.simulate.content import Content, ContentTrack, RawBlock
from kilocam.simulate.errors import SimulateError

_VIDEO_TYPE, _AUDIO_TYPE = 96, 97
_STATIC_TYPES = {"pcmu": 0, "pcma": 8}
_SPS, _PPS = 7, 8
_MARKER = 0x80


def build_content(media: MediaFile) -> Content:
    """All packets of one loop of `media`.

    The video sets the loop's length (without video the audio); sound that reaches beyond it is cut.
    Parameter sets are repeated before each key frame, so that a client may begin at any of them.

    Raises:
        SimulateError: nothing in it can be sent.
    """
    if media.video is not None and media.video.samples:
        return _with_video(media.name, media.video, media.audio)
    if media.audio is not None and media.audio.samples:
        return _sound_only(media.name, media.audio)
    raise SimulateError(f"video file {media.name}: holds no samples; give another")


def describe(content: Content) -> Description:
    """What DESCRIBE answers."""
    controls = tuple(f"track{index}" for index in range(len(content.tracks)))
    media = [
        SdpMedia(
            media=track.media,
            payload_type=track.payload_type,
            codec=track.codec,
            clock_rate=track.clock_rate,
            channels=track.channels,
            fmtp=track.fmtp,
            control=control,
        )
        for track, control in zip(content.tracks, controls, strict=True)
    ]
    return Description(sdp=build_sdp(media, name=content.name), controls=controls)


def _with_video(name: str, video: FileTrack, audio: FileTrack | None) -> Content:
    start = min(sample.pts for sample in video.samples)
    length = video.duration - start
    # A camera sends a picture after it was taken, also when pictures are reordered.
    delay = max(sample.pts - sample.dts for sample in video.samples)
    order = {pts: at for at, pts in enumerate(sorted(sample.pts for sample in video.samples))}
    sound = deque(_sound_packets(audio, start, length, video.clock_rate, 1) if audio else ())
    blocks = []
    for at, sample in enumerate(video.samples):
        due = sample.dts + delay - start
        is_last = at == len(video.samples) - 1
        packets = _picture_packets(sample, video, start)
        while sound and (is_last or sound[0][0] <= due / video.clock_rate):
            packets += sound.popleft()[1]
        blocks.append(
            RawBlock(
                due_us=_us(due, video.clock_rate),
                shown_us=_us(sample.pts - start, video.clock_rate),
                picture=order[sample.pts],
                key=sample.key,
                packets=packets,
            )
        )
    return Content(
        name=name,
        clock_rate=video.clock_rate,
        loop_ticks=length,
        tracks=[_video_medium(video)] + ([_audio_medium(audio)] if audio else []),
        blocks=blocks,
    )


def _sound_only(name: str, audio: FileTrack) -> Content:
    start = audio.samples[0].pts
    length, clock = audio.duration - start, audio.clock_rate
    blocks = [
        RawBlock(due_us=round(due_s * 1_000_000), shown_us=0, picture=-1, key=True, packets=packets)
        for due_s, packets in _sound_packets(audio, start, length, clock, 0)
    ]
    return Content(
        name=name,
        clock_rate=clock,
        loop_ticks=length,
        tracks=[_audio_medium(audio)],
        blocks=blocks,
    )


def _picture_packets(
    sample: FileSample, video: FileTrack, start: int
) -> list[tuple[int, int, bytes]]:
    units = sample.units
    if video.codec == "h265":
        whole = set(H265_SPROPS.values()) <= {h265_kind(unit) for unit in units}
    else:
        whole = {_SPS, _PPS} <= {unit[0] & 31 for unit in units}
    if sample.key and not whole:
        units = (*video.parameter_sets, *units)
    payloads = packetize_h265(units) if video.codec == "h265" else packetize_h264(units)
    return _rtp(payloads, _VIDEO_TYPE, 0, sample.pts - start)


def _sound_packets(
    audio: FileTrack, start: int, length: int, clock: int, track: int
) -> list[tuple[float, list[tuple[int, int, bytes]]]]:
    """(seconds, packets) of each frame of sound in the loop, which is given in ticks of `clock`."""
    rate = audio.clock_rate
    packets = []
    for sample in audio.samples:
        ticks = sample.pts - start * rate // clock
        if 0 <= ticks < length * rate // clock:
            packets.append((ticks / rate, _frame_packets(sample.units[0], audio, track, ticks)))
    return packets


def _frame_packets(
    frame: bytes, audio: FileTrack, track: int, ticks: int
) -> list[tuple[int, int, bytes]]:
    if audio.codec == "aac":
        return _rtp(packetize_aac(frame), _AUDIO_TYPE, track, ticks)
    # A packet each; with these codecs the marker says that silence ended, and there is none.
    return _rtp([frame], _sound_type(audio), track, ticks, marked=False)


def _rtp(
    payloads: Sequence[bytes], payload_type: int, track: int, ticks: int, *, marked: bool = True
) -> list[tuple[int, int, bytes]]:
    """RTP packets whose sequence number, timestamp and SSRC are stamped later.

    The last one is marked, if any.
    """
    last = len(payloads) - 1 if marked else -1
    return [
        (track, ticks, bytes((0x80, payload_type | (_MARKER if at == last else 0))) + bytes(10) + p)
        for at, p in enumerate(payloads)
    ]


def _video_medium(video: FileTrack) -> ContentTrack:
    return ContentTrack(
        media="video",
        codec=video.codec,
        payload_type=_VIDEO_TYPE,
        clock_rate=video.clock_rate,
        channels=1,
        fmtp=_h265_fmtp(video) if video.codec == "h265" else _h264_fmtp(video),
        packets=0,
        octets=0,
    )


def _h264_fmtp(video: FileTrack) -> str:
    sps = next((unit for unit in video.parameter_sets if unit[0] & 31 == _SPS), b"")
    if len(sps) < 4:
        return "packetization-mode=1"
    profile = sps[1:4].hex().upper()
    sets = _base64(video.parameter_sets)
    return f"packetization-mode=1; profile-level-id={profile}; sprop-parameter-sets={sets}"


def _h265_fmtp(video: FileTrack) -> str:
    sets = (
        (name, [unit for unit in video.parameter_sets if h265_kind(unit) == kind])
        for name, kind in H265_SPROPS.items()
    )
    return "; ".join(f"{name}={_base64(units)}" for name, units in sets)


def _base64(units: Iterable[bytes]) -> str:
    return ",".join(b64encode(unit).decode() for unit in units)


def _audio_medium(audio: FileTrack) -> ContentTrack:
    fmtp, channels = "", audio.channels
    if audio.codec == "aac":
        fmtp = (
            "streamtype=5; profile-level-id=1; mode=AAC-hbr; sizelength=13; indexlength=3; "
            f"indexdeltalength=3; config={audio.config.hex().upper()}"
        )
    elif audio.codec == "opus":  # always 2 in the rtpmap (RFC 7587 section 7)
        fmtp, channels = f"sprop-stereo={int(audio.channels > 1)}", 2
    return ContentTrack(
        media="audio",
        codec="mpeg4-generic" if audio.codec == "aac" else audio.codec,
        payload_type=_sound_type(audio),
        clock_rate=audio.clock_rate,
        channels=channels,
        fmtp=fmtp,
        packets=0,
        octets=0,
    )


def _sound_type(audio: FileTrack) -> int:
    """The static payload type of G.711 where it has one (RFC 3551 section 6)."""
    usual = (audio.clock_rate, audio.channels) == (8000, 1)
    return _STATIC_TYPES.get(audio.codec, _AUDIO_TYPE) if usual else _AUDIO_TYPE


def _us(ticks: int, clock_rate: int) -> int:
    return ticks * 1_000_000 // clock_rate
