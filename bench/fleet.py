"""A small site on two cores: everything recorded, every camera looked at, events in time.

    python -m bench.fleet --cameras 200 --seconds 120

`kilocam up` with its queue and database, and simulated cameras (640x360, 15 fps, 256 kbit/s, key
frame every 2 s) beside it. A tenth of them play street footage, half of those with people who
appear after 12 s of nothing; the rest see a still scene with sensor noise. Latency: from the first
packet of the picture that first shows the object (ledger) until a client of `/v1/events/stream`
has the event; `appear` where the truth is known from the footage, `event` from where it begins.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.looking import (
    BUSY_S,
    EMPTY_S,
    FPS,
    Listener,
    News,
    Run,
    account,
    entrance,
    load,
    meters,
    percentile,
    street,
    table,
)
from tests.fakes.house import House, house

from kilocam.cli.bench.processes import busy_percent
from kilocam.media import StillSpec
from kilocam.simulate import Group, Ledger

UNSEEN_S = 10.0
LATENCY_S = 5.0
_SETTLING_S = 30.0
_LATE_S = 12.0
_EARLY_US = 300_000


@dataclass(kw_only=True)
class Result(Run):
    """One run."""

    events: int = 0
    event_s: dict[str, float] = field(default_factory=dict)
    """From the picture with which an event begins."""
    appearances: int = 0
    unnoticed: int = 0
    """Appearances without an event within 12 s."""
    appear_s: dict[str, float] = field(default_factory=dict)
    percent_of_core: dict[str, float] = field(default_factory=dict)
    machine_percent: float = 0.0
    """Of a core, by everything that ran."""


def prove(cameras: int, seconds: float, settling_s: float = _SETTLING_S) -> Result:
    """One run."""
    result = Result(cameras=cameras, seconds=seconds, load_before=load())
    busy = max(2, cameras // 10)
    appearing = busy // 2
    groups = [
        Group(count=appearing, source=entrance()),
        Group(count=busy - appearing, source=street()),
        Group(count=cameras - busy, source=StillSpec()),
    ]
    with house(groups=groups) as it:
        it.wait_ready(seconds=300)
        it.wait_recording(180)
        with Listener(it) as listener:
            time.sleep(settling_s)
            from_us, used = time.time_ns() // 1000, meters(it)
            result.machine_percent = round(busy_percent(seconds) * (os.cpu_count() or 1), 1)
            to_us = time.time_ns() // 1000
            result.percent_of_core = {
                name: round(meter.stop().cpu_percent_of_core, 1) for name, meter in used.items()
            }
            it.end_cameras()
            found = account(it)
            news = listener.news()
        _judge_latency(result, it, news, range(appearing), range(busy), (from_us, to_us))
        if it.stop() != 0:
            result.faults.append("it did not stop cleanly")
        truth = it.recorded()
    result.judge(found, truth, from_us, to_us)
    return result


def _judge_latency(
    result: Result,
    it: House,
    news: Sequence[News],
    appearing: range,
    busy: range,
    between: tuple[int, int],
) -> None:
    from_us, to_us = between
    within = [each for each in news if from_us <= each.start_us < to_us - LATENCY_S * 1e6]
    result.events = len(within)
    waits = []
    for each in within:
        # The log's clock may be a little behind the camera's.
        shown = it.ledger.picture_at(int(each.camera[3:]), each.start_us + 1000)
        if shown is not None:
            waits.append((each.told_us - shown.taken_us) / 1e6)
    result.event_s = _spread(waits)
    moments = [(n, at) for n in appearing for at in _appearances(it.ledger, n, from_us, to_us)]
    result.appearances = len(moments)
    noticed = []
    for n, at_us in moments:
        told = [
            each.told_us
            for each in news
            if each.camera == f"cam{n}" and -_EARLY_US <= each.start_us - at_us < _LATE_S * 1e6
        ]
        if told:
            noticed.append((min(told) - at_us) / 1e6)
    result.unnoticed = len(moments) - len(noticed)
    result.appear_s = _spread(noticed)
    strange = {each.camera for each in within} - {f"cam{n}" for n in busy}
    if strange:
        result.faults.append(f"events where nothing is: {sorted(strange)[:5]}")


def _appearances(ledger: Ledger, camera: int, from_us: int, to_us: int) -> list[int]:
    """When people appeared in [from, to), long enough before the end to be told."""
    loop_us = (EMPTY_S + BUSY_S) * 1_000_000
    moments = {
        ledger.picture_us(camera, EMPTY_S * FPS, near_us=near_us)
        for near_us in range(from_us, to_us + loop_us, loop_us // 2)
    }
    return sorted(at for at in moments if from_us <= at < to_us - LATENCY_S * 1e6)


def _spread(waits: Sequence[float]) -> dict[str, float]:
    return {name: percentile(waits, q) for name, q in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    given = parser.parse_args()
    result = prove(given.cameras, given.seconds)
    print(json.dumps(dataclasses.asdict(result), indent=1))
    rows = [
        ("accounts that differ", len(result.faults), "0", not result.faults),
        (
            "longest time unseen, s",
            result.longest_unseen_s,
            f"<= {UNSEEN_S:g}",
            result.longest_unseen_s <= UNSEEN_S,
        ),
        *(
            (f"{what} to event, p95 s", p95, f"<= {LATENCY_S:g}", 0 < p95 <= LATENCY_S)
            for what, p95 in (
                ("appearance", result.appear_s["p95"]),
                ("event's picture", result.event_s["p95"]),
            )
        ),
        ("appearances unnoticed", result.unnoticed, "0", result.unnoticed == 0),
    ]
    print(table(rows))
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
