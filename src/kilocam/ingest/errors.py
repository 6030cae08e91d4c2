"""What can go wrong between us and a camera.

IngestError             a KilocamError
└── ConnectFailed       no footage from this camera now; carries the cause of the gap
"""

from kilocam.core import GapCause, KilocamError


class IngestError(KilocamError):
    """Root of ingest's errors."""


class ConnectFailed(IngestError):
    """A camera could not be brought to play; `cause` is the cause of the gap that follows.

    `answered` says that its host speaks RTSP, so that the fault is not the host's.
    """

    def __init__(self, cause: GapCause, text: str, *, answered: bool = False) -> None:
        super().__init__(text)
        self.cause = cause
        self.answered = answered
