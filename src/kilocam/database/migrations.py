"""Runs the rooms' migrations: plain `.sql` files, numbered, each in one transaction, once.

Procedure for one file: 1. begin as migrate, become owner, set the search path to the schema; 2.
take the installation's lock, so that two controls do not run at once; 3. when the file is noted
as applied, compare its checksum and stop there; 4. run it; 5. note it; 6. commit.
Files that the database has and this release has not are left alone: a release must run on the
schema of the next one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import asyncpg
from blake3 import blake3

from kilocam.database.credentials import OWNER, display_url
from kilocam.database.directory import MAIN_SCHEMA, Place, search_path
from kilocam.database.errors import DatabaseError, DatabaseUnavailable, MigrationError
from kilocam.database.pool import Limits, connect
from kilocam.database.translate import translated

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x6B_63_61_6D  # "kcam"
_LIMITS = Limits(statement_s=600.0)
_VERSIONS = f"""
create table if not exists {MAIN_SCHEMA}.migration (
  schema text not null,
  room text not null,
  number int not null,
  name text not null,
  checksum text not null,
  applied timestamptz not null default now(),
  primary key (schema, room, number)
)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file."""

    room: str
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """BLAKE3 of the text; 32 hex digits."""
        return blake3(self.sql.encode()).hexdigest(16)

    def __str__(self) -> str:
        return f"{self.room}/{self.number:04}_{self.name}.sql"


@dataclass(frozen=True, slots=True)
class Room:
    """A room that keeps tables: its files lie in `kilocam/<room>/migrations/`."""

    name: str

    def migrations(self) -> list[Migration]:
        """Its files in order.

        Raises:
            MigrationError: a file's name is not `NNNN_words.sql`, or a number is missing or twice.
        """
        folder = files(f"kilocam.{self.name}") / "migrations"
        found = [
            _read(self.name, file.name, file.read_text())
            for file in folder.iterdir()
            if file.name.endswith(".sql")
        ]
        return in_order(found)


def in_order(found: Sequence[Migration]) -> list[Migration]:
    """Migrations of one room by number, which must be 1, 2, 3 and so on."""
    ordered = sorted(found, key=lambda migration: migration.number)
    for expected, migration in enumerate(ordered, start=1):
        if migration.number != expected:
            raise MigrationError(f"{migration}: number {expected:04} is missing or stands twice")
    return ordered


def _read(room: str, file: str, sql: str) -> Migration:
    match = _FILE.fullmatch(file)
    if match is None:
        raise MigrationError(f"{room}/migrations/{file}: name it NNNN_words.sql")
    return Migration(room=room, number=int(match[1]), name=match[2], sql=sql)


async def migrate(url: str, place: Place, migrations: Sequence[Migration]) -> list[str]:
    """Brings one schema up to date; gives the names of the files it ran.

    Raises:
        MigrationError: a file failed (nothing of it stays), or an applied one has changed.
        DatabaseUnavailable: the database cannot be reached.
    """
    connection = await connect(url, "kilocam-migrate", _LIMITS)
    try:
        with translated(display_url(url)):
            await connection.execute(f"set role {OWNER}")
            await connection.execute(_VERSIONS)
            if place.schema != MAIN_SCHEMA:
                await connection.execute(f"create schema if not exists {place.schema}")
                await connection.execute(
                    f"grant usage on schema {place.schema} to kilocam_app, kilocam_migrate"
                )
        return [str(m) for m in migrations if await _apply(connection, place, m)]
    finally:
        connection.terminate()


async def _apply(connection: "asyncpg.Connection[Any]", place: Place, migration: Migration) -> bool:
    try:
        with translated(place.schema):
            async with connection.transaction():
                return await _apply_locked(connection, place, migration)
    except (MigrationError, DatabaseUnavailable):
        raise
    except DatabaseError as error:
        raise MigrationError(
            f"migration {migration} failed, nothing of it was kept: {error}"
        ) from error


async def _apply_locked(
    connection: "asyncpg.Connection[Any]", place: Place, migration: Migration
) -> bool:
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
    known = await connection.fetchval(
        f"select checksum from {MAIN_SCHEMA}.migration"  # noqa: S608 - a constant
        " where schema = $1 and room = $2 and number = $3",
        place.schema,
        migration.room,
        migration.number,
    )
    if known == migration.checksum:
        return False
    if known is not None:
        raise MigrationError(
            f"migration {migration} was changed after it had been applied to schema "
            f"{place.schema}: restore the file as it was and put the change into a new one"
        )
    await connection.execute("select set_config('search_path', $1, true)", search_path(place))
    await connection.execute(migration.sql)
    await connection.execute(
        f"insert into {MAIN_SCHEMA}.migration (schema, room, number, name, checksum)"  # noqa: S608
        " values ($1, $2, $3, $4, $5)",
        place.schema,
        migration.room,
        migration.number,
        migration.name,
        migration.checksum,
    )
    return True
