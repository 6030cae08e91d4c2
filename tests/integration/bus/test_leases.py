"""Leases under holders that come, die, freeze and go, as processes of their own."""

import asyncio
import json
import math
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.fakes.nats import Server

from kilocam.bus import Asked, Bus, Granted, Revoked

from .conftest import connected, until

pytestmark = pytest.mark.asyncio

HERE = Path(__file__).parent
TTL_S = 2.0


class Holder:
    """What one process has said of what it holds."""

    def __init__(self, name: str, process: Process, history: list[tuple[int, int, str]]) -> None:
        self.name = name
        self.process = process
        self.held: dict[int, int] = {}
        self.unique = ""
        """What it is called in the leases."""
        self._history = history

    async def listen(self) -> None:
        assert self.process.stdout is not None
        self.unique = json.loads(await self.process.stdout.readline() or b'""')
        async for line in self.process.stdout:
            kind, partition, epoch = json.loads(line)
            if kind == "Granted":
                self.held[partition] = epoch
                self._history.append((partition, epoch, self.name))
            else:
                self.held.pop(partition, None)


class Fleet:
    """All holders of a test, and every grant in the order it was seen."""

    def __init__(self, server: Server) -> None:
        self.history: list[tuple[int, int, str]] = []
        self.holders: dict[str, Holder] = {}
        self._server = server
        self._listening: list[asyncio.Task[None]] = []

    async def add(self, name: str, *, ttl_s: float = TTL_S, heir_of: str = "") -> Holder:
        target = self._server.target
        access = json.dumps({"url": target.url, "user": target.user, "password": target.password})
        argv = (str(HERE / "lease_holder.py"), access, name, str(ttl_s), heir_of)
        process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdout=PIPE)
        holder = Holder(name, process, self.history)
        self.holders[name] = holder
        self._listening.append(asyncio.create_task(holder.listen()))
        return holder

    async def kill(self, name: str) -> Holder:
        holder = self.holders.pop(name)
        holder.process.kill()
        await holder.process.wait()
        return holder

    def spread(self) -> bool:
        """Every partition has exactly one holder and nobody more than a fair share."""
        held = [p for holder in self.holders.values() for p in holder.held]
        fair = math.ceil(64 / len(self.holders))
        most = max(len(holder.held) for holder in self.holders.values())
        return sorted(held) == list(range(64)) and most <= fair

    def check_epochs(self) -> None:
        """No two grants of a partition have the same epoch: who is right is never in doubt."""
        grants = [(partition, epoch) for partition, epoch, _ in self.history]
        assert len(grants) == len(set(grants))

    async def close(self) -> None:
        for name in list(self.holders):
            await self.kill(name)
        await asyncio.gather(*self._listening)


@pytest.fixture
def fleet_of(server: Server) -> Callable[[], Awaitable[Fleet]]:
    async def make() -> Fleet:
        async with connected(server.target):
            return Fleet(server)

    return make


@asynccontextmanager
async def running(
    make: Callable[[], Awaitable[Fleet]], *names: str, ttl_s: float = TTL_S
) -> AsyncIterator[Fleet]:
    fleet = await make()
    try:
        for name in names:
            await fleet.add(name, ttl_s=ttl_s)
        await until(fleet.spread)
        yield fleet
    finally:
        await fleet.close()


async def test_killed_holder_s_partitions_are_taken_over_with_higher_epochs(
    fleet_of: Callable[[], Awaitable[Fleet]],
) -> None:
    async with running(fleet_of, "a", "b", "c") as fleet:
        dead = await fleet.kill("b")
        await until(fleet.spread)
        now = {p: e for holder in fleet.holders.values() for p, e in holder.held.items()}
        assert all(now[partition] > epoch for partition, epoch in dead.held.items())
        fleet.check_epochs()


async def test_newcomer_gets_its_share_and_a_leaver_s_is_taken_at_once(
    fleet_of: Callable[[], Awaitable[Fleet]],
) -> None:
    async with running(fleet_of, "a") as fleet:
        assert len(fleet.holders["a"].held) == 64
        await fleet.add("b")
        await until(fleet.spread)
        assert {len(holder.held) for holder in fleet.holders.values()} == {32}
        fleet.check_epochs()


async def test_frozen_holder_loses_all_and_finds_out_when_it_thaws(
    fleet_of: Callable[[], Awaitable[Fleet]],
) -> None:
    async with running(fleet_of, "a", "b") as fleet:
        frozen = fleet.holders.pop("b")
        frozen.process.send_signal(signal.SIGSTOP)
        await until(fleet.spread)
        frozen.process.send_signal(signal.SIGCONT)
        fleet.holders["b"] = frozen
        await until(fleet.spread)
        fleet.check_epochs()


async def test_outage_of_the_server_revokes_all_and_afterwards_all_are_held_again(
    fleet_of: Callable[[], Awaitable[Fleet]], server: Server
) -> None:
    async with running(fleet_of, "a", "b") as fleet:
        server.kill()
        await until(lambda: not any(holder.held for holder in fleet.holders.values()))
        server.again()
        await until(fleet.spread)
        fleet.check_epochs()


async def test_holder_that_leaves_gives_back_and_may_be_asked_to(server: Server) -> None:
    first, second = Bus(server.target, [], name="a"), Bus(server.target, [], name="b")
    a = first.leases("test", holder="a", ttl_s=TTL_S, partitions=4)
    b = second.leases("test", holder="b", ttl_s=TTL_S, partitions=4)
    async with first, second:
        async with a:
            granted = [await a.next() for _ in range(4)]
            assert granted == [Granted(p.partition, 1) for p in granted]
            async with b:
                asked = [await a.next() for _ in range(2)]
                assert all(isinstance(change, Asked) for change in asked)
                await a.release(asked[0].partition)
                assert await b.next() == Granted(asked[0].partition, 2)
                # The other one is not given back in time, and taken.
                assert await a.next() == Revoked(asked[1].partition, 1)
                assert await b.next() == Granted(asked[1].partition, 2)
                assert set(a.held) | set(b.held) == set(range(4))
            back = [await a.next() for _ in range(2)]
            assert back == [Granted(p.partition, 3) for p in back]
        assert a.held == {}


async def test_an_heir_takes_at_once_what_the_dead_one_held(server: Server) -> None:
    first, second = Bus(server.target, [], name="a"), Bus(server.target, [], name="a")
    dead = first.leases("test", holder="a", ttl_s=TTL_S, partitions=4)
    heir = second.leases("test", holder="a", heir_of=dead.name, ttl_s=TTL_S, partitions=4)
    assert heir.name != dead.name
    async with first, second, dead:
        assert {(await dead.next()).partition for _ in range(4)} == set(range(4))
        async with heir:  # the other one still renews: nobody else would take all from it
            granted = [await heir.next() for _ in range(4)]
            assert {Granted(partition, 2) for partition in range(4)} == set(granted)
            lost: set[Revoked] = set()
            while len(lost) < 4:  # it may be asked for its neighbour's share in between
                change = await dead.next()
                if isinstance(change, Revoked):
                    lost.add(change)
            assert lost == {Revoked(n, 1) for n in range(4)}


async def test_what_an_heir_leaves_of_what_the_dead_one_held_others_take_at_once(
    fleet_of: Callable[[], Awaitable[Fleet]],
) -> None:
    long_s = 20.0
    async with running(fleet_of, "a", "b", ttl_s=long_s) as fleet:
        dead, _ = [await fleet.kill(name) for name in "ab"]
        other = await fleet.add("c", ttl_s=long_s)
        await until(lambda: bool(other.unique))
        heir = await fleet.add("a2", ttl_s=long_s, heir_of=dead.unique)
        async with asyncio.timeout(long_s * 0.75):  # no lease has ended by then
            await until(lambda: len(heir.held) + len(other.held) == len(dead.held))
        assert other.held
