"""Beside the way others do it: cameras per core, at equal recall, in one run.

    python -m bench.others --cameras 400 --others 15 --seconds 120 --busy 0.03

First the other way (`nvr.py`: an ffmpeg a camera that stores and decodes everything to five
pictures a second, the same detector on every picture with motion, the same tracker), then
`kilocam up` with queue, database and gateway (`fleet.py`), on the same cameras of the same
simulator, which is counted on neither side. What counts is processor time, so neither side may
be short of it, and each has the number of cameras that two cores carry with ease.

Of the other way the cost of a camera is measured for each kind of camera by itself (people always,
now and then, never) and added up by the shares that ours has of them: few cameras then cost what
many of that mix would. All of ours is counted: supervisor, queue, database, gateway and what they
cost without any camera.

Recall: of the appearances known from the footage, those that became an event. Where in doubt a
choice was made in favour of the other way:
- cameras send the small picture that is looked at: decoding all of a large one costs far more than
  decoding its key frames;
- one connection serves storing and looking; ffmpeg hands pictures on as they leave the decoder;
- one process for all of a kind, no shared memory, no queue, no database: an event is a line;
- motion is a reduced, blurred picture against a running average, which has Frigate's size, pace and
  least area; its contrast is not stretched, and what has left leaves no motion behind as it does
  there; the detector sees the whole picture once, not parts of it.
"""

import argparse
import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from bench import fleet
from bench.looking import News, load, table
from bench.nvr import FIRST
from bench.people import Mix, noticed, spread, told_per_minute
from bench.recording import Cameras, cameras, process, stop, until

from kilocam.cli.bench.processes import Meter
from kilocam.core import ConfigError

RATIO = 8.0
LATENCY_S = 8.0
LEAST_OTHERS = 5
PICTURES_PER_S = 5.0
_BEHIND = 0.98
"""Of the pictures due, those that must have been looked at."""
_START_S = 120.0
_SETTLING_S = 60.0


@dataclass(kw_only=True)
class OneKind:
    """What a camera of one kind costs the other way; shares are of a core, in per cent."""

    cameras: int
    percent: float = 0.0
    ffmpeg_percent: float = 0.0
    motion_percent: float = 0.0
    detector_percent: float = 0.0
    pictures_per_s: float = 0.0
    moving: float = 0.0
    """Share of pictures with motion."""


@dataclass(kw_only=True)
class Others:
    """The other way."""

    kinds: dict[str, OneKind]
    appearances: int = 0
    unnoticed: int = 0
    appear_s: dict[str, float] = field(default_factory=dict)
    told_per_minute: float = 0.0
    """Events of people, of a camera that always sees some."""
    faults: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Result:
    """Both, one after the other."""

    seconds: float
    busy: float
    load_before: str
    others: Others
    ours: fleet.Result
    others_percent_per_camera: float = 0.0
    """Of a core, for the mix that ours has."""
    ours_percent_per_camera: float = 0.0

    @property
    def ratio(self) -> float:
        """How many times more cameras a core carries our way."""
        return round(self.others_percent_per_camera / self.ours_percent_per_camera, 2)

    @property
    def faults(self) -> list[str]:
        """Of both."""
        return [f"others: {each}" for each in self.others.faults] + self.ours.faults


def prove(
    ours: int, others: int, seconds: float, busy: float, settling_s: float = _SETTLING_S
) -> Result:
    """One run."""
    load_before = load()
    theirs = watch(few(others), seconds, settling_s)
    found = fleet.prove(ours, seconds, busy, settling_s)
    costs = {name: kind.percent for name, kind in theirs.kinds.items()}
    return Result(
        seconds=seconds,
        busy=busy,
        load_before=load_before,
        others=theirs,
        ours=found,
        others_percent_per_camera=round(weighed(costs, Mix.of(ours, busy)), 3),
        ours_percent_per_camera=round(found.percent_of_core["kilocam up"] / ours, 4),
    )


def few(others: int) -> Mix:
    """Two fifths see people appear, a fifth always sees some: enough of each to be measured."""
    always = others // 5
    return Mix(appearing=2 * always, always=always, still=others - 3 * always)


def weighed(of_kind: Mapping[str, float], mix: Mix) -> float:
    """The mean over a mix of what is known of one camera of each kind."""
    many = {name: len(numbers) for name, numbers in mix.numbers().items()}
    return sum(of_kind[name] * count for name, count in many.items()) / sum(many.values())


# -- the other way -----------------------------------------------------------------------------


def watch(mix: Mix, seconds: float, settling_s: float) -> Others:
    """Record and look at some cameras the other way; raises `ConfigError` without ffmpeg."""
    if shutil.which("ffmpeg") is None:
        raise ConfigError("ffmpeg is missing; on Debian: apt-get install ffmpeg")
    numbers = mix.numbers()
    result = Others(kinds={name: OneKind(cameras=len(each)) for name, each in numbers.items()})
    with tempfile.TemporaryDirectory(prefix="kilocam-others-") as made:
        folder = Path(made)
        with cameras(mix.groups(), folder) as played:
            with ExitStack() as stack:
                nvrs = {
                    name: stack.enter_context(_nvr(folder / name, played, each))
                    for name, each in numbers.items()
                }
                until(lambda: all(nvr.sees_all for nvr in nvrs.values()), _START_S, "pictures")
                time.sleep(max(settling_s, FIRST))
                from_us = time.time_ns() // 1000
                started = {name: nvr.start() for name, nvr in nvrs.items()}
                time.sleep(seconds)
                for name, one in started.items():
                    nvrs[name].stop(one, result.kinds[name])
                to_us = time.time_ns() // 1000
                ended = [name for name, nvr in nvrs.items() if nvr.running.poll() is not None]
            ledger = played.stop()
    news = [each for nvr in nvrs.values() for each in nvr.news if each.label == "person"]
    told = noticed(ledger, news, numbers["appearing"], (from_us, to_us))
    result.appearances, result.unnoticed = told.appearances, told.unnoticed
    result.appear_s = spread(told.waits_s)
    result.told_per_minute = told_per_minute(news, numbers["always"], (from_us, to_us))
    result.faults += [f"the recorder of {name} ended" for name in ended]
    result.faults += [
        f"{name}: {kind.pictures_per_s:.2f} pictures a second of a camera"
        for name, kind in result.kinds.items()
        if kind.pictures_per_s < _BEHIND * PICTURES_PER_S
    ]
    return result


@dataclass(frozen=True, slots=True)
class _Started:
    all: Meter
    ffmpeg: Meter
    counts: Mapping[str, int]


class _Nvr:
    """One process of `nvr.py` for the cameras of one kind, and what it says."""

    def __init__(self, running: "subprocess.Popen[bytes]", numbers: range) -> None:
        self.running = running
        self.news: list[News] = []
        self._numbers = numbers
        self._counts: Mapping[str, int] = {}

    @property
    def sees_all(self) -> bool:
        """Whether all cameras seem to give pictures."""
        if self.running.poll() is not None:
            raise ChildProcessError("an ffmpeg or its reader has ended; see its message above")
        return self._counts.get("pictures", 0) >= 10 * len(self._numbers)

    def listen(self) -> None:
        """Until it ends."""
        assert self.running.stdout is not None
        for line in self.running.stdout:
            said = json.loads(line)
            if "counts" in said:
                self._counts = said["counts"]
            else:
                said["camera"] = f"cam{self._numbers[said['camera']]}"
                self.news.append(News(**said))

    def start(self) -> _Started:
        """Begin to measure."""
        pid = self.running.pid
        children = psutil.Process(pid).children()
        return _Started(Meter([pid]), Meter([each.pid for each in children]), self._counts)

    def stop(self, started: _Started, kind: OneKind) -> None:
        """What was used since, of one camera."""
        used, ffmpeg = started.all.stop(), started.ffmpeg.stop()
        kind.percent = round(used.cpu_percent_of_core / kind.cameras, 3)
        kind.ffmpeg_percent = round(ffmpeg.cpu_percent_of_core / kind.cameras, 3)
        counts = {name: self._counts[name] - before for name, before in started.counts.items()}
        camera_us = counts["at_us"] * kind.cameras
        kind.motion_percent = round(100 * counts["motion_us"] / camera_us, 3)
        kind.detector_percent = round(100 * counts["detector_us"] / camera_us, 3)
        kind.pictures_per_s = round(counts["pictures"] / camera_us * 1e6, 2)
        kind.moving = round(counts["moving"] / max(counts["pictures"], 1), 3)


@contextmanager
def _nvr(folder: Path, played: Cameras, numbers: range) -> Iterator[_Nvr]:
    folder.mkdir()
    argv = [sys.executable, "-m", "bench.nvr", str(folder), *(played.url(n) for n in numbers)]
    with process(argv, stdout=subprocess.PIPE) as running:
        nvr = _Nvr(running, numbers)
        listening = threading.Thread(target=nvr.listen)
        listening.start()
        try:
            yield nvr
        finally:
            stop(running)
            listening.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cameras", type=int, default=400, help="ours")
    parser.add_argument("--others", type=int, default=15, help="theirs")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--busy", type=float, default=0.03, help="share of cameras, at any time")
    parser.add_argument("--settling", type=float, default=_SETTLING_S)
    given = parser.parse_args()
    if given.others < LEAST_OTHERS:
        parser.error(f"--others: at least {LEAST_OTHERS}, so that there is one of each kind")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # everything started is ended then, too
    result = prove(given.cameras, given.others, given.seconds, given.busy, given.settling)
    print(json.dumps({**dataclasses.asdict(result), "ratio": result.ratio}, indent=1))
    ours, others = result.ours, result.others
    print(
        f"a core carries {100 / result.ours_percent_per_camera:.0f} cameras, "
        f"the other way {100 / result.others_percent_per_camera:.0f}\n"
        f"appearance to event, median and p95: {_waits(ours.appear_s)}, "
        f"the other way {_waits(others.appear_s)}"
    )
    recall, least = (
        round(1 - each.unnoticed / max(each.appearances, 1), 3) for each in (ours, others)
    )
    rows = [
        ("accounts that differ", len(result.faults), "0", not result.faults),
        ("cameras a core, ratio", result.ratio, f">= {RATIO:g}", result.ratio >= RATIO),
        (
            f"recall, of {ours.appearances} (the other way: of {others.appearances})",
            recall,
            f">= {least}",
            recall >= least > 0,
        ),
        # Who gets too little processor time is late, and cheap.
        *(
            (f"{who}: appearance to event, p95 s", p95, f"<= {LATENCY_S:g}", 0 < p95 <= LATENCY_S)
            for who, p95 in (("ours", ours.appear_s["p95"]), ("others", others.appear_s["p95"]))
        ),
    ]
    print(table(rows))
    return 0 if all(held for *_, held in rows) else 1


def _waits(seconds: Mapping[str, float]) -> str:
    return f"{seconds['p50']} and {seconds['p95']} s"


if __name__ == "__main__":
    sys.exit(main())
