"""Analysts killed and frozen at random under load: what insight and recording lose.

    python -m bench.analysts --cameras 100 --seconds 600

Two machines look at cameras of which a tenth see a street. At random moments an analyst, one of its
workers or a whole machine is killed or frozen for up to 40 s, at times all at once; a machine that
wakes up after its lease has ended still has looks on their way and writes them. Then: each window
of the log is in the database once, looked at or skipped with its reason; counts and sums are those
of the windows; no event is there twice; what is stored is what was sent, packet for packet.
"""

import argparse
import dataclasses
import heapq
import itertools
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.account import account
from bench.chaos import fleet
from bench.looking import Run, load, table
from bench.machines import ANALYST, WITHOUT_ANALYSTS, Machine, machines
from tests.fakes.house import house
from tests.fakes.tree import Tree, tell

LEASE_S = 10.0
"""A machine that is frozen for longer has lost what it held."""
FROZEN_S = (2.0, 40.0)
OFF_S = (1.0, 10.0)
BETWEEN_S = (1.0, 8.0)
_EXPECTED = ("killed by SIGKILL", "gave no sign of life", "did not come to life", "kilocam.ingest")
"""Strokes of ours, and cameras that end at the end."""


@dataclass(kw_only=True)
class Result(Run):
    """One run."""

    seed: int
    events: int = 0
    strokes: dict[str, int] = field(default_factory=dict)
    outlived: int = 0
    """Times that a machine froze for longer than its lease and woke up."""
    most_pending: int = 0
    """Windows that waited for a look at the worst moment, as far as the analysts knew."""
    warnings: dict[str, int] = field(default_factory=dict)
    """Said by analysts, supervisors and the house, without what was to be expected."""


class Chaos:
    """Strokes of random kind at random moments; every one of them ends.

    Args:
        found: the machines.
        dice: decides everything.
    """

    def __init__(self, found: Sequence[Machine], dice: random.Random) -> None:
        self._machines = found
        self._dice = dice
        self._ends: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._struck: set[str] = set()
        """Machines that are frozen or off as a whole; nothing else can befall them."""
        self.strokes: Counter[str] = Counter()
        self.outlived = 0
        self.most_pending = 0

    def rage(self, seconds: float) -> None:
        """Strike for so long; afterwards all machines run."""
        over = time.monotonic() + seconds
        due = 0.0
        try:
            while (now := time.monotonic()) < over:
                if now >= due:
                    self._strike()
                    due = now + self._dice.uniform(*BETWEEN_S)
                self._end_due(now)
                pending = sum(each.pending for each in self._machines)
                self.most_pending = max(self.most_pending, pending)
                time.sleep(0.1)
        finally:
            self._end_due(float("inf"))

    def _strike(self) -> None:
        at_all = self._dice.random() < 0.1
        chosen = list(self._machines) if at_all else [self._dice.choice(self._machines)]
        kind = self._dice.choice(
            (self._kill_analyst, self._kill_worker, self._kill_machine,
             self._freeze_analyst, self._freeze_worker, self._freeze_machine)
        )  # fmt: skip
        struck = [each for each in chosen if each.name not in self._struck]
        for each in struck:
            kind(each)
        if struck:
            name = kind.__name__.strip("_").replace("_", " ")
            self.strokes[f"{name}, all" if len(struck) > 1 else name] += 1

    def _kill_analyst(self, machine: Machine) -> None:
        tell(_there(machine.pid(ANALYST)), signal.SIGKILL)

    def _kill_worker(self, machine: Machine) -> None:
        tell(self._any(machine.workers), signal.SIGKILL)

    def _kill_machine(self, machine: Machine) -> None:
        machine.kill()
        self._later(machine, self._dice.uniform(*OFF_S), machine.start)

    def _freeze_analyst(self, machine: Machine) -> None:
        self._freeze(_there(machine.pid(ANALYST)))

    def _freeze_worker(self, machine: Machine) -> None:
        self._freeze(self._any(machine.workers))

    def _freeze_machine(self, machine: Machine) -> None:
        seconds = self._dice.uniform(*FROZEN_S)
        pids = machine.all
        tell(pids, signal.SIGSTOP)
        self.outlived += seconds > LEASE_S
        self._later(machine, seconds, lambda: tell(pids, signal.SIGCONT))

    def _freeze(self, pids: list[int]) -> None:
        tell(pids, signal.SIGSTOP)
        end = time.monotonic() + self._dice.uniform(*FROZEN_S)
        self._push(end, lambda: tell(pids, signal.SIGCONT))

    def _any(self, pids: Sequence[int]) -> list[int]:
        return [self._dice.choice(pids)] if pids else []

    def _later(self, machine: Machine, seconds: float, what: Callable[[], None]) -> None:
        def end() -> None:
            self._struck.discard(machine.name)
            what()

        self._struck.add(machine.name)
        self._push(time.monotonic() + seconds, end)

    def _push(self, at: float, end: Callable[[], None]) -> None:
        heapq.heappush(self._ends, (at, next(self._order), end))

    def _end_due(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            heapq.heappop(self._ends)[2]()


def _there(pid: int) -> list[int]:
    return [pid] if pid else []


def prove(cameras: int, seconds: float, seed: int, *, settling_s: float = 30.0) -> Result:
    """One run."""
    result = Result(cameras=cameras, seconds=seconds, seed=seed, load_before=load())
    with house(groups=fleet(cameras), roles=WITHOUT_ANALYSTS) as it:
        it.wait_ready(seconds=300)
        with machines(it, 2) as found:
            it.wait_recording(180)
            for each in found:
                each.wait_ready(seconds=120)
            time.sleep(settling_s)
            recorder = it.pid("recorder-0")
            chaos = Chaos(found, random.Random(seed))
            from_us = time.time_ns() // 1000
            chaos.rage(seconds)
            to_us = time.time_ns() // 1000
            for each in found:
                each.wait_ready(seconds=120)
            it.end_cameras()
            accounts = account(it)
            result.warnings, errors = read_logs([it, *found])
        if it.pid("recorder-0") != recorder:
            result.faults.append("the recorder was replaced")
        if it.stop() != 0:
            result.faults.append("it did not stop cleanly")
        truth = it.recorded()
    result.faults += errors
    result.strokes = dict(sorted(chaos.strokes.items()))
    result.outlived, result.most_pending = chaos.outlived, chaos.most_pending
    result.events = accounts.events
    result.judge(accounts, truth, from_us, to_us)
    return result


def read_logs(trees: Sequence[Tree]) -> tuple[dict[str, int], list[str]]:
    """How often which warning was said, without what was to be expected; and errors."""
    warnings: Counter[str] = Counter()
    errors = []
    for tree in trees:
        for line in tree.log.read_text(errors="replace").splitlines():
            _, level, said = (*line.split(" ", 2), "", "")[:3]
            if level in ("ERROR", "CRITICAL") or "Traceback" in line:
                errors.append(line[:500])
            elif level == "WARNING" and not any(each in said for each in _EXPECTED):
                warnings[said[:200]] += 1
    return dict(warnings), errors


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000)
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr, flush=True)
    result = prove(given.cameras, given.seconds, given.seed)
    print(json.dumps(dataclasses.asdict(result), indent=1))
    accounted = result.looked + sum(result.skipped.values())
    rows = [
        ("accounts, packets, errors that differ", len(result.faults), "0", not result.faults),
        ("windows looked at or skipped", accounted, str(result.windows),
         accounted == result.windows),
        ("times a machine outlived its lease", result.outlived, ">= 1", result.outlived > 0),
    ]  # fmt: skip
    print(table(rows))
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
