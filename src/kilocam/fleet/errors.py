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

from collections.abc import Iterator
from contextlib import contextmanager

from kilocam import database
from kilocam.core import ConfigError, KilocamError


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
        with database.told_outside(NotFound, Invalid, Unavailable):
            yield
    except database.Conflict as error:
        raise Conflict(
            "somebody else changed the same thing at the same moment: read it again and repeat"
        ) from error
    except ConfigError as error:
        raise Invalid(str(error)) from error
