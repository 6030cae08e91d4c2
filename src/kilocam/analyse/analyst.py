"""The analysis service: reads offered windows, has them looked at, hands on what was found.

One task reads each leased partition, a few tasks look, one settles skipped windows and checkpoints.
What cannot be kept for the moment (the database is away) is tried again until it can, while windows
wait; what cannot be looked at, or never be kept, is skipped with a reason. A window that alone
cannot be kept yet waits aside, with its camera. Nothing here ever touches recording.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from kilocam.analyse.errors import FootageError, NotYet, Refused, WorkerError
from kilocam.analyse.look import Findings, LookOutcome, LookTask
from kilocam.analyse.memory import Memories
from kilocam.analyse.progress import Progress
from kilocam.analyse.results import (
    PIPELINE,
    SkippedWindow,
    SkipReason,
    StageCount,
    WindowResult,
)
from kilocam.analyse.scheduler import Scheduler, SchedulerOptions
from kilocam.analyse.seams import FootageSource, Resume, WindowSink, WindowSource, Workers
from kilocam.analyse.windows import Counts, Lane, Look, Pending, window_of
from kilocam.bus import Asked, Granted, Position, Revoked
from kilocam.core import CameraKey, Clock, GopRef, KilocamError

_log = logging.getLogger(__name__)

PASSING = (KilocamError, OSError, TimeoutError)
"""What a queue, a database or a recorder that is away raises; tried again."""
YOUNG_US = 4_000_000
"""A key frame older than this is not still on its way."""
MOST_AT_ONCE = 5_000
"""Skipped windows told in one transaction."""
TELL_EVERY = 10
"""Of failures in a row, one in so many is written to the log."""
MORE_LOOKS = 2
"""Looks that read or write while as many as there are workers compute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalystOptions:
    """Patience and bounds."""

    scheduler: SchedulerOptions
    fresh_us: int = 600_000
    """Footage read after a window's start when its key frame has only just arrived."""
    late_key_s: tuple[float, ...] = (0.3, 0.6, 1.2)
    """Waits for a key frame that was announced and is not whole yet."""
    run_up_us: int = 30_000_000
    """The furthest back a window's key frame may lie."""
    read_s: float = 10.0
    keep_s: float = 15.0
    settle_every_s: float = 0.5
    aside_s: float = 2.0
    """Between two attempts to keep what waits aside."""
    again_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0)
    max_in_memory: int = 300_000
    """Windows pending, or skipped and not yet kept as such, before reading waits."""
    drain_s: float = 3.0
    """What looks under way get when a partition is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalystStatus:
    """What the service has done since it started, for metrics and the page."""

    cameras: Mapping[CameraKey, Counts]
    stages: Mapping[str, StageCount]
    deepened: int
    """Windows of which the whole was looked at after their key frame."""
    troubles: Mapping[str, int]
    """What had to be tried again, by what it was."""


@dataclass(slots=True)
class _Tally:
    stages: dict[str, StageCount] = field(default_factory=dict)
    deepened: int = 0
    troubles: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Partition:
    reader: asyncio.Task[None]
    progress: Progress | None = None
    """Unknown until the sink has told where to go on."""


class Analyst:
    """One analyst process's service; `run` it until it is cancelled."""

    def __init__(
        self,
        *,
        source: WindowSource,
        footage: FootageSource,
        sink: WindowSink,
        workers: Workers,
        options: AnalystOptions,
        clock: Clock,
    ) -> None:
        self._source = source
        self._footage = footage
        self._sink = sink
        self._workers = workers
        self._options = options
        self._clock = clock
        self._scheduler = Scheduler(options.scheduler)
        self._memories = Memories()
        self._partitions: dict[int, _Partition] = {}
        self._under_way: Counter[int] = Counter()
        self._wake = asyncio.Event()
        """Something may have become due."""
        self._relief = asyncio.Event()
        """Something has been settled."""
        self._unkept: list[SkippedWindow] = []
        self._aside: dict[CameraKey, tuple[Look, LookOutcome, _Partition]] = {}
        """Looks whose result cannot be kept yet; their cameras stay in flight, so one a camera."""
        self._settling = asyncio.Lock()
        self._tally = _Tally()
        self._failures: dict[str, int] = {}

    def status(self) -> AnalystStatus:
        """Counters, as they stand."""
        return AnalystStatus(
            cameras=self._scheduler.counts(),
            stages=dict(self._tally.stages),
            deepened=self._tally.deepened,
            troubles=dict(self._tally.troubles),
        )

    async def run(self) -> None:
        """Serve until cancelled."""
        lookers = self._options.scheduler.lookers + MORE_LOOKS
        async with asyncio.TaskGroup() as tasks:
            for _ in range(lookers):
                tasks.create_task(self._look_on())
            tasks.create_task(self._settle_on())
            tasks.create_task(self._keep_aside_on())
            tasks.create_task(self._lease_on(tasks))

    # Partitions

    async def _lease_on(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            match await self._source.next():
                case Granted(partition=partition):
                    await self._drop(partition)
                    reader = tasks.create_task(self._read_on(partition))
                    self._partitions[partition] = _Partition(reader)
                case Asked(partition=partition):
                    await self._hand_over(partition)
                case Revoked(partition=partition):
                    await self._drop(partition)

    async def _hand_over(self, partition: int) -> None:
        """Finish what is under way, keep how far we came, give the partition back."""
        held = self._partitions.get(partition)
        if held is not None:
            held.reader.cancel()
            self._scheduler.forget(partition)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.drain_s):
                    while self._under_way[partition]:
                        await self._something_settles()
                    await self._settle_skipped()
                    await self._checkpoint()
        await self._drop(partition)
        await self._source.release(partition)

    async def _drop(self, partition: int) -> None:
        held = self._partitions.pop(partition, None)
        self._scheduler.forget(partition)  # at once: no look at what is not ours any more
        self._memories.forget(partition)
        for key in [key for key in self._aside if key.partition == partition]:
            del self._aside[key]
        if held is not None:
            held.reader.cancel()
            await asyncio.wait([held.reader])

    async def _read_on(self, partition: int) -> None:
        resume = await self._resume(partition)
        progress = self._partitions[partition].progress = Progress(resume.position)
        after = resume.position
        while True:
            try:
                async with aclosing(self._source.read(partition, after)) as offered:
                    async for ref, position in offered:
                        after = position
                        self._offer(ref, position, progress, resume)
                        await self._have_room()
                raise ConnectionError("the queue gave no more windows")
            except PASSING as error:
                await self._trouble("read", error)

    async def _resume(self, partition: int) -> Resume:
        while True:
            try:
                async with asyncio.timeout(self._options.keep_s):
                    return await self._sink.resume(partition)
            except PASSING as error:
                await self._trouble("resume", error)

    def _offer(self, ref: GopRef, position: Position, progress: Progress, resume: Resume) -> None:
        progress.read(position)
        known = (CameraKey(ref.tenant, ref.camera), ref.start_us) in resume.windows
        if known or not self._scheduler.offer(ref, position, self._clock.wall_us()):
            progress.settle(position)
        self._wake.set()

    async def _have_room(self) -> None:
        while self._scheduler.in_memory + len(self._unkept) > self._options.max_in_memory:
            await self._something_settles()

    async def _something_settles(self) -> None:
        self._relief.clear()
        await self._relief.wait()

    # Looking

    async def _look_on(self) -> None:
        while True:
            look = await self._next_look()
            held = self._partitions[look.partition]
            self._under_way[look.partition] += 1
            try:
                await self._look(look, held)
            finally:
                self._under_way[look.partition] -= 1
                self._wake.set()
                self._relief.set()

    async def _next_look(self) -> Look:
        while True:
            self._wake.clear()
            now_us = self._clock.wall_us()
            look = self._scheduler.take(now_us)
            if look is not None:
                self._wake.set()  # there may be work for the next one too
                return look
            due_us = self._scheduler.next_due_us(now_us)
            wait_s = 1.0 if due_us is None else min(max((due_us - now_us) / 1e6, 0.001), 1.0)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _look(self, look: Look, held: _Partition) -> None:
        try:
            outcome = await self._see(look)
        except FootageError as error:
            self._give_up(look, SkipReason.UNREADABLE, error)
        except WorkerError as error:
            self._give_up(look, SkipReason.FAILED, error)
        else:
            await self._keep(look, outcome, held)

    async def _see(self, look: Look) -> LookOutcome:
        """Read and look; a key frame that is not whole yet is waited for."""
        waits = self._options.late_key_s if look.lane is Lane.FRESH else ()
        for wait_s in waits:
            try:
                return await self._workers.look(await self._task(look))
            except FootageError:
                if self._clock.wall_us() - look.target.start_us > YOUNG_US:
                    raise
            await asyncio.sleep(wait_s)
        return await self._workers.look(await self._task(look))

    async def _task(self, look: Look) -> LookTask:
        target, before = look.target, look.before
        if target.start_us - target.gop_us > self._options.run_up_us:
            raise FootageError(
                f"camera {look.key}: its last key frame is over "
                f"{self._options.run_up_us / 1e6:g} s back; set a shorter key frame interval"
            )
        whole = look.lane is Lane.CATCH_UP
        from_us = before.gop_us if before is not None else target.gop_us
        to_us = target.end_us if whole else target.start_us + self._options.fresh_us
        try:
            async with asyncio.timeout(self._options.read_s):
                footage = await self._footage.read(look.key, from_us, to_us)
        except PASSING as error:
            raise FootageError(f"camera {look.key}: footage cannot be read: {error}") from error
        return LookTask(
            key=look.key,
            window=look.window,
            before=window_of(look.key, before) if before is not None else None,
            whole=whole,
            footage=footage,
            memory=self._memories.recall(look.key, target.start_us, newest=not whole),
        )

    async def _keep(self, look: Look, outcome: LookOutcome, held: _Partition) -> None:
        """Hand the findings on, then settle: in this order, so that nothing is lost between."""
        deepens = outcome.before is not None and look.before is not None
        try:
            if outcome.before is not None and look.before is not None:
                await self._write(self._result(look, outcome.before, look.before), held)
            await self._write(self._result(look, outcome.findings, look.target), held)
        except NotYet as error:
            self._put_aside(look, outcome, held, error)
            return
        except Refused as error:
            self._give_up(look, SkipReason.REFUSED, error)
            return
        if self._partitions.get(look.partition) is not held:
            return
        self._memories.keep(look.key, outcome)
        self._tally.deepened += deepens
        for stage, count in outcome.stages.items():
            self._tally.stages[stage] = self._tally.stages.get(stage, StageCount()) + count
        self._scheduler.settle(
            look,
            cost_us=sum(count.cost_us for count in outcome.stages.values()),
            changed=outcome.changed,
            found=outcome.found,
        )
        self._close(look.partition, look.target.position)

    def _result(self, look: Look, findings: Findings, pending: Pending) -> WindowResult:
        return WindowResult(
            window=window_of(look.key, pending),
            version=PIPELINE,
            partition=look.partition,
            position=pending.position,
            looked_us=self._clock.wall_us(),
            objects=findings.objects,
            changed=findings.changed,
            stages=findings.stages,
        )

    async def _write(self, result: WindowResult, held: _Partition) -> None:
        """Keep a result, unless its partition was revoked meanwhile, even if it is ours again."""
        while self._partitions.get(result.partition) is held:
            if await self._try("write", self._sink.write(result)):
                return

    def _put_aside(self, look: Look, outcome: LookOutcome, held: _Partition, error: NotYet) -> None:
        if self._partitions.get(look.partition) is held:
            self._tally.troubles["not_yet"] += 1
            _log.info("window %s of %s waits: %s", look.target.start_us, look.key, error)
            self._aside[look.key] = (look, outcome, held)

    async def _keep_aside_on(self) -> None:
        """Try again to keep what waits aside; no looker waits for it."""
        while True:
            await asyncio.sleep(self._options.aside_s)
            for key in list(self._aside):
                if (kept := self._aside.pop(key, None)) is not None:
                    await self._keep(*kept)
                    self._wake.set()
                    self._relief.set()

    def _give_up(self, look: Look, reason: SkipReason, error: Exception) -> None:
        self._tally.troubles[reason] += 1
        _log.info("window %s of %s skipped: %s", look.target.start_us, look.key, error)
        self._scheduler.give_up(look, cost_us=look.charged_us, reason=reason)

    # Settling

    async def _settle_on(self) -> None:
        while True:
            await asyncio.sleep(self._options.settle_every_s)
            await self._settle_skipped()
            await self._checkpoint()

    async def _settle_skipped(self) -> None:
        """Tell which windows were skipped; what is not told now is told the next time."""
        async with self._settling:
            self._unkept += self._scheduler.drain_skipped()
            unkept = self._unkept[:MOST_AT_ONCE]
            later: list[SkippedWindow] = []
            if not unkept or not await self._try("skip", self._skip(unkept, later)):
                return
            # What has to wait goes to the end, so that it holds up no others.
            self._unkept = self._unkept[len(unkept) :] + later
            waiting = {(each.partition, each.position) for each in later}
            for each in unkept:
                if (each.partition, each.position) not in waiting:
                    self._close(each.partition, each.position)
            self._relief.set()

    async def _skip(self, windows: Sequence[SkippedWindow], later: list[SkippedWindow]) -> None:
        later += await self._sink.skip(windows)

    async def _checkpoint(self) -> None:
        """Tell how far each partition is settled; what is not told now is told the next time."""
        news = {
            partition: position
            for partition, held in self._partitions.items()
            if held.progress is not None and (position := held.progress.news()) is not None
        }
        if not news or not await self._try("advance", self._sink.advance(news)):
            return
        for partition, position in news.items():
            held = self._partitions.get(partition)
            if held is not None and held.progress is not None:
                held.progress.told(position)

    def _close(self, partition: int, position: Position) -> None:
        held = self._partitions.get(partition)
        if held is not None and held.progress is not None:
            held.progress.settle(position)

    async def _try(self, what: str, call: Awaitable[None]) -> bool:
        """Whether it worked; a failure that passes is counted, told and waited over."""
        try:
            async with asyncio.timeout(self._options.keep_s):
                await call
        except (NotYet, Refused):
            raise
        except PASSING as error:
            await self._trouble(what, error)
            return False
        self._failures.pop(what, None)
        return True

    async def _trouble(self, what: str, error: Exception) -> None:
        """Count, tell now and then, wait a little longer each time."""
        self._tally.troubles[what] += 1
        failures = self._failures.get(what, 0)
        self._failures[what] = failures + 1
        if failures % TELL_EVERY == 0:
            _log.warning("analysis: %s failed, trying again: %s", what, error or type(error))
        again_s = self._options.again_s
        await asyncio.sleep(again_s[min(failures, len(again_s) - 1)])
