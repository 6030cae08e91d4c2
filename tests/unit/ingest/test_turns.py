"""The timer wheel: everybody gets turns, nobody gets one who was removed, freezes are noticed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from kilocam.core import SystemClock
from kilocam.ingest.turns import COARSE, LAG_US, SLOTS, TICK_US, Turns


class Clock(SystemClock):
    """The machine's, which the test can set forward."""

    ahead_us = 0

    def monotonic_us(self) -> int:
        return super().monotonic_us() + self.ahead_us


@dataclass(eq=False)
class Player:
    wait_us: int
    most: int = 1000
    turns: list[int] = field(default_factory=list)
    """When they were due: how late a busy machine gave them is not what is tested."""
    wheel: Turns | None = None

    def turn(self, now_us: int, buffer: memoryview) -> int:
        assert len(buffer)
        assert self.wheel is not None
        self.turns.append(now_us - self.wheel.lag_us)
        return self.wait_us if len(self.turns) < self.most else 0


@asynccontextmanager
async def turning(clock: Clock, *players: Player) -> AsyncIterator[Turns]:
    turns = Turns(clock)
    for player in players:
        player.wheel = turns
        turns.add(player)
    running = asyncio.create_task(turns.run())
    try:
        yield turns
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until_turns(player: Player, count: int) -> None:
    async with asyncio.timeout(10):
        while len(player.turns) < count:
            await asyncio.sleep(0.005)


@pytest.mark.asyncio
async def test_everybody_gets_turns_no_sooner_than_asked_for() -> None:
    players = [Player(wait) for wait in (1, TICK_US, 50_000, 90_000, 100_000, 500_000, 9_000_000)]
    async with turning(Clock(), *players):
        await until_turns(players[-1], 3)
    for player in players:
        asked = max(TICK_US, min(player.wait_us, (SLOTS - 1) * TICK_US))
        rounding = TICK_US * (COARSE if player.wait_us >= 100_000 else 1)
        for before, after in pairwise(player.turns):
            assert after - before > asked - rounding - TICK_US
        assert len(player.turns) >= 3


@pytest.mark.asyncio
async def test_who_has_enough_is_left_out_and_who_is_removed_gets_no_more() -> None:
    done, removed, stays = Player(TICK_US, most=2), Player(TICK_US), Player(TICK_US)
    async with turning(Clock(), done, removed, stays) as turns:
        await until_turns(removed, 3)
        turns.remove(removed)
        before = len(removed.turns)
        await until_turns(stays, len(stays.turns) + 20)
    assert len(done.turns) == 2
    assert len(removed.turns) == before


@pytest.mark.asyncio
async def test_who_removes_itself_in_its_turn_gets_no_more_and_can_come_back() -> None:
    class Leaves(Player):
        def turn(self, now_us: int, buffer: memoryview) -> int:
            turns.remove(self)
            return super().turn(now_us, buffer)

    stays, leaves = Player(TICK_US), Leaves(TICK_US)
    async with turning(Clock(), stays, leaves) as turns:
        await until_turns(stays, 20)
        assert len(leaves.turns) == 1
        turns.add(leaves)
        await until_turns(leaves, 2)


@pytest.mark.asyncio
async def test_a_stretch_in_which_we_did_not_run_is_noticed_and_everybody_gets_a_turn() -> None:
    clock = Clock()
    players = [Player(500_000) for _ in range(20)]
    async with turning(clock, *players) as turns:
        await until_turns(players[-1], 2)
        assert turns.froze_us == (0, 0)
        before = [len(player.turns) for player in players]
        at_us = clock.monotonic_us()
        clock.ahead_us += LAG_US + 1_000_000
        async with asyncio.timeout(10):
            while turns.froze_us == (0, 0):
                await asyncio.sleep(0.005)
        froze_from, froze_to = turns.froze_us
        assert abs(froze_from - at_us) < 700_000
        assert froze_to - froze_from > LAG_US
        assert all(len(player.turns) > count for player, count in zip(players, before, strict=True))
