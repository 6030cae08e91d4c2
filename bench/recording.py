"""The real recorder and simulated cameras as processes, and the log compared with the ledger.

What the heavy proofs (`thousand.py`, `kill.py`) and their small versions in the tests share.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kilocam.core import CameraKey, Gap, Piece, Session
from kilocam.record import Archive
from kilocam.simulate import ConnectionRecord, Group, Ledger, SimulatedFleet

EVER = (0, 1 << 52)
_STOP_S = 60.0
_ROOT = Path(__file__).resolve().parent.parent
_T = TypeVar("_T")


def until(condition: Callable[[], _T | None], seconds: float, what: str) -> _T:
    """Poll until `condition` gives something true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)
    return found


@contextmanager
def process(argv: Sequence[str], **options: object) -> Iterator["subprocess.Popen[bytes]"]:
    """A child that is gone afterwards, whatever happens."""
    with subprocess.Popen(argv, **options) as running:  # type: ignore[call-overload]  # passed on
        try:
            yield running
        finally:
            stop(running)


def stop(running: "subprocess.Popen[bytes]", seconds: float = _STOP_S) -> int:
    """Ask it to stop, wait, kill it when it does not."""
    with suppress(ProcessLookupError):
        running.terminate()
    try:
        return running.wait(seconds)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait(10)
        raise


class Cameras:
    """A running simulator; stop it before the recorder, so that all that was sent is stored."""

    def __init__(
        self, running: "subprocess.Popen[bytes]", url: str, count: int, file: Path
    ) -> None:
        self.count = count
        self._running = running
        self._url = url
        self._file = file

    @property
    def pid(self) -> int:
        """The simulator's process."""
        return self._running.pid

    def url(self, camera: int) -> str:
        """Where a camera is played."""
        return f"{self._url}/{camera}"

    def stop(self) -> Ledger:
        """End every connection once all that was sent has arrived; the truth."""
        stop(self._running)
        return Ledger.load(self._file)


@contextmanager
def cameras(
    groups: Sequence[Group], folder: Path, *, cache: Path | None = None
) -> Iterator[Cameras]:
    """Simulated cameras in a process of their own; the ledger goes to `folder`."""
    ledger = folder / "ledger.jsonl"
    fleet = folder / "fleet.pickle"
    fleet.write_bytes(pickle.dumps((SimulatedFleet(groups=groups), ledger, cache)))
    argv = [sys.executable, "-m", "bench.play", str(fleet)]
    with process(argv, cwd=_ROOT, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        yield Cameras(running, first["url"].rsplit("/", 1)[0], first["cameras"], ledger)


@dataclass(frozen=True, slots=True)
class Recording:
    """`kilocam up --roles recorder` as it runs."""

    process: "subprocess.Popen[bytes]"
    data: Path

    def child(self) -> dict[str, object]:
        """What the supervisor says of the recorder; empty before it does."""
        with suppress(OSError, ValueError, KeyError):
            for child in json.loads((self.data / "run" / "status.json").read_text())["children"]:
                if child["role"] == "recorder":
                    return dict(child)
        return {}

    def figure(self, name: str) -> float:
        """One of the recorder's own figures; -1 before it has said it."""
        figures = self.child().get("figures")
        return float(figures.get(name, -1)) if isinstance(figures, dict) else -1

    @property
    def pid(self) -> int:
        """The recorder's process, not the supervisor's."""
        return int(str(self.child().get("pid") or 0))

    def wait_recording(self, count: int, seconds: float = 60) -> None:
        """Until so many cameras play."""
        until(lambda: self.figure("recording") >= count, seconds, f"{count} cameras recording")

    def signal(self, number: signal.Signals) -> int:
        """Send the recorder itself a signal; the wall time just before, in microseconds."""
        pid = self.pid
        at = time.time_ns() // 1000
        os.kill(pid, number)
        return at

    def wait_replaced(self, pid: int, seconds: float = 60) -> None:
        """Until another process records."""
        until(lambda: self.pid not in (0, pid), seconds, "a new recorder")

    def wait_quiet(self, seconds: float = 60) -> None:
        """Until no camera plays any more: whatever came was read."""
        until(lambda: self.figure("recording") == 0, seconds, "no camera recording")

    @property
    def footage(self) -> Path:
        """The log's directory, unless the configuration says otherwise."""
        return self.data / "footage"

    def archive(self) -> Archive:
        """What is stored."""
        return Archive([self.footage])


def camera_id(number: int) -> str:
    """How the n-th simulated camera is called in the configuration."""
    return f"cam{number}"


@contextmanager
def recorder(folder: Path, urls: Sequence[str], *, extra: str = "") -> Iterator[Recording]:
    """Record `urls`; `extra` is added to the configuration file."""
    config, data = folder / "kilocam.toml", folder / "data"
    entries = [f'[[camera]]\nid = "{camera_id(n)}"\nurl = "{u}"\n' for n, u in enumerate(urls)]
    config.write_text(extra + "".join(entries))
    argv = [sys.executable, "-m", "kilocam", "up", "--roles", "recorder",
            "--config", str(config), "--data", str(data), "--http", "127.0.0.1:0"]  # fmt: skip
    log = (folder / "recorder.log").open("ab")
    with log, process(argv, stdout=subprocess.DEVNULL, stderr=log) as running:
        yield Recording(running, data)


# -- comparing ---------------------------------------------------------------------------------


def packets(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Channel and packet of each frame of a payload (RFC 2326 section 10.12)."""
    at = 0
    while at < len(payload):
        size = int.from_bytes(payload[at + 2 : at + 4], "big")
        yield payload[at + 1], payload[at + 4 : at + 4 + size]
        at += 4 + size


def stored_sessions(archive: Archive, camera: int) -> list[tuple[Session, list[Piece]]]:
    """The pieces of each stored session of a camera, in the order they were written."""
    found: dict[int, tuple[Session, list[Piece]]] = {}
    marks = archive.marks(CameraKey("default", camera_id(camera)), *EVER)
    for session, piece in archive.read(sorted(marks, key=lambda mark: (mark.epoch, mark.sequence))):
        found.setdefault(session.session, (session, []))[1].append(piece)
    return list(found.values())


def stored_packets(pieces: Sequence[Piece]) -> Iterator[bytes]:
    """Every packet, RTP and RTCP, as it came."""
    return (packet for piece in pieces for _, packet in packets(piece.payload))


def connection_of(ledger: Ledger, camera: int, pieces: Sequence[Piece]) -> ConnectionRecord | None:
    """The connection that sent this: sources (SSRC) are never the same twice."""
    sources = {t.ssrc: record for record in ledger.connections(camera) for t in record.tracks}
    for packet in stored_packets(pieces):
        # A source stands at bytes 8-11 of RTP, at 4-7 of RTCP (RFC 3550 sections 5.1, 6.4.1).
        at = 4 if 192 <= packet[1] <= 223 else 8
        record = sources.get(int.from_bytes(packet[at : at + 4], "big"))
        if record is not None:
            return record
    return None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Stored against sent."""

    connections: int
    packets: int
    differences: list[str]


def compare(archive: Archive, ledger: Ledger, numbers: Sequence[int]) -> Comparison:
    """Every packet of every connection of some cameras; names the first difference of each."""
    differences: list[str] = []
    connections = count = 0
    for camera in numbers:
        unseen = {record.connection for record in ledger.connections(camera)}
        for session, pieces in stored_sessions(archive, camera):
            record = connection_of(ledger, camera, pieces)
            if record is None:
                differences.append(f"{camera_id(camera)}: session {session.session} has no sender")
                continue
            unseen.discard(record.connection)
            found = ledger.compare(camera, record.connection, stored_packets(pieces))
            count += sum(piece.packets for piece in pieces)
            connections += 1
            if found is not None:
                differences.append(
                    f"{camera_id(camera)}, connection {record.connection} "
                    f"({record.reason}): {found}"
                )
        for number in unseen:
            sent = sum(1 for _ in ledger.expected_packets(camera, number))
            if sent:
                differences.append(f"{camera_id(camera)}, connection {number}: all {sent} missing")
    return Comparison(connections, count, differences)


def gaps(archive: Archive, camera: int) -> list[Gap]:
    """What the log says is missing of a camera."""
    return archive.gaps(CameraKey("default", camera_id(camera)), *EVER)
