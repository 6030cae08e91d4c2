import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from kilocam.simulate.wheel import SLOT_S, Wheel


@dataclass(eq=False)
class Member:
    every: float
    turns: int
    called: list[float] = field(default_factory=list)

    def turn(self, now: float) -> float | None:
        self.called.append(now)
        return now + self.every if len(self.called) < self.turns else None


async def until_done(*members: Member) -> None:
    async with asyncio.timeout(10):
        while any(len(member.called) < member.turns for member in members):
            await asyncio.sleep(0.001)


@pytest.mark.asyncio
async def test_members_are_called_when_due_and_never_before() -> None:
    wheel = Wheel(asyncio.get_running_loop())
    start = time.monotonic()
    members = [Member(every=0.02, turns=4), Member(every=0.003, turns=6), Member(0.0, 3)]
    for member in members:
        wheel.add(member, start + 0.01)
    await until_done(*members)
    assert all(member.called[0] >= start + 0.01 for member in members)
    for before, after in pairwise(members[0].called):
        assert after - before >= 0.02
    wheel.close()


@pytest.mark.asyncio
async def test_a_member_that_takes_long_makes_the_wheel_late_and_it_says_so() -> None:
    class Slow(Member):
        def turn(self, now: float) -> float | None:
            if not self.called:
                time.sleep(0.05)
            return super().turn(now)

    wheel = Wheel(asyncio.get_running_loop())
    slow = Slow(every=0.0, turns=2)
    wheel.add(slow, time.monotonic())
    await until_done(slow)
    assert wheel.worst_late_s >= 0.05 - SLOT_S
    wheel.close()


@pytest.mark.asyncio
async def test_a_wheel_that_ran_empty_turns_again() -> None:
    wheel = Wheel(asyncio.get_running_loop())
    first = Member(every=0.0, turns=1)
    wheel.add(first, time.monotonic())
    await until_done(first)
    await asyncio.sleep(3 * SLOT_S)
    second = Member(every=0.0, turns=2)
    wheel.add(second, time.monotonic() - 5)
    await until_done(second)
    assert len(first.called) == 1


@pytest.mark.asyncio
async def test_a_member_due_beyond_the_wheel_is_kept() -> None:
    wheel = Wheel(asyncio.get_running_loop())
    late, soon = Member(every=0.0, turns=1), Member(every=0.0, turns=2)
    wheel.add(late, time.monotonic() + 1000)
    wheel.add(soon, time.monotonic())
    await until_done(soon)
    assert late.called == []
    wheel.close()
