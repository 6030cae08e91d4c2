"""A recorder's own small server: footage by range, live, and where it lies.

Owns: the Unix socket of a recorder and both sides of what is spoken on it.
Never does: anything but `record` and `core`; it neither decodes nor knows tenants' rights.
Start reading at: `wire.py`, then `server.py`.
"""

from kilocam.ranges.client import RangesClient, SocketLiveView
from kilocam.ranges.errors import (
    LocalProtocolError,
    RangesError,
    RecorderUnreachableError,
    RemoteProtocolError,
)
from kilocam.ranges.server import RangesServer, Recorder

__all__ = [
    "LocalProtocolError",
    "RangesClient",
    "RangesError",
    "RangesServer",
    "Recorder",
    "RecorderUnreachableError",
    "RemoteProtocolError",
    "SocketLiveView",
]
