"""What may become of a delivery.

KilocamError
└── StreamError
    ├── Away     not acknowledged, and may be another time: wait and deliver again
    ├── Refused  the receiver will never take this, however often it comes
    ├── Moved    somebody else delivers this stream, too
    ├── NotFound no such stream, no such tenant
    └── Unavailable  the database is away; for who asks how streams stand

A text never holds what a receiver said, nor the path of its address: both may be secrets.
"""

from kilocam.core import KilocamError


class StreamError(KilocamError):
    """Nothing, or not all, was acknowledged."""


class Away(StreamError):
    """The receiver cannot be reached, is slow, busy, or wants something put right first."""

    def __init__(self, text: str, *, wait_us: int = 0) -> None:
        super().__init__(text)
        self.wait_us = wait_us
        """It asks to be left alone for so long; 0: it says nothing of it."""


class Refused(StreamError):
    """Something of what was handed in is not to the receiver's liking."""


class Moved(StreamError):
    """The place is not where we left it."""


class NotFound(StreamError):
    """There is no such thing."""


class Unavailable(StreamError):
    """The database is away, or not prepared yet."""
