"""How footage is cut into segments: the same for every viewer, so that all share them.

A segment begins at the first whole key frame of each four seconds of wall time, where a run begins,
and where the format changes. So a cut depends on what is near it only, not on what was asked for,
and a segment's name (session, start, end, with sound or without) says all that is needed to make it
again, byte for byte.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kilocam.core import CameraKey
from kilocam.media import Mp4Sound, VideoFormat
from kilocam.playback.errors import NoSuchSegment
from kilocam.playback.keys import REACH_US, Key, KeyIndex, Run, has_sound
from kilocam.playback.source import FootageSource
from kilocam.playback.tracks import playable, sound_of

SLOT_US = 4_000_000
CLOSED_US = 15_000_000
"""A run that brought nothing for this long has ended."""
_SOUND_NEAR_US = 1_000_000
_NAME = re.compile(r"(\d{1,19})-(\d{1,17})-(\d{1,17})-(av|v)\.m4s")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentName:
    """What a segment is; everything in it follows from this and the footage."""

    session: int
    start_us: int
    end_us: int
    sound: bool

    def __str__(self) -> str:
        kind = "av" if self.sound else "v"
        return f"{self.session}-{self.start_us}-{self.end_us}-{kind}.m4s"

    @classmethod
    def parse(cls, text: str) -> "SegmentName":
        """Read a name.

        Raises:
            NoSuchSegment: it is none, or names more than a segment can be.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            raise NoSuchSegment(f"{text[:80]!r} is not the name of a media segment")
        session, start, end = (int(part) for part in match.groups()[:3])
        if not start < end <= start + 2 * REACH_US:
            raise NoSuchSegment(f"segment {text!r} ends before it starts or is too long")
        return cls(session=session, start_us=start, end_us=end, sound=match[4] == "av")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A planned segment and what precedes it."""

    name: SegmentName
    video: VideoFormat
    sound: Mp4Sound | None
    video_rate: int
    sound_rate: int
    follows: bool
    """It continues the segment before it: no discontinuity."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (self.name.end_us - self.name.start_us) / 1_000_000

    def same_init(self, other: "Segment") -> bool:
        """Whether one init segment serves both."""
        return (self.video, self.sound, self.video_rate, self.sound_rate) == (
            other.video, other.sound, other.video_rate, other.sound_rate,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The segments of a range; `complete` when no more will come."""

    segments: tuple[Segment, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """A stretch of a run between two cuts; without `end_us` the key frame after it is to come."""

    key: Key
    end_us: int | None


class Planner:
    """Plans segments; safe for several threads."""

    def __init__(self, source: FootageSource, keys: KeyIndex) -> None:
        self._source = source
        self._keys = keys

    def plan(self, key: CameraKey, from_us: int, to_us: int, now_us: int) -> Plan:
        """The segments that show [from_us, to_us), as far as they are recorded."""
        segments: list[Segment] = []
        high_us = min(to_us + REACH_US, now_us)
        complete = to_us <= now_us
        for run in self._keys.runs(key, from_us - REACH_US, to_us + REACH_US):
            follows = False
            for cut in self._cuts(key, run, high_us):
                if cut.key.at_us >= to_us:
                    break
                if cut.end_us is None:
                    complete = complete and to_us + REACH_US <= now_us
                    break
                if cut.end_us <= from_us:
                    follows = False
                    continue
                segment = self._segment(key, cut)
                same = bool(segments) and segment.same_init(segments[-1])
                segments.append(replace(segment, follows=follows and same))
                follows = True
        return Plan(segments=tuple(segments), complete=complete)

    def _cuts(self, key: CameraKey, run: Run, high_us: int) -> Iterator[_Cut]:
        """The cuts of a run; what precedes the first certain one is left out."""
        start: Key | None = None
        before: Key | None = None
        closed = run.ends or run.end_us + CLOSED_US < high_us
        for current in self._keys.keys(key, run, settled=not closed):
            certain = before is not None or run.begins
            if certain and (before is None or _cut_between(before, current)):
                if start is not None:
                    yield _Cut(key=start, end_us=current.at_us)
                start = current
            before = current
        if start is not None:
            end_us = max(run.end_us, start.at_us + 1)
            yield _Cut(key=start, end_us=end_us if closed else None)

    def _segment(self, key: CameraKey, cut: _Cut) -> Segment:
        assert cut.end_us is not None
        session = cut.key.session
        tracks = playable(session)
        heard = cut.key.sound or self._heard(key, cut)
        sound = sound_of(session) if heard else None
        return Segment(
            name=SegmentName(
                session=session.session,
                start_us=cut.key.at_us,
                end_us=cut.end_us,
                sound=sound is not None,
            ),
            video=cut.key.format,
            sound=sound,
            video_rate=tracks.video.clock_rate,
            sound_rate=tracks.sound.clock_rate if tracks.sound and sound else 0,
            follows=False,
        )

    def _heard(self, key: CameraKey, cut: _Cut) -> bool:
        """Whether sound arrived close behind a key frame; all of that is stored by now."""
        session, start = cut.key.session, cut.key.at_us
        if playable(session).sound is None or cut.end_us is None:
            return False
        until = min(start + _SOUND_NEAR_US, cut.end_us)
        pieces = self._source.pieces(key, start, until, exact=True)
        return any(has_sound(s, piece) for s, piece in pieces if s.session == session.session)


def _cut_between(before: Key, current: Key) -> bool:
    return before.at_us // SLOT_US != current.at_us // SLOT_US or before.format != current.format
