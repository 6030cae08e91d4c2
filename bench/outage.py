"""No analyst for a while: what waited is caught up newest first, while what is new stays current.

    python -m bench.outage --cameras 100 --outage 180
    python -m bench.outage --outage 3600          # the hour itself

Two machines look at cameras of which a tenth see a street; then both are gone, while everything is
recorded, and come back. Shorter than an hour, an outage is compressed by its length alone: as many
windows wait as of a fleet smaller by that factor after an hour, and nothing becomes too old. So
`hour` says what the pace that was measured comes to: of an hour the newest `caught_up` is looked
at, which takes `drain_s`; what is older then has become too old, and is skipped as such.
"""

import argparse
import dataclasses
import json
import sys
import time
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from bench.account import Kept, account, longest_unseen_s
from bench.analysts import read_logs
from bench.chaos import fleet
from bench.looking import Run, load, percentile, table
from bench.machines import WITHOUT_ANALYSTS, Machine, machines
from tests.fakes.house import house

CURRENT_S = 10.0
"""From when the analysts are there again until every camera's newest window was looked at ..."""
UNSEEN_S = 10.0
"""... and from then on between two such looks."""
INVERTED = 0.05
"""Share of pairs of caught up windows of a camera that were not looked at newest first."""
_LATE_US = 10_000_000
"""A window looked at later than this was not looked at while it was new."""
_STRETCH_US = 10_000_000
"""The newest stretch comes first, and is looked at from its beginning (design: analyse)."""
_HOUR_S = 3600.0
_LEARNING_S = 75.0
"""An analyst keeps what it has learnt of its cameras each minute."""


@dataclass(kw_only=True)
class Result(Run):
    """One run; `seconds` is the outage's length."""

    ready_s: float = 0.0
    """From the return until both machines say that they look."""
    current_s: dict[str, float] = field(default_factory=dict)
    """From then on until a window of a camera was looked at that began after the return."""
    behind: int = 0
    """Windows of the outage."""
    behind_looked: int = 0
    behind_skipped: dict[str, int] = field(default_factory=dict)
    drain_s: float = 0.0
    """From the return until the last of them was looked at."""
    ages_s: list[float] = field(default_factory=list)
    """How long before the return they began, on average, by quarters of them as looked at."""
    inverted: float = 0.0
    hour: dict[str, float] = field(default_factory=dict)
    most_pending: int = 0
    warnings: dict[str, int] = field(default_factory=dict)

    def judge_return(self, kept: Sequence[Kept], out_us: int, back_us: int, to_us: int) -> None:
        """From the rows: what was looked at when, after the analysts' return."""
        self._judge_live(kept, back_us, to_us)
        behind = [row for row in kept if out_us <= row.start_us < back_us]
        self.behind = len(behind)
        skipped = Counter(row.outcome for row in behind if row.looked_us is None)
        self.behind_skipped = dict(skipped)
        looked = sorted(
            (row.looked_us, row.start_us, row.camera)
            for row in behind
            if row.looked_us is not None and row.looked_us >= back_us
        )
        self.behind_looked = len(looked)
        if not looked:
            self.faults.append("nothing of the outage was looked at")
            return
        self.drain_s = round((looked[-1][0] - back_us) / 1e6, 1)
        ages = [(back_us - start_us) / 1e6 for _, start_us, _ in looked]
        self.ages_s = [round(fmean(each), 1) for each in _quarters(ages)]
        self.inverted = round(inverted([(camera, at) for _, at, camera in looked]), 4)
        pace = self.seconds / self.drain_s
        self.hour = {
            "caught_up": round(pace / (1 + pace), 2),
            "drain_s": round(_HOUR_S / (1 + pace)),
        }

    def _judge_live(self, kept: Sequence[Kept], back_us: int, to_us: int) -> None:
        live = [
            row
            for row in kept
            if row.looked_us is not None
            and row.start_us >= back_us
            and row.looked_us - row.start_us < _LATE_US
        ]
        first: dict[str, int] = {}
        for row in live:
            assert row.looked_us is not None
            first[row.camera] = min(row.looked_us, first.get(row.camera, row.looked_us))
        if len(first) < self.cameras:
            self.faults.append(f"{self.cameras - len(first)} cameras were not looked at live")
        waits = [(at - back_us) / 1e6 - self.ready_s for at in first.values()]
        self.current_s = {"p50": percentile(waits, 0.5), "max": percentile(waits, 1.0)}
        current_us = max(first.values(), default=back_us)
        unseen = longest_unseen_s(live, self.cameras, current_us, to_us)
        self.longest_unseen_s = round(max(unseen), 2)


def _quarters(values: Sequence[float]) -> list[Sequence[float]]:
    """In order; fewer where there are fewer values."""
    cuts = [len(values) * quarter // 4 for quarter in range(5)]
    return [values[a:b] for a, b in pairwise(cuts) if b > a]


def inverted(looked: Sequence[tuple[str, int]]) -> float:
    """Of all pairs of windows of one camera, the share not looked at in the order promised.

    Args:
        looked: Camera and start of windows, in the order of looks.
    """
    before: dict[str, list[tuple[int, int]]] = defaultdict(list)
    pairs = wrong = 0
    for camera, start_us in looked:
        rank = (-(start_us // _STRETCH_US), start_us)
        earlier = before[camera]
        pairs += len(earlier)
        wrong += len(earlier) - bisect_left(earlier, rank)
        insort(earlier, rank)
    return wrong / pairs if pairs else 0.0


def prove(
    cameras: int, outage_s: float, after_s: float, *, learning_s: float = _LEARNING_S
) -> Result:
    """One run; the cameras go on until little waits, but at most `after_s` after the return."""
    result = Result(cameras=cameras, seconds=outage_s, load_before=load())
    with house(groups=fleet(cameras), roles=WITHOUT_ANALYSTS) as it:
        it.wait_ready(seconds=300)
        with machines(it, 2) as found:
            it.wait_recording(180)
            for each in found:
                each.wait_ready(seconds=120)
            time.sleep(learning_s)
            recorder = it.pid("recorder-0")
            for each in found:
                each.kill()
            out_us = time.time_ns() // 1000
            time.sleep(outage_s)
            back_us = time.time_ns() // 1000
            for each in found:
                each.start()
            for each in found:
                each.wait_ready(seconds=120)
            result.ready_s = round((time.time_ns() // 1000 - back_us) / 1e6, 1)
            _wait_drained(result, found, after_s)
            to_us = time.time_ns() // 1000
            it.end_cameras()
            accounts = account(it)
            result.warnings, errors = read_logs([it, *found])
        if it.pid("recorder-0") != recorder:
            result.faults.append("the recorder was replaced")
        if it.stop() != 0:
            result.faults.append("it did not stop cleanly")
        truth = it.recorded()
    result.faults += errors
    result.judge(accounts, truth, back_us, to_us)
    result.judge_return(accounts.kept, out_us, back_us, to_us)
    return result


def _wait_drained(result: Result, found: Sequence[Machine], after_s: float) -> None:
    """Until no more waits than there are cameras, or the time is over; half a minute at least."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < after_s:
        pending = sum(each.pending for each in found)
        result.most_pending = max(result.most_pending, pending)
        if waited > 30 and pending <= result.cameras:
            return
        time.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=100)
    parser.add_argument("--outage", type=float, default=180, help="seconds")
    parser.add_argument("--after", type=float, default=180, help="seconds, at most")
    given = parser.parse_args()
    result = prove(given.cameras, given.outage, given.after)
    print(json.dumps(dataclasses.asdict(result), indent=1))
    accounted = result.looked + sum(result.skipped.values())
    current = result.current_s["max"]
    rows = [
        ("accounts, packets, errors that differ", len(result.faults), "0", not result.faults),
        ("windows looked at or skipped", accounted, str(result.windows),
         accounted == result.windows),
        ("all cameras current after, s", current, f"<= {CURRENT_S:g}", current <= CURRENT_S),
        ("then longest unseen, s", result.longest_unseen_s, f"<= {UNSEEN_S:g}",
         result.longest_unseen_s <= UNSEEN_S),
        ("pairs not newest first", result.inverted, f"<= {INVERTED:g}",
         result.inverted <= INVERTED),
    ]  # fmt: skip
    print(table(rows))
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
