"""Names to addresses: whoever hangs, hangs alone."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from kilocam.ingest.names import Address, Names, system_lookup

HERE: Sequence[Address] = [(socket.AF_INET, ("127.0.0.1", 0))]


class Servers:
    """Name servers: names that begin with `dead` get no answer until the test says so."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.failure: socket.gaierror | None = None
        self.hangs = False
        self.asked: Counter[str] = Counter()

    def __call__(self, host: str) -> Sequence[Address]:
        self.asked[host] += 1
        if self.hangs or host.startswith("dead"):
            self.back.wait(20)
        if self.failure is not None:
            raise self.failure
        return HERE


@pytest.fixture
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.back.set()
    for thread in threading.enumerate():
        if thread.name.startswith("name "):
            thread.join(5)


@pytest.mark.asyncio
async def test_names_that_hang_hold_back_no_other_name(servers: Servers) -> None:
    names = Names(servers)
    async with asyncio.TaskGroup() as group:
        dead = [group.create_task(names.addresses(f"dead-{n}")) for n in range(100)]
        await asyncio.sleep(0.05)
        started = time.monotonic()
        assert await names.addresses("live") == HERE
        assert time.monotonic() - started < 0.5
        servers.back.set()
    assert all(task.result() == HERE for task in dead)


@pytest.mark.asyncio
async def test_a_name_of_many_cameras_is_looked_up_once_at_a_time(servers: Servers) -> None:
    names = Names(servers, name_s=0.05)
    for _ in range(3):
        asked = [names.addresses("dead-nvr") for _ in range(50)]
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(outcome, socket.gaierror)
            assert outcome.strerror == "its name server did not answer within 0.05 s"
    assert servers.asked == {"dead-nvr": 1}
    servers.back.set()
    async with asyncio.timeout(5):
        while not await asyncio.gather(names.addresses("dead-nvr"), return_exceptions=True):
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_a_known_name_is_used_while_its_name_server_is_away(servers: Servers) -> None:
    names = Names(servers, patience_s=0.05)
    assert await names.addresses("camera") == HERE
    servers.failure = socket.gaierror(socket.EAI_AGAIN, "temporary failure")
    assert await names.addresses("camera") == HERE
    servers.hangs = True
    assert await names.addresses("camera") == HERE
    assert servers.asked == {"camera": 3}


@pytest.mark.parametrize("code", [socket.EAI_FAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY])
@pytest.mark.asyncio
async def test_a_known_name_is_used_while_its_name_server_or_we_are_in_trouble(
    servers: Servers, code: int
) -> None:
    names = Names(servers)
    await names.addresses("camera")
    servers.failure = socket.gaierror(code, "so")
    assert await names.addresses("camera") == HERE


@pytest.mark.parametrize("gone", [socket.EAI_NONAME, socket.EAI_NODATA])
@pytest.mark.asyncio
async def test_a_name_that_is_no_more_is_forgotten(servers: Servers, gone: int) -> None:
    names = Names(servers)
    await names.addresses("camera")
    for code in (gone, socket.EAI_AGAIN):
        servers.failure = socket.gaierror(code, "so")
        with pytest.raises(socket.gaierror):
            await names.addresses("camera")


@pytest.mark.asyncio
async def test_names_beyond_the_bound_wait_and_are_looked_up_in_the_end(servers: Servers) -> None:
    names = Names(servers, most=2, name_s=0.05)
    for name in ("dead-1", "dead-2", "live"):
        with pytest.raises(socket.gaierror, match="did not answer"):
            await names.addresses(name)
    assert "live" not in servers.asked
    servers.back.set()
    async with asyncio.timeout(5):
        while servers.asked != {"dead-1": 1, "dead-2": 1, "live": 1}:
            await asyncio.sleep(0.01)
    assert await names.addresses("live") == HERE


@pytest.mark.asyncio
async def test_whoever_gives_up_leaves_the_lookup_to_the_others(servers: Servers) -> None:
    names = Names(servers)
    gone, stays = (asyncio.create_task(names.addresses("dead")) for _ in range(2))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0.01)
    servers.back.set()
    assert await stays == HERE
    assert gone.cancelled()


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "\N{SNOWMAN}" * 80])
def test_what_is_no_name_is_unknown(host: str) -> None:
    for numeric in (False, True):
        with pytest.raises(socket.gaierror):
            system_lookup(host, numeric=numeric)


def test_an_address_needs_no_lookup() -> None:
    assert system_lookup("127.0.0.1", numeric=True) == [(socket.AF_INET, ("127.0.0.1", 0))]
    with pytest.raises(socket.gaierror):
        system_lookup("localhost", numeric=True)
