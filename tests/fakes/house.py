"""A whole Kilocam with its cameras, as processes that can be killed and frozen.

    with house(cameras=6) as it:
        it.wait_ready()
        it.kill("postgres")
        it.wait_replaced("postgres", before)
        ...
    truth = it.recorded()     # after the end: what is stored against what was sent

The data directory lies where every user may enter: started by root, Postgres runs as another one.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.recording import (
    Cameras,
    compare,
    gaps,
    stored_sessions,
    until,
)
from bench.recording import cameras as simulated
from tests.fakes.tree import Tree, family
from websockets.asyncio.client import connect

from kilocam.core import Gap
from kilocam.media import PatternSpec
from kilocam.record import Archive
from kilocam.simulate import Group, Ledger

ENGINES = ("nats", "postgres")
PASSWORD = "the-cameras-password"
_CALL_S = 20.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is stored of all cameras, held against the ledger."""

    cameras: int
    connections: int
    packets: int
    differences: list[str]
    """Where what is stored is not what was sent; empty means packet for packet."""
    gaps: list[Gap]


class House(Tree):
    """`kilocam up` and its simulated cameras."""

    def __init__(self, folder: Path, played: Cameras) -> None:
        super().__init__(folder / "data", folder / "up.log")
        self.folder = folder
        self.said = folder / "up.out"
        self._played = played
        self._ledger: Ledger | None = None
        self._running: subprocess.Popen[bytes] | None = None

    # -- life -------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "kilocam.toml"

    def start(self, *, extra: str = "", roles: str = "") -> None:
        """`kilocam up` on all cameras; `extra` is added to the configuration file."""
        entries = [
            f'[[camera]]\nid = "cam{n}"\nurl = "{_with_login(self._played.url(n))}"\n'
            for n in range(self._played.count)
        ]
        self.config.write_text(extra + "".join(entries))
        argv = [sys.executable, "-m", "kilocam", "up", "--config", str(self.config),
                "--data", str(self.data), "--http", "127.0.0.1:0",
                *(["--roles", roles] if roles else [])]  # fmt: skip
        with self.log.open("ab") as log, self.said.open("wb") as said:
            self._running = subprocess.Popen(argv, stdout=said, stderr=log)

    def stop(self) -> int:
        """End the cameras first, so that what was sent is stored, then `up`; its exit status."""
        assert self._running is not None
        running, self._running = self._running, None
        try:
            self.end_cameras()
        finally:
            running.terminate()
            try:
                status = running.wait(60)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait(10)
                raise
        return status

    def end_cameras(self) -> None:
        """Let everything that was sent arrive and be read; the ledger is whole then."""
        if self._ledger is None:
            self._ledger = self._played.stop()
            with suppress(TimeoutError):
                until(lambda: self.figure("recorder-0", "recording") <= 0, 30, "cameras ended")

    @property
    def supervisor_pid(self) -> int:
        """The process of `up` itself."""
        assert self._running is not None
        return self._running.pid

    @property
    def cameras_pid(self) -> int:
        """The process of the simulator."""
        return self._played.pid

    # -- waits ------------------------------------------------------------------------------

    def wait_recording(self, seconds: float = 60) -> None:
        """Until every camera is recorded."""
        wanted = self._played.count
        until(lambda: self.figure("recorder-0", "recording") >= wanted, seconds, "all recording")

    def wait_ready(self, *names: str, seconds: float = 120) -> None:
        """Until these children serve; all, and `url` is known, when none is named."""
        super().wait_ready(*names, seconds=seconds)
        if not names:
            # Where the gateway is is written once all serve, a little later on a busy machine.
            until(self._address.exists, seconds, "where the gateway is")

    def wait_announced(self, seconds: float = 60) -> None:
        """Until new windows reach the queue again."""
        mark = self.data / "announced-recorder-0.json"

        def sequence() -> int:
            with suppress(OSError, ValueError, KeyError):
                return int(json.loads(mark.read_text())["sequence"])
            return 0

        # A position is a time in microseconds, so it says how far behind the queue is.
        until(lambda: sequence() > time.time_ns() // 1000 - 6_000_000, seconds, "windows announced")

    # -- the gateway ------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return self._address.read_text().strip()

    @property
    def _address(self) -> Path:
        return self.data / "run" / "address"

    @property
    def token(self) -> str:
        """The administrator's."""
        return (self.data / "admin-token").read_text().strip()

    def get(self, path: str, *, token: str = "") -> bytes:
        """The body of a GET, as the administrator unless told; raises `HTTPError` for a problem."""
        request = urllib.request.Request(
            self.url + path, headers={"Authorization": f"Bearer {token or self.token}"}
        )
        with urllib.request.urlopen(request, timeout=_CALL_S) as answer:
            body: bytes = answer.read()
            return body

    def get_json(self, path: str) -> Any:
        """The same, parsed."""
        return json.loads(self.get(path))

    def answers(self, path: str) -> bool:
        """Whether a GET succeeds now."""
        try:
            self.get(path)
        except (urllib.error.URLError, OSError):
            return False
        return True

    def footage(self, camera: int, last_s: float) -> dict[str, Any]:
        """`GET …/footage` of the last seconds."""
        found: dict[str, Any] = self.get_json(
            f"/v1/cameras/cam{camera}/footage?{between(last_s, 0)}"
        )
        return found

    def plays(self, camera: int, last_s: float) -> bytes:
        """The first segment of a playlist of the last seconds, by its capability alone."""
        path = f"/v1/cameras/cam{camera}/hls/index.m3u8?{between(last_s, 2)}"
        lines = self.get(path).decode().splitlines()
        segment = next(line for line in lines if line and not line.startswith("#"))
        with urllib.request.urlopen(
            urllib.parse.urljoin(self.url + path, segment), timeout=_CALL_S
        ) as answer:
            body: bytes = answer.read()
            return body

    def live(self, camera: int, parts: int = 3) -> int:
        """Bytes of so many parts of a camera's live view."""

        async def watch() -> int:
            url = self.url.replace("http", "ws", 1) + f"/v1/cameras/cam{camera}/live"
            headers = {"Authorization": f"Bearer {self.token}"}
            async with (
                asyncio.timeout(_CALL_S),
                connect(url, additional_headers=headers, compression=None) as socket,
            ):
                first = json.loads(await socket.recv())
                if "mime" not in first:
                    raise AssertionError(f"no live view: {first}")
                return sum([len(await socket.recv()) for _ in range(parts)])

        return asyncio.run(watch())

    def secrets_shown(self) -> list[str]:
        """Files and processes that show the cameras' password or the administrator's token."""
        wanted = [PASSWORD.encode(), self.token.encode()]
        files = [self.log, *(path for path in self.data.rglob("*") if path.is_file())]
        for pid in family(self.supervisor_pid):
            files += [Path(f"/proc/{pid}/cmdline"), Path(f"/proc/{pid}/environ")]
        found = []
        for file in files:
            if file == self.data / "admin-token":
                continue
            with suppress(OSError):  # gone meanwhile
                content = file.read_bytes()
                found += [str(file) for secret in wanted if secret in content]
        return found

    # -- the truth --------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """What was sent; after `end_cameras`."""
        assert self._ledger is not None
        return self._ledger

    def recorded(self) -> Recorded:
        """Stored against sent, for all cameras; after `stop`."""
        assert self._ledger is not None
        archive = Archive([self.data / "footage"])
        numbers = range(self._played.count)
        found = compare(archive, self._ledger, numbers)
        between_ends = [gap for n in numbers for gap in _inner_gaps(archive, n)]
        return Recorded(
            self._played.count, found.connections, found.packets, found.differences, between_ends
        )


def _with_login(url: str) -> str:
    """The simulator lets everybody in; what matters is that nothing shows the login."""
    return url.replace("rtsp://", f"rtsp://viewer:{PASSWORD}@", 1)


def between(from_s_ago: float, to_s_ago: float) -> str:
    """The query of a stretch of time up to now."""
    now = datetime.now(UTC).timestamp()

    def text(ago: float) -> str:
        return datetime.fromtimestamp(now - ago, UTC).isoformat().replace("+00:00", "Z")

    return f"from={text(from_s_ago)}&to={text(to_s_ago)}"


def _inner_gaps(archive: Archive, camera: int) -> list[Gap]:
    """Gaps between the first and the last piece; before is boot, after is the end of the test."""
    pieces = [piece for _, pieces in stored_sessions(archive, camera) for piece in pieces]
    if not pieces:
        return gaps(archive, camera)
    first = min(piece.wall_us for piece in pieces)
    last = max(piece.wall_us for piece in pieces)
    return [gap for gap in gaps(archive, camera) if gap.start_us >= first and gap.end_us <= last]


@contextmanager
def house(
    cameras: int = 6,
    *,
    groups: Sequence[Group] | None = None,
    prepare: Callable[[Path], None] | None = None,
    extra: str = "",
    roles: str = "",
) -> Iterator[House]:
    """Cameras that play, and Kilocam that was just started on them.

    Args:
        cameras: How many cameras, all of them plain ones; or give `groups`.
        prepare: Is handed the data directory, which exists, before anything is started.
        extra: Is added to the configuration file.
        roles: Which roles run; all when none is named.
    """
    folder = Path(tempfile.mkdtemp(prefix="kilocam-house-"))
    folder.chmod(0o755)
    played = groups or [Group(count=cameras, source=PatternSpec(seconds=10))]
    try:
        with simulated(played, folder) as playing:
            it = House(folder, playing)
            it.data.mkdir()
            if prepare is not None:
                prepare(it.data)
            it.start(extra=extra, roles=roles)
            try:
                yield it
            finally:
                if it._running is not None:
                    it.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
