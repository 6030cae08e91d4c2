"""A stream on a socket and a clock that the test owns."""

import socket
from collections import deque
from typing import cast

from tests.fakes.sink import MemorySink
from tests.unit.ingest.wire import RATE

from kilocam.core import Session, Track
from kilocam.ingest.connect import Connected
from kilocam.ingest.errors import ConnectFailed
from kilocam.ingest.stream import Stream
from kilocam.ingest.stream_clock import ArrivalClock
from kilocam.rtsp import (
    NEED_DATA,
    Description,
    Handshake,
    Playing,
    PlayRequested,
    RtspServer,
    SdpMedia,
    build_sdp,
)

SECOND = 1_000_000
BOOT_US = 50 * SECOND
WALL_US = 1_790_000_000 * SECOND
VIDEO = Track(
    index=0, media="video", codec="h264", payload_type=96, clock_rate=RATE, channels=1,
    rtp_channel=0, rtcp_channel=1, fmtp="",
)  # fmt: skip
SOUND = Track(
    index=1, media="audio", codec="pcma", payload_type=8, clock_rate=8000, channels=1,
    rtp_channel=2, rtcp_channel=3, fmtp="",
)  # fmt: skip


class Wire:
    """Both directions of a connection; `room` is how much the send buffer still takes."""

    def __init__(self, capacity: int = 131_072) -> None:
        self.coming: deque[bytes] = deque()
        self.sent = b""
        self.room = 1 << 30
        self.capacity = capacity
        self.hung_up = self.closed = False
        self.reset_after = b""
        """What still comes before a reset, between the turn's read and its send."""

    def recv_into(self, buffer: memoryview) -> int:
        if not self.coming:
            if self.hung_up:
                return 0
            raise BlockingIOError
        data = self.coming.popleft()
        taken = min(len(data), len(buffer))
        buffer[:taken] = data[:taken]
        if taken < len(data):
            self.coming.appendleft(data[taken:])
        return taken

    def send(self, data: bytes) -> int:
        if self.reset_after:
            self.coming.append(self.reset_after)
            raise ConnectionResetError(104, "Connection reset by peer")
        if not self.room:
            raise BlockingIOError
        taken = min(self.room, len(data))
        self.room -= taken
        self.sent += data[:taken]
        return taken

    def getsockopt(self, level: int, option: int) -> int:
        return self.capacity

    def close(self) -> None:
        self.closed = True


def playing_handshake() -> Handshake:
    """A handshake that has come as far as PLAY."""
    media = SdpMedia(
        media="video", payload_type=96, codec="H264", clock_rate=RATE, control="track1"
    )
    description = Description(sdp=build_sdp([media]), controls=("track1",))
    server = RtspServer(lambda path: description, session_id="1", nonce="n")
    client = Handshake("rtsp://camera/cam", cnonce="c")
    server.receive_data(client.start())
    while True:
        event = server.next_event()
        if isinstance(event, PlayRequested):
            server.play()
        client.receive_data(server.data_to_send())
        answer = client.next_event()
        if isinstance(answer, Playing):
            return client
        assert answer is NEED_DATA
        server.receive_data(client.data_to_send())


class Played:
    """One stream, turned by hand."""

    def __init__(
        self,
        *,
        tracks: tuple[Track, ...] = (VIDEO,),
        sink: MemorySink | None = None,
        capacity: int = 131_072,
        buffer: int = 1 << 20,
    ) -> None:
        self.wire = Wire(capacity)
        self.sink = sink or MemorySink()
        self.now_us = BOOT_US
        self.froze_us = (0, 0)
        self.ends: list[ConnectFailed] = []
        self._buffer = memoryview(bytearray(buffer))
        handshake = playing_handshake()
        self.stream = Stream(
            session=Session(
                tenant="default", camera="c", session=1, epoch=1, started_us=WALL_US,
                source="rtsp://camera/cam", sdp=b"", tracks=tracks, quirks=(),
            ),
            connected=Connected(
                connection=cast("socket.socket", self.wire), handshake=handshake,
                source="rtsp://camera/cam", sdp=b"", tracks=tracks, rest=b"",
            ),
            sink=self.sink,
            arrival=ArrivalClock(WALL_US, BOOT_US),
            now_us=BOOT_US,
            froze=lambda: self.froze_us,
            ended=lambda _, failure: self.ends.append(failure),
        )  # fmt: skip

    def turn(self, *data: bytes, after_us: int = 0) -> int:
        """Let time pass, let `data` come, take one turn."""
        self.now_us += after_us
        self.wire.coming.extend(part for part in data if part)
        return self.stream.turn(self.now_us, self._buffer)
