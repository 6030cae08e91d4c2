"""Owns: the simulator as it runs: one listening port, all cameras, all connections, the ledger."""

import asyncio
import contextlib
import random
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Self

from kilocam.rtsp import Credentials
from kilocam.simulate.camera import Camera
from kilocam.simulate.connection import Connection
from kilocam.simulate.errors import ListenError, SimulateError
from kilocam.simulate.fleet import SimulatedFleet
from kilocam.simulate.ledger import Ledger
from kilocam.simulate.player import Clock
from kilocam.simulate.record import ConnectionRecord
from kilocam.simulate.wheel import Wheel

BACKLOG = 256 * 1024
"""Bytes kept for a client beyond what its socket takes."""
_ACCEPTS_AT_ONCE = 64
_LISTEN_BACKLOG = 4096
_OUT_OF_FILES_S = 0.2
_STOP_S = 3.0
_LINES_AT_ONCE = 50


class MonotonicClock:
    """Wall time that never steps: read once, then carried on by the monotonic clock."""

    def __init__(self) -> None:
        self._monotonic = time.monotonic()
        self._wall_us = time.time_ns() // 1000

    def wall_us(self, monotonic: float) -> int:
        """Wall time of a moment of the monotonic clock."""
        return self._wall_us + round((monotonic - self._monotonic) * 1e6)


class Simulator:
    """Cameras at `rtsp://host:port/cam/0`, `/cam/1`, ...; use as an async context manager."""

    def __init__(
        self,
        fleet: SimulatedFleet,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        credentials: Credentials | None = None,
        cache: Path | None = None,
        backlog: int = BACKLOG,
    ) -> None:
        self.ledger = Ledger()
        self._saving = asyncio.Lock()
        self.credentials = credentials
        self.backlog = backlog
        self.clock: Clock = MonotonicClock()
        self.loop: asyncio.AbstractEventLoop
        self.wheel: Wheel
        self._fleet = fleet
        self._host = host
        self._port = port
        self._cache = cache
        self._cameras: dict[str, Camera] = {}
        self._connections: set[Connection] = set()
        self._socket: socket.socket | None = None
        self._emptied = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def cameras(self) -> list[Camera]:
        """All cameras, by number."""
        return list(self._cameras.values())

    @property
    def worst_late_s(self) -> float:
        """The longest that anything was sent late by the simulator's own fault."""
        return self.wheel.worst_late_s

    def url(self, camera: int) -> str:
        """Where a camera is played, without credentials."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"rtsp://{host}:{self._port}/cam/{camera}"

    async def __aenter__(self) -> Self:
        """Load all footage, then listen.

        Raises:
            ConfigError: a file cannot be read.
            SimulateError: the fleet is empty, or this is not Linux.
            ListenError: the port cannot be had.
        """
        if sys.platform != "linux":
            raise SimulateError(
                "the simulator asks the kernel what has arrived as Linux answers it; "
                "run it on Linux, or in a container"
            )
        self.loop = asyncio.get_running_loop()
        self.wheel = Wheel(self.loop)
        plans = await asyncio.to_thread(self._fleet.load, self._cache)
        raise_file_limit()
        self._socket = self._listen()
        born = time.monotonic()
        for plan in plans:
            camera = Camera(
                plan,
                self.loop,
                born=born,
                born_us=self.clock.wall_us(born),
                dice=random.Random(f"{self._fleet.seed}/{plan.index}"),  # noqa: S311 - a toy's dice
            )
            self._cameras[plan.path] = camera
            self.ledger.add_camera(camera.life, camera.content)
        self.loop.add_reader(self._socket.fileno(), self._accept)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, let what was sent arrive, close all."""
        assert self._socket is not None
        self.loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for camera in self._cameras.values():
            camera.close()
        for connection in list(self._connections):
            connection.end("simulator stopped")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wait_until_empty(), _STOP_S)
        for connection in list(self._connections):
            connection.finish("simulator stopped")
        self.wheel.close()

    async def _wait_until_empty(self) -> None:
        while self._connections:
            self._emptied.clear()
            await self._emptied.wait()

    async def save(self, path: Path) -> None:
        """Write the ledger as it is now, without holding up the cameras for long."""
        async with self._saving:  # or two would write the same file
            for connection in self._connections:
                connection.sample()
            await asyncio.to_thread(self.ledger.save_contents, path.parent)
            fresh = path.with_suffix(".fresh")
            with fresh.open("w") as file:
                for count, line in enumerate(self.ledger.lines()):
                    file.write(line)
                    if count % _LINES_AT_ONCE == 0:
                        await asyncio.sleep(0)
            fresh.rename(path)

    # -- what connections need ------------------------------------------------------------------

    def camera(self, path: str) -> Camera | None:
        """The camera at a path."""
        return self._cameras.get(path)

    def opened(self, record: ConnectionRecord) -> None:
        """Someone plays."""
        self.ledger.add(record)

    def connections_of(self, camera: int) -> int:
        """How many have played this camera so far."""
        return len(self.ledger.connections(camera))

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._emptied.set()

    # -- listening -----------------------------------------------------------------------------

    def _listen(self) -> socket.socket:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            raise self._cannot_listen(error) from None
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind(address)
            sock.listen(_LISTEN_BACKLOG)
        except OSError as error:
            sock.close()
            raise self._cannot_listen(error) from None
        self._port = sock.getsockname()[1]
        return sock

    def _cannot_listen(self, error: OSError) -> ListenError:
        return ListenError(
            f"simulator: cannot listen on {self._host}:{self._port} ({error.strerror}); "
            "choose another with --port, or 0 for any free one"
        )

    def _accept(self) -> None:
        assert self._socket is not None
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                sock, peer = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError:  # no file handles left: rest, then go on
                self.loop.remove_reader(self._socket.fileno())
                self.loop.call_later(_OUT_OF_FILES_S, self._accept_again)
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(Connection(self, sock, f"{peer[0]}:{peer[1]}"))

    def _accept_again(self) -> None:
        assert self._socket is not None
        if self._socket.fileno() >= 0:
            self.loop.add_reader(self._socket.fileno(), self._accept)


def raise_file_limit() -> None:
    """Let this process open as many files as it may: each client takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
