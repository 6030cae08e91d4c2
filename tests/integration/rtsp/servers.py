"""Our server machine behind a plain socket, playing a real H.264 stream."""

import socket
import threading
from dataclasses import dataclass, field

from kilocam.rtsp import (
    NEED_DATA,
    Credentials,
    Description,
    PlayRequested,
    RtpInfo,
    RtpPacket,
    RtspServer,
    ServerQuirk,
    TornDown,
    build_rtp,
    frame,
    packetize_h264,
)

FPS = 10


@dataclass(frozen=True)
class Footage:
    """Access units and their description."""

    units: list[list[bytes]]
    description: Description


@dataclass(frozen=True)
class GstServer:
    """A running gst-rtsp-server."""

    port: int


@dataclass
class SocketServer:
    """Accepts one client after another and plays to each."""

    footage: Footage
    credentials: Credentials | None = None
    digest: bool = True
    quirks: frozenset[ServerQuirk] = frozenset()
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def close(self) -> None:
        self._over.set()
        self._thread.join(20)
        self._listener.close()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(1 / FPS)
                try:
                    self._serve(connection)
                except OSError as error:
                    self.log.append(f"closed: {error}")

    def _serve(self, connection: socket.socket) -> None:
        server = RtspServer(
            lambda path: self.footage.description if path == "/cam/0" else None,
            session_id="5EC0DE",
            nonce="90ce",
            credentials=self.credentials,
            digest=self.digest,
            quirks=self.quirks,
        )
        channel, sent = -1, 0
        while not self._over.is_set():
            try:
                data = connection.recv(65536)
                if not data:
                    return
                server.receive_data(data)
            except TimeoutError:
                pass
            while (event := server.next_event()) is not NEED_DATA:
                self.log.append(type(event).__name__)
                match event:
                    case PlayRequested(tracks=tracks):
                        channel = tracks[0].rtp_channel
                        server.play([RtpInfo(index=0, seq=0, rtptime=0)])
                    case TornDown():
                        channel = -1
            connection.sendall(server.data_to_send())
            if channel >= 0:
                connection.sendall(self._picture(channel, sent))
                sent += 1

    def _picture(self, channel: int, number: int) -> bytes:
        payloads = packetize_h264(self.footage.units[number % len(self.footage.units)])
        return b"".join(
            frame(
                channel,
                build_rtp(
                    RtpPacket(
                        marker=payload is payloads[-1],
                        payload_type=96,
                        sequence=(number * 100 + at) & 0xFFFF,
                        timestamp=number * 90_000 // FPS,
                        ssrc=7,
                        payload=payload,
                    )
                ),
            )
            for at, payload in enumerate(payloads)
        )
