"""Turns the driver's exceptions into our tree (see `errors.py`)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from asyncpg import exceptions as pg

from kilocam.core import KilocamError
from kilocam.database.errors import (
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    Denied,
    NoPartition,
    Rejected,
    TookTooLong,
    UnknownTenant,
)

_log = logging.getLogger(__name__)

LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    pg.PostgresConnectionError,
    pg.OperatorInterventionError,
    pg.InsufficientResourcesError,
    pg.InvalidAuthorizationSpecificationError,
    pg.InvalidCatalogNameError,
)
"""A connection could not be made, or is of no use any more."""

_CONFLICTS = (
    pg.UniqueViolationError,
    pg.ExclusionViolationError,
    pg.SerializationError,
    pg.DeadlockDetectedError,
)


def unavailable(where: str, error: BaseException) -> DatabaseUnavailable:
    """What is told when `where` cannot be used because of `error`."""
    if isinstance(error, pg.InvalidAuthorizationSpecificationError):
        return DatabaseUnavailable(
            f"database {where} refuses our login ({_said(error)}): run the control role once with "
            "the same key file, it renews the logins"
        )
    if isinstance(error, pg.InvalidCatalogNameError):
        return DatabaseUnavailable(f"database {where} does not exist yet: start the control role")
    said = _said(error) or "no answer in time"
    return DatabaseUnavailable(
        f"database {where} is not available ({said}): check that it runs; "
        "work that waits for it goes on by itself"
    )


def _said(error: BaseException) -> str:
    """What the server or the driver said, without the lines of detail and hint after it."""
    return str(error).partition("\n")[0]


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raises an error of our tree for any of the driver's."""
    try:
        yield
    except _CONFLICTS as error:
        constraint = getattr(error, "constraint_name", None) or ""
        raise Conflict(f"somebody else was first: {_said(error)}", constraint=constraint) from error
    except (pg.QueryCanceledError, pg.LockNotAvailableError) as error:
        raise TookTooLong(
            f"the database {where} gave a statement up ({_said(error)}): ask for less, or try again"
        ) from error
    except (pg.IntegrityConstraintViolationError, pg.DataError) as error:
        kind = NoPartition if _is_homeless(error) else Rejected
        raise kind(f"the database does not take this: {_said(error)}") from error
    except pg.InsufficientPrivilegeError as error:
        raise Denied(f"the database does not allow this: {_said(error)}") from error
    except asyncpg.InterfaceError as error:
        raise _misuse_or_loss(where, error) from error
    except LOST as error:
        raise unavailable(where, error) from error
    except asyncpg.PostgresError as error:
        raise DatabaseError(
            f"a statement failed in the database {where}: {_said(error)}"
        ) from error


@contextmanager
def told_outside(
    missing: type[KilocamError], invalid: type[KilocamError], away: type[KilocamError]
) -> Iterator[None]:
    """Raises a room's own errors for ours, in words for those outside; the log has the rest."""
    try:
        yield
    except UnknownTenant as error:
        raise missing(str(error)) from error
    except Rejected as error:
        _log.warning("refused: %s", error)  # in words that help nobody outside
        raise invalid(
            "a value cannot be kept: it is too large, or holds a character that no text can hold"
        ) from error
    except DatabaseUnavailable as error:
        _log.warning("%s", error)  # with an address, which is nobody's business outside
        raise away(
            "the database is not available: try again later; the server's log says why"
        ) from error
    except TookTooLong as error:
        _log.warning("%s", error)
        raise away("the database took too long: ask for less, or try again") from error


def _is_homeless(error: asyncpg.PostgresError) -> bool:
    """The server tells a missing partition as a broken check, one that has no name."""
    return isinstance(error, pg.CheckViolationError) and not getattr(error, "constraint_name", None)


def _misuse_or_loss(where: str, error: asyncpg.InterfaceError) -> DatabaseError:
    """The driver has one class for a value it cannot send, misuse, and a closed connection."""
    if isinstance(error, ValueError):
        return Rejected(f"the database does not take this: {_said(error)}")
    if any(word in str(error) for word in ("closed", "released", "closing", "cancelling")):
        return unavailable(where, error)
    return DatabaseError(f"a statement could not be sent to the database {where}: {_said(error)}")
