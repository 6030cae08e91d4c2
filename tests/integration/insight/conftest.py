"""Insights on a fresh database with its days made."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio
from tests.fakes.postgres import Installation, PostgresServer
from tests.integration.insight.made import NOW_US, VERSION

from kilocam.database import ControlDatabase, Database, Room
from kilocam.insight import Insight, Windows, make_days

ROOMS = (Room("fleet"), Room("insight"))


@dataclass(frozen=True)
class House:
    installation: Installation
    database: Database
    control: ControlDatabase
    windows: Windows
    insight: Insight


@pytest_asyncio.fixture
async def house(postgres: PostgresServer) -> AsyncIterator[House]:
    """Tenants `default` and `other`."""
    installation = Installation(postgres, ROOMS)
    await installation.prepare()
    async with installation.database() as database, installation.control() as control:
        await database.place("other")
        await make_days(control, NOW_US)
        yield House(
            installation=installation,
            database=database,
            control=control,
            windows=Windows(database, VERSION),
            insight=Insight(database),
        )
