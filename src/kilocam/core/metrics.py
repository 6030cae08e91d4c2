"""Metrics of a process: registered per room, written each second to one file, shown together.

Each process writes its own page in Prometheus's text format to `DATA/run/metrics/<process>.prom`;
the gateway shows all pages as one. Chosen over prometheus_client's multiprocess mode because that
puts a memory-mapped write and a lock into every increment and leaves files of dead processes to be
counted for ever, while here hot paths keep plain `int` attributes that are read once a second
(`watch_counter`), and a process that is gone is seen by the age of its page.
"""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

STALE_S = 30.0
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")

Read = Callable[[], float]
ReadLabelled = Callable[[], Iterable[tuple[Sequence[str], float]]]


class _Watched(Collector):
    """A number kept elsewhere as a plain attribute, read when the page is written."""

    def __init__(
        self, make: Callable[[], CounterMetricFamily | GaugeMetricFamily], read: ReadLabelled
    ) -> None:
        self._make = make
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return [self._make()]

    def collect(self) -> Iterable[Metric]:
        family = self._make()
        for labels, value in self._read():
            family.add_metric(labels, value)
        return [family]


class Metrics:
    """One room's metrics; names become `kilocam_<room>_<name>`, counters end in `_total`."""

    def __init__(self, room: str, registry: CollectorRegistry) -> None:
        self._prefix = f"kilocam_{room}_"
        self._registry = registry

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """A number that grows; for hot paths use `watch_counter`."""
        return Counter(self._prefix + name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """A number that goes up and down."""
        return Gauge(self._prefix + name, text, labels, registry=self._registry)

    def histogram(
        self, name: str, text: str, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> Histogram:
        """A distribution over fixed buckets."""
        return Histogram(
            self._prefix + name, text, labels, buckets=buckets, registry=self._registry
        )

    def watch_counter(self, name: str, text: str, read: Read) -> None:
        """A counter that lives elsewhere as a plain attribute: `lambda: writer.packets`."""
        self.watch_counters(name, text, (), lambda: [((), read())])

    def watch_counters(
        self, name: str, text: str, labels: Sequence[str], read: ReadLabelled
    ) -> None:
        """Counters that live elsewhere, one for each set of label values."""
        full = self._prefix + name
        make = lambda: CounterMetricFamily(full, text, labels=labels)  # noqa: E731
        self._registry.register(_Watched(make, read))

    def watch_gauge(self, name: str, text: str, read: Read) -> None:
        """A gauge that lives elsewhere as a plain attribute."""
        self.watch_gauges(name, text, (), lambda: [((), read())])

    def watch_gauges(self, name: str, text: str, labels: Sequence[str], read: ReadLabelled) -> None:
        """Gauges that live elsewhere, one for each set of label values."""
        full = self._prefix + name
        make = lambda: GaugeMetricFamily(full, text, labels=labels)  # noqa: E731
        self._registry.register(_Watched(make, read))


class MetricsPage:
    """All metrics of this process."""

    def __init__(self, *, process: str, role: str) -> None:
        self._process = process
        self._labels = f'process="{process}",role="{role}"'
        self._registry = CollectorRegistry()

    def metrics(self, room: str) -> Metrics:
        """Where `room` registers its metrics, once."""
        return Metrics(room, self._registry)

    def text(self) -> str:
        """The page; every sample says which process of which role it is from."""
        lines = generate_latest(self._registry).decode().splitlines()
        return "".join(f"{_labelled(line, self._labels)}\n" for line in lines)

    def write(self, folder: Path, text: str) -> None:
        """Replace this process's page in one step (blocking)."""
        folder.mkdir(mode=0o700, exist_ok=True)
        temporary = folder / f"{self._process}.new"
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)
        temporary.replace(folder / f"{self._process}.prom")


def by_name(counts: Mapping[str, int]) -> list[tuple[tuple[str], float]]:
    """Counts as samples of one label, for `watch_counters` and `watch_gauges`."""
    return [((name,), many) for name, many in sorted(counts.items())]


def collect_metrics(folder: Path) -> str:
    """The pages of all living processes as one (blocking).

    Samples of one metric must stand together in the text format, so pages are merged by metric.
    A page not renewed for `STALE_S` seconds is left out: its process is gone or frozen.
    """
    families: dict[str, list[str]] = {}
    for page in sorted(folder.glob("*.prom")):
        try:
            fresh = time.time() - page.stat().st_mtime < STALE_S
            text = page.read_text() if fresh else ""
        except OSError:
            continue  # A process that ends takes nothing of the others with it.
        _merge(families, text.splitlines())
    return "".join(f"{line}\n" for lines in families.values() for line in lines)


def _merge(families: dict[str, list[str]], lines: Iterable[str]) -> None:
    family: list[str] = []
    for line in lines:
        if line.startswith("# "):
            family = families.setdefault(line.split(" ", 3)[2], [])
            if line not in family[:2]:
                family.append(line)
        else:
            family.append(line)


def _labelled(line: str, labels: str) -> str:
    sample = _SAMPLE.fullmatch(line)
    if line.startswith("#") or sample is None:
        return line
    name, own, value = sample.groups()
    return f"{name}{{{labels},{own}}} {value}" if own else f"{name}{{{labels}}} {value}"
