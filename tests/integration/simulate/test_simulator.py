"""A plain client over real TCP against the simulator's ledger, packet for packet."""

import asyncio
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kilocam.core import now_us
from kilocam.media import MediaFile, PatternSpec, pattern_media
from kilocam.rtsp import (
    NEED_DATA,
    Credentials,
    Demultiplexer,
    Failed,
    FailureReason,
    Frame,
    Handshake,
    Playing,
    Redirected,
    ServerQuirk,
    frame,
)
from kilocam.simulate import (
    Away,
    Every,
    Faults,
    Group,
    Ledger,
    ListenError,
    SimulatedFleet,
    Simulator,
)
from kilocam.simulate.connection import Connection

pytestmark = pytest.mark.asyncio

SPEC = PatternSpec(width=160, height=96, seconds=4, bitrate_kbps=200, key_interval_s=1, sound=True)
OPERATOR = Credentials(user="operator", password="p:ss/w@rd%")


@dataclass(slots=True)
class Taken:
    """What a client got."""

    playing: Playing | None = None
    failed: Failed | None = None
    frames: list[Frame] = field(default_factory=list)
    skipped: int = 0
    ended: bool = False

    @property
    def packets(self) -> list[bytes]:
        return [frame.packet for frame in self.frames]


class Client:
    """One connection, by the shared protocol."""

    def __init__(self, url: str, credentials: Credentials | None = None) -> None:
        self.taken = Taken()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self._handshake = Handshake(url, credentials, cnonce=secrets.token_hex(4))
        self._frames = Demultiplexer(frozenset())

    async def play(self, *, seconds: float = 10) -> Taken:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            await loop.sock_connect(self.sock, self._handshake.address)
            await self._write(self._handshake.start())
            while True:
                event = self._handshake.next_event()
                await self._write(self._handshake.data_to_send())
                if event is NEED_DATA:
                    self._handshake.receive_data(await self._read())
                elif isinstance(event, Playing):
                    self._begin(event)
                    break
                else:
                    assert not isinstance(event, Redirected)
                    self.taken.failed = event
                    break
        return self.taken

    def _begin(self, playing: Playing) -> None:
        channels = {c for m in playing.media for c in (m.rtp_channel, m.rtcp_channel)}
        self._frames = Demultiplexer(frozenset(channels))
        self.taken.playing = playing
        self._feed(self._handshake.rest())

    async def _write(self, data: bytes) -> None:
        with suppress(ConnectionError):  # the next read says so too
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def _read(self) -> bytes:
        with suppress(ConnectionError):
            return await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16)
        return b""

    def _feed(self, data: bytes) -> None:
        for event in self._frames.feed(data):
            if isinstance(event, Frame):
                self.taken.frames.append(event)
            else:
                self.taken.skipped += 1

    async def take(self, until: Callable[[Taken], bool], *, seconds: float = 30) -> Taken:
        async with asyncio.timeout(seconds):
            while not until(self.taken):
                data = await self._read()
                if not data:
                    self.taken.ended = True
                    break
                self._feed(data)
        return self.taken

    def close(self, *, reset: bool = False) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()


@pytest.fixture(scope="session")
def footage() -> MediaFile:
    return pattern_media(SPEC)


@asynccontextmanager
async def simulated(
    footage: MediaFile,
    faults: Faults | None = None,
    *,
    count: int = 1,
    credentials: Credentials | None = None,
    backlog: int = 256 * 1024,
) -> AsyncIterator[Simulator]:
    group = Group(count=count, source=footage, faults=faults or Faults(), phase_s=0.5)
    fleet = SimulatedFleet(groups=[group])
    async with Simulator(fleet, credentials=credentials, backlog=backlog) as running:
        yield running


async def eventually(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def at_least(packets: int) -> Callable[[Taken], bool]:
    return lambda taken: len(taken.frames) >= packets


async def take_all(simulator: Simulator, camera: int, packets: int) -> Taken:
    """Play until so many packets are there, then leave; what was taken is what was stored."""
    client = Client(simulator.url(camera))
    await client.play()
    taken = await client.take(at_least(packets))
    client.close()
    record = simulator.ledger.connections(camera)[-1]
    await eventually(lambda: record.closed_us > 0)
    return taken


async def test_every_packet_of_video_sound_and_reports_is_in_the_ledger(
    footage: MediaFile,
) -> None:
    async with simulated(footage) as simulator:
        taken = await take_all(simulator, 0, 400)
    ledger = simulator.ledger
    written = list(ledger.expected_packets(0, 0, until="written"))
    assert taken.packets == written[: len(taken.packets)]
    assert ledger.compare(0, 0, written) is None
    channels = {frame.channel for frame in taken.frames}
    assert channels == {0, 1, 2, 3}  # both tracks, both with reports
    assert taken.packets[0][0] == 0x80


async def test_a_client_that_does_not_read_loses_whole_blocks_and_the_ledger_says_so(
    footage: MediaFile,
) -> None:
    async with simulated(footage, backlog=2_000) as simulator:
        client = Client(simulator.url(0))
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        await client.play()
        record = simulator.ledger.connections(0)[0]
        await eventually(lambda: record.first < record.written.block)
        connection = next(iter(simulator.cameras[0].clients))
        assert isinstance(connection, Connection)
        # Fill the kernel's buffers with frames of a channel that nobody set up.
        while connection.wire.offer(frame(9, b"\x80" + bytes(0x4000))):
            pass
        await eventually(lambda: bool(record.skips))
        taken = await client.take(at_least(150))
        client.close()
        await eventually(lambda: record.closed_us > 0)
        assert {str(skip.cause) for skip in record.skips} == {"backlog"}
        assert taken.skipped == 0  # no frame was cut
        written = list(simulator.ledger.expected_packets(0, 0, until="written"))
        assert taken.packets == written[: len(taken.packets)]


async def test_what_was_acknowledged_had_arrived_when_the_client_is_cut_off(
    footage: MediaFile,
) -> None:
    async with simulated(footage) as simulator:
        client = Client(simulator.url(0))
        await client.play()
        taken = await client.take(at_least(60))
        client.close(reset=True)
        record = simulator.ledger.connections(0)[0]
        await eventually(lambda: record.closed_us > 0)
        assert record.reason == "closed by client"
        assert record.acknowledged <= record.written
        written = list(simulator.ledger.expected_packets(0, 0, until="written"))
        assert taken.packets == written[: len(taken.packets)]


async def test_a_stopping_simulator_lets_all_arrive(footage: MediaFile) -> None:
    async with simulated(footage) as simulator:
        client = Client(simulator.url(0))
        await client.play()
        await client.take(at_least(30))
        taking = asyncio.create_task(client.take(lambda _: False))
    taken = await taking
    client.close()
    record = simulator.ledger.connections(0)[0]
    assert record.reason == "simulator stopped"
    assert record.acknowledged == record.written
    assert taken.packets == list(simulator.ledger.expected_packets(0, 0))


@pytest.mark.parametrize("basic", [False, True])
async def test_credentials_are_asked_for(footage: MediaFile, basic: bool) -> None:
    async with simulated(footage, Faults(basic=basic), credentials=OPERATOR) as simulator:
        stranger = Client(simulator.url(0))
        refused = await stranger.play()
        assert refused.failed is not None
        assert refused.failed.reason is FailureReason.UNAUTHORIZED
        stranger.close()
        client = Client(simulator.url(0), OPERATOR)
        assert (await client.play()).playing is not None
        client.close()


async def test_a_camera_with_another_password_lets_nobody_in(footage: MediaFile) -> None:
    async with simulated(footage, Faults(other_password=True), credentials=OPERATOR) as simulator:
        client = Client(simulator.url(0), OPERATOR)
        taken = await client.play()
        assert taken.failed is not None
        assert taken.failed.reason is FailureReason.UNAUTHORIZED
        client.close()


async def test_a_camera_that_does_not_exist_is_not_found(footage: MediaFile) -> None:
    async with simulated(footage) as simulator:
        client = Client(simulator.url(17))
        taken = await client.play()
        assert taken.failed is not None
        assert taken.failed.reason is FailureReason.NOT_FOUND
        client.close()


async def test_a_silent_camera_never_answers(footage: MediaFile) -> None:
    async with simulated(footage, Faults(silent=True)) as simulator:
        client = Client(simulator.url(0))
        with pytest.raises(TimeoutError):
            await client.play(seconds=0.5)
        client.close()


async def test_garbage_for_a_request_is_answered_and_closed(footage: MediaFile) -> None:
    async with simulated(footage) as simulator:
        for garbage in (b"\x16\x03\x01" * 3000, b"GET / HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
            writer.write(garbage)
            async with asyncio.timeout(10):
                answer = await reader.read(4096)
                writer.close()
            assert answer == b"" or answer.startswith(b"RTSP/1.0 ")


@pytest.mark.parametrize("resets", [False, True])
async def test_a_flapping_camera_comes_back_and_the_ledger_knows_the_gap(
    footage: MediaFile, resets: bool
) -> None:
    faults = Faults(flap_resets=resets, away_s=0.3)
    async with simulated(footage, faults) as simulator:
        client = Client(simulator.url(0))
        await client.play()
        await client.take(at_least(20))
        simulator.cameras[0].flap()
        taken = await client.take(lambda _: False)
        assert taken.ended
        client.close()
        away = Client(simulator.url(0))
        assert (await away.play()).failed is not None
        away.close()
        await eventually(lambda: not simulator.cameras[0].is_away)
        await take_all(simulator, 0, 20)
        first, second = simulator.ledger.connections(0)
        assert first.reason == "flap"
        assert first.tracks[0].ssrc != second.tracks[0].ssrc
        sure = list(simulator.ledger.expected_packets(0, 0))
        assert taken.packets == sure
        gap = simulator.ledger.missing(0, first.opened_us, second.closed_us - 200_000)[-1]
        assert gap.cause == "flap"
        assert gap.start_us <= first.closed_us <= second.opened_us < gap.end_us


@pytest.mark.parametrize("away", [Away.RESET, Away.SILENT])
async def test_an_absent_camera_resets_or_ignores_its_clients(
    footage: MediaFile, away: Away
) -> None:
    async with simulated(footage, Faults(away=away)) as simulator:
        simulator.cameras[0].flap(30)
        client = Client(simulator.url(0))
        if away is Away.RESET:
            taken = await client.play()
            assert taken.failed is not None
        else:
            with pytest.raises(TimeoutError):
                await client.play(seconds=0.5)
        client.close()


async def test_random_faults_strike_again_and_again(footage: MediaFile) -> None:
    every = Every(low_s=0.3, high_s=0.6)
    faults = Faults(stall=every, stall_s=0.2, jump=every, jump_s=100, lose=0.1)
    async with simulated(footage, faults) as simulator:
        taken = await take_all(simulator, 0, 250)
        record = simulator.ledger.connections(0)[0]
        assert {str(skip.cause) for skip in record.skips} == {"stall"}
        assert {added for _, added in record.jumps} == {0, 100_000_000}
        assert len(record.lost) > 5
        written = list(simulator.ledger.expected_packets(0, 0, until="written"))
        assert taken.packets == written[: len(taken.packets)]


async def test_no_quirk_changes_anything_about_the_packets(footage: MediaFile) -> None:
    quirks = sorted(ServerQuirk)
    groups = [Group(source=footage, faults=Faults(quirks=frozenset({q}))) for q in quirks]
    async with Simulator(SimulatedFleet(groups=groups), credentials=OPERATOR) as simulator:
        clients = [Client(simulator.url(camera), OPERATOR) for camera in range(len(quirks))]

        async def play(client: Client) -> Taken:
            await client.play()
            return await client.take(at_least(60))

        everything = await asyncio.gather(*(play(client) for client in clients))
        for client in clients:
            client.close()
        records = [simulator.ledger.connections(camera)[0] for camera in range(len(quirks))]
        await eventually(lambda: all(record.closed_us > 0 for record in records))
        for camera, (quirk, taken) in enumerate(zip(quirks, everything, strict=True)):
            written = list(simulator.ledger.expected_packets(camera, 0, until="written"))
            assert taken.packets == written[: len(taken.packets)], quirk
            assert records[camera].quirks == (quirk,)


async def test_every_client_has_numbers_of_its_own_and_cameras_their_own_phase() -> None:
    fleet = SimulatedFleet(groups=[Group(count=3, source=SPEC)])
    async with Simulator(fleet) as simulator:
        urls = [simulator.url(camera) for camera in (0, 0, 1, 2)]
        clients = [Client(url) for url in urls]
        for client in clients:
            await client.play()
        for client in clients:
            await client.take(at_least(10))
            client.close()
        ledger = simulator.ledger
        records = [*ledger.connections(0), *ledger.connections(1), *ledger.connections(2)]
        assert len({record.tracks[0].ssrc for record in records}) == 4
        assert len({life.epoch_us for life in ledger.cameras.values()}) == 3
        assert len(ledger.contents) == 1  # one loop in memory for all


async def test_a_ledger_saved_while_playing_can_be_judged_by_another_process(
    footage: MediaFile, tmp_path: Path
) -> None:
    path = tmp_path / "ledger" / "ledger.jsonl"
    async with simulated(footage, count=2) as simulator:
        taken = await take_all(simulator, 1, 100)
        await simulator.save(path)
    again = Ledger.load(path)
    assert again.compare(1, 0, again.expected_packets(1, 0)) is None
    written = list(again.expected_packets(1, 0, until="written"))
    assert taken.packets == written[: len(taken.packets)]
    span = again.span(1, 0, now_us())
    assert span.packets == len(list(again.expected_packets(1, 0)))
    assert len(span.hash) == 64


async def test_a_ledger_saved_by_several_at_once_is_whole(
    footage: MediaFile, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    async with simulated(footage, count=200) as simulator:
        await asyncio.gather(*(simulator.save(path) for _ in range(5)))
        assert Ledger.load(path).cameras.keys() == simulator.ledger.cameras.keys()


async def test_a_port_in_use_is_named(footage: MediaFile) -> None:
    async with simulated(footage) as simulator:
        fleet = SimulatedFleet(groups=[Group(source=footage)])
        with pytest.raises(ListenError, match=rf"cannot listen on 127\.0\.0\.1:{simulator.port} "):
            async with Simulator(fleet, port=simulator.port):
                pass
