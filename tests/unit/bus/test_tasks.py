"""Endless tasks of the bus survive what they did not expect."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from typing_extensions import override

from kilocam.bus import Asked, Bus, BusConflict, BusTarget, Granted, Revoked
from kilocam.bus.bucket import Bucket, Change, Synced
from kilocam.bus.leases import LeaseSet, Mark
from kilocam.bus.tasks import Edge

pytestmark = pytest.mark.asyncio


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(work: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait([work])


async def test_work_that_fails_or_ends_is_counted_and_started_again() -> None:
    edge, runs = Edge(rest_s=0.001), 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise KeyError("an odd answer")
        if runs > 2:
            await asyncio.Event().wait()

    task = asyncio.create_task(edge.keep("work", work))
    async with running(task):
        await until(lambda: runs == 3)
        assert edge.faults == 2
    assert task.cancelled()


class OddServer:
    """Speaks just enough NATS to be connected to, and answers every request with nonsense."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["OddServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        info = {"server_id": "odd", "version": "2.10.0", "proto": 1, "headers": True,
                "max_payload": 1 << 20, "host": "127.0.0.1", "port": self.port}  # fmt: skip
        writer.write(f"INFO {json.dumps(info)}\r\n".encode())
        subscription = "1"
        while line := await reader.readline():
            words = line.decode().split()
            if words[:1] == ["PING"]:
                writer.write(b"PONG\r\n")
            elif words[:1] == ["SUB"]:
                subscription = words[-1]
            elif words[:1] in (["PUB"], ["HPUB"]):
                await reader.readexactly(int(words[-1]) + 2)
                writer.write(f"MSG {words[2]} {subscription} 2\r\n[]\r\n".encode())
        writer.close()


async def test_a_server_with_odd_answers_is_said_and_asked_again() -> None:
    async with OddServer().serving() as server:
        target = BusTarget(url=f"nats://127.0.0.1:{server.port}")
        async with Bus(target, [], name="test") as bus:
            await until(lambda: server.connections >= 2)
            assert not bus.connected
            assert "an answer that is not understood" in bus.problem


class OddBucket(Bucket[Mark]):
    """Values in memory; fails as the test says, and may hold odd keys."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[Mark, int]] = {"partition.x": (Mark("odd", 1), 1)}
        self.failure: Exception | None = None
        self.revision = 1
        self.watches = 0
        self.broken_watches = 0

    @override
    async def put(self, key: str, value: Mark) -> int:
        if self.failure is not None:
            raise self.failure
        self.revision += 1
        self.values[key] = (value, self.revision)
        return self.revision

    @override
    async def update(self, key: str, value: Mark, revision: int) -> int:
        return await self.put(key, value)

    @override
    async def delete(self, key: str, revision: int | None = None) -> None:
        self.values.pop(key, None)

    @override
    async def watch(self, keys: str = ">") -> AsyncGenerator[Change[Mark] | Synced, None]:
        self.watches += 1
        if self.broken_watches:
            self.broken_watches -= 1
            raise cast("Exception", KeyError("an odd message"))
        for key, (value, revision) in list(self.values.items()):
            yield Change(key, value, revision)
        yield Synced(anew=False)
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    "failure", [KeyError("an odd answer"), BusConflict("a stream is not as it must be")]
)
async def test_a_holder_that_meets_odd_answers_loses_its_leases_and_gets_them_again(
    failure: Exception,
) -> None:
    bucket, edge = OddBucket(), Edge(rest_s=0.01)
    bucket.broken_watches = 1
    leases = LeaseSet(bucket, holder="a", ttl_s=0.4, partitions=1, edge=edge)
    async with asyncio.timeout(10), leases:
        assert await leases.next() == Granted(0, 1)
        bucket.failure = failure
        assert await leases.next() == Revoked(0, 1)
        bucket.failure = None
        assert await leases.next() == Granted(0, 2)
    assert bucket.watches == 2
    assert edge.faults >= 1


class SlowBucket(OddBucket):
    """Tells of another holder when the test says; is slow to take the first partition back."""

    def __init__(self) -> None:
        super().__init__()
        self.joined = asyncio.Event()
        self.taken = asyncio.Event()
        self.returned = 0

    @override
    async def update(self, key: str, value: Mark, revision: int) -> int:
        if not value.holder:
            self.returned += 1
            if self.returned == 1:
                await self.taken.wait()
        return await self.put(key, value)

    @override
    async def watch(self, keys: str = ">") -> AsyncGenerator[Change[Mark] | Synced, None]:
        yield Synced(anew=False)
        await self.joined.wait()
        for beat in itertools.count(1):
            yield Change("holder.b", Mark("b", beat), beat)
            await asyncio.sleep(0.02)


async def test_a_partition_given_back_while_another_overdue_one_is_taken_is_no_fault() -> None:
    bucket, edge = SlowBucket(), Edge(rest_s=0.01)
    leases = LeaseSet(bucket, holder="a", ttl_s=0.4, partitions=4, edge=edge)
    async with asyncio.timeout(10), leases:
        assert {type(await leases.next()) for _ in range(4)} == {Granted}
        bucket.joined.set()
        asked = [await leases.next() for _ in range(2)]
        assert {type(each) for each in asked} == {Asked}
        overdue = await leases.next()
        assert isinstance(overdue, Revoked)
        [other] = {each.partition for each in asked} - {overdue.partition}
        await leases.release(other)
        bucket.taken.set()
        await asyncio.sleep(0.05)
        assert edge.faults == 0
