"""What analysis costs, stage by stage: the shipped gate, looks and pool on recorded scenes.

Three scenes, one after the other, each with a worker of its own: a still one (sensor noise on the
street's median picture), the street looked at by its key frames alone, as an analyst does that is
late, and the street with the whole of each window in which something moves.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import psutil

from kilocam.analyse import DETECTOR, LookPool, PoolOptions, load_model
from kilocam.analyse.gate import RateGate
from kilocam.analyse.look import LookTask, Memory
from kilocam.analyse.results import StageCount
from kilocam.cli.bench.processes import Meter, Usage, busy_percent
from kilocam.cli.bench.windows import FilmWindows
from kilocam.cli.demo import DemoFootage
from kilocam.core import ConfigError
from kilocam.media import FileTrack, StillSpec, VideoEncoding, open_media, still_media

_WARM_UP = 10
"""Windows before counting begins: the gate learns, the background too."""
_LEAST_RATE_US = 6_000_000
"""A quiet camera is looked at this often whatever its gate says (`SchedulerOptions`)."""
_SIGMA = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A film, and whether windows in which something moves are looked at as a whole."""

    name: str
    video: FileTrack
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Counted:
    """One scene's measurement."""

    windows: int
    looks: int
    stages: Mapping[str, StageCount]
    usage: Usage


def scenes(cache: Path, *, width: int, height: int, fps: int, bitrate_kbps: int) -> list[Scene]:
    """The demo's street and its still scene, encoded once.

    Raises:
        ConfigError: the footage has not been fetched.
    """
    demo = DemoFootage.find(cache)
    encoding = VideoEncoding(
        width=width, height=height, fps=Fraction(fps), bitrate_kbps=bitrate_kbps
    )
    still = StillSpec(
        background=demo.outdoor[0], sigma=_SIGMA, width=width, height=height, fps=fps,
        bitrate_kbps=bitrate_kbps,
    )  # fmt: skip
    quiet = still_media(still, cache=demo.folder).video
    street = open_media(demo.outdoor[0], encoding=encoding, cache=demo.folder).video
    if quiet is None or street is None:
        raise ConfigError(f"{demo.outdoor[0]}: no pictures; delete it and run tools/footage.py")
    return [
        Scene(name="still", video=quiet),
        Scene(name="street", video=street),
        Scene(name="street_whole", video=street, whole=True),
    ]


def measure_analyse(films: list[Scene], seconds: float, models: Path) -> dict[str, float]:
    """Look at the scenes for `seconds` in all; figures of each begin with its name.

    Costs are processor time of the worker in milliseconds. Shares are of all windows: `looked`
    passed the gate or was due, `changed` passed the difference too, `found` the detector.
    `windows_per_s_of_core` counts those the gate turned away as well.

    Raises:
        ModelError: the models have not been fetched.
        WorkerError: the worker failed.
    """
    load_model(DETECTOR, models)  # a missing one is known before anything runs
    figures: dict[str, float] = {
        "seconds": seconds,
        "machine_busy_percent_before": round(busy_percent(), 1),
    }
    total: dict[str, StageCount] = {}
    counted = {
        scene.name: asyncio.run(_run(scene, seconds / len(films), models)) for scene in films
    }
    for scene in films:
        if not scene.whole:  # there the decoder sees more than key frames
            _add(total, counted[scene.name].stages)
    for stage, name in (
        ("decode", "decode_ms_per_key_frame"),
        ("difference", "difference_ms_per_key_frame"),
        ("detector", "detector_ms_per_picture"),
    ):
        count = total.get(stage, StageCount())
        figures[name] = round(count.cost_us / 1000 / count.seen, 2) if count.seen else 0.0
    for name, each in counted.items():
        figures |= {f"{name}_{figure}": value for figure, value in _figures(each).items()}
    return figures


def _figures(counted: _Counted) -> dict[str, float]:
    passed = {stage: count.passed / counted.windows for stage, count in counted.stages.items()}
    usage = counted.usage
    return {
        "windows": counted.windows,
        "looked_share": round(counted.looks / counted.windows, 3),
        "changed_share": round(passed.get("difference", 0.0), 3),
        "found_share": round(passed.get("detector", 0.0), 3),
        "look_ms": round(1000 * usage.cpu_s / max(1, counted.looks), 2),
        "windows_per_s_of_core": round(counted.windows / max(usage.cpu_s, 0.01), 1),
        "cpu_percent_of_core": round(usage.cpu_percent_of_core, 1),
        "rss_mb": round(usage.rss_mb, 1),
    }


async def _run(scene: Scene, seconds: float, models: Path) -> _Counted:
    command = (sys.executable, "-m", "kilocam.cli.bench.look_worker", str(models))
    others = {child.pid for child in psutil.Process().children()}
    async with LookPool(command, PoolOptions(workers=1)) as pool:
        ours = [c.pid for c in psutil.Process().children() if c.pid not in others]
        camera = _Camera(scene, pool)
        while camera.windows < _WARM_UP:
            await camera.offer()
        camera.looks, camera.stages, meter = 0, {}, Meter(ours)
        deadline = time.monotonic() + seconds
        while camera.windows == _WARM_UP or time.monotonic() < deadline:
            await camera.offer()
        usage = await asyncio.to_thread(meter.stop)
    return _Counted(camera.windows - _WARM_UP, camera.looks, camera.stages, usage)


class _Camera:
    """Windows of one scene, offered in order; what the analyst remembers of a camera."""

    def __init__(self, scene: Scene, pool: LookPool) -> None:
        self.windows = 0
        self.looks = 0
        self.stages: dict[str, StageCount] = {}
        self._film = FilmWindows(scene.name.replace("_", "-"), scene.video)
        self._whole = scene.whole
        self._pool = pool
        self._gate = RateGate()
        self._memory = Memory()
        self._changed = False
        self._found_in = -1
        self._looked_us = 0

    async def offer(self) -> None:
        """Look at the next window if its packets or the least rate say so."""
        number = self.windows
        self.windows += 1
        window = self._film.window(number)
        busy = self._gate.busy(self._film.complexity(number))
        due = window.start_us - self._looked_us >= _LEAST_RATE_US
        if not (busy or due or self._changed):
            return
        before = self._whole and number > 0 and self._found_in == number - 1
        task = LookTask(
            key=self._film.key,
            window=window,
            before=self._film.window(number - 1) if before else None,
            whole=False,
            footage=self._film.footage(number, before=before),
            memory=self._memory,
        )
        self._gate.asked()
        outcome = await self._pool.do(task)
        self._memory, self._changed = outcome.memory, outcome.changed
        self._gate.answered(quiet=not (outcome.changed or outcome.found))
        self._looked_us = window.start_us
        if outcome.found:
            self._found_in = number
        self.looks += 1
        _add(self.stages, outcome.stages)


def _add(total: dict[str, StageCount], stages: Mapping[str, StageCount]) -> None:
    for stage, count in stages.items():
        total[stage] = total.get(stage, StageCount()) + count
