"""The analyst: windows from the queue, footage from the log, findings into the database.

It waits for queue and database as long as it takes, and nobody waits for it. Without models nothing
is looked at, which its state says; everything else goes on.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from kilocam import insight
from kilocam.analyse import (
    LEASES,
    PIPELINE,
    Analyst,
    AnalystOptions,
    BusWindows,
    Footage,
    LookPool,
    ModelError,
    Noted,
    NotYet,
    PoolOptions,
    Refused,
    Resume,
    SchedulerOptions,
    SkippedWindow,
    StageCount,
    WindowResult,
    WorkerError,
    models_directory,
)
from kilocam.bus import Bus, BusError, Position
from kilocam.cli.child import Child, keep_collector_away
from kilocam.cli.installation import RECORDER, Installation
from kilocam.cli.look_worker import look_command
from kilocam.cli.messages import SCHEMAS, bus_target
from kilocam.cli.roles.models import Models
from kilocam.cli.roles.quiet import recall, remember
from kilocam.cli.roles.senses import Senses, senses
from kilocam.cli.roles.weights import Weights
from kilocam.core import CameraKey, SystemClock, share_within
from kilocam.core.metrics import by_name
from kilocam.database import Database, DatabaseError
from kilocam.fleet import rules_of
from kilocam.insight import Windows
from kilocam.ranges import SocketLiveView
from kilocam.record import Archive

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
_MODELS_AGAIN_S = 15.0
_REPORT_S = 1.0
_REMEMBER_S = 60.0


class ArchiveFootage:
    """The log of this machine as analysis reads it: in threads, for files may be slow.

    Args:
        archive: the log.
        exact: from the moment asked for on, not from the key frame before it.
    """

    def __init__(self, archive: Archive, *, exact: bool = False) -> None:
        self._archive = archive
        self._exact = exact

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        """Pieces of [from, to), from the last key frame at or before `from_us` unless `exact`."""
        return await asyncio.to_thread(self._read, key, from_us, to_us)

    def _read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        return tuple(self._archive.pieces(key, from_us, to_us, exact=self._exact))


class InsightSink:
    """Insights as analysis hands them in: neither room knows the other's errors."""

    def __init__(
        self, windows: Windows, written: Callable[[WindowResult], None] = lambda _: None
    ) -> None:
        """`written` is told of each window once its objects are kept."""
        self._windows = windows
        self._written = written

    async def resume(self, partition: int) -> Resume:
        """What is kept of a partition."""
        return await self._windows.resume(partition)

    async def write(self, result: WindowResult) -> None:
        """Replace all that a window contributed."""
        try:
            await self._windows.write(result)
        except insight.NotYet as error:
            raise NotYet(str(error)) from error
        except insight.Refused as error:
            raise Refused(str(error)) from error
        self._written(result)

    async def note(self, results: Sequence[WindowResult]) -> Noted:
        """Count windows as looked at; gives back those to be written alone, and those to come."""
        return await self._windows.note(results)

    async def skip(self, windows: Sequence[SkippedWindow]) -> Sequence[SkippedWindow]:
        """Count windows as skipped; gives back those that cannot be kept yet."""
        return await self._windows.skip(windows)

    async def advance(self, positions: Mapping[int, Position]) -> None:
        """All windows up to these positions are settled."""
        await self._windows.advance(positions)


async def main(child: Child) -> None:
    """Look until told to stop."""
    working = asyncio.create_task(_work(child))
    stopping = asyncio.create_task(child.stopping.wait())
    done, waiting = await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    if working in done:
        working.result()


async def _work(child: Child) -> None:
    installation = Installation.from_json(child.config)
    bus = Bus(bus_target(child.config), SCHEMAS, name=child.name)
    note, quiet = installation.data.lease(child.name), installation.data.quiet(child.name)
    leases = bus.leases(LEASES, holder=child.name, heir_of=await asyncio.to_thread(_heir_of, note))
    database = Database(installation.shards, installation.database_secrets)
    workers = int(str(child.config["workers"]))
    clock = SystemClock()
    ranges = installation.data.ranges(RECORDER)
    models = Models(
        installation.settings.analysis,
        models_directory(),
        bus,
        clock,
        installation.data.models(child.name),
        look_command=partial(look_command, models_directory(), installation.footage, ranges),
    )
    async with database, bus:
        windows = Windows(database, PIPELINE, rules_of=rules_of)
        await _prepared(child, windows)
        pool = await _with_models(child, models, PoolOptions(workers=workers))
        try:
            live = SocketLiveView([ranges])
            archive = Archive(installation.footage, live)
            footage, sound = ArchiveFootage(archive), ArchiveFootage(archive, exact=True)
            settings = installation.settings
            weights = Weights(database, settings.analysis.tenant_weight)
            scheduling = SchedulerOptions(lookers=workers, weight=weights.of)
            async with leases, senses(footage, sound, database, clock, settings) as beside:
                await asyncio.to_thread(_note_holder, note, leases.name)
                analyst = Analyst(
                    source=BusWindows(bus, leases),
                    sink=InsightSink(windows, beside.written),
                    workers=pool,
                    options=AnalystOptions(scheduler=scheduling),
                    clock=clock,
                    learnt=await asyncio.to_thread(recall, quiet),
                    companions=[weights, *beside.companions, *models.follow(footage)],
                )
                _show_metrics(child, analyst, pool, windows)
                beside.show_metrics(child)
                models.show_metrics(child)
                keep_collector_away()
                async with asyncio.TaskGroup() as group:
                    group.create_task(analyst.run())
                    group.create_task(beside.run())
                    group.create_task(models.run(lambda: beside.likeness_problem))
                    group.create_task(weights.run())
                    group.create_task(_report(child, bus, analyst, [beside, models]))
                    group.create_task(_remember_on(analyst, quiet))
        finally:
            await pool.__aexit__()


def _heir_of(note: Path) -> str:
    """The holder whose place we took: the supervisor has killed it, if it did not end by itself."""
    try:
        return note.read_text()
    except (OSError, ValueError):  # without it leases end by and by
        return ""


def _note_holder(note: Path, name: str) -> None:
    with suppress(OSError):
        note.write_text(name)


async def _remember_on(analyst: Analyst, file: Path) -> None:
    while True:
        await asyncio.sleep(_REMEMBER_S)
        await asyncio.to_thread(remember, file, analyst.learnt())


async def _prepared(child: Child, windows: Windows) -> None:
    """Wait until control has made the tables and their days."""
    while True:
        try:
            if await windows.prepared():
                return
            child.report("waiting for control to prepare the database", ready=False)
        except DatabaseError as error:
            child.report(f"waiting for the database: {error}", ready=False)
        await asyncio.sleep(_RETRY_S)


async def _with_models(child: Child, models: Models, options: PoolOptions) -> LookPool:
    """Workers, once there are models; without them the product goes on, and this says why."""
    while True:
        try:
            return await models.start(options)
        except BusError as error:
            child.report(f"waiting: {error}", ready=True)
            await asyncio.sleep(_RETRY_S)
            continue
        except (ModelError, WorkerError) as error:
            _log.warning("nothing is looked at: %s", error)
            child.report(f"nothing is looked at: {error}", ready=True)
        await asyncio.sleep(_MODELS_AGAIN_S)


async def _report(
    child: Child, bus: Bus, analyst: Analyst, beside: Sequence[Senses | Models]
) -> None:
    while True:
        status = analyst.status()
        total = status.windows
        says = (
            f"looking at {status.cameras} cameras" if bus.connected else f"waiting: {bus.problem}"
        )
        if status.pressed:
            says += ", by key frames only: there is too little time for more"
        if status.failing:
            says += f"; all of the last looks failed: {status.failing}"
        says = "; ".join([says, *(each.problem for each in beside if each.problem)])
        child.report(
            says,
            ready=True,
            cameras=status.cameras,
            offered=total["offered"],
            looked=total["looked"],
            skipped=total["offered"] - total["looked"] - total["pending"],
            pending=total["pending"],
        )
        await asyncio.sleep(_REPORT_S)


def _show_metrics(child: Child, analyst: Analyst, pool: LookPool, windows: Windows) -> None:
    metrics = child.metrics("analyse")

    def outcomes() -> Iterable[tuple[tuple[str], float]]:
        return by_name(analyst.status().windows)

    def stages() -> Iterable[tuple[tuple[str, str], float]]:
        for stage, count in sorted(analyst.status().stages.items()):
            yield (stage, "seen"), count.seen
            yield (stage, "passed"), count.passed
            yield (stage, "cost_us"), count.cost_us

    def troubles() -> Iterable[tuple[tuple[str], float]]:
        return by_name(analyst.status().troubles)

    metrics.watch_gauges(
        "windows", "Windows of the cameras held now, by outcome.", ("outcome",), outcomes
    )
    metrics.watch_counters(
        "stages", "What the stages of the cascade saw.", ("stage", "what"), stages
    )

    def missed() -> Iterable[tuple[tuple[str], float]]:
        audit = analyst.status().stages.get("audit", StageCount())
        low, high = share_within(audit.seen, audit.passed)
        return [(("low",), low), (("high",), high)]

    metrics.watch_gauges(
        "missed_share",
        "Of windows skipped as quiet: those in which the detector finds something that moves; "
        "bounds, 95 % sure.",
        ("bound",),
        missed,
    )
    metrics.watch_gauges(
        "lost_share",
        "Of windows with something that moves: those passed over as quiet, since the gate's level "
        "was set anew; bounds, 95 % sure.",
        ("bound",),
        lambda: zip([("low",), ("high",)], analyst.status().lost, strict=True),
    )
    metrics.watch_gauge(
        "gate_level",
        "Share of quiet windows that the gates call quiet: the more, the less time there is.",
        lambda: analyst.status().gate_level,
    )
    metrics.watch_gauge(
        "pressed", "1 while there is time for key frames only.", lambda: analyst.status().pressed
    )
    metrics.watch_counters("troubles", "What had to be tried again.", ("what",), troubles)
    metrics.watch_counter(
        "deepened", "Windows looked at as a whole.", lambda: analyst.status().deepened
    )
    metrics.watch_counter("homeless", "Windows of tenants that are gone.", lambda: windows.homeless)
    metrics.watch_counter("refused", "Skipped, never to be kept.", lambda: windows.refused)
    metrics.watch_counter("workers_started", "Workers.", lambda: pool.counts.started)
    metrics.watch_counter("workers_crashed", "Workers.", lambda: pool.counts.crashed)
    metrics.watch_counter("workers_overdue", "Workers.", lambda: pool.counts.overdue)
