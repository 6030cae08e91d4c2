"""Postgres killed, frozen, missing: calls fail within their deadline, then all comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from tests.fakes.intruder import admin_does
from tests.fakes.postgres import Installation, PostgresServer, open_directory, running_postgres

from kilocam.database import (
    Database,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    Limits,
    Rejected,
    TookTooLong,
)

pytestmark = pytest.mark.asyncio

QUICK = Limits(free_place_s=0.5, connect_s=0.5, begin_s=0.5, statement_s=1.0, connections=3)
NOTES = """
set role kilocam_owner; set search_path = kilocam;
create table note (tenant text not null, id int not null, primary key (tenant, id));
select kilocam.secure('note'); grant select, insert, delete on note to kilocam_app;
"""


@pytest_asyncio.fixture
async def own() -> AsyncIterator[Installation]:
    """An installation on a server of its own, which the test may kill."""
    async with running_postgres() as server:
        installation = Installation(server)
        await installation.prepare()
        await admin_does(installation, NOTES)
        yield installation


async def note(database: Database, number: int) -> None:
    async with database.for_tenant("default") as transaction:
        await transaction.execute("insert into note values ('default', $1)", number)


async def notes(database: Database) -> list[int]:
    async with database.for_tenant("default") as transaction:
        return [row["id"] for row in await transaction.fetch("select id from note order by id")]


async def until_available(database: Database) -> list[int]:
    async with asyncio.timeout(30):
        while True:
            try:
                return await notes(database)
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)


async def test_no_committed_row_is_lost_when_postgres_is_killed_under_writes(
    own: Installation,
) -> None:
    acknowledged: list[int] = []
    failures = 0
    stop = asyncio.Event()

    async def write(database: Database, first: int) -> None:
        nonlocal failures
        number = first
        while not stop.is_set():
            number += 3
            try:
                await note(database, number)
                acknowledged.append(number)
            except DatabaseUnavailable:
                failures += 1
                await asyncio.sleep(0.01)

    async with own.database(QUICK) as database, asyncio.TaskGroup() as group:
        for first in range(3):
            group.create_task(write(database, first))
        for _ in range(3):
            enough = len(acknowledged) + 30
            async with asyncio.timeout(30):
                while len(acknowledged) < enough:
                    await asyncio.sleep(0.005)
            await asyncio.to_thread(own.server.kill)
            await asyncio.to_thread(own.server.start)
            await own.server.serves()
        enough = len(acknowledged) + 30
        async with asyncio.timeout(30):
            while len(acknowledged) < enough:
                await asyncio.sleep(0.005)
        stop.set()
    assert failures > 0
    async with own.database() as database:
        assert set(acknowledged) <= set(await notes(database))


async def test_calls_to_a_frozen_postgres_fail_within_their_deadline_and_recover(
    own: Installation,
) -> None:
    async with own.database(QUICK) as database:
        await note(database, 1)
        own.server.freeze()
        try:
            async with asyncio.timeout(10):
                with pytest.raises(DatabaseUnavailable):
                    await note(database, 2)
                outcomes = await asyncio.gather(
                    *(note(database, 10 + n) for n in range(10)), return_exceptions=True
                )
            assert all(isinstance(outcome, DatabaseUnavailable) for outcome in outcomes)
            assert any("did not answer a moment ago" in str(outcome) for outcome in outcomes)
        finally:
            own.server.thaw()
        assert 1 in await until_available(database)


async def test_a_transaction_caught_by_the_freeze_ends_within_its_deadline(
    own: Installation,
) -> None:
    async with own.database(QUICK) as database:

        async def caught() -> None:
            async with database.for_tenant("default") as transaction:
                await transaction.execute("insert into note values ('default', 1)")
                own.server.freeze()
                await transaction.fetch("select id from note")

        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(caught(), 10)
        own.server.thaw()
        assert await until_available(database) == []


async def test_a_commit_caught_by_the_freeze_ends_within_its_deadline(own: Installation) -> None:
    async with own.database(QUICK) as database:

        async def caught() -> None:
            async with database.for_tenant("default") as transaction:
                await transaction.execute("insert into note values ('default', 1)")
                own.server.freeze()

        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(caught(), 10)
        own.server.thaw()
        await until_available(database)


async def test_what_starts_before_postgres_works_when_it_comes() -> None:
    with open_directory() as root:
        server = PostgresServer(root)
        installation = Installation(server)
        async with installation.database(QUICK) as database:
            with pytest.raises(DatabaseUnavailable, match="check that it runs"):
                await notes(database)
            await asyncio.to_thread(server.start)
            try:
                await server.serves()
                await installation.prepare()
                await admin_does(installation, NOTES)
                assert await until_available(database) == []
            finally:
                await asyncio.to_thread(server.stop)


async def test_more_transactions_than_connections_wait_their_turn_but_not_for_ever(
    installation: Installation,
) -> None:
    async with installation.database(QUICK) as database:
        await database.placement("default")
        holding = asyncio.Event()
        all_hold = asyncio.Barrier(4)

        async def hold() -> None:
            async with database.for_tenant("default"):
                await all_hold.wait()
                await holding.wait()

        holders = [asyncio.create_task(hold()) for _ in range(3)]
        await asyncio.wait_for(all_hold.wait(), 10)
        with pytest.raises(DatabaseBusy, match="all 3 connections to the database"):
            async with database.for_tenant("default"):
                pass
        holding.set()
        await asyncio.gather(*holders)
        async with database.for_tenant("default") as transaction:
            assert await transaction.fetchval("select 1") == 1


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    installation: Installation,
) -> None:
    async with installation.database(QUICK) as database:
        with pytest.raises(TookTooLong):
            async with database.for_tenant("default") as transaction:
                await transaction.fetch("select pg_sleep(30)")
        async with database.for_tenant("default") as transaction:
            assert await transaction.fetchval("select 1") == 1


async def test_a_cancelled_caller_leaves_nothing_behind(installation: Installation) -> None:
    await admin_does(installation, NOTES)
    async with installation.database(QUICK) as database:
        await database.placement("default")
        inside = asyncio.Event()

        async def slow() -> None:
            async with database.for_tenant("default") as transaction:
                await transaction.execute("insert into note values ('default', 1)")
                inside.set()
                await transaction.fetch("select pg_sleep(0.9)")

        for _ in range(5):
            inside.clear()
            task = asyncio.create_task(slow())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await notes(database) == []


async def test_an_error_passed_over_inside_a_transaction_is_not_taken_for_success(
    installation: Installation,
) -> None:
    async with installation.database() as database:

        async def passed_over() -> None:
            async with database.for_tenant("default") as transaction:
                with pytest.raises(Rejected):
                    await transaction.fetch("select 'x'::text::int")

        with pytest.raises(DatabaseError, match="was passed over, so nothing was stored"):
            await passed_over()


async def test_a_savepoint_undoes_its_part_alone(installation: Installation) -> None:
    await admin_does(installation, NOTES)
    async with installation.database() as database:
        async with database.for_tenant("default") as transaction:
            await transaction.execute("insert into note values ('default', 1)")
            with suppress(Rejected):
                async with transaction.savepoint():
                    await transaction.execute("insert into note values ('default', 2)")
                    await transaction.fetch("select 'x'::text::int")
            async with transaction.savepoint():
                await transaction.execute_many(
                    "insert into note values ($1, $2)", [("default", 3), ("default", 4)]
                )
        assert await notes(database) == [1, 3, 4]


async def test_misuse_is_told_from_an_outage(installation: Installation) -> None:
    async with installation.database() as database:
        for statement, arguments, kind in (
            ("select $1::int", ("x",), Rejected),
            ("select $1::int", (), DatabaseError),
            ("selekt", (), DatabaseError),
        ):
            with pytest.raises(DatabaseError) as caught:
                async with database.for_tenant("default") as transaction:
                    await transaction.fetch(statement, *arguments)
            assert type(caught.value) is kind
