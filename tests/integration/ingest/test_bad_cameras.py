"""Cameras that do not work: one clear line each, quoted here, and nobody else disturbed."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from tests.fakes.sink import MemorySink
from tests.unit.ingest.wire import Camera

from kilocam.core import GapCause, Piece, SystemClock
from kilocam.ingest import (
    CameraSpec,
    CameraState,
    ConnectFailed,
    Ingest,
    TcpDialler,
    connect,
)
from kilocam.rtsp import (
    NEED_DATA,
    Credentials,
    Description,
    PlayRequested,
    RtspServer,
    SdpMedia,
    build_sdp,
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
VIDEO = SdpMedia(media="video", payload_type=96, codec="H264", clock_rate=90_000, control="track1")


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[int]:
    """Serve on a port of the loopback; handlers end when their camera hangs up."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await asyncio.sleep(0.05)


def answers(data: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(data)
        await writer.drain()
        await reader.read()

    return handler


def plays(
    frames: Callable[[Camera, int], bytes],
    credentials: Credentials | None = None,
    media: SdpMedia = VIDEO,
) -> Handler:
    """A well-behaved camera at /cam whose n-th frame is made by `frames`."""

    def resolve(path: str) -> Description | None:
        return Description(sdp=build_sdp([media]), controls=("track1",)) if path == "/cam" else None

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        machine = RtspServer(resolve, session_id="1", nonce="n", credentials=credentials)
        while True:
            event = machine.next_event()
            writer.write(machine.data_to_send())
            if isinstance(event, PlayRequested):
                break
            if event is NEED_DATA:
                data = await reader.read(4096)
                if not data:
                    return
                machine.receive_data(data)
        machine.play()
        writer.write(machine.data_to_send())
        camera = Camera()
        for n in range(10_000):
            writer.write(frames(camera, n))
            await writer.drain()
            await asyncio.sleep(0.02)

    return handler


def good(camera: Camera, n: int) -> bytes:
    return camera.gop(2) if n % 10 == 0 else camera.gop(1)


async def failure(url: str, *, within_s: float = 3.0) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as caught:
        await connect(url, TcpDialler(), within_s=within_s)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    return caught.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.asyncio
async def test_unknown_host() -> None:
    error = await failure("rtsp://user:secret@no-such-host.invalid/cam")
    assert error.cause is GapCause.NOT_CONNECTED
    assert "host 'no-such-host.invalid' is unknown" in str(error)
    assert "check the name in the URL and the DNS" in str(error)


@pytest.mark.asyncio
async def test_refused() -> None:
    port = free_port()
    error = await failure(f"rtsp://user:secret@127.0.0.1:{port}/cam")
    assert error.cause is GapCause.REFUSED
    assert str(error) == (
        f"127.0.0.1:{port} refuses connections; is the camera on, and is this its RTSP port?"
    )


@pytest.mark.asyncio
async def test_a_host_that_does_not_answer() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    async with server(silent) as port:
        error = await failure(f"rtsp://127.0.0.1:{port}/cam", within_s=0.3)
    assert error.cause is GapCause.TIMED_OUT
    assert "did not answer within 0.3 s; is the camera on" in str(error)


@pytest.mark.asyncio
async def test_wrong_password() -> None:
    async with server(plays(good, Credentials(user="user", password="right"))) as port:
        error = await failure(f"rtsp://user:secret@127.0.0.1:{port}/cam")
    assert error.cause is GapCause.UNAUTHORIZED
    assert f"rtsp://127.0.0.1:{port}/cam" in str(error)


@pytest.mark.asyncio
async def test_wrong_path() -> None:
    async with server(plays(good)) as port:
        error = await failure(f"rtsp://127.0.0.1:{port}/nothing")
    assert error.cause is GapCause.NOT_FOUND
    assert "/nothing" in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff" * 50_000,
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nX: " + b"a" * 500_000,
        b"RTSP/1.0 200 OK\r\nContent-Length: 999999999\r\n\r\n",
    ],
    ids=["garbage", "http", "endless-header", "endless-body"],
)
async def test_a_server_that_does_not_speak_rtsp(data: bytes) -> None:
    async with server(answers(data)) as port:
        error = await failure(f"rtsp://127.0.0.1:{port}/cam")
    assert error.cause in (GapCause.PROTOCOL, GapCause.ENDED)


@pytest.mark.asyncio
async def test_a_url_that_is_none() -> None:
    error = await failure("http://127.0.0.1/cam")
    assert error.cause is GapCause.NOT_CONNECTED


@pytest.mark.asyncio
async def test_bad_cameras_leave_good_ones_alone_and_changes_touch_nobody_else() -> None:
    sink = MemorySink()
    ingest = Ingest(sink=sink, clock=SystemClock(), random=Random(1), dialler=TcpDialler(), epoch=7)

    def spec(camera: str, port: int, path: str = "/cam") -> CameraSpec:
        url = f"rtsp://127.0.0.1:{port}{path}"
        return CameraSpec(tenant="default", camera=camera, url=url)

    def broken(camera: Camera, n: int) -> bytes:
        return b"\xee" * 3000 if n % 5 == 4 else camera.gop(1)

    async with server(plays(good)) as port, server(plays(broken)) as bad:
        specs = [spec("good", port), spec("lost", port, "/x"), spec("broken", bad)]
        ingest.apply([*specs, spec("refused", free_port())])
        running = asyncio.create_task(ingest.run())
        await asyncio.sleep(2)
        states = {status.camera: status for status in ingest.status()}
        assert states["good"].state is CameraState.RECORDING
        assert states["good"].frames > 50
        assert states["lost"].cause is GapCause.NOT_FOUND
        assert states["refused"].cause is GapCause.REFUSED
        assert states["broken"].frames > 50
        sessions = [s.session for s in sink.sessions if s.camera == "good"]
        ingest.apply([spec("good", port), spec("more", port)])
        await asyncio.sleep(1)
        states = {status.camera: status for status in ingest.status()}
        assert set(states) == {"good", "more"}
        assert states["more"].state is CameraState.RECORDING
        assert [s.session for s in sink.sessions if s.camera == "good"] == sessions
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert ingest.crashes == 0
    causes = {camera: gap.cause for camera, gap in sink.gaps}
    assert causes["refused"] is GapCause.REFUSED
    assert causes["good"] is GapCause.NOT_CONNECTED  # until it played, and none since


@pytest.mark.asyncio
async def test_a_fault_of_ours_over_one_camera_costs_the_others_nothing() -> None:
    class Sink(MemorySink):
        def append(self, piece: Piece) -> None:
            if piece.camera == "odd":
                raise RecursionError("we met something we had not foreseen")
            super().append(piece)

    sink = Sink()
    ingest = Ingest(sink=sink, clock=SystemClock(), random=Random(1), dialler=TcpDialler(), epoch=7)
    async with server(plays(good)) as port:
        url = f"rtsp://127.0.0.1:{port}/cam"
        ingest.apply(
            [CameraSpec(tenant="default", camera=name, url=url) for name in ("good", "odd")]
        )
        running = asyncio.create_task(ingest.run())
        async with asyncio.timeout(20):
            while ("odd", GapCause.PROTOCOL) not in {(c, gap.cause) for c, gap in sink.gaps}:
                await asyncio.sleep(0.05)
        frames = {status.camera: status for status in ingest.status()}["good"].frames
        async with asyncio.timeout(20):
            while {status.camera: status for status in ingest.status()}["good"].frames <= frames:
                await asyncio.sleep(0.05)
        assert not running.done()
        states = {status.camera: status for status in ingest.status()}
        assert states["good"].state is CameraState.RECORDING
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.asyncio
async def test_a_camera_that_hangs_up_is_connected_anew_and_the_gap_is_typed() -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(1.0):
                await plays(good)(reader, writer)
        except TimeoutError:
            pass

    sink = MemorySink()
    ingest = Ingest(sink=sink, clock=SystemClock(), random=Random(1), dialler=TcpDialler(), epoch=7)
    async with server(short) as port:
        url = f"rtsp://127.0.0.1:{port}/cam"
        ingest.apply([CameraSpec(tenant="default", camera="c", url=url)])
        running = asyncio.create_task(ingest.run())
        async with asyncio.timeout(20):
            while len(sink.sessions) < 3:
                await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [gap.cause for _, gap in sink.gaps][1] is GapCause.ENDED
    ids = [session.session for session in sink.sessions]
    assert ids == sorted(set(ids))
