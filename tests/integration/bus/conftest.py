"""The bus on a real NATS server (`tests.fakes.nats`)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop
from tests.fakes.nats import Server

from kilocam.bus import Bus, BusTarget, Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    number: int
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """A schema that only some processes know."""

    text: str


NOTES = [Schema("note", 1, Note)]
MEMOS = [*NOTES, Schema("memo", 1, Memo)]


@pytest.fixture
def stopped_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.close()


@pytest.fixture
def server(stopped_server: Server) -> Server:
    stopped_server.start()
    return stopped_server


@asynccontextmanager
async def connected(
    target: BusTarget, schemas: list[Schema] | None = None, name: str = "test"
) -> AsyncIterator[Bus]:
    async with Bus(target, schemas or NOTES, name=name) as bus:
        await bus.wait_connected(20)
        yield bus


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come; the test's own deadline says when it did not."""
    while not condition():
        await asyncio.sleep(0.02)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Roles run on uvloop, so the bus is tried on it."""
    return {"uvloop": uvloop.new_event_loop}
