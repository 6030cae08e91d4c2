"""What analysis did in a run of the whole system: windows of log and database, news, processors.

What `fleet.py`, `overload.py`, `others.py` and their small versions in the tests share.
"""

import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
from bench.account import Account, longest_unseen_s
from tests.fakes.house import House, Recorded
from tests.fakes.tree import tell

from kilocam.cli.bench.processes import Meter
from kilocam.core import parse_time


@dataclass(kw_only=True)
class Run:
    """What every such run tells; `faults` is empty when every account is exact."""

    cameras: int
    seconds: float
    packets: int = 0
    windows: int = 0
    looked: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    longest_unseen_s: float = 0.0
    load_before: str = ""
    faults: list[str] = field(default_factory=list)

    def judge(self, found: Account, truth: Recorded, from_us: int, to_us: int) -> None:
        """Take in the account of the windows and the recorder's, measured in [from, to)."""
        self.packets = truth.packets
        self.windows, self.looked, self.skipped = len(found.windows), found.looked, found.skipped
        unseen = longest_unseen_s(found.kept, self.cameras, from_us, to_us)
        self.longest_unseen_s = round(max(unseen), 2)
        self.faults += found.faults + truth.differences + [f"gap: {gap}" for gap in truth.gaps]


# -- news --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class News:
    """An event as a listener was told of it for the first time."""

    camera: str
    label: str
    start_us: int
    told_us: int


class Listener:
    """A client of `/v1/events/stream` in a thread."""

    def __init__(self, it: House) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(it.url).netloc, timeout=60)
        self._headers = {"Authorization": f"Bearer {it.token}"}
        self._first: dict[str, News] = {}
        self._over = False
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        # A sign of life comes each 15 s at the latest, and ends the thread.
        self._thread.join(30)

    def news(self) -> list[News]:
        """So far."""
        return list(self._first.values())

    def _listen(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            self._connection.request("GET", "/v1/events/stream", headers=self._headers)
            answer = self._connection.getresponse()
            while not self._over and (line := answer.readline()):
                if line.startswith(b"data: "):
                    told_us = time.time_ns() // 1000
                    event = json.loads(line[6:])
                    news = News(
                        event["camera"], event["class"], parse_time(event["start"]), told_us
                    )
                    self._first.setdefault(event["id"], news)
        self._connection.close()


# -- processors --------------------------------------------------------------------------------


def meters(it: House) -> dict[str, Meter]:
    """Of the simulator, all of `up`, and each of its children, with all their descendants."""
    pids = {
        "simulator": it.cameras_pid,
        "kilocam up": it.supervisor_pid,
        **{name: it.pid(name) for name in it.children()},
    }
    return {name: Meter([pid]) for name, pid in pids.items() if pid}


def stage_cost_s(it: House) -> dict[str, float]:
    """Of each stage of the cascade, what it has cost so far."""
    stages = it.get_json("/v1/analysis")["cascade"]["stages"]
    return {each["name"]: each["seen"] * (each["cost_ms"] or 0) / 1e3 for each in stages}


@contextmanager
def overloaded(it: House, factor: float) -> Iterator[None]:
    """Analysis' workers get so little time that `factor` times more is offered than looked at.

    They are stopped and continued four times a second, as if they had a smaller machine.
    """
    over = threading.Event()

    def workers() -> list[int]:
        with suppress(psutil.Error):
            return [each.pid for each in psutil.Process(it.pid("analyst-0")).children()]
        return []

    def figures() -> tuple[float, float]:
        return it.figure("analyst-0", "offered"), it.figure("analyst-0", "looked")

    def hold() -> None:
        share, turn = 0.3, 0
        offered, looked = figures()
        while not over.is_set():
            pids = workers()
            tell(pids, signal.SIGCONT)
            over.wait(0.25 * share)
            if share < 1:
                tell(pids, signal.SIGSTOP)
                over.wait(0.25 * (1 - share))
            turn += 1
            if turn % 20 == 0:
                now = figures()
                more, done = now[0] - offered, max(now[1] - looked, 1)
                offered, looked = now
                share = min(1.0, max(0.02, share * min(2.0, max(0.5, more / factor / done))))
        tell(workers(), signal.SIGCONT)

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        yield
    finally:
        over.set()
        holding.join()


def table(rows: Sequence[tuple[str, object, str, bool]]) -> str:
    """What, found, promised, kept: a line each."""
    wide = max(len(what) for what, *_ in rows)
    return "\n".join(
        f"{what:{wide}}  {found!s:>10}  {promised:>12}  {'held' if held else 'BROKEN'}"
        for what, found, promised, held in rows
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Of values; 0 without any."""
    return round(float(np.quantile(values, share)), 2) if values else 0.0


def load() -> str:
    """What else the machine did."""
    return Path("/proc/loadavg").read_text().split()[0]
