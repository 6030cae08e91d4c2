"""The analysis service: reads offered windows, has them looked at, hands on what was found.

One task reads each leased partition (after an outage two: what comes does not wait for what lies
behind), a few tasks look, a keeper keeps what they saw (`keeper.py`).
What cannot be looked at is skipped with a reason. Nothing here ever touches recording.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from kilocam.analyse.errors import FootageError, WorkerError
from kilocam.analyse.keeper import Keeper, KeeperOptions, Partition
from kilocam.analyse.look import SAMPLE_US, SPARE_US, LookOutcome, LookTask
from kilocam.analyse.memory import Memories
from kilocam.analyse.patience import FAILED, PASSING, Patience
from kilocam.analyse.progress import Progress
from kilocam.analyse.results import SkipReason, StageCount
from kilocam.analyse.scheduler import Scheduler, SchedulerOptions
from kilocam.analyse.seams import (
    Companion,
    Glance,
    Resume,
    WindowSink,
    WindowSource,
    Workers,
)
from kilocam.analyse.spare import SpareTime
from kilocam.analyse.windows import Counts, Lane, Learnt, Look, window_of
from kilocam.bus import Asked, Granted, Position, Revoked, Unread
from kilocam.core import CameraKey, Clock, GopRef

YOUNG_US = 4_000_000
"""A key frame older than this is not still on its way."""
LATE_US = 10_000_000
"""A window looked at so long after its end is looked at less closely."""
UNMOVED_SHARE = 0.1
"""Of all workers' time, for the detector on pictures in which nothing changed ..."""
UNMOVED_US = 5_000_000
"""... and what of it is saved up, and there at the start, at most."""
ENLARGED_SHARE = 0.2
"""Likewise for enlarged parts of pictures."""
BEHIND_S = 0.000_2
"""Between two windows that lie behind, of all partitions: an hour of 1000 cameras in 6 minutes."""
MORE_LOOKS = 4
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
    keep_s: float = 15.0
    keeper: KeeperOptions = field(default_factory=KeeperOptions)
    again_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 5.0)
    max_in_memory: int = 300_000
    """Windows pending, or skipped and not yet kept as such, before reading waits."""
    behind_us: int = 30_000_000
    """Windows that wait for longer in the queue are read beside those that come ..."""
    behind_after_s: float = 3.0
    """... once some of those are known."""
    drain_s: float = 3.0
    """What looks under way get when a partition is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalystStatus:
    """What the service has done since it started, for metrics and the page."""

    cameras: int
    windows: Counter[str]
    """`offered`, `looked`, `pending`, and `skipped_...` by reason."""
    stages: Mapping[str, StageCount]
    gate_level: float
    """Share of quiet windows that the gates call quiet: the more, the less time there is."""
    pressed: bool
    """There is time for key frames only."""
    lost: tuple[float, float]
    """Bounds of the share of windows with something that moves that gates passed over lately."""
    deepened: int
    """Windows of which the whole was looked at after their key frame."""
    troubles: Mapping[str, int]
    """What had to be tried again, by what it was."""
    failing: str
    """Why the last looks failed, all of them; empty: they did not."""


class Analyst:
    """One analyst process's service; `run` it until it is cancelled."""

    def __init__(
        self,
        *,
        source: WindowSource,
        sink: WindowSink,
        workers: Workers,
        options: AnalystOptions,
        clock: Clock,
        learnt: Mapping[CameraKey, Learnt] = MappingProxyType({}),
        companions: Sequence[Companion] = (),
    ) -> None:
        self._source = source
        self._sink = sink
        self._workers = workers
        self._options = options
        self._clock = clock
        self._companions = companions
        self._scheduler = Scheduler(options.scheduler, learnt)
        self._memories = Memories()
        lookers = options.scheduler.lookers
        self._spare = SpareTime(UNMOVED_SHARE * lookers, UNMOVED_US, clock)
        self._enlarging = SpareTime(ENLARGED_SHARE * lookers, UNMOVED_US, clock)
        self._partitions: dict[int, Partition] = {}
        self._patience = Patience(options.keep_s, options.again_s)
        self._keeper = Keeper(
            sink=sink,
            scheduler=self._scheduler,
            memories=self._memories,
            partitions=self._partitions,
            patience=self._patience,
            freed=self._freed,
            options=options.keeper,
            clock=clock,
        )
        self._under_way: Counter[int] = Counter()
        self._pace = asyncio.Lock()
        """Of what lies behind."""
        self._wake = asyncio.Event()
        """Something may have become due."""
        self._relief = asyncio.Event()
        """Something has been settled."""

    def status(self) -> AnalystStatus:
        """Counters, as they stand."""
        return AnalystStatus(
            cameras=self._scheduler.cameras,
            windows=self._scheduler.totals,
            stages=dict(self._keeper.stages),
            gate_level=self._scheduler.gate_level,
            pressed=self._scheduler.pressed,
            lost=self._scheduler.lost,
            deepened=self._keeper.deepened,
            troubles=dict(self._patience.troubles),
            failing=self._keeper.failing,
        )

    def counts(self) -> dict[CameraKey, Counts]:
        """The account of each camera that is ours."""
        return self._scheduler.counts()

    def learnt(self) -> dict[CameraKey, Learnt]:
        """What is known of each camera, for the analyst that goes on from here."""
        return self._scheduler.learnt()

    async def run(self) -> None:
        """Serve until cancelled."""
        lookers = self._options.scheduler.lookers + MORE_LOOKS
        async with asyncio.TaskGroup() as tasks:
            for _ in range(lookers):
                tasks.create_task(self._look_on())
            tasks.create_task(self._keeper.run())
            tasks.create_task(self._lease_on(tasks))

    def _freed(self) -> None:
        self._wake.set()
        self._relief.set()

    # Partitions

    async def _lease_on(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            match await self._source.next():
                case Granted(partition=partition):
                    await self._drop(partition)
                    reader = tasks.create_task(self._read_on(partition))
                    self._partitions[partition] = Partition(reader)
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
                    await self._keeper.finish()
        await self._drop(partition)
        await self._source.release(partition)

    async def _drop(self, partition: int) -> None:
        held = self._partitions.pop(partition, None)
        self._scheduler.forget(partition)  # at once: no look at what is not ours any more
        self._memories.forget(partition)
        self._keeper.drop(partition)
        for companion in self._companions:
            companion.dropped(partition)
        if held is not None:
            held.reader.cancel()
            await asyncio.wait([held.reader])

    async def _read_on(self, partition: int) -> None:
        resume = await self._resume(partition)
        progress = self._partitions[partition].progress = Progress(resume.position)
        unread = await self._unread(partition, resume.position)
        async with asyncio.TaskGroup() as readers:
            after = resume.position
            if unread is not None:
                progress.split(unread.upto)
                readers.create_task(self._read_behind(partition, progress, resume, unread.upto))
                after = unread.upto
            async with aclosing(self._read(partition, after)) as offered:
                async for refs, position in offered:
                    self._take_in(partition, refs, position, progress, resume)
                    await self._have_room()

    async def _read_behind(
        self, partition: int, progress: Progress, resume: Resume, upto: Position
    ) -> None:
        """What an outage left, up to where others read what comes; then its newest comes first."""
        self._scheduler.hold_back(partition)
        await asyncio.sleep(self._options.behind_after_s)
        async with aclosing(self._read(partition, resume.position)) as offered:
            async for refs, position in offered:
                if position <= upto:
                    self._take_in(partition, refs, position, progress, resume)
                if position >= upto:
                    break
                async with self._pace:
                    await asyncio.sleep(len(refs) * BEHIND_S)
                if not self._has_room(share=0.5):
                    self._catch_up(partition)
                    await self._have_room(share=0.5)
        progress.read_up()
        self._catch_up(partition)

    def _catch_up(self, partition: int) -> None:
        self._scheduler.catch_up(partition)
        self._wake.set()

    async def _read(
        self, partition: int, after: Position | None
    ) -> AsyncGenerator[tuple[Sequence[GopRef], Position]]:
        """Windows of a partition, endlessly, whatever happens to the queue."""
        while True:
            try:
                async with aclosing(self._source.read(partition, after)) as offered:
                    async for refs, position in offered:
                        after = position
                        yield refs, position
                raise ConnectionError("the queue gave no more windows")
            except PASSING as error:
                await self._patience.after("read", error)

    async def _unread(self, partition: int, after: Position | None) -> Unread | None:
        """What lies behind if that is worth a reader of its own."""
        while True:
            unread = await self._patience.attempt("read", self._source.unread(partition, after))
            if unread is FAILED:
                continue
            old = unread and self._clock.wall_us() - unread.since_us > self._options.behind_us
            return unread if old else None

    async def _resume(self, partition: int) -> Resume:
        while True:
            resume = await self._patience.attempt("resume", self._sink.resume(partition))
            if resume is not FAILED:
                return resume

    def _take_in(
        self,
        partition: int,
        refs: Sequence[GopRef],
        position: Position,
        progress: Progress,
        resume: Resume,
    ) -> None:
        held = self._partitions.get(partition)
        if held is None or held.progress is not progress:
            return  # it was revoked: a reader within the reader ends a moment after that
        progress.read(position, len(refs))
        now_us = self._clock.wall_us()
        for ref in refs:
            known = resume.windows and (
                (CameraKey(ref.tenant, ref.camera), ref.start_us) in resume.windows
            )
            if known or not self._scheduler.offer(ref, position, now_us):
                progress.settle(position)
        self._wake.set()

    async def _have_room(self, share: float = 1.0) -> None:
        while not self._has_room(share):
            await self._something_settles()

    def _has_room(self, share: float) -> bool:
        most = self._options.max_in_memory * share
        return self._scheduler.in_memory + self._keeper.unkept <= most

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
                self._freed()

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

    async def _look(self, look: Look, held: Partition) -> None:
        try:
            outcome = await self._see(look)
        except FootageError as error:
            self._keeper.give_up(look, SkipReason.UNREADABLE, error)
        except WorkerError as error:
            self._keeper.give_up(look, SkipReason.FAILED, error)
        else:
            if look.lane is Lane.FRESH:
                self._tell(look, outcome)
            await self._keeper.keep(look, outcome, held)

    def _tell(self, look: Look, outcome: LookOutcome) -> None:
        before = outcome.before
        glance = Glance(
            key=look.key,
            window=look.window,
            gop_us=look.target.gop_us,
            changed=outcome.findings.changed,
            moving=outcome.found,
            objects=(*(before.objects if before else ()), *outcome.findings.objects),
            grey=outcome.grey,
            audible=outcome.audible,
            pressed=self._scheduler.pressed,
        )
        for companion in self._companions:
            companion.looked(glance)

    async def _see(self, look: Look) -> LookOutcome:
        """Look; a key frame that is not whole yet is waited for."""
        waits = self._options.late_key_s if look.lane is Lane.FRESH else ()
        for wait_s in waits:
            try:
                return await self._look_once(look)
            except FootageError:
                if self._clock.wall_us() - look.target.start_us > YOUNG_US:
                    raise
            await asyncio.sleep(wait_s)
        return await self._look_once(look)

    async def _look_once(self, look: Look) -> LookOutcome:
        task = self._task(look)
        outcome = await self._workers.do(task)
        if not outcome.changed and not task.audit:
            self._spare.spend(outcome.stages.get("detector", StageCount()).cost_us)
        self._enlarging.spend(outcome.stages.get("tiles", StageCount()).cost_us)
        return outcome

    def _task(self, look: Look) -> LookTask:
        target, before = look.target, look.before
        if target.start_us - target.gop_us > self._options.run_up_us:
            raise FootageError(
                f"camera {look.key}: its last key frame is over "
                f"{self._options.run_up_us / 1e6:g} s back; set a shorter key frame interval"
            )
        whole = look.lane is Lane.CATCH_UP
        from_us = before.gop_us if before is not None else target.gop_us
        to_us = target.end_us if whole else target.start_us + self._options.fresh_us
        return LookTask(
            key=look.key,
            window=look.window,
            before=window_of(look.key, before) if before is not None else None,
            whole=whole,
            audit=target.audit,
            sample_us=SPARE_US if self._clock.wall_us() - target.end_us > LATE_US else SAMPLE_US,
            spare=self._spare.left and not self._scheduler.pressed,
            enlarge=self._enlarging.left and not self._scheduler.pressed,
            stretch=(from_us, to_us),
            memory=self._memories.recall(look.key, target.start_us, newest=not whole),
        )
