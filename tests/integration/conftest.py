"""What integration tests of several rooms share: one real Postgres a session."""

from collections.abc import AsyncIterator

import pytest_asyncio
from tests.fakes.postgres import Installation, PostgresServer, running_postgres


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    async with running_postgres() as server:
        yield server


@pytest_asyncio.fixture
async def installation(postgres: PostgresServer) -> AsyncIterator[Installation]:
    fresh = Installation(postgres)
    await fresh.prepare()
    yield fresh
