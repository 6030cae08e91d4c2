"""The whole of analysis on a real queue: references in, events out, over restarts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.fakes.nats import Server
from tests.fakes.stored_footage import T0, Recording

from kilocam.analyse import (
    LEASES,
    Analyst,
    AnalystOptions,
    BusWindows,
    LookPool,
    Noted,
    PoolOptions,
    SchedulerOptions,
    SkippedWindow,
    WindowResult,
    models_directory,
    worker_command,
)
from kilocam.analyse.keeper import KeeperOptions
from kilocam.analyse.look import LookOutcome, LookTask
from kilocam.bus import Bus, Position, Schema
from kilocam.core import CameraKey, GopRef

pytestmark = pytest.mark.asyncio
SCHEMAS = [Schema("gop", 1, GopRef)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.close()


@dataclass(frozen=True)
class Settled:
    position: Position | None
    windows: frozenset[tuple[CameraKey, int]]


@dataclass
class Book:
    """A `WindowSink` in memory that survives its analysts."""

    results: dict[int, WindowResult] = field(default_factory=dict)
    skipped: dict[int, SkippedWindow] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    writes: int = 0

    async def resume(self, partition: int) -> Settled:
        here = [r for r in self.results.values() if r.partition == partition]
        return Settled(
            self.positions.get(partition),
            frozenset((result.key, result.window.start_us) for result in here),
        )

    async def write(self, result: WindowResult) -> None:
        self.writes += 1
        self.results[result.window.start_us] = result

    async def note(self, results: Sequence[WindowResult]) -> Noted:
        for each in results:
            await self.write(each)
        return (), ()

    async def skip(self, windows: Sequence[SkippedWindow]) -> Sequence[SkippedWindow]:
        self.skipped |= {each.window.start_us: each for each in windows}
        return ()

    async def advance(self, positions: Mapping[int, Position]) -> None:
        self.positions |= positions


class Shelf:
    """`Workers` that are handed the footage."""

    def __init__(self, recording: Recording, pool: LookPool) -> None:
        self._recording = recording
        self._pool = pool

    async def do(self, task: LookTask) -> LookOutcome:
        assert task.key == self._recording.key
        assert task.stretch is not None
        return await self._pool.do(replace(task, footage=self._recording.between(*task.stretch)))


class Slow:
    """A clock on which the recording is being made right now."""

    def __init__(self) -> None:
        self.now_us = T0

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


def _ref(key: CameraKey, start_us: int) -> GopRef:
    return GopRef(
        tenant=key.tenant, camera=key.camera, session=1, epoch=1, start_us=start_us,
        gop_us=start_us, complexity=0.0, onset=0.0, bytes_before=0, codec="h264",
        durable=False,
    )  # fmt: skip


@asynccontextmanager
async def _analyst(
    server: Server, book: Book, camera: Recording, clock: Slow, pool: LookPool
) -> AsyncIterator[Analyst]:
    bus = Bus(server.target, SCHEMAS, name="analyst")
    leases = bus.leases(LEASES, holder="analyst", ttl_s=2.0)
    async with bus, leases:
        analyst = Analyst(
            source=BusWindows(bus, leases),
            sink=book,
            workers=Shelf(camera, pool),
            options=AnalystOptions(
                scheduler=SchedulerOptions(lookers=1), keeper=KeeperOptions(settle_every_s=0.05)
            ),
            clock=clock,
        )
        task = asyncio.create_task(analyst.run())
        yield analyst
        task.cancel()
        await asyncio.wait([task])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def _kept(book: Book, count: int) -> None:
    await _until(lambda: len(book.results) == count)


async def test_events_of_a_street_go_on_over_windows_and_a_restart_doubles_none(
    server: Server, busy: Recording
) -> None:
    book, clock, key = Book(), Slow(), busy.key
    command = worker_command(models_directory())
    async with (
        LookPool(command, PoolOptions(workers=1)) as pool,
        Bus(server.target, SCHEMAS, name="recorder") as recorder,
    ):
        await recorder.wait_connected(20)

        async def offer(start_us: int) -> None:
            clock.now_us = start_us + 100_000
            subject = f"gops.{key.partition}.{key.tenant}.{key.camera}"
            await recorder.send(subject, _ref(key, start_us), id=f"{key}/{start_us}", deadline_s=10)

        starts = busy.keys_us[:6]
        async with _analyst(server, book, busy, clock, pool):
            for number, start_us in enumerate(starts[:4]):
                await offer(start_us)
                await _kept(book, number + 1)
            await _until(lambda: len(book.positions) == 1)

        events = {each.event_id for result in book.results.values() for each in result.objects}
        assert len(events) >= 4
        opened = [each.event_id for r in book.results.values() for each in r.objects if each.opens]
        assert sorted(opened) == sorted(set(opened))
        whole = book.results[starts[1]]
        assert len({box.at_us for each in whole.objects for box in each.boxes}) == 4

        before = book.writes
        async with _analyst(server, book, busy, clock, pool):
            for number, start_us in enumerate(starts[4:]):
                await offer(start_us)
                await _kept(book, number + 5)
            last = Position(next(iter(book.positions.values())).epoch, 6)
            await _until(lambda: list(book.positions.values()) == [last])

        assert sorted(book.results) == list(starts)
        assert book.skipped == {}
        # Two looks, and the rest of the first one's window: nothing settled was looked at again.
        assert book.writes == before + 3
