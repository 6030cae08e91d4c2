"""What analysis did in a run of the whole system: windows of log and database, news, processors.

What `fleet.py`, `overload.py`, `others.py` and their small versions in the tests share.
"""

import asyncio
import http.client
import json
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
from bench.recording import until
from tests.fakes.house import House, Recorded, tell

from kilocam.cli.bench.processes import Meter
from kilocam.cli.data import DataDir
from kilocam.cli.installation import Installation
from kilocam.core import parse_time
from kilocam.core.settings import load_settings
from kilocam.database import Database
from kilocam.record import Position, replay

_SETTLED_S = 900.0
"""A backlog is looked at window by window, and each of them whole."""
_WINDOWS = "select camera, start as start_us, outcome, looked as looked_us from window_state"
_COUNTS = "select camera, outcome, sum(windows)::bigint as many from window_count group by 1, 2"


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

    def judge(self, found: "Account", truth: Recorded, from_us: int, to_us: int) -> None:
        """Take in the account of the windows and the recorder's, measured in [from, to)."""
        self.packets = truth.packets
        self.windows, self.looked, self.skipped = len(found.windows), found.looked, found.skipped
        unseen = longest_unseen_s(found.kept, self.cameras, from_us, to_us)
        self.longest_unseen_s = round(max(unseen), 2)
        self.faults += found.faults + truth.differences + [f"gap: {gap}" for gap in truth.gaps]


# -- the account -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """A window's row in the database."""

    camera: str
    start_us: int
    outcome: str
    looked_us: int | None


@dataclass(slots=True)
class Account:
    """Every window of the log against every row of the database."""

    windows: frozenset[tuple[str, int]] = frozenset()
    """Camera and start of each window of the log."""
    looked: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def account(it: House) -> Account:
    """Once the cameras have ended: waits until all is settled, then compares window by window."""
    walk = replay([it.data / "footage"], Position(recorder="recorder-0", sequence=0))
    stored = Counter((ref.camera, ref.start_us) for ref, _ in walk)
    found = Account(windows=frozenset(stored))

    def settled() -> bool:
        return int(it.get_json("/v1/analysis")["offered"]) >= len(stored)

    try:
        until(settled, _SETTLED_S, "every window accounted for")
    except TimeoutError as error:
        found.faults.append(str(error))
    rows, counts = asyncio.run(_rows(it))
    found.kept = rows
    outcomes = Counter(row.outcome for row in rows)
    found.looked = outcomes.pop("looked", 0)
    found.skipped = dict(outcomes)
    kept = Counter((row.camera, row.start_us) for row in rows)
    for what, windows in (("stored, not kept", stored - kept), ("kept, not stored", kept - stored)):
        if windows:
            found.faults.append(f"{windows.total()} windows {what}: {sorted(windows)[:3]}")
    if counts != Counter((row.camera, row.outcome) for row in rows):
        found.faults.append("the counts are not those of the windows")
    return found


async def _rows(it: House) -> tuple[list[Kept], Counter[tuple[str, str]]]:
    installation = Installation(DataDir(it.data), load_settings(it.folder / "kilocam.toml"))
    async with (
        Database(installation.shards, installation.database_secrets) as database,
        database.for_tenant("default") as transaction,
    ):
        rows = await transaction.fetch(_WINDOWS)
        counts = await transaction.fetch(_COUNTS)
    kept = [Kept(r["camera"], r["start_us"], r["outcome"], r["looked_us"]) for r in rows]
    return kept, Counter({(r["camera"], r["outcome"]): r["many"] for r in counts})


def longest_unseen_s(kept: Sequence[Kept], cameras: int, from_us: int, to_us: int) -> list[float]:
    """Of each camera the longest time between two looks, as far as it lies in [from, to)."""
    looks: dict[str, list[int]] = defaultdict(list)
    for row in kept:
        if row.looked_us is not None:
            looks[row.camera].append(row.looked_us)
    worst = []
    for n in range(cameras):
        at = sorted(each for each in looks[f"cam{n}"] if each < to_us)
        before = max((each for each in at if each <= from_us), default=from_us)
        within = [before, *(each for each in at if each > from_us), to_us]
        worst.append(max(b - a for a, b in pairwise(within)) / 1e6)
    return worst


def looks_per_camera(kept: Sequence[Kept], cameras: int, from_us: int, to_us: int) -> list[int]:
    """Windows of [from, to) that were looked at in [from, to), by camera."""
    looked = Counter(
        row.camera
        for row in kept
        if row.looked_us is not None and from_us <= row.start_us <= row.looked_us < to_us
    )
    return [looked[f"cam{n}"] for n in range(cameras)]


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
