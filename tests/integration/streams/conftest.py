"""Insights on a fresh real database, and streams of them."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest_asyncio
from tests.fakes.postgres import Installation, PostgresServer
from tests.integration.insight.made import NOW_US, VERSION, looked, seen

from kilocam.cli.installation import ROOMS
from kilocam.cli.roles.streams import InsightSource
from kilocam.core import CameraKey, SystemClock
from kilocam.database import Database
from kilocam.insight import Insight, Windows, make_days
from kilocam.streams import Delivery, Places, Receiver


@dataclass(frozen=True)
class House:
    database: Database
    windows: Windows
    insight: Insight

    async def happens(self, first: int, many: int, camera: str = "gate", **more: str) -> None:
        """`many` events at a camera, in windows from `first` on; each is extended once."""
        key = CameraKey("default", camera)
        for n in range(first, first + many):
            opened = seen(n, n, key=key, label=more.get("label", "person"))
            await self.windows.write(looked(n, opened, key=key))
            if n % 3 == 0:
                later = seen(n, n + 1, key=key, ordinal=0, label=more.get("label", "person"))
                after = seen(n + 1, n + 1, key=key)
                await self.windows.write(looked(n + 1, later, after, key=key))

    async def withdraw(self, number: int, camera: str = "gate") -> None:
        """A second look at a window sees nothing."""
        key = CameraKey("default", camera)
        await self.windows.write(looked(number, key=key))

    def delivery(
        self, receiver: Receiver, *, name: str = "out", classes: Sequence[str] = ()
    ) -> Delivery:
        """A stream of everything, as the role wires it."""
        return Delivery(
            name,
            InsightSource(self.insight, "default", tuple(classes)),
            Places(self.database, "default", name),
            receiver,
            begins="all",
            clock=SystemClock(),
            rng=random.Random(3),
            sleep=_briefly,
        )

    async def place(self, name: str = "out") -> str:
        place = await Places(self.database, "default", name).now()
        return place.at if place else ""


async def _briefly(seconds: float) -> None:
    """Waits are tested with a clock elsewhere; here nobody waits for long."""
    await asyncio.sleep(min(seconds, 0.05))


@asynccontextmanager
async def running(delivery: Delivery) -> AsyncIterator[None]:
    """A stream that goes on until the end of the block."""
    task = asyncio.create_task(delivery.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def caught_up(house: House, delivery: Delivery, name: str = "out") -> None:
    """Until everything that is there was acknowledged."""
    source = InsightSource(house.insight, "default")
    async with asyncio.timeout(60):
        while True:
            batch = await source.read(await house.place(name), 1)
            if not batch.items and (await house.place(name) or delivery.delivered):
                return
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def house(postgres: PostgresServer) -> AsyncIterator[House]:
    installation = Installation(postgres, ROOMS)
    await installation.prepare()
    async with installation.database() as database, installation.control() as control:
        await make_days(control, NOW_US)
        yield House(database, Windows(database, VERSION), Insight(database))
