"""What can go wrong with the database.

KilocamError
└── DatabaseError           a statement failed in a way nobody foresaw
    ├── DatabaseUnavailable it cannot be reached or does not answer; try again later
    │   └── DatabaseBusy    all connections of this process are in use
    ├── TookTooLong         the server gave up: statement or lock timeout
    ├── Conflict            somebody else was first: unique key, serialisation, deadlock
    ├── Rejected            the row breaks a rule of the table
    │   └── NoPartition     no partition of the table takes the row's day
    ├── Denied              the role may not do this, or the tenant is not proven
    ├── UnknownTenant       the directory has no such tenant
    ├── UnknownShard        the directory names a shard that is not configured
    ├── MigrationError      a migration failed, or an applied one was changed
    └── IsolationError      a table is open to other tenants
"""

from kilocam.core import KilocamError


class DatabaseError(KilocamError):
    """A statement failed."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached or did not answer in time.

    Raised by a commit it means that the outcome is unknown: repeat only what is idempotent.
    """


class DatabaseBusy(DatabaseUnavailable):
    """All connections this process may hold are in use."""


class TookTooLong(DatabaseError):
    """The server ended the statement: its time or the wait for a lock was up."""


class Conflict(DatabaseError):
    """Somebody else was first; read again and decide anew."""

    def __init__(self, text: str, *, constraint: str = "") -> None:
        super().__init__(text)
        self.constraint = constraint


class Rejected(DatabaseError):
    """A value or a row that the table does not take."""


class NoPartition(Rejected):
    """The day of a row has no partition yet, or none any more."""


class Denied(DatabaseError):
    """The role may not do this, or no tenant is proven."""


class UnknownTenant(DatabaseError):
    """The directory has no such tenant."""

    def __init__(self, tenant: str) -> None:
        super().__init__(
            f"tenant {tenant!r} does not exist: check its name; most belong to 'default', "
            "and others begin with their first camera"
        )
        self.tenant = tenant


class UnknownShard(DatabaseError):
    """The directory names a shard that this process has no address of."""


class MigrationError(DatabaseError):
    """A migration failed, or one that was applied has been changed since."""


class IsolationError(DatabaseError):
    """A table that holds tenants' rows is not closed to other tenants."""
