"""Every window of the log reaches the queue, whatever the queue does meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.fakes.nats import Server
from tests.fakes.pieces import GATE, piece, session

from kilocam.bus import GOPS, Bus
from kilocam.cli.messages import SCHEMAS, gops_id
from kilocam.cli.roles.gop_feed import GopFeed
from kilocam.core import CameraKey, GopRef, GopRefs, now_us
from kilocam.record import LogWriter

RECORDER = "recorder-0"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.close()


class Recording:
    """A log that grows by one window per call, fed to the queue."""

    def __init__(self, folder: Path, bus: Bus) -> None:
        self.paths = [folder / "footage"]
        self.feed = GopFeed(bus, RECORDER, self.paths, folder / "mark.json")
        self.writer = LogWriter(self.paths, RECORDER, gops=self.feed)
        self.writer.start()
        self.at = now_us() - 60_000_000
        self.writer.open_session(session(started_us=self.at, epoch=self.writer.epoch))
        self.windows: list[int] = []

    def window(self) -> None:
        self.at += 1_000_000
        self.writer.append(piece(wall_us=self.at, keyed=True))
        self.windows.append(self.at)

    @asynccontextmanager
    async def fed(self) -> AsyncIterator[asyncio.Task[None]]:
        """The feed runs meanwhile; the log is closed after it."""
        running = asyncio.create_task(self.feed.run(self.writer))
        try:
            yield running
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await asyncio.to_thread(self.writer.close)


async def announced(bus: Bus, wanted: int) -> list[int]:
    """Starts of the windows on the queue as they came, once `wanted` different ones did."""
    found: list[int] = []
    async with asyncio.timeout(40):
        async for delivered in bus.read(GOPS, "gops.>"):
            assert isinstance(delivered.value, GopRefs)
            found += [ref.start_us for ref in delivered.value.refs]
            if len(set(found)) >= wanted:
                return found
    raise AssertionError("the stream ended")


@pytest.mark.asyncio
async def test_windows_of_a_dead_queue_are_announced_when_it_is_back(
    tmp_path: Path, server: Server
) -> None:
    await asyncio.to_thread(server.start)
    async with Bus(server.target, SCHEMAS, name=RECORDER) as bus:
        recording = Recording(tmp_path, bus)
        async with recording.fed():
            async with asyncio.timeout(60):
                recording.window()
                await bus.wait_connected(20)
                while recording.feed.behind:
                    await asyncio.sleep(0.05)
                for _ in range(20):
                    recording.window()
                server.kill()
                for _ in range(20):
                    recording.window()
                    await asyncio.sleep(0.02)
                while not recording.feed.behind:
                    recording.window()
                    await asyncio.sleep(0.1)
                await asyncio.to_thread(server.again)
                while recording.feed.behind:
                    await asyncio.sleep(0.1)
                recording.window()
            found = await announced(bus, len(recording.windows))
            assert sorted(set(found)) == recording.windows


@pytest.mark.asyncio
async def test_a_recorder_that_starts_without_a_queue_announces_later_what_it_recorded(
    tmp_path: Path, server: Server
) -> None:
    async with Bus(server.target, SCHEMAS, name=RECORDER) as bus:
        recording = Recording(tmp_path, bus)
        for _ in range(30):
            recording.window()
        async with recording.fed():
            await asyncio.sleep(0.2)
            assert recording.feed.behind
            await asyncio.to_thread(server.start)
            found = await announced(bus, len(recording.windows))
            assert sorted(set(found)) == recording.windows


@pytest.mark.asyncio
async def test_windows_that_come_while_the_log_is_read_are_announced_too(
    tmp_path: Path, server: Server
) -> None:
    """What was accepted is written a moment later: the watermark waits for it."""
    await asyncio.to_thread(server.start)
    async with Bus(server.target, SCHEMAS, name=RECORDER) as bus:
        recording = Recording(tmp_path, bus)
        await bus.wait_connected(20)
        async with recording.fed():
            async with asyncio.timeout(60):
                for _ in range(10):
                    recording.window()
                    while recording.feed.behind:
                        recording.window()
                        await asyncio.sleep(0.003)
                    recording.feed._fall_behind("the test says so")
            found = await announced(bus, len(recording.windows))
            assert sorted(set(found)) == recording.windows


@pytest.mark.asyncio
async def test_a_log_that_cannot_be_read_ends_nothing(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(server.start)
    async with Bus(server.target, SCHEMAS, name=RECORDER) as bus:
        recording = Recording(tmp_path, bus)
        recording.window()
        recording.feed._paths = [tmp_path / "footage" / "log-version"]  # a file, not a directory
        async with recording.fed() as running:
            async with asyncio.timeout(60):
                while "windows are announced later" not in caplog.text:
                    await asyncio.sleep(0.05)
            assert not running.done()
            recording.feed._paths = recording.paths
            assert sorted(set(await announced(bus, 1))) == recording.windows


@pytest.mark.asyncio
async def test_windows_that_begin_together_travel_together(tmp_path: Path, server: Server) -> None:
    await asyncio.to_thread(server.start)
    async with Bus(server.target, SCHEMAS, name=RECORDER) as bus:
        recording = Recording(tmp_path, bus)
        await bus.wait_connected(20)
        async with recording.fed():
            async with asyncio.timeout(60):
                while recording.feed.behind:
                    await asyncio.sleep(0.05)
                for _ in range(50):
                    recording.window()
                while recording.feed.announced < 50:
                    await asyncio.sleep(0.05)
                messages: list[GopRefs] = []
                async for delivered in bus.read(GOPS, "gops.>"):
                    assert isinstance(delivered.value, GopRefs)
                    messages.append(delivered.value)
                    if not delivered.pending:
                        break
            assert [ref.start_us for each in messages for ref in each.refs] == recording.windows
            assert len(messages) == 1
            assert delivered.subject == f"gops.{GATE.partition}.{GATE.tenant}"


def test_the_same_windows_have_one_id_however_often_they_are_announced() -> None:
    values: Mapping[str, object] = {
        "tenant": GATE.tenant, "camera": GATE.camera, "session": 1, "epoch": 3, "start_us": 5,
        "gop_us": 5, "complexity": 0.0, "bytes_before": 0, "codec": "h264",
    }  # fmt: skip
    first = GopRef(**values, onset=0.0, durable=False)  # type: ignore[arg-type]  # as above
    again = GopRef(**values, onset=0.0, durable=True)  # type: ignore[arg-type]
    onset = GopRef(**values, onset=9.0, durable=False)  # type: ignore[arg-type]
    ids = [gops_id(refs) for refs in ([first], [again], [onset], [first, onset])]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert CameraKey(first.tenant, first.camera) == GATE
