"""A recorder's socket with a real log behind it."""

import asyncio
import json
import stat
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import GATE, START_US, YARD, session, stretch

from kilocam.core import CameraKey, ConfigError, Piece, PieceFlag
from kilocam.ranges import (
    LocalProtocolError,
    RangesClient,
    RangesServer,
    RecorderUnreachableError,
    RemoteProtocolError,
    SocketLiveView,
)
from kilocam.ranges.server import SHORT
from kilocam.record import Archive, LiveAnswer, LogOptions, LogWriter

pytestmark = pytest.mark.asyncio
S = 1_000_000


@dataclass
class House:
    """A recorder with its server."""

    log: Path
    socket: Path
    writer: LogWriter
    server: RangesServer
    watched: list[CameraKey] = field(default_factory=list)

    @property
    def client(self) -> RangesClient:
        return RangesClient(self.socket)

    def open(self, key: CameraKey = GATE, number: int = 1) -> None:
        self.writer.open_session(session(key, number, self.writer.epoch))

    def append(self, pieces: list[Piece]) -> None:
        for made in pieces:
            self.writer.append(made)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    log, socket = tmp_path / "log", tmp_path / "r0.sock"
    options = LogOptions(reserve=0, gather_us=1000, seal_size=20_000)
    writer = LogWriter([log], "r0", options, clock=FakeClock(START_US))
    await asyncio.to_thread(writer.start)
    watched: list[CameraKey] = []
    server = RangesServer(
        socket,
        writer,
        Archive([log]),
        watched.append,
        follower_bytes=100_000,
        hint_s=0.01,
    )
    await server.start()
    made = House(log, socket, writer, server, watched)
    try:
        yield made
    finally:
        await made.server.close()
        await asyncio.to_thread(writer.close)


async def heard(house: House, key: CameraKey, times: int = 1) -> None:
    """Wait until short turns of a camera were asked for `times` more."""
    before = house.watched.count(key)
    async with asyncio.timeout(10):
        while house.watched.count(key) < before + times:
            await asyncio.sleep(0.005)


async def test_a_range_is_what_the_archive_gives(house: House) -> None:
    house.open()
    house.append(stretch(pieces=200))
    await asyncio.to_thread(house.writer.flush)
    asked = [(0, 100 * S, False), (7 * S // 2, 9 * S, True), (3 * S, 9 * S, False)]
    for from_us, to_us, exact in asked:
        window = (START_US + from_us, START_US + to_us)
        expected = list(Archive([house.log]).pieces(GATE, *window, exact=exact))
        assert [part async for part in house.client.range(GATE, *window, exact=exact)] == expected
    assert [part async for part in house.client.range(YARD, 0, START_US)] == []


async def test_records_travel_byte_for_byte_as_stored(house: House) -> None:
    house.open()
    house.append(stretch(pieces=4))
    await asyncio.to_thread(house.writer.flush)
    records = list(Archive([house.log]).records(GATE, START_US, START_US + 9 * S))
    stored = b"".join(file.read_bytes() for file in house.log.glob("*.kcw*"))
    assert len(records) == 5
    assert all(record in stored for record in records)


async def test_a_follower_hears_pieces_as_they_are_appended(house: House) -> None:
    following = house.client.follow(GATE)
    first = asyncio.ensure_future(anext(following))
    await heard(house, GATE)
    house.open()
    house.open(YARD)
    made = stretch(pieces=3)
    house.append([*stretch(YARD, pieces=1), *made[:1]])
    assert await first == (session(GATE, 1, house.writer.epoch), made[0])
    house.append(made[1:])
    assert [(await anext(following))[1] for _ in range(2)] == made[1:]
    house.open(number=2)
    later = [one._replace(session=2) for one in stretch(start_us=START_US + 9 * S, pieces=1)]
    house.append(later)
    assert await anext(following) == (session(GATE, 2, house.writer.epoch), later[0])
    await following.aclose()


async def test_two_followers_hear_the_same_and_short_turns_last_until_both_left(
    house: House,
) -> None:
    one, two = house.client.follow(GATE), house.client.follow(GATE)
    first, second = asyncio.ensure_future(anext(one)), asyncio.ensure_future(anext(two))
    async with asyncio.timeout(10):
        while len(house.writer._sources) == 0 or len(_taps(house)) < 2:
            await asyncio.sleep(0.005)
    house.open()
    house.append(stretch(pieces=1))
    assert await first == await second
    await one.aclose()
    house.append(stretch(start_us=START_US + S, pieces=1))
    await anext(two)
    await heard(house, GATE, times=3)
    await two.aclose()
    async with asyncio.timeout(10):
        while _taps(house):
            await asyncio.sleep(0.005)
    house.watched.clear()
    other = house.client.follow(YARD)
    waiting = asyncio.ensure_future(anext(other))
    await heard(house, YARD, times=3)
    assert GATE not in house.watched
    waiting.cancel()


def _taps(house: House) -> tuple[object, ...]:
    return house.writer._sources[GATE.tenant, GATE.camera].taps


async def test_a_follower_that_does_not_read_loses_only_its_own_pieces(house: House) -> None:
    reader, writer = await asyncio.open_unix_connection(house.socket)
    writer.write(b'{"op": "follow", "tenant": "default", "camera": "gate"}\n')
    assert await reader.readline() == b'{"ok":true}\n'
    house.open()
    made = stretch(pieces=400, size=20_000)
    for one in made:
        house.writer.append(one)
        await asyncio.sleep(0)
    await asyncio.to_thread(house.writer.flush)
    stored = [p for _, p in Archive([house.log]).pieces(GATE, START_US, START_US + 300 * S)]
    assert stored == made
    writer.close()
    await writer.wait_closed()


async def test_a_slow_client_is_told_of_the_cut(house: House) -> None:
    following = house.client.follow(GATE)
    first = asyncio.ensure_future(anext(following))
    await heard(house, GATE)
    house.open()
    made = stretch(pieces=300, size=20_000)
    house.append(made)  # at once: no turn of the loop lets the server send
    got = [(await first)[1]]
    house.append([made[0]._replace(wall_us=START_US + 500 * S)])
    async with asyncio.timeout(10):
        while got[-1].wall_us < START_US + 500 * S:
            got.append((await anext(following))[1])
    assert len(got) < 20
    assert got[0].flags & PieceFlag.DISCONTINUITY
    await following.aclose()


async def test_local_readers_find_the_newest_records_through_the_recorder(house: House) -> None:
    house.open()
    house.append(stretch(pieces=5))
    await asyncio.to_thread(house.writer.flush)
    answer = await house.client.where(GATE, START_US + S, START_US + 2 * S)
    [file] = answer.files
    assert file.path.exists()
    assert [entry.wall_us - START_US for entry in file.entries if entry.kind == 1] == [
        S,
        3 * S // 2,
    ]
    view = SocketLiveView([house.socket, house.log / "nobody.sock"])
    archive = Archive([house.log], view)
    got = await asyncio.to_thread(lambda: list(archive.pieces(GATE, START_US, START_US + 9 * S)))
    assert [made for _, made in got] == stretch(pieces=5)
    assert SocketLiveView([house.log / "nobody.sock"]).where(GATE, 0, 1) is None


async def test_status(house: House) -> None:
    house.open()
    status = await house.client.status()
    assert (status.recorder, status.cameras, status.epoch) == ("r0", 1, house.writer.epoch)


async def test_the_socket_is_its_owners_only(house: House) -> None:
    assert stat.S_IMODE(house.socket.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"GET / HTTP/1.1\n", "not a JSON object"),
        (b'{"op": "erase"}\n', "unknown op 'erase'; known are range, follow, where"),
        (b'{"op": "range", "tenant": "T", "camera": "c"}\n', "tenant id 'T' is not valid"),
        (b'{"op": "range", "tenant": "t", "camera": "c"}\n', "from_us is None; give micro"),
        (b"x" * 200_000 + b"\n", "the request is longer than 64 KiB"),
    ],
)
async def test_wrong_requests_get_one_line_and_harm_nobody(
    house: House, line: bytes, said: str
) -> None:
    reader, writer = await asyncio.open_unix_connection(house.socket)
    writer.write(line)
    answer = (await reader.readline()).decode()
    assert answer.startswith('{"ok":false')
    assert said in answer
    writer.close()
    await writer.wait_closed()
    assert (await house.client.status()).recorder == "r0"


async def test_no_recorder_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecorderUnreachableError, match=r"recorder at .*x.sock: .*No such file"):
        await RangesClient(tmp_path / "x.sock").status()


async def test_a_recorder_that_ends_ends_its_followers(house: House) -> None:
    following = house.client.follow(GATE)
    first = asyncio.ensure_future(anext(following))
    await heard(house, GATE)
    await house.server.close()
    with pytest.raises(RecorderUnreachableError):
        await first


async def test_a_server_that_talks_nonsense_is_refused(tmp_path: Path) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"ok": true}\n' + bytes(500))
        writer.close()

    server = await asyncio.start_unix_server(nonsense, tmp_path / "x.sock")
    client = RangesClient(tmp_path / "x.sock")
    async with server:
        with pytest.raises(RemoteProtocolError):
            await anext(client.range(GATE, 0, 1))
        with pytest.raises(RemoteProtocolError):
            await client.status()


async def test_a_path_too_long_for_a_socket_is_said_in_one_line(house: House) -> None:
    server = RangesServer(house.log / ("x" * 120), house.writer, Archive([house.log]))
    with pytest.raises(ConfigError, match=r"longer than 107 bytes.*choose a shorter data dir"):
        await server.start()


async def test_a_refusal_reaches_the_caller(house: House) -> None:
    with pytest.raises(LocalProtocolError, match="tenant id 'T' is not valid"):
        await anext(house.client.follow(CameraKey("T", "gate")))


class Wide(LogWriter):
    """A recorder with so much in its open files that finding something in it takes long."""

    def __init__(self, log: Path) -> None:
        super().__init__([log], "r0", LogOptions(reserve=0), clock=FakeClock(START_US))
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def unsealed(self, key: CameraKey) -> int:
        return super().unsealed(key) + SHORT + 1

    def where(self, key: CameraKey, from_us: int, to_us: int) -> LiveAnswer:
        self.asked.set()
        assert self.go_on.wait(30)
        return super().where(key, from_us, to_us)


async def test_looking_for_footage_delays_no_turn_of_the_recorder(tmp_path: Path) -> None:
    writer = Wide(tmp_path / "log")
    await asyncio.to_thread(writer.start)
    server = RangesServer(tmp_path / "r0.sock", writer, Archive([tmp_path / "log"]))
    await server.start()
    client = RangesClient(tmp_path / "r0.sock", timeout_s=20)
    try:
        found = asyncio.create_task(client.where(GATE, START_US, START_US + S))
        assert await asyncio.to_thread(writer.asked.wait, 10)
        async with asyncio.timeout(10):
            assert (await client.status()).recorder == "r0"
        assert not found.done()
        writer.go_on.set()
        assert (await found).files == ()
    finally:
        writer.go_on.set()
        await server.close()
        await asyncio.to_thread(writer.close)


def _connections(house: House) -> int:
    return len(house.server._tasks)


async def test_one_connection_asks_again_and_again_and_another_after_the_recorder_is_anothers(
    house: House,
) -> None:
    house.open()
    house.append(stretch(pieces=3))
    await asyncio.to_thread(house.writer.flush)
    view = SocketLiveView([house.socket])

    def ask() -> LiveAnswer | None:
        return view.where(GATE, START_US, START_US + 9 * S)

    with ThreadPoolExecutor(1) as thread:
        loop = asyncio.get_running_loop()
        first = await loop.run_in_executor(thread, ask)
        assert first is not None
        assert len(first.files[0].entries) == 4
        assert _connections(house) == 1
        assert await loop.run_in_executor(thread, ask) == first
        assert _connections(house) == 1

        await house.server.close()
        assert await loop.run_in_executor(thread, ask) is None
        house.server = RangesServer(house.socket, house.writer, Archive([house.log]))
        await house.server.start()
        assert await loop.run_in_executor(thread, ask) == first


async def test_an_answer_that_came_too_late_is_nobody_elses(tmp_path: Path) -> None:
    socket = tmp_path / "late.sock"
    asked: list[str] = []
    answering: list[asyncio.Task[None]] = []
    late = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.append(task)
        with suppress(ConnectionError):
            while line := await reader.readline():
                camera = json.loads(line)["camera"]
                asked.append(camera)
                if camera == "slow":
                    await late.wait()
                file = {"path": f"/{camera}", "epoch": 1, "entries": []}
                writer.write(json.dumps({"ok": True, "files": [file]}).encode() + b"\n")
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_unix_server(answer, socket):
        view = SocketLiveView([socket], timeout_s=0.2)
        with ThreadPoolExecutor(1) as thread:
            loop = asyncio.get_running_loop()
            for camera, path in (("gate", "/gate"), ("slow", None), ("yard", "/yard")):
                key = CameraKey("default", camera)
                found = await loop.run_in_executor(thread, view.where, key, 0, 1)
                assert (str(found.files[0].path) if found else None) == path
        late.set()
        del view, thread  # and with it its connections
        async with asyncio.timeout(10):
            await asyncio.gather(*answering)
    assert asked == ["gate", "slow", "yard"]
