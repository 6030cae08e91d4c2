"""Raw SQL on the app's own login, as a statement injected into a tenant's transaction would run.

`Intruder.find_leaks` tries everything we could think of and reports each victim's word it got to
see, each row it changed, and its own rows if it cannot see them.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from tests.fakes.postgres import SECRETS, Installation

from kilocam.database.context import ContextSigner
from kilocam.database.credentials import ADMIN, APP

VICTIM, MALLORY = "victim", "mallory"
VICTIMS_WORD = "only-for-the-victim"
OWN_WORD = "only-for-mallory"

TABLE = """
create table sighting (
  tenant text not null, at timestamptz not null, note text not null, primary key (tenant, at, note)
) partition by range (at);
select kilocam.secure('sighting');
grant select, insert, update, delete on sighting to kilocam_app;
"""


def _preludes(mine: str) -> list[str]:
    """Statements that an intruder might run first; `mine` is a valid proof of its own tenant."""
    key_id, expires, _ = mine.split(".")
    far = str(int(time.time()) + 86_400)
    claims = [
        mine, "", key_id, f"{key_id}.", f"{key_id}..", f"{key_id}.{expires}.", f"{key_id}.{far}",
        f"{key_id}.{expires}.{'0' * 64}", "nonsense", ".", "..", f".{expires}.", f"x.{far}.x",
    ]  # fmt: skip
    return [
        "select 1",
        "reset kilocam.tenant",
        "reset all",
        "reset kilocam.proof",
        "set kilocam.tenant = ''",
        "select set_config('kilocam.tenant', '', true)",
        "set kilocam.tenant = 'no such tenant'",
        "set kilocam.tenant = '%'",
        *(
            f"select set_config('kilocam.tenant', '{VICTIM}', true),"
            f" set_config('kilocam.proof', '{claim}', true)"
            for claim in claims
        ),
        f"set kilocam.tenant = '{VICTIM}'; reset kilocam.proof",
        "set role kilocam_owner",
        "set role kilocam_migrate",
        "set role postgres",
        "set session authorization kilocam_owner",
        "set session authorization postgres",
        "reset role",
        "reset session authorization",
        "set row_security = off",
        "alter table sighting disable row level security",
        "alter table sighting no force row level security",
        "alter table sighting owner to kilocam_app",
        "drop policy tenant_only on sighting",
        "create policy mine on sighting using (true)",
        "alter policy tenant_only on sighting using (true)",
        "alter role kilocam_app bypassrls",
        "alter role kilocam_app superuser",
        "grant kilocam_owner to kilocam_app",
        "grant kilocam_migrate to kilocam_app",
        "grant select on all tables in schema kilocam to kilocam_app",
        "create schema evil",
        "create temp table sighting (tenant text)",
        "create function kilocam.tenant() returns text language sql as 'select ''victim'''",
        "create or replace function kilocam.tenant() returns text language sql"
        " as 'select ''victim'''",
        "create view pg_temp.all_of_it as select * from kilocam.sighting",
        "insert into kilocam.context_key values ('x', '', '')",
        "update kilocam.context_key set inner_pad = '', outer_pad = ''",
        "select kilocam.secure('sighting')",
        "select kilocam.make_partition('sighting', '2000-01-01')",
        "alter function kilocam.tenant() owner to kilocam_app",
        "create extension dblink",
        "load 'dblink'",
        "set session_replication_role = replica",
    ]


READS = (
    "select * from sighting",
    "table sighting",
    "select * from only sighting",
    "select * from kilocam.sighting_20261123",
    "select * from only kilocam.sighting_20261123",
    "select * from kilocam.sighting where tenant = 'victim'",
    "select * from kilocam.sighting where tenant like '%'",
    "select * from kilocam.sighting where note::int = 1",
    # Divides by zero on the victim's word, which is as good as seeing it.
    f"select * from kilocam.sighting where 1 / (length(note) - {len(VICTIMS_WORD)}) > 0",
    "select * from kilocam.sighting for update",
    "select string_agg(note, ',') from kilocam.sighting",
    "select most_common_vals::text, histogram_bounds::text from pg_stats",
    "select stavalues1::text, stavalues2::text from pg_statistic",
    "copy (select * from sighting) to stdout",
    "copy kilocam.sighting_20261123 to stdout",
    "declare everything cursor for select * from kilocam.sighting",
    "select query_to_xml('select * from kilocam.sighting', true, false, '')",
    "select table_to_xml('kilocam.sighting', true, false, '')",
    "select * from kilocam.context_key",
    "select * from kilocam.directory",
    "select * from kilocam.outbox",
    "select * from kilocam.camera",
    "select * from kilocam.fleet_event",
    "select * from kilocam.token",
    "select * from kilocam.migration",
    "select pg_read_file('postgresql.conf')",
    "select * from pg_stat_activity",
)

WRITES = (
    f"insert into sighting values ('{VICTIM}', '2026-11-23T12:00:00Z', 'planted')",
    f"insert into kilocam.sighting_20261123 values ('{VICTIM}', '2026-11-23T12:00:00Z', 'planted')",
    f"update sighting set tenant = '{VICTIM}'",
    "update sighting set note = 'altered'",
    "update kilocam.sighting_20261123 set note = 'altered'",
    "delete from sighting",
    "delete from kilocam.sighting_20261123",
    "truncate sighting",
    "truncate kilocam.sighting_20261123",
    "drop table kilocam.sighting_20261123",
    f"merge into sighting s using (select 1) x on s.tenant = '{VICTIM}' when matched then delete",
    "insert into kilocam.directory (tenant, region, shard, mode)"
    f" values ('{VICTIM}', 'x', 'x', 'rows') on conflict (tenant) do nothing",
    f"update kilocam.directory set shard = 'mine' where tenant = '{VICTIM}'",
    f"insert into kilocam.outbox (tenant, topic, body) values ('{VICTIM}', 'planted', '{{}}')",
)


@dataclass
class Intruder:
    """An app login that holds a valid proof of its own tenant, and nothing else."""

    installation: Installation
    own_rows_read: int = 0
    """Attempts that brought the intruder's own row: says that the attempts are real."""

    def proof(self) -> str:
        return ContextSigner(SECRETS.context_key()).proof(MALLORY, int(time.time()))

    async def find_leaks(self, preludes: Sequence[str] | None = None) -> list[str]:
        proof = self.proof()
        connection = await asyncpg.connect(self.installation.url(APP), statement_cache_size=0)
        leaks = []
        try:
            leaks += await self._sees_its_own(connection, proof)
            for prelude in preludes or _preludes(proof):
                for read in READS:
                    answer = await self._try(connection, proof, prelude, read)
                    self.own_rows_read += OWN_WORD in answer
                    if VICTIMS_WORD in answer or "division by zero" in answer:
                        leaks.append(f"{prelude}; {read}: {answer}")
            before = await self._victims_state()
            for prelude in preludes or _preludes(proof):
                for write in WRITES:
                    await self._try(connection, proof, prelude, write)
            if await self._victims_state() != before:
                leaks.append("the victim's rows were changed")
        finally:
            connection.terminate()
        return leaks

    async def _sees_its_own(self, connection: "asyncpg.Connection[Any]", proof: str) -> list[str]:
        async with _own_transaction(connection, proof):
            notes = [row["note"] for row in await connection.fetch("select note from sighting")]
        return [] if notes == [OWN_WORD] else [f"mallory's own rows look like {notes}"]

    async def _try(
        self, connection: "asyncpg.Connection[Any]", proof: str, prelude: str, statement: str
    ) -> str:
        """What came out, errors and all; undone, so that the next attempt finds the same."""
        said = ""
        writes = statement in WRITES
        try:
            async with _own_transaction(connection, proof, keep=writes):
                await connection.execute("savepoint before")
                try:
                    await connection.execute(prelude)
                except asyncpg.PostgresError as error:
                    said += _all_of(error)
                    await connection.execute("rollback to before")
                said += await _run(connection, statement)
        except asyncpg.PostgresError as error:
            said += _all_of(error)
        await connection.execute("reset session authorization")
        await connection.execute("reset all")
        return said

    async def _victims_state(self) -> list[str]:
        admin = await asyncpg.connect(self.installation.url(ADMIN))
        try:
            return [
                str(dict(row))
                for table in ("sighting", "directory", "outbox")
                for row in await admin.fetch(
                    f"select * from kilocam.{table} where tenant = $1 order by 1, 2, 3", VICTIM
                )
            ]
        finally:
            await admin.close()


async def _run(connection: "asyncpg.Connection[Any]", statement: str) -> str:
    if statement.startswith("copy"):
        pieces: list[bytes] = []

        async def take(data: bytes) -> None:
            pieces.append(data)

        query = statement.removeprefix("copy ").removesuffix(" to stdout").strip("()")
        if query.startswith("select"):
            await connection.copy_from_query(query, output=take)
        else:
            schema, table = query.split(".")
            await connection.copy_from_table(table, schema_name=schema, output=take)
        return b"".join(pieces).decode()
    rows = [dict(row) for row in await connection.fetch(statement)]
    if statement.startswith("declare"):
        rows += [dict(row) for row in await connection.fetch("fetch all from everything")]
    return str(rows)


def _all_of(error: asyncpg.PostgresError) -> str:
    return f"{error} {error.detail} {error.hint} {error.context}"


@asynccontextmanager
async def _own_transaction(
    connection: "asyncpg.Connection[Any]", proof: str, *, keep: bool = False
) -> AsyncIterator[None]:
    await connection.execute("begin")
    try:
        await connection.execute(
            "select set_config('search_path', 'kilocam, public', true),"
            " set_config('kilocam.tenant', $1, true), set_config('kilocam.proof', $2, true)",
            MALLORY,
            proof,
        )
        yield
        if keep:
            await connection.execute("commit")
    finally:
        await connection.execute("rollback")


async def admin_does(installation: Installation, *statements: str) -> None:
    """What only the server's superuser may."""
    connection = await asyncpg.connect(installation.url(ADMIN))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def prepare_scene(installation: Installation) -> None:
    """A partitioned table with a row of each tenant."""
    async with installation.database() as database, installation.control() as control:
        for tenant in (VICTIM, MALLORY):
            await database.place(tenant)
        await admin_does(
            installation, f"set role kilocam_owner; set search_path = kilocam; {TABLE}"
        )
        for place in await control.places():
            assert await control.make_partition(place, "sighting", "2026-11-23")
        for tenant, note in ((VICTIM, VICTIMS_WORD), (MALLORY, OWN_WORD)):
            async with database.for_tenant(tenant) as transaction:
                await transaction.execute(
                    "insert into sighting values ($1, $2, $3)",
                    tenant, 1_795_435_200_000_000, note,
                )  # fmt: skip
                await transaction.execute(
                    "insert into kilocam.outbox (tenant, topic, body) values ($1, 't', $2)",
                    tenant, {"note": note},
                )  # fmt: skip
        await admin_does(installation, "analyze")
