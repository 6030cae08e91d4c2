"""Errors of the camera protocol.

RtspError
├── LocalProtocolError      we misused a machine: a bug of ours, or a URL that is none
└── RemoteProtocolError     the peer broke the protocol or a bound

Texts never hold credentials. The pure room has its own root: it does not know `KilocamError`.
"""


class RtspError(Exception):
    """Root of the room's errors: one line that says what, which thing and how to mend it."""


class LocalProtocolError(RtspError):
    """The caller did something the protocol or the machine does not allow."""


class RemoteProtocolError(RtspError):
    """The peer sent what cannot be understood, or more than a bound allows."""


def shown(text: str | bytes, limit: int = 60) -> str:
    """What a peer sent, quoted so that it is safe and short in a line for a person."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    return repr(bytes(text[:limit]))[1:] + ("..." if len(text) > limit else "")
