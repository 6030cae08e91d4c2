"""The databases of an installation: who may see what, where a tenant lives, what waits to go out.

Owns: the directory (tenant to region, shard, mode), pools, tenant context and its proof, roles,
the runner of migrations, the SQL that closes tables and makes partitions, the outbox.
Never does: know what a row means; each room keeps its own `.sql` files and queries.
Start reading at: `database.py`, then `migrations/0001_base.sql`.
"""

from kilocam.database.bootstrap import bootstrap
from kilocam.database.control import ControlDatabase
from kilocam.database.credentials import (
    ADMIN,
    DatabaseSecrets,
    check_url,
    display_url,
    socket_url,
)
from kilocam.database.database import Database
from kilocam.database.directory import HOME, SYSTEM, Mode, Place, Placement, Shard
from kilocam.database.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    Denied,
    IsolationError,
    MigrationError,
    NoPartition,
    Rejected,
    TookTooLong,
    UnknownShard,
    UnknownTenant,
)
from kilocam.database.migrations import Room
from kilocam.database.outbox import Outbox, OutboxMessage
from kilocam.database.pool import Limits, ping
from kilocam.database.queries import load_queries
from kilocam.database.transaction import Row, Transaction
from kilocam.database.translate import told_outside

__all__ = [
    "ADMIN",
    "HOME",
    "SYSTEM",
    "Conflict",
    "ControlDatabase",
    "Database",
    "DatabaseBusy",
    "DatabaseError",
    "DatabaseSecrets",
    "DatabaseUnavailable",
    "Denied",
    "IsolationError",
    "Limits",
    "MigrationError",
    "Mode",
    "NoPartition",
    "Outbox",
    "OutboxMessage",
    "Place",
    "Placement",
    "Rejected",
    "Room",
    "Row",
    "Shard",
    "TookTooLong",
    "Transaction",
    "UnknownShard",
    "UnknownTenant",
    "bootstrap",
    "check_url",
    "display_url",
    "load_queries",
    "ping",
    "socket_url",
    "told_outside",
]
