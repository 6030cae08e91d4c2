"""Makes what only an administrator of the server can make: database, roles, schema, extensions.

Runs at every start of control and changes nothing that is right already. The administrator is the
embedded server's superuser, or the login of `database.url`, which needs CREATEROLE and to own the
database. Logins get the SCRAM verifier of their derived password, never a password in clear.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import asyncpg
from asyncpg import exceptions as pg

from kilocam.database.credentials import (
    APP,
    MIGRATE,
    OWNER,
    DatabaseSecrets,
    database_name,
    display_url,
    scram_verifier,
    with_database,
)
from kilocam.database.directory import MAIN_SCHEMA
from kilocam.database.errors import Denied, IsolationError
from kilocam.database.pool import Limits
from kilocam.database.translate import translated

_log = logging.getLogger(__name__)
_LOCK = 0x6B_63_62_73  # "kcbs"
_LIMITS = Limits(statement_s=60.0)
_EXTENSIONS = ("vector", "pg_trgm", "btree_gin")


async def bootstrap(url: str, secrets: DatabaseSecrets) -> None:
    """Prepares the database that `url` names, logging in as `url` says.

    Raises:
        DatabaseUnavailable: it cannot be reached.
        Denied: the login of `url` may not make roles or schemas.
    """
    try:
        connection = await _connect_or_create(url)
        try:
            with translated(display_url(url)):
                await _prepare(connection, secrets, database_name(url))
        finally:
            connection.terminate()
    except Denied as error:
        raise Denied(
            f"the login of database {display_url(url)} may not prepare it ({error}): give it "
            "CREATEROLE and the ownership of the database"
        ) from error


async def _prepare(
    connection: "asyncpg.Connection[Any]", secrets: DatabaseSecrets, database: str
) -> None:
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    await _make_roles(connection, secrets)
    await _make_schema(connection, database)
    await _make_extensions(connection)


async def _connect_or_create(url: str) -> "asyncpg.Connection[Any]":
    with translated(display_url(url)):
        with suppress(pg.InvalidCatalogNameError):
            return await _connect(url)
        name = database_name(url)
        first = await _connect(with_database(url, "postgres"))
        try:
            with suppress(pg.DuplicateDatabaseError, pg.UniqueViolationError):  # another was first
                await first.execute(f"create database {_quoted(name)}")
        finally:
            first.terminate()
        return await _connect(url)


async def _connect(url: str) -> "asyncpg.Connection[Any]":
    async with asyncio.timeout(_LIMITS.connect_s):
        return await asyncpg.connect(
            url,
            command_timeout=_LIMITS.statement_s,
            server_settings={"application_name": "kilocam-bootstrap"},
        )


async def _make_roles(connection: "asyncpg.Connection[Any]", secrets: DatabaseSecrets) -> None:
    for role in (OWNER, MIGRATE, APP):
        if not await connection.fetchval("select true from pg_roles where rolname = $1", role):
            await connection.execute(f"create role {role} noinherit")
    for role in (MIGRATE, APP):
        verifier = scram_verifier(secrets.password(role))
        await connection.execute(f"alter role {role} login password '{verifier}'")
    await connection.execute(f"alter role {MIGRATE} inherit")
    await connection.execute(f"grant {OWNER} to {MIGRATE}")
    unsafe = await connection.fetch(
        "select rolname from pg_roles where rolname = any($1)"
        " and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)",
        [OWNER, MIGRATE, APP],
    )
    memberships = await connection.fetch(
        "select roleid::regrole::text as rolname from pg_auth_members where member = $1::regrole",
        APP,
    )
    if unsafe or memberships:
        names = ", ".join(row["rolname"] for row in (*unsafe, *memberships))
        raise IsolationError(
            f"roles of the database are too strong ({names}): none of ours may be superuser or "
            f"bypass row security, and {APP} may be a member of nothing; take that from them"
        )


async def _make_schema(connection: "asyncpg.Connection[Any]", database: str) -> None:
    administrator = await connection.fetchval("select current_user")
    superuser = await connection.fetchval(
        "select rolsuper from pg_roles where rolname = $1", administrator
    )
    if not superuser:  # to hand something to a role one must be a member of it
        await connection.execute(f"grant {OWNER} to {_quoted(administrator)}")
    name = _quoted(database)
    for statement in (
        # Nobody can put a temporary table before ours in the search path.
        f"revoke all on database {name} from public",
        "revoke all on schema public from public",
        f"grant connect on database {name} to {MIGRATE}, {APP}",
        f"grant create on database {name} to {OWNER}",
        f"grant usage on schema public to {OWNER}, {MIGRATE}, {APP}",
        f"create schema if not exists {MAIN_SCHEMA} authorization {OWNER}",
    ):
        await connection.execute(statement)
    await connection.execute(f"grant usage on schema {MAIN_SCHEMA} to {MIGRATE}, {APP}")


async def _make_extensions(connection: "asyncpg.Connection[Any]") -> None:
    for extension in _EXTENSIONS:
        try:
            await connection.execute(f"create extension if not exists {extension} schema public")
        except (
            pg.FeatureNotSupportedError,
            pg.UndefinedFileError,
            pg.InsufficientPrivilegeError,
        ) as error:
            _log.warning("extension %s is missing, search is weaker: %s", extension, error)
    # Full text under a policy keeps its index only when the match cannot tell secrets (1.1 ms
    # against 70 ms); it cannot: it returns a boolean and raises nothing that depends on the row.
    with suppress(pg.InsufficientPrivilegeError):
        await connection.execute("alter function ts_match_vq(tsvector, tsquery) leakproof")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
