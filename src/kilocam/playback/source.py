"""What playback needs of whoever keeps the footage; `record.Archive` and `ranges` are such."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Protocol

from kilocam.core import CameraKey, Gap, Piece, PieceFlag, Session, Span
from kilocam.record import Entry, PieceMark

HOLE_US = 2_000_000
"""More than this without packets ends a run; the log calls less than it jitter, too."""


class FootageSource(Protocol):
    """Stored footage by (camera, from, to); synchronous, usable from several threads."""

    def coverage(self, key: CameraKey, from_us: int, to_us: int) -> tuple[list[Span], list[Gap]]:
        """Footage that exists and what is missing, without overlap."""
        ...

    def pieces(
        self, key: CameraKey, from_us: int, to_us: int, *, exact: bool = False
    ) -> Iterator[tuple[Session, Piece]]:
        """Pieces from the last key frame at or before `from_us`, or from the one at it."""
        ...

    def marks(self, key: CameraKey, from_us: int, to_us: int) -> list[PieceMark]:
        """The pieces of [from_us, to_us) without their bytes."""
        ...

    def read(self, marks: Iterable[PieceMark]) -> Iterator[tuple[Session, Piece]]:
        """The pieces behind marks."""
        ...


class FollowSource(Protocol):
    """What a camera sends, as it comes."""

    def follow(self, key: CameraKey) -> AsyncIterator[tuple[Session, Piece]]:
        """Pieces from now on; a generator that ends when the recorder stops and can be closed."""
        ...


def breaks(before: Entry, after: Entry) -> bool:
    """Whether media time does not go on from one stored piece to the next."""
    return (
        before.session != after.session
        or bool(after.flags & PieceFlag.DISCONTINUITY)
        or after.wall_us - before.end_us > HOLE_US
    )


def pieces_break(before: tuple[Session, Piece], after: tuple[Session, Piece]) -> bool:
    """The same, of pieces."""
    (old, earlier), (new, later) = before, after
    return (
        (old.session, old.epoch) != (new.session, new.epoch)
        or bool(later.flags & PieceFlag.DISCONTINUITY)
        or later.wall_us - earlier.wall_us - earlier.duration_us > HOLE_US
    )


def media_ts(piece: Piece, wall_us: int, clock_rate: int) -> int:
    """The extended timestamp of a moment within a piece, exact for those the piece names."""
    return piece.media_ts + round((wall_us - piece.wall_us) * clock_rate / 1_000_000)


def wall_us(piece: Piece, ts: int, clock_rate: int) -> int:
    """Wall time of an extended timestamp near a piece."""
    return piece.wall_us + (ts - piece.media_ts) * 1_000_000 // clock_rate
