"""What can go wrong in the fleet.

KilocamError
└── FleetError
    ├── NotFound         no such tenant, camera or token
    ├── Conflict         it exists already, or has changed since it was read
    ├── Invalid          a value that cannot be taken: what, which, how to mend it
    ├── Unauthenticated  the token or session is unknown, expired or revoked
    ├── Forbidden        known, but not allowed to do this there
    ├── Unsealable       a secret cannot be read with the keys there are
    └── Unavailable      the database is away; try again later
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from kilocam import database
from kilocam.core import ConfigError, KilocamError

_log = logging.getLogger(__name__)


class FleetError(KilocamError):
    """An operation on the fleet failed."""


class NotFound(FleetError):
    """There is no such thing."""


class Conflict(FleetError):
    """It exists already, or has changed since it was read."""


class Invalid(FleetError):
    """A value that cannot be taken."""


class Unauthenticated(FleetError):
    """Nobody we know, or no longer."""


class Forbidden(FleetError):
    """Somebody we know, who may not do this."""


class Unsealable(FleetError):
    """A secret was sealed with a key that is not there, or for another place."""


class Unavailable(FleetError):
    """The database is away."""


@contextmanager
def fleet_errors() -> Iterator[None]:
    """Raises an error of this room for those of the database and for malformed ids."""
    try:
        yield
    except database.UnknownTenant as error:
        raise NotFound(str(error)) from error
    except database.Conflict as error:
        raise Conflict(
            "somebody else changed the same thing at the same moment: read it again and repeat"
        ) from error
    except database.Rejected as error:
        _log.warning("refused: %s", error)  # in words that help nobody outside
        raise Invalid(
            "a value cannot be kept: it is too large, or holds a character that no text can hold"
        ) from error
    except database.DatabaseUnavailable as error:
        _log.warning("%s", error)  # with an address, which is nobody's business outside
        raise Unavailable(
            "the database is not available: try again later; the server's log says why"
        ) from error
    except database.TookTooLong as error:
        _log.warning("%s", error)
        raise Unavailable("the database took too long: ask for less, or try again") from error
    except ConfigError as error:
        raise Invalid(str(error)) from error
