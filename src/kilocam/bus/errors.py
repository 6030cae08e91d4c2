"""The bus's errors.

BusError
├── BusUnavailable        the server is dead, frozen or refuses us; try again later
│   └── BusBusy           too many messages wait for their acknowledgement; try again soon
├── BusConflict           a stream on the server is not as Kilocam needs it
├── RevisionConflict      somebody else has changed the key first
├── NotEncodable          a value has no registered schema, or holds what JSON cannot
└── Unreadable            a message's schema is unknown or its content is not what that says
"""

from kilocam.core import KilocamError


class BusError(KilocamError):
    """The root."""


class BusUnavailable(BusError):
    """Not now; the bus reconnects by itself and the caller may try again."""


class BusBusy(BusUnavailable):
    """The window of unacknowledged messages is full."""


class BusConflict(BusError):
    """A stream exists with properties that would break a promise."""


class RevisionConflict(BusError):
    """The key's revision is not the expected one."""


class NotEncodable(BusError):
    """We tried to send what cannot be sent."""


class Unreadable(BusError):
    """We received what cannot be understood."""
