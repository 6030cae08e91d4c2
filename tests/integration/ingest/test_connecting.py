"""Sockets, names and handshakes: nothing leaks, nothing waits for somebody else."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from random import Random

import pytest
from tests.fakes.sink import MemorySink
from tests.integration.ingest.test_bad_cameras import answers, good, plays, server
from tests.unit.ingest.wire import Camera

from kilocam.core import GapCause, Session, SystemClock
from kilocam.ingest import (
    CameraSpec,
    CameraState,
    ConnectFailed,
    Ingest,
    TcpDialler,
    connect,
    probe,
)
from kilocam.ingest.connect import ADDRESS_S
from kilocam.ingest.names import Address, Names
from kilocam.ingest.stream import MEDIA_SILENCE_US
from kilocam.rtsp import frame


class Dialler(TcpDialler):
    """Remembers what it opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[socket.socket] = []

    async def dial(self, address: tuple[str, int]) -> socket.socket:
        self.opened.append(await super().dial(address))
        return self.opened[-1]


@asynccontextmanager
async def recording(
    sink: MemorySink, dialler: Dialler, *urls: str, handshake_s: float = 10
) -> AsyncIterator[Ingest]:
    ingest = Ingest(
        sink=sink, clock=SystemClock(), random=Random(1), dialler=dialler, epoch=7,
        handshake_s=handshake_s,
    )  # fmt: skip
    ingest.apply(specs(*urls))
    running = asyncio.create_task(ingest.run())
    try:
        yield ingest
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def specs(*urls: str) -> list[CameraSpec]:
    return [CameraSpec(tenant="default", camera=f"c{n}", url=url) for n, url in enumerate(urls)]


@pytest.mark.asyncio
async def test_a_session_that_cannot_begin_leaks_no_socket_and_is_tried_again() -> None:
    class Sink(MemorySink):
        faults = 2

        def open_session(self, session: Session) -> None:
            if self.faults:
                self.faults -= 1
                raise RecursionError("we met something we had not foreseen")
            super().open_session(session)

    sink, dialler = Sink(), Dialler()
    async with server(plays(good)) as port:
        async with recording(sink, dialler, f"rtsp://127.0.0.1:{port}/cam") as ingest:
            async with asyncio.timeout(20):
                while not sink.pieces:
                    await asyncio.sleep(0.05)
            assert ingest.recording == 1
            assert ingest.crashes == 2
            assert [connection.fileno() for connection in dialler.opened[:-1]] == [-1, -1]
        assert dialler.opened[-1].fileno() == -1


@pytest.mark.asyncio
async def test_a_camera_whose_video_died_is_connected_anew_and_the_gap_is_typed() -> None:
    class Clock(SystemClock):
        """Faster than the world, so that half a minute takes five seconds."""

        def monotonic_us(self) -> int:
            return super().monotonic_us() * 6

        def wall_us(self) -> int:
            return 1_790_000_000_000_000 + self.monotonic_us()

    def dies(camera: Camera, n: int) -> bytes:
        return camera.gop(3) if n < 5 else frame(1, b"\x80\xc9\0\1abcd" * 2)

    sink, clock = MemorySink(), Clock()
    ingest = Ingest(sink=sink, clock=clock, random=Random(1), dialler=TcpDialler(), epoch=7)
    async with server(plays(dies)) as port:
        ingest.apply(specs(f"rtsp://127.0.0.1:{port}/cam"))
        running = asyncio.create_task(ingest.run())
        async with asyncio.timeout(30):
            while len(sink.sessions) < 2:
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    first, second = sink.sessions
    (gap, *_) = [gap for _, gap in sink.gaps if gap.cause is GapCause.SILENT]
    last = max(
        (p for p in sink.pieces if p.session == first.session and p.frames), key=lambda p: p.wall_us
    )
    assert gap.start_us == last.wall_us + last.duration_us
    assert gap.end_us - gap.start_us >= MEDIA_SILENCE_US
    assert max(gap.end_us for _, gap in sink.gaps) >= second.started_us
    assert "no video came for 30 s" in gap.detail


@pytest.mark.asyncio
async def test_a_changed_camera_that_sent_nothing_leaves_no_hole_unaccounted() -> None:
    sink, dialler = MemorySink(), Dialler()
    async with (
        server(plays(lambda camera, n: b"")) as mute,
        server(plays(good)) as port,
        recording(sink, dialler, f"rtsp://127.0.0.1:{mute}/cam") as ingest,
    ):
        async with asyncio.timeout(20):
            while not sink.sessions:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        ingest.apply(specs(f"rtsp://127.0.0.1:{port}/cam"))
        async with asyncio.timeout(20):
            while len(sink.sessions) < 2:
                await asyncio.sleep(0.05)
    gaps = sorted((gap for _, gap in sink.gaps), key=lambda gap: gap.start_us)
    assert {gap.cause for gap in gaps} == {GapCause.NOT_CONNECTED}
    first, second = sink.sessions
    covered_us = first.started_us
    for gap in gaps:
        if gap.end_us > covered_us:
            assert gap.start_us - covered_us < 50_000
            covered_us = gap.end_us
    assert covered_us >= second.started_us


@pytest.mark.asyncio
async def test_a_camera_that_floods_the_handshake_leaves_the_others_their_turn() -> None:
    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        answer = b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\nX: %s\r\n\r\n" % (b"x" * 8000)
        while True:
            writer.write(answer * 25)
            await writer.drain()

    async with server(floods) as port:
        trying = asyncio.create_task(connect(f"rtsp://127.0.0.1:{port}/cam", TcpDialler()))
        turns = 0
        while not trying.done():
            await asyncio.sleep(0)
            turns += 1
        with pytest.raises(ConnectFailed, match="sent 4 MiB and did not begin to play") as caught:
            trying.result()
    assert caught.value.cause is GapCause.PROTOCOL
    assert turns > 200


@pytest.mark.asyncio
async def test_a_channel_that_does_not_play_does_not_close_its_recorder_to_the_others() -> None:
    async def recorder(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
        await reader.read(1000)
        await reader.read(1000)  # DESCRIBE is never answered

    sink = MemorySink()
    async with server(recorder) as port:
        urls = [f"rtsp://127.0.0.1:{port}/{n}" for n in range(6)]
        async with recording(sink, Dialler(), urls[0], handshake_s=0.5) as ingest:
            async with asyncio.timeout(20):
                while GapCause.TIMED_OUT not in {gap.cause for _, gap in sink.gaps}:
                    await asyncio.sleep(0.01)
            (status,) = ingest.status()
            assert "answered, but did not play within 0.5 s" in status.reason
            ingest.apply(specs(*urls))
            async with asyncio.timeout(5):
                while {s.state for s in ingest.status()[1:]} != {CameraState.CONNECTING}:
                    await asyncio.sleep(0.01)


@contextmanager
def deaf() -> Iterator[int]:
    """A port of 127.0.0.2 whose queue of connections is full: it answers nobody."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.2", 0))
        listening.listen(0)
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listening.getsockname())
        port: int = listening.getsockname()[1]
        yield port


@pytest.mark.asyncio
async def test_of_a_redirect_to_a_dead_host_the_dead_one_is_said_not_to_answer() -> None:
    with deaf() as dead:
        answer = f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.2:{dead}/\r\n\r\n"
        async with server(answers(answer.encode())) as port:
            with pytest.raises(ConnectFailed) as caught:
                await connect(f"rtsp://127.0.0.1:{port}/1", TcpDialler(), within_s=0.5)
    assert f"127.0.0.2:{dead} did not answer within 0.5 s" in str(caught.value)
    assert caught.value.answered  # the host of the URL did: its other channels need not wait


@pytest.mark.asyncio
async def test_a_camera_that_asks_for_a_password_and_then_says_no_more_has_answered() -> None:
    async def camera(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(
            b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm="c"\r\n\r\n'
        )
        await reader.read(1000)
        await reader.read(1000)  # OPTIONS with the password is never answered

    async with server(camera) as port:
        with pytest.raises(ConnectFailed) as caught:
            await connect(f"rtsp://user:secret@127.0.0.1:{port}/1", TcpDialler(), within_s=0.5)
    assert "answered, but did not play within 0.5 s" in str(caught.value)
    assert caught.value.answered


@pytest.mark.asyncio
async def test_a_host_whose_first_address_is_dead_is_reached_at_its_second() -> None:
    def both(host: str) -> Sequence[Address]:
        return [(socket.AF_INET, (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]

    with deaf() as port, socket.create_server(("127.0.0.1", port)):
        async with asyncio.timeout(ADDRESS_S + 2):
            connection = await TcpDialler(Names(both)).dial(("camera", port))
        with connection:
            assert connection.getpeername() == ("127.0.0.1", port)


@pytest.mark.asyncio
async def test_a_name_that_is_none_is_said_to_be_unknown() -> None:
    for host in ("a..b", "x" * 64 + ".example"):
        with pytest.raises(ConnectFailed, match="is unknown") as caught:
            await connect(f"rtsp://{host}/cam", TcpDialler())
        assert caught.value.cause is GapCause.NOT_CONNECTED


@pytest.mark.asyncio
async def test_a_probe_counts_its_seconds_from_the_first_packet() -> None:
    def hesitates(camera: Camera, n: int) -> bytes:
        return good(camera, n) if n > 60 else b""

    async with server(plays(hesitates)) as port:
        report = await probe(f"rtsp://127.0.0.1:{port}/cam", seconds=0.5)
    assert report.packets


@pytest.mark.asyncio
async def test_a_probe_that_is_given_up_hangs_up() -> None:
    left = asyncio.Event()

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await plays(silent)(reader, writer)
        await reader.read()
        left.set()

    def silent(camera: Camera, n: int) -> bytes:
        return b""

    async with server(watched) as port:
        probing = asyncio.create_task(probe(f"rtsp://127.0.0.1:{port}/cam", seconds=30))
        await asyncio.sleep(0.7)
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        del probing
        async with asyncio.timeout(5):
            await left.wait()
