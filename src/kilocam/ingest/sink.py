"""What ingest needs of whoever keeps the footage."""

from typing import Protocol

from kilocam.core import Gap, Piece, Session


class PieceSink(Protocol):
    """Takes what cameras send; no call blocks or raises because a disk is slow, full or gone."""

    def open_session(self, session: Session) -> None:
        """A camera plays; its pieces follow."""
        ...

    def append(self, piece: Piece) -> None:
        """Keep one piece of a session opened before."""
        ...

    def gap(self, tenant: str, camera: str, gap: Gap) -> None:
        """Nothing was received from this camera in this stretch, and why."""
        ...
