"""Everything but the recorder killed and frozen under load: what recording and insight lose.

    python -m bench.chaos --cameras 50 --frozen 60

Queue and database are held frozen, successors too; gateway, control and analyst are killed and
frozen in turn. Then: what is stored is what was sent, packet for packet; no event is there twice;
of each camera, looked + skipped = offered, and the log has no window that was not offered.
"""

import argparse
import dataclasses
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench.recording import until
from tests.fakes.house import ENGINES, House, house

from kilocam.analyse import cache_directory
from kilocam.cli.demo import DemoFootage, open_outdoor
from kilocam.media import StillSpec
from kilocam.record import Position, replay
from kilocam.simulate import Group

ROLES = ("api-0", "control-0", "analyst-0")
SETTLED_S = 180.0


@dataclass
class Result:
    """What was found; `faults` is empty when every promise held."""

    cameras: int
    packets: int = 0
    windows: int = 0
    offered: int = 0
    looked: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    events: int = 0
    back_s: dict[str, float] = field(default_factory=dict)
    """From the end of each stroke until everything is ready again."""
    faults: list[str] = field(default_factory=list)


def prove(cameras: int, frozen_s: float) -> Result:
    """One run."""
    result = Result(cameras)
    with house(groups=fleet(cameras)) as it:
        it.wait_ready(seconds=300)
        it.wait_recording()
        recorder = it.pid("recorder-0")
        it.footage(0, 5)
        for engine in ENGINES:
            with it.frozen(engine):
                _served_for(it, frozen_s, f"{engine} frozen", result)
            _back(it, f"{engine} frozen", result)
        for name in (*ENGINES, *ROLES):
            before = it.kill(name)
            _back(it, f"{name} killed", result, replaced=(name, before))
        for name in ROLES:
            before = it.pid(name)
            with it.frozen(name):
                it.wait_dead(name, before)
            _back(it, f"{name} frozen", result, replaced=(name, before))
        if it.pid("recorder-0") != recorder:
            result.faults.append("the recorder was replaced")
        it.end_cameras()
        _insight(it, result)
        if it.stop() != 0:
            result.faults.append("it did not stop cleanly")
        truth = it.recorded()
    result.packets = truth.packets
    result.faults += truth.differences + [f"gap: {gap}" for gap in truth.gaps]
    return result


def fleet(cameras: int) -> list[Group]:
    """A tenth of them see a street, the others a picture that is quiet."""
    footage = DemoFootage.find(cache_directory())
    street = max(1, cameras // 10)
    film = open_outdoor(footage.outdoor[0], footage)
    return [Group(count=street, source=film), Group(count=cameras - street, source=StillSpec())]


def _served_for(it: House, seconds: float, stroke: str, result: Result) -> None:
    """Live view and playback go on, each tried every few seconds."""
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        for what, call in (
            ("footage", lambda: it.footage(0, 5)["coverage"] > 0.5),
            ("playback", lambda: len(it.plays(1, 12)) > 0),
            ("live", lambda: it.live(2) > 0),
        ):
            try:
                served = call()
            except Exception as error:  # noqa: BLE001 - what went wrong is the finding
                result.faults.append(f"{stroke}: {what}: {error!r}")
            else:
                if not served:
                    result.faults.append(f"{stroke}: {what} gave too little")
        time.sleep(3)


def _back(
    it: House, stroke: str, result: Result, *, replaced: tuple[str, int] | None = None
) -> None:
    began = time.monotonic()
    if replaced is not None:
        it.wait_replaced(*replaced, seconds=120)
    it.wait_ready(seconds=180)
    it.wait_announced(seconds=120)
    result.back_s[stroke] = round(time.monotonic() - began, 1)


def _insight(it: House, result: Result) -> None:
    """Every window of the log is accounted for, and no event is there twice."""
    walk = replay([it.data / "footage"], Position(recorder="recorder-0", sequence=0))
    windows = Counter(ref.camera for ref, _ in walk)
    result.windows = windows.total()

    def accounts() -> dict[str, Any]:
        found: dict[str, Any] = it.get_json("/v1/analysis")
        return found

    def settled() -> bool:
        found = accounts()
        done = found["looked"] + sum(found["skipped"].values())
        return bool(done >= result.windows)

    try:
        until(settled, SETTLED_S, "every window accounted for")
    except TimeoutError as error:
        result.faults.append(str(error))
    found = accounts()
    result.offered, result.looked = found["offered"], found["looked"]
    result.skipped = found["skipped"]
    for account in found["cameras"]:
        done = account["looked"] + sum(account["skipped"].values())
        name = account["camera"]
        if done != account["offered"]:
            result.faults.append(f"{name}: {done} looked or skipped of {account['offered']}")
        if account["offered"] != windows[name]:
            result.faults.append(f"{name}: {account['offered']} offered of {windows[name]} stored")
    _events(it, result)


def _events(it: House, result: Result) -> None:
    ids: list[str] = []
    cursor = ""
    while cursor is not None:
        page = it.get_json(f"/v1/events?limit=500{cursor and f'&cursor={cursor}'}")
        ids += [event["id"] for event in page["items"]]
        cursor = page["next_cursor"]
    result.events = len(ids)
    twice = [one for one, count in Counter(ids).items() if count > 1]
    result.faults += [f"event {one} is there twice" for one in twice]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--frozen", type=float, default=60.0, help="seconds for each engine")
    given = parser.parse_args()
    result = prove(given.cameras, given.frozen)
    print(json.dumps(dataclasses.asdict(result), indent=1))
    return 1 if result.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
