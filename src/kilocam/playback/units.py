"""Stored pieces to access units with wall time, run by run.

Wall time of a picture is that of its piece, moved by its timestamp (docs/design/seams.md). Sound
has its own clock: `sync.py` places it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kilocam.core import Piece, Session
from kilocam.playback.errors import NotPlayable
from kilocam.playback.source import pieces_break, wall_us
from kilocam.playback.tracks import Playable, playable
from kilocam.rtsp import AccessUnit, StreamReader

_MAPPINGS = 4
"""A picture may have begun a few pieces ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """An access unit of a session's playable tracks."""

    run: int
    """Grows where media time does not go on."""
    session: Session
    video: bool
    wall_us: int
    """When the picture is shown; of sound: of the pictures around which it arrived."""
    unit: AccessUnit


class UnitReader:
    """Reads pieces in order; sessions without H.264 are passed over.

    Args:
        decodable_only: leave out what a decoder cannot use.
        sound: read the track of sound, too.
    """

    def __init__(self, *, decodable_only: bool, sound: bool = True) -> None:
        self._decodable_only = decodable_only
        self._sound = sound
        self._before: tuple[Session, Piece] | None = None
        self._reader: StreamReader | None = None
        self._mappings: deque[Piece] = deque(maxlen=_MAPPINGS)
        self._run = 0

    def feed(self, session: Session, piece: Piece) -> list[Unit]:
        """The access units that this piece completes."""
        out: list[Unit] = []
        if self._before is None or pieces_break(self._before, (session, piece)):
            out += self.flush()
            self._begin(session)
        self._before = (session, piece)
        if self._reader is None:
            return out
        self._mappings.append(piece)
        return out + self._units(session, self._reader.feed(piece.payload, piece.media_ts))

    def flush(self) -> list[Unit]:
        """What was under way; the next piece begins a run."""
        if self._reader is None or self._before is None:
            return []
        units = self._units(self._before[0], self._reader.flush())
        self._reader = self._before = None
        return units

    def _begin(self, session: Session) -> None:
        self._run += 1
        self._mappings.clear()
        try:
            tracks = playable(session)
        except NotPlayable:
            self._reader = None
            return
        wanted = [tracks.video]
        if tracks.sound is not None and self._sound:
            wanted.append(tracks.sound)
        self._reader = StreamReader(wanted, decodable_only=self._decodable_only)

    def _units(self, session: Session, units: Iterable[AccessUnit]) -> list[Unit]:
        tracks = playable(session)
        return [
            Unit(
                run=self._run,
                session=session,
                video=(video := unit.track == tracks.video.index),
                wall_us=self._wall_us(unit, tracks) if video else self._mappings[-1].wall_us,
                unit=unit,
            )
            for unit in units
        ]

    def _wall_us(self, unit: AccessUnit, tracks: Playable) -> int:
        """By the newest piece that had begun at the unit's timestamp."""
        piece = self._mappings[0]
        for later in self._mappings:
            if later.media_ts <= unit.ts:
                piece = later
        return wall_us(piece, unit.ts, tracks.video.clock_rate)


def read_units(
    pieces: Iterable[tuple[Session, Piece]], *, decodable_only: bool, sound: bool = True
) -> Iterator[Unit]:
    """The access units of some pieces."""
    reader = UnitReader(decodable_only=decodable_only, sound=sound)
    for session, piece in pieces:
        yield from reader.feed(session, piece)
    yield from reader.flush()
