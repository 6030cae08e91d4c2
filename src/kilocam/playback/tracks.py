"""Which tracks of a session can be played, and how their samples are decoded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from kilocam.bitstream import (
    BitstreamError,
    NalKind,
    Sps,
    nal_kind,
    opus_samples,
    parse_audio_config,
    parse_avc_config,
    parse_sps,
)
from kilocam.core import Session, Track
from kilocam.media import (
    G711Format,
    MediaTrack,
    Mp4Sound,
    VideoFormat,
    sound_format,
    video_format,
)
from kilocam.playback.errors import NotPlayable
from kilocam.rtsp import AccessUnit, aac_config, sprop_parameter_sets

VIDEO_ID, SOUND_ID = 1, 2
_OPUS_USUAL = 960
_SLOWEST_S = 0.2
"""Time between frames that is reckoned with where pictures are reordered: 5 frames a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playable:
    """The tracks of a session that can be played."""

    video: Track
    sound: Track | None
    left_out: tuple[str, ...]
    """What cannot, and why, for a person."""


@lru_cache(maxsize=1024)
def playable(session: Session) -> Playable:
    """The tracks of a session that an MP4 of ours can hold.

    Raises:
        NotPlayable: there is no H.264 video.
    """
    video = next((track for track in session.tracks if track.media == "video"), None)
    if video is None or video.codec != "h264":
        codec = video.codec if video else "no video"
        raise NotPlayable(
            f"camera {session.camera!r} sends {codec or 'an unknown codec'}; it is recorded, but "
            "only H.264 can be played so far"
        )
    sound, left_out = None, []
    for track in session.tracks:
        if track is video:
            continue
        if sound is None and _mp4_sound(track) is not None:
            sound = track
        else:
            left_out.append(
                f"track {track.index} ({track.media}, {track.codec or 'unknown codec'}) is "
                "recorded but not put into MP4 so far"
            )
    return Playable(video=video, sound=sound, left_out=tuple(left_out))


def format_of(session: Session, key: AccessUnit) -> VideoFormat | None:
    """The format of a key frame: its own parameter sets, else those of the session's SDP."""
    return video_format(key.parameter_sets or sprop_parameter_sets(playable(session).video.fmtp))


def frame_length(sound: Track) -> Callable[[bytes], int]:
    """Tells how many ticks a frame of a playable track of sound lasts."""
    if sound.codec == "opus":
        return _opus_ticks
    config = parse_audio_config(aac_config(sound.fmtp))
    ticks = round(config.frame_samples * sound.clock_rate / config.sample_rate)
    return lambda _: ticks


def _opus_ticks(packet: bytes) -> int:
    """What is no Opus packet is kept too, and lasts as long as most of them."""
    try:
        return opus_samples(packet)
    except BitstreamError:
        return _OPUS_USUAL


def sound_of(session: Session) -> Mp4Sound | None:
    """The format of a session's sound, if it has any that can be played."""
    sound = playable(session).sound
    return _mp4_sound(sound) if sound is not None else None


def _mp4_sound(track: Track) -> Mp4Sound | None:
    """The format of a track that an MP4 of ours can hold as it is; browsers play no G.711 in it."""
    entry = sound_format(
        track.codec, rate=track.clock_rate, channels=track.channels, config=aac_config(track.fmtp)
    )
    return None if isinstance(entry, G711Format) else entry


@lru_cache(maxsize=1024)
def reorder_depth(entry: VideoFormat) -> int:
    """How many frames may come before one that is shown earlier."""
    return _sps_of(entry).reorder_frames


@lru_cache(maxsize=1024)
def decoding_delay(entry: VideoFormat, clock_rate: int) -> int:
    """Ticks by which pictures must be presented late, so that none is presented undecoded."""
    sps = _sps_of(entry)
    if not sps.reorder_frames:
        return 0
    rate = sps.frame_rate
    frame_s = max(_SLOWEST_S, min(1.0, 1 / rate) if rate else 0.0)
    return round(sps.reorder_frames * frame_s * clock_rate)


def media_tracks(
    video: VideoFormat, sound: Mp4Sound | None, *, video_rate: int, sound_rate: int
) -> tuple[MediaTrack, ...]:
    """The tracks of an MP4 with these formats."""
    tracks = [MediaTrack(id=VIDEO_ID, timescale=video_rate, formats=(video,))]
    if sound is not None:
        tracks.append(MediaTrack(id=SOUND_ID, timescale=sound_rate, formats=(sound,)))
    return tuple(tracks)


def parameter_sets_of(entry: VideoFormat) -> tuple[bytes, ...]:
    """SPS and PPS of a format."""
    return parse_avc_config(entry.config)[1]


def _sps_of(entry: VideoFormat) -> Sps:
    sets = parameter_sets_of(entry)
    return parse_sps(next((nal for nal in sets if nal_kind(nal) == NalKind.SPS), b""))
