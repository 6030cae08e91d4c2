"""What a file of some footage will need: formats and sound, known before its first byte is made."""

from dataclasses import dataclass

from kilocam.media import Mp4Sound, VideoFormat
from kilocam.playback.errors import PlaybackError
from kilocam.playback.keys import REACH_US, Key, KeyIndex
from kilocam.playback.library import Library, Range
from kilocam.playback.source import FootageSource
from kilocam.playback.tracks import decoding_delay, playable, sound_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """Formats of the footage of a range."""

    start_us: int
    """From where to read: a whole key frame at or before the range, or the range's start."""
    end_us: int
    """Up to where there is footage; no later than the range ends."""
    video: VideoFormat
    """The first one."""
    sound: Mp4Sound | None
    delay: int
    """Enough for every format in the range."""
    video_rate: int
    sound_rate: int
    left_out: tuple[str, ...]
    """What is recorded but cannot be put into MP4, and why."""


def outline(library: Library, wanted: Range) -> Outline:
    """What a file of a range will hold.

    Raises:
        NotPlayable: what is recorded there is not H.264.
        PlaybackError: nothing that can be played is recorded there.
    """
    keys, end_us = _keys(library.keys, wanted)
    if not keys:
        check_playable(library.source, wanted)
        raise PlaybackError(
            f"camera {wanted.key.camera!r} has no footage that can be played in this range; see "
            "its timeline for what exists"
        )
    first = playable(keys[0].session)
    rate = first.video.clock_rate
    heard = next((entry for k in keys if (entry := sound_of(k.session)) is not None), None)
    sound_rate = next((t.clock_rate for k in keys if (t := playable(k.session).sound)), 0)
    return Outline(
        start_us=min(keys[0].at_us, wanted.from_us),
        end_us=min(end_us, wanted.to_us),
        video=keys[0].format,
        sound=heard,
        delay=max(decoding_delay(entry, rate) for entry in {k.format for k in keys}),
        video_rate=rate,
        sound_rate=sound_rate,
        left_out=tuple(sorted({text for k in keys for text in playable(k.session).left_out})),
    )


def check_playable(source: FootageSource, wanted: Range) -> None:
    """Raise `NotPlayable` when there is footage in the range that is not H.264."""
    for session, _ in source.read(source.marks(wanted.key, wanted.from_us, wanted.to_us)[:1]):
        playable(session)


def _keys(index: KeyIndex, wanted: Range) -> tuple[list[Key], int]:
    """Key frames of the range, from the last one before it on; the end of the last run."""
    found: list[Key] = []
    end_us = wanted.from_us
    key, from_us, to_us = wanted.key, wanted.from_us, wanted.to_us
    for run in index.runs(key, from_us - REACH_US, to_us):
        in_run = [k for k in index.keys(key, run) if k.at_us < to_us]
        before = [k for k in in_run if k.at_us <= from_us][-1:]
        connected = before if run.end_us > from_us else []
        found += [*connected, *(k for k in in_run if k.at_us > from_us)]
        end_us = max(end_us, run.end_us)
    return found, end_us
