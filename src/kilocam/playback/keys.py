"""Where playing can begin: key frames that are whole, found without reading what lies between.

Owns: `KeyIndex`, which knows stored key frames by the format of their pictures. It reads the piece
of each key frame once, and remembers what it saw.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kilocam.core import CameraKey, Piece, PieceFlag, Session
from kilocam.media import VideoFormat, video_format
from kilocam.playback.errors import NotPlayable
from kilocam.playback.source import FootageSource, breaks, media_ts
from kilocam.playback.tracks import playable
from kilocam.record import PieceMark
from kilocam.rtsp import StreamReader, sprop_parameter_sets

REACH_US = 60_000_000
"""How far a key frame is looked for: the longest GOP."""
_KEPT = 50_000
_PEEK = 4096
"""Bytes from a key frame's start on that hold its parameter sets."""
_BROKEN = PieceFlag.LOST | PieceFlag.DAMAGED
_NEAR = 3
"""A key frame lies within so many pieces; a loss that is flagged in them may be its own."""
_LONGEST = 8
"""Pieces a key frame is looked for in: 4 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A whole key frame of H.264."""

    session: Session
    at_us: int
    format: VideoFormat
    sound: bool
    """Sound arrived close behind it (in its piece)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stretch of one session in which media time goes on."""

    marks: tuple[PieceMark, ...]
    begins: bool
    """It is known that nothing precedes it."""
    ends: bool
    """It is known that nothing follows it."""

    @property
    def end_us(self) -> int:
        """The end of its last piece."""
        return max(mark.entry.end_us for mark in self.marks[-3:])


def runs_of(marks: Sequence[PieceMark], low_us: int) -> list[Run]:
    """The runs in some pieces; `low_us` is from where on pieces were looked for."""
    edges = [
        0,
        *(n for n, (a, b) in enumerate(pairwise(marks), 1) if breaks(a.entry, b.entry)),
        len(marks),
    ]
    runs = []
    for start, end in pairwise(edges):
        if start == end:
            continue
        # A piece that begins late after `low_us` has nothing in front of it.
        begins = start > 0 or marks[0].entry.wall_us - low_us > 2_000_000
        runs.append(Run(marks=tuple(marks[start:end]), begins=begins, ends=end < len(marks)))
    return runs


class KeyIndex:
    """Stored key frames of any camera; safe for several threads."""

    def __init__(self, source: FootageSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[CameraKey, int, int], Key | None] = OrderedDict()

    def runs(self, key: CameraKey, from_us: int, to_us: int) -> list[Run]:
        """The runs of [from_us, to_us)."""
        return runs_of(self._source.marks(key, from_us, to_us), from_us)

    def keys(self, key: CameraKey, run: Run, *, settled: bool = False) -> Iterator[Key]:
        """The key frames of a run that are whole, in order; read as far as they are asked for.

        Args:
            key: the camera.
            run: where to look.
            settled: leave out the newest, of which packets may yet be found missing.
        """
        for number, mark in enumerate(run.marks):
            certain = run.ends or number + _NEAR <= len(run.marks)
            if not mark.entry.key_us or (settled and not certain):
                continue
            name = (key, mark.entry.session, mark.entry.key_us)
            with self._lock:
                known, found = name in self._known, self._known.get(name)
            if not known:
                found = self._look(run.marks[number : number + _LONGEST])
                if certain:
                    self._keep(name, found)
            if found is not None:
                yield found

    def before(self, key: CameraKey, at_us: int) -> Key | None:
        """The last whole key frame at or before a moment, in the run that is under way then."""
        runs = self.runs(key, at_us - REACH_US, at_us + 1)
        if not runs:
            return None
        found = [k for k in self.keys(key, runs[-1]) if k.at_us <= at_us]
        return found[-1] if found else None

    def _keep(self, name: tuple[CameraKey, int, int], found: Key | None) -> None:
        with self._lock:
            self._known[name] = found
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)

    def _look(self, marks: Sequence[PieceMark]) -> Key | None:
        """The key frame in the first of these pieces; None when it cannot be played."""
        first = next(self._source.read(marks[:1]), None)
        if first is None:
            return None
        session, piece = first
        try:
            tracks = playable(session)
        except NotPlayable:
            return None
        if any(PieceFlag(mark.entry.flags) & _BROKEN for mark in marks[:_NEAR]):
            rest = (p for s, p in self._source.read(marks[1:]) if s == session)
            sets = _whole_sets(session, piece, rest)
        else:
            sets = _peeked_sets(session, piece)
        entry = video_format(sets) if sets else None
        if entry is None:
            return None
        sound = tracks.sound is not None and has_sound(session, piece)
        return Key(session=session, at_us=piece.key_us, format=entry, sound=sound)


def has_sound(session: Session, piece: Piece) -> bool:
    """Whether a piece holds packets of the session's sound."""
    sound = playable(session).sound
    if sound is None:
        return False
    payload, pos, wanted = piece.payload, 0, sound.rtp_channel
    while pos + 4 <= len(payload) and payload[pos] == 0x24:
        if payload[pos + 1] == wanted:
            return True
        pos += 4 + (payload[pos + 2] << 8 | payload[pos + 3])
    return False


def key_ts(session: Session, piece: Piece) -> int:
    """The extended timestamp of the key frame that a piece names."""
    return media_ts(piece, piece.key_us, playable(session).video.clock_rate)


def _peeked_sets(session: Session, piece: Piece) -> tuple[bytes, ...]:
    """The parameter sets in force at a key frame that arrived whole, from its first packets."""
    video = playable(session).video
    reader = StreamReader((video,))
    head = piece.payload[piece.key_offset : piece.key_offset + _PEEK]
    units = reader.feed(head, key_ts(session, piece)) + reader.flush()
    sets = next((unit.parameter_sets for unit in units if unit.parameter_sets), ())
    return sets or sprop_parameter_sets(video.fmtp)


def _whole_sets(session: Session, piece: Piece, rest: Iterable[Piece]) -> tuple[bytes, ...]:
    """The same where packets were lost nearby; empty when the key frame itself is not whole."""
    reader = StreamReader((playable(session).video,))
    start = key_ts(session, piece)
    units = reader.feed(piece.payload[piece.key_offset :], start)
    for following in rest:
        if units:
            break
        units = reader.feed(following.payload, following.media_ts)
    units = units or reader.flush()
    if not units or units[0].damaged or not units[0].key or units[0].ts != start:
        return ()
    return units[0].parameter_sets or sprop_parameter_sets(playable(session).video.fmtp)
