"""More windows than analysis can take: nobody starves, nothing is lost from the account.

    python -m bench.overload --cameras 100 --seconds 180

`kilocam up` and cameras that all show a street, half with a key frame each second, half each four.
The workers get so little time that five times more windows are offered than looked at. Measured
after 30 s of settling.
"""

import argparse
import dataclasses
import json
import sys
import time
from dataclasses import dataclass, field

from bench.account import account, looks_per_camera
from bench.looking import Run, load, overloaded, table
from bench.people import street
from tests.fakes.house import house

from kilocam.simulate import Group

FAIR = 2.0


@dataclass(kw_only=True)
class Result(Run):
    """One run."""

    overload: float = 0.0
    """Windows offered for one that was looked at, while it was measured."""
    most_looks: int = 0
    least_looks: int = 0
    looks_by_interval: dict[str, float] = field(default_factory=dict)
    """Mean of the cameras with this key frame interval."""

    @property
    def unfairness(self) -> float:
        """Most looked at / least looked at."""
        return round(self.most_looks / max(self.least_looks, 1), 2)


def prove(cameras: int, seconds: float, *, factor: float = 5.0, settling_s: float = 30.0) -> Result:
    """One run."""
    result = Result(cameras=cameras, seconds=seconds, load_before=load())
    half = cameras // 2
    groups = [
        Group(count=half, source=street(1.0)),
        Group(count=cameras - half, source=street(4.0)),
    ]
    with house(groups=groups) as it:
        it.wait_ready(seconds=300)
        it.wait_recording(180)
        with overloaded(it, factor):
            time.sleep(settling_s)
            from_us = time.time_ns() // 1000
            time.sleep(seconds)
            to_us = time.time_ns() // 1000
        it.end_cameras()
        found = account(it)
        if it.stop() != 0:
            result.faults.append("it did not stop cleanly")
        truth = it.recorded()
    looks = looks_per_camera(found.kept, cameras, from_us, to_us)
    offered = sum(from_us <= start_us < to_us for _, start_us in found.windows)
    result.overload = round(offered / max(sum(looks), 1), 2)
    result.most_looks, result.least_looks = max(looks), min(looks)
    result.looks_by_interval = {
        "1 s": round(sum(looks[:half]) / half, 1),
        "4 s": round(sum(looks[half:]) / (cameras - half), 1),
    }
    result.judge(found, truth, from_us, to_us)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--factor", type=float, default=5.0, help="offered for one looked at")
    given = parser.parse_args()
    result = prove(given.cameras, given.seconds, factor=given.factor)
    print(json.dumps({**dataclasses.asdict(result), "unfairness": result.unfairness}, indent=1))
    rows = [
        ("accounts that differ", len(result.faults), "0", not result.faults),
        ("looks of the least looked at", result.least_looks, ">= 1", result.least_looks >= 1),
        (
            "most / least looked at",
            result.unfairness,
            f"<= {FAIR:g}",
            result.unfairness <= FAIR,
        ),
    ]
    print(table(rows))
    return 0 if all(held for *_, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
