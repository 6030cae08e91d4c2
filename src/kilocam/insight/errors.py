"""What can go wrong with insights.

KilocamError
└── InsightError
    ├── NotFound     no such event, no such tenant
    │   └── NotSeen  how an event looks is not known, or not yet
    ├── Invalid      a cursor, a limit or a filter that cannot be taken
    ├── Unavailable  the database is away; try again later
    ├── NotYet       a window cannot be kept yet, others can; or no vector can
    └── Refused      a window can never be kept
"""

from collections.abc import Iterator
from contextlib import contextmanager

from kilocam import database
from kilocam.core import ConfigError, KilocamError
from kilocam.database import NoPartition, Rejected, UnknownShard, UnknownTenant


class InsightError(KilocamError):
    """An operation on insights failed."""


class NotFound(InsightError):
    """There is no such thing."""


class NotSeen(NotFound):
    """How an event looks is not known, or not yet."""


class Invalid(InsightError):
    """A value that cannot be taken."""


class Unavailable(InsightError):
    """The database is away, or not prepared yet."""


class NotYet(InsightError):
    """A window's tenant or day has no place yet; other windows can be kept."""


class Refused(InsightError):
    """What a window came to can never be kept; it may be handed in as skipped."""


@contextmanager
def insight_errors() -> Iterator[None]:
    """Raises an error of this room for those of the database."""
    with database.told_outside(NotFound, Invalid, Unavailable):
        yield


@contextmanager
def refusals() -> Iterator[None]:
    """What will not be otherwise by and by is refused; other errors of the database pass."""
    try:
        yield
    except (UnknownTenant, UnknownShard, NoPartition, Rejected, ConfigError) as error:
        raise Refused(str(error)) from error
