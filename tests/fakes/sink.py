"""A `PieceSink` that keeps everything in memory."""

from kilocam.core import Gap, Piece, Session


class MemorySink:
    """What ingest handed over, in order."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.pieces: list[Piece] = []
        self.gaps: list[tuple[str, Gap]] = []

    def open_session(self, session: Session) -> None:
        self.sessions.append(session)

    def append(self, piece: Piece) -> None:
        self.pieces.append(piece)

    def gap(self, tenant: str, camera: str, gap: Gap) -> None:
        self.gaps.append((camera, gap))
