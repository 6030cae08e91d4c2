"""What recording costs: the shipped recorder beside one ffmpeg process per camera, in one run.

Both play the same simulated cameras over real RTSP on the loopback during the same seconds, so
whatever else the machine does hits both; the ratio is what to quote.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kilocam.cli.bench.processes import Meter, busy_percent
from kilocam.core import ConfigError, KilocamError

FFMPEGS = 20
_START_S = 180.0
_SETTLE_S = 8.0


class BenchError(KilocamError):
    """A measurement could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFigures:
    """One measurement; `per_camera` figures are shares of one core and megabytes."""

    cameras: int
    seconds: float
    """Of each round."""
    machine_busy_percent_before: float
    cpu_percent_of_core: float
    cpu_percent_of_core_per_camera: float
    rss_mb: float
    rss_mb_per_camera: float
    stored_mb_per_s: float
    simulator_cpu_percent_of_core: float
    ffmpeg_processes: int
    ffmpeg_cpu_percent_of_core_per_camera: float
    ffmpeg_rss_mb_per_camera: float
    ratio: float
    """ffmpeg's share of a core per camera ÷ ours."""
    rounds: list[dict[str, float]]
    """Each round's figures; those above are the medians over all rounds, each by itself."""


class _Round(NamedTuple):
    """What was measured in one stretch of time, both sides in the same."""

    wall_s: float
    cpu_percent_of_core: float
    rss_mb: float
    stored_mb_per_s: float
    simulator_cpu_percent_of_core: float
    ffmpeg_cpu_percent_of_core_per_camera: float
    ffmpeg_rss_mb_per_camera: float
    ratio: float


def measure_record(cameras: int, seconds: float, rounds: int) -> RecordFigures:
    """Record `cameras` simulated cameras (640x360, 15 fps, 256 kbit/s, key frame every 2 s).

    All processes are started once and then measured for `seconds`, `rounds` times.

    Raises:
        ConfigError: ffmpeg is missing.
        BenchError: the cameras could not all be recorded.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise ConfigError("ffmpeg is missing; on Debian: apt-get install ffmpeg")
    busy = busy_percent()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kilocam-bench-")))
        simulator, url = stack.enter_context(_simulator(cameras))
        recorder = stack.enter_context(_recorder(folder, url, cameras))
        copies = stack.enter_context(_ffmpegs(ffmpeg, folder, url, min(FFMPEGS, cameras)))
        time.sleep(_SETTLE_S)
        footage = folder / "data" / "footage"
        found = [
            _round(footage, cameras, seconds, (recorder, simulator, copies)) for _ in range(rounds)
        ]
    middle = _Round(*map(statistics.median, zip(*found, strict=True)))
    return RecordFigures(
        cameras=cameras,
        seconds=round(middle.wall_s, 2),
        machine_busy_percent_before=round(busy, 1),
        cpu_percent_of_core=round(middle.cpu_percent_of_core, 2),
        cpu_percent_of_core_per_camera=round(middle.cpu_percent_of_core / cameras, 4),
        rss_mb=round(middle.rss_mb, 1),
        rss_mb_per_camera=round(middle.rss_mb / cameras, 3),
        stored_mb_per_s=round(middle.stored_mb_per_s, 2),
        simulator_cpu_percent_of_core=round(middle.simulator_cpu_percent_of_core, 1),
        ffmpeg_processes=len(copies),
        ffmpeg_cpu_percent_of_core_per_camera=round(
            middle.ffmpeg_cpu_percent_of_core_per_camera, 4
        ),
        ffmpeg_rss_mb_per_camera=round(middle.ffmpeg_rss_mb_per_camera, 2),
        ratio=round(middle.ratio, 2),
        rounds=[
            {name: round(value, 4) for name, value in each._asdict().items()} for each in found
        ],
    )


def _round(footage: Path, cameras: int, seconds: float, pids: tuple[int, int, list[int]]) -> _Round:
    recorder, simulator, copies = pids
    stored = _size(footage)
    meters = Meter([recorder]), Meter(copies), Meter([simulator])
    time.sleep(seconds)
    ours, theirs, played = (meter.stop() for meter in meters)
    stored = _size(footage) - stored
    other = theirs.cpu_percent_of_core / len(copies)
    return _Round(
        wall_s=ours.wall_s,
        cpu_percent_of_core=ours.cpu_percent_of_core,
        rss_mb=ours.rss_mb,
        stored_mb_per_s=stored / ours.wall_s / 1e6,
        simulator_cpu_percent_of_core=played.cpu_percent_of_core,
        ffmpeg_cpu_percent_of_core_per_camera=other,
        ffmpeg_rss_mb_per_camera=theirs.rss_mb / len(copies),
        ratio=other * cameras / ours.cpu_percent_of_core,
    )


@contextmanager
def _process(argv: list[str], **options: object) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(argv, text=True, **options)  # type: ignore[call-overload]  # passed on
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextmanager
def _simulator(cameras: int) -> Iterator[tuple[int, str]]:
    argv = [sys.executable, "-m", "kilocam", "simulate", "--cameras", str(cameras), "--port", "0"]
    with _process(argv, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise BenchError("the simulator did not start; see its message above")
        yield process.pid, json.loads(line)["ready"].rsplit("/", 1)[0]


@contextmanager
def _recorder(folder: Path, url: str, cameras: int) -> Iterator[int]:
    """The recorder of `kilocam up --roles recorder`; gives its process id when all play."""
    config, data = folder / "kilocam.toml", folder / "data"
    items = [f'[[camera]]\nid = "cam{n}"\nurl = "{url}/{n}"\n' for n in range(cameras)]
    config.write_text("".join(items))
    argv = [sys.executable, "-m", "kilocam", "up", "--roles", "recorder",
            "--config", str(config), "--data", str(data), "--http", "127.0.0.1:0"]  # fmt: skip
    with _process(argv, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + _START_S
        while True:
            child = _recorder_status(data / "run" / "status.json")
            if child and child["figures"].get("recording") == cameras:
                break
            if process.poll() is not None:
                raise BenchError("the recorder did not start; see its message above")
            if time.monotonic() > deadline:
                raise BenchError(f"not all cameras play after {_START_S:g} s: {child}")
            time.sleep(0.5)
        yield int(child["pid"])


def _recorder_status(file: Path) -> dict[str, Any] | None:
    try:
        children = json.loads(file.read_text())["children"]
    except (OSError, ValueError):
        return None
    return next((child for child in children if child["role"] == "recorder"), None)


@contextmanager
def _ffmpegs(ffmpeg: str, folder: Path, url: str, count: int) -> Iterator[list[int]]:
    with ExitStack() as stack:
        pids = []
        for n in range(count):
            argv = [ffmpeg, "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp",
                    "-i", f"{url}/{n}", "-c", "copy", "-f", "segment", "-segment_time", "10",
                    str(folder / f"ffmpeg-{n}-%03d.mp4")]  # fmt: skip
            process = stack.enter_context(_process(argv, stderr=subprocess.DEVNULL))
            pids.append(process.pid)
        yield pids


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(parent, name).stat().st_size
    return total
