"""GOPs as they begin, announced while recording; `replay.py` walks them again (P8).

Owns: where windows begin, and the position by which a reader of the log says how far it came.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from kilocam.core import GopRef, Piece, Session

WINDOW_US = 2_000_000
"""A GOP that goes on is announced again this often."""
UNKEYED_US = 10_000_000
"""A stream without key frames is cut this often."""
ONSET = 1.5
"""First samples so many times what the window before had are news: much more moves than did."""
GOP_LIMIT_US = 60_000_000
"""A GOP longer than this is treated as a stream without key frames: nobody decodes a minute to see
one picture."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """A place in a recorder's log."""

    recorder: str
    sequence: int
    """Grows with each record of a recorder, over restarts; 0 is the beginning."""


class GopSink(Protocol):
    """Is told of each window as it begins."""

    def announce(self, ref: GopRef, position: Position) -> None:
        """A window has begun, or shows its onset. Called in the loop's thread; never blocks."""
        ...


class GopTracker:
    """Finds the windows of one camera in its pieces; the same pieces give the same windows."""

    __slots__ = (
        "_begun",
        "_bytes",
        "_codec",
        "_complexity",
        "_gop_us",
        "_keyed",
        "_sampled",
        "_session",
        "_start_us",
    )

    def __init__(self) -> None:
        self._session: Session | None = None
        self._begun: GopRef | None = None  # until its first samples are there
        self._codec = ""
        self._gop_us = self._start_us = 0
        self._keyed = False
        self._forget()

    def feed(self, session: Session, piece: Piece, size: int) -> GopRef | None:
        """What is to be announced with this piece of `size` bytes, if anything; not durable.

        The window that begins with it, or one begun before whose onset it shows.
        """
        # Runs for every piece of every camera: `key_us` tells a key frame, as an operation on
        # `flags` would cost more than all the rest.
        ref = None
        if (
            piece.key_us
            or session is not self._session
            or piece.wall_us - self._start_us >= WINDOW_US
        ):
            ref = self._begin(session, piece)
        self._bytes += size
        if piece.sampled:
            self._sampled += piece.sampled
            self._complexity += piece.complexity
            if self._begun is not None and ref is None:
                ref = self._onset(self._begun)
        return ref

    def _begin(self, session: Session, piece: Piece) -> GopRef | None:
        start = self._start_of(session, piece)
        if start is None:
            return None
        self._start_us = start
        self._begun = self._ref(piece)
        self._forget()
        return self._begun

    def _onset(self, begun: GopRef) -> GopRef | None:
        """The window again, if its first samples say that much more moves than before it."""
        self._begun = None
        onset = self._complexity / self._sampled
        return replace(begun, onset=onset) if 0 < begun.complexity * ONSET < onset else None

    def _start_of(self, session: Session, piece: Piece) -> int | None:
        if session is not self._session and session != self._session:
            self._open(session)
            self._gop_us = piece.key_us or piece.wall_us
            self._keyed = bool(piece.key_us)
            return self._gop_us
        if piece.key_us:
            self._gop_us, self._keyed = piece.key_us, True
            # A read may end before what tells a key frame: then this window has begun already.
            return self._gop_us if self._gop_us != self._start_us else None
        since_gop = piece.wall_us - self._gop_us
        if since_gop >= (GOP_LIMIT_US if self._keyed else UNKEYED_US):
            self._gop_us, self._keyed = piece.wall_us, False
            return self._gop_us
        if piece.wall_us - self._start_us >= WINDOW_US:
            return self._gop_us + since_gop // WINDOW_US * WINDOW_US
        return None

    def _forget(self) -> None:
        self._bytes = self._sampled = 0
        self._complexity = 0.0

    def _open(self, session: Session) -> None:
        self._session = session
        tracks = session.tracks
        video = next((track for track in tracks if track.media == "video"), None)
        self._codec = (video or tracks[0]).codec if tracks else ""
        self._forget()

    def _ref(self, piece: Piece) -> GopRef:
        assert self._session is not None
        return GopRef(
            tenant=piece.tenant,
            camera=piece.camera,
            session=piece.session,
            epoch=self._session.epoch,
            start_us=self._start_us,
            gop_us=self._gop_us,
            complexity=self._complexity / self._sampled if self._sampled else 0.0,
            bytes_before=self._bytes,
            codec=self._codec,
            durable=False,
        )
