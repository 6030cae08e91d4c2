"""One follower of one camera: a queue bounded in bytes between the writer's loop and a socket."""

import asyncio
from collections import deque

from kilocam.core import Piece, PieceFlag, Session

QUEUE_BYTES = 8 << 20
"""Four seconds of 16 Mbit/s: whoever is further behind is better served by the next key frame."""


class Follower:
    """Takes pieces as they are appended.

    When full everything waiting gives way to the next key frame, which carries DISCONTINUITY.
    """

    def __init__(self, limit: int = QUEUE_BYTES) -> None:
        self.dropped = 0
        self._limit = limit
        self._items: deque[tuple[Session, Piece]] = deque()
        self._bytes = 0
        self._skipping = False
        self._filled = asyncio.Event()

    def take_in(self, session: Session, piece: Piece) -> None:
        """The writer's tap: never waits."""
        if self._skipping:
            if not piece.flags & PieceFlag.KEY:
                self.dropped += 1
                return
            self._skipping = False
            piece = piece._replace(flags=piece.flags | PieceFlag.DISCONTINUITY)
        elif self._bytes + len(piece.payload) > self._limit and self._items:
            self.dropped += len(self._items)
            self._items.clear()
            self._bytes = 0
            self._skipping = True
            self.take_in(session, piece)
            return
        self._items.append((session, piece))
        self._bytes += len(piece.payload)
        self._filled.set()

    async def next(self) -> list[tuple[Session, Piece]]:
        """Everything waiting, at least one piece."""
        await self._filled.wait()
        items = list(self._items)
        self._items.clear()
        self._bytes = 0
        self._filled.clear()
        return items
