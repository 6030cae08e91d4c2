"""Processor time and memory of processes and their children, read from the kernel."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """What a set of processes used between two samples."""

    cpu_s: float
    """User and kernel time together."""
    wall_s: float
    rss_mb: float
    """Resident memory at the second sample."""

    @property
    def cpu_percent_of_core(self) -> float:
        """Share of one core, in per cent."""
        return 100 * self.cpu_s / self.wall_s


class Meter:
    """Measures processes with all their descendants from its making until `stop`.

    What ended in between counts, for whoever waited for it has its time.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self._cpu = self._sample()[0]
        self._started = time.monotonic()

    def stop(self) -> Usage:
        """What was used since."""
        cpu, rss = self._sample()
        wall = time.monotonic() - self._started
        return Usage(max(0.0, cpu - self._cpu), wall, rss / 1e6)

    def _sample(self) -> tuple[float, int]:
        """Processor time of all so far, resident memory now."""
        cpu, rss = 0.0, 0
        for root in self._roots:
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    cpu += times.user + times.system + times.children_user + times.children_system
                    rss += process.memory_info().rss
        return cpu, rss


def busy_percent(seconds: float = 1.0) -> float:
    """How busy the whole machine is with other work, in per cent of all its cores."""
    before = psutil.cpu_times()
    time.sleep(seconds)
    after = psutil.cpu_times()
    idle = after.idle + after.iowait - before.idle - before.iowait
    return max(0.0, 100 * (1 - idle / (seconds * (os.cpu_count() or 1))))
