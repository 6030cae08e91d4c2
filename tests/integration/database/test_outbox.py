"""What was committed is published at least once, in order within a tenant."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from tests.fakes.postgres import Installation, running_postgres

from kilocam.database import (
    Database,
    DatabaseUnavailable,
    Limits,
    Outbox,
    OutboxMessage,
)

pytestmark = pytest.mark.asyncio
QUICK = Limits(free_place_s=0.5, connect_s=0.5, begin_s=0.5, statement_s=1.0)


class Bus:
    """Takes messages; may refuse."""

    def __init__(self) -> None:
        self.messages: list[OutboxMessage] = []
        self.refuse: set[int] = set()
        self.came = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def publish(self, message: OutboxMessage) -> None:
        self.came.set()
        await self.gate.wait()
        if message.body["n"] in self.refuse:
            raise ConnectionError("the bus is away")
        self.messages.append(message)

    def numbers(self) -> dict[str, list[int]]:
        by_tenant: dict[str, list[int]] = defaultdict(list)
        for message in self.messages:
            by_tenant[message.tenant].append(message.body["n"])
        return dict(by_tenant)


async def put(database: Database, tenant: str, *numbers: int) -> None:
    async with database.for_tenant(tenant) as transaction:
        for number in numbers:
            await transaction.execute(
                "insert into kilocam.outbox (tenant, topic, body) values ($1, 'test', $2)",
                tenant, {"n": number},
            )  # fmt: skip


@pytest_asyncio.fixture
async def database(installation: Installation) -> AsyncIterator[Database]:
    async with installation.database() as database:
        for tenant in ("a", "b"):
            await database.place(tenant)
        yield database


@pytest_asyncio.fixture
async def outbox(installation: Installation) -> AsyncIterator[Outbox]:
    async with installation.control() as control:
        yield control.outboxes()[0]


async def drain_all(outbox: Outbox, bus: Bus) -> None:
    while await outbox.drain(bus.publish):
        pass


async def test_messages_leave_in_order_and_once(database: Database, outbox: Outbox) -> None:
    for n in range(0, 600, 2):
        await put(database, "a", n)
        await put(database, "b", n, n + 1)
    bus = Bus()
    assert (await outbox.waiting())[0] == 900
    await drain_all(outbox, bus)
    assert bus.numbers() == {"a": list(range(0, 600, 2)), "b": list(range(600))}
    assert await outbox.waiting() == (0, None)
    assert bus.messages[0].topic == "test"
    assert outbox.published == 900


async def test_what_is_rolled_back_is_never_published(database: Database, outbox: Outbox) -> None:
    with suppress(ZeroDivisionError):
        async with database.for_tenant("a") as transaction:
            await transaction.execute(
                "insert into kilocam.outbox (tenant, topic, body) values ('a', 't', '{}')"
            )
            raise ZeroDivisionError
    bus = Bus()
    await drain_all(outbox, bus)
    assert bus.messages == []


async def test_a_refused_message_stops_its_tenant_and_no_other(
    database: Database, outbox: Outbox
) -> None:
    await put(database, "a", 1, 2, 3)
    await put(database, "b", 11, 12)
    bus = Bus()
    bus.refuse = {2}
    with pytest.raises(ConnectionError):
        await outbox.drain(bus.publish)
    assert bus.numbers() == {"a": [1], "b": [11, 12]}
    bus.refuse = set()
    await drain_all(outbox, bus)
    assert bus.numbers() == {"a": [1, 2, 3], "b": [11, 12]}


async def test_two_drainers_share_the_work_and_keep_each_tenants_order(
    installation: Installation, database: Database
) -> None:
    tenants = [f"t{n}" for n in range(24)]
    for tenant in tenants:
        await database.place(tenant)
        await put(database, tenant, *range(10))
    bus, slow = Bus(), Bus()
    slow.gate.clear()
    async with installation.control() as one, installation.control() as two:
        first, second = one.outboxes()[0], two.outboxes()[0]
        holding = asyncio.create_task(first.drain(slow.publish))
        await asyncio.wait_for(slow.came.wait(), 10)
        await drain_all(second, bus)
        left_to_the_second = bus.numbers()
        slow.gate.set()
        await asyncio.wait_for(holding, 10)
        await drain_all(first, slow)
    # The first holds the 16 tenants of its batch; the second leaves those alone.
    assert left_to_the_second == {tenant: list(range(10)) for tenant in tenants[16:]}
    assert slow.numbers() == {tenant: list(range(10)) for tenant in tenants[:16]}


async def test_a_commit_wakes_the_relay(database: Database, outbox: Outbox) -> None:
    bus = Bus()
    relay = asyncio.create_task(outbox.run(bus.publish))
    try:
        for n in range(3):
            bus.came.clear()
            await put(database, "a", n)
            async with asyncio.timeout(10):
                await bus.came.wait()
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
    assert bus.numbers() == {"a": [0, 1, 2]}


async def test_the_relay_goes_on_after_the_bus_was_away(database: Database, outbox: Outbox) -> None:
    bus = Bus()
    bus.refuse = {0}
    await put(database, "a", 0, 1)
    relay = asyncio.create_task(outbox.run(bus.publish))
    try:
        async with asyncio.timeout(10):
            while not outbox.failures:
                await asyncio.sleep(0.01)
        bus.refuse = set()
        async with asyncio.timeout(10):
            while len(bus.messages) < 2:
                await asyncio.sleep(0.01)
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
    assert bus.numbers() == {"a": [0, 1]}


async def test_a_frozen_bus_holds_up_nobody_who_waits_for_older_transactions(
    database: Database, outbox: Outbox
) -> None:
    bus = Bus()
    bus.gate.clear()
    await put(database, "a", 1)
    draining = asyncio.create_task(outbox.drain(bus.publish))
    await asyncio.wait_for(bus.came.wait(), 10)
    async with database.for_tenant("b") as transaction:
        changed = await transaction.fetchval("select pg_current_xact_id()::text::bigint")
    async with database.for_tenant("b") as transaction:
        oldest_open = await transaction.fetchval(
            "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        )
    assert oldest_open > changed
    bus.gate.set()
    assert await asyncio.wait_for(draining, 10) == 1
    assert await outbox.waiting() == (0, None)


async def test_everything_committed_is_published_while_postgres_is_killed() -> None:
    async with running_postgres() as server:
        installation = Installation(server)
        await installation.prepare()
        await published_through_kills(installation)


async def published_through_kills(installation: Installation) -> None:
    bus = Bus()
    committed: list[int] = []
    stop = asyncio.Event()

    async def write(database: Database) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                await put(database, "default", number)
                committed.append(number)
            except DatabaseUnavailable:
                await asyncio.sleep(0.01)

    async with installation.database(QUICK) as database, installation.control(QUICK) as control:
        relay = asyncio.create_task(control.outboxes()[0].run(bus.publish))
        writer = asyncio.create_task(write(database))
        for _ in range(3):
            enough = len(committed) + 40
            async with asyncio.timeout(30):
                while len(committed) < enough:
                    await asyncio.sleep(0.005)
            await asyncio.to_thread(installation.server.kill)
            await asyncio.to_thread(installation.server.start)
            await installation.server.serves()
        stop.set()
        await writer
        async with asyncio.timeout(30):
            while not set(committed) <= {message.body["n"] for message in bus.messages}:
                await asyncio.sleep(0.02)
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
    firsts = list(dict.fromkeys(message.body["n"] for message in bus.messages))
    assert firsts == sorted(firsts)
