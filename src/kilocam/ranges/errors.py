"""What can go wrong between a recorder's socket and those who ask.

KilocamError
└── RangesError
    ├── RecorderUnreachableError   nobody listens, or the answer took too long
    ├── LocalProtocolError         the request was refused: we asked wrongly
    └── RemoteProtocolError        the answer is none
"""

from kilocam.core import KilocamError


class RangesError(KilocamError):
    """A recorder could not answer."""


class RecorderUnreachableError(RangesError):
    """Nobody listens on the socket, or it took too long."""


class LocalProtocolError(RangesError):
    """The recorder refused the request."""


class RemoteProtocolError(RangesError):
    """The answer cannot be understood."""
