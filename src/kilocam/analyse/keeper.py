"""Keeping what looks gave: first it is handed on, then settled, so that nothing is lost between.

What was seen is written at once, window by window. Most looks see nothing: those wait a moment for
each other and are noted together, as skipped windows are. What cannot be kept for the moment (the
database is away) is tried again until it can. A window that alone cannot be kept yet waits aside,
with its camera; one that never can is skipped.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kilocam.analyse.errors import NotYet, Refused
from kilocam.analyse.look import Findings, LookOutcome
from kilocam.analyse.memory import Memories
from kilocam.analyse.patience import FAILED, Patience
from kilocam.analyse.progress import Progress
from kilocam.analyse.results import PIPELINE, SkippedWindow, SkipReason, StageCount, WindowResult
from kilocam.analyse.scheduler import Scheduler
from kilocam.analyse.seams import WindowSink
from kilocam.analyse.windows import Look, Pending, window_of
from kilocam.bus import Position
from kilocam.core import CameraKey, Clock

_log = logging.getLogger(__name__)

FAILING = 3
"""So many looks failed one after the other: that is the workers, no camera's footage."""
MOST_AT_ONCE = 5_000
"""Skipped windows told in one transaction."""
_TICK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperOptions:
    """How long things wait for each other."""

    note_every_s: float = 0.5
    """Looks that saw nothing; each holds its camera until then."""
    settle_every_s: float = 4.0
    """Skipped windows, and how far partitions are settled; sooner where many are skipped."""
    aside_s: float = 2.0
    """Between two attempts to keep what waits aside."""


@dataclass(slots=True)
class Partition:
    """One that is ours; another object when it is ours again."""

    reader: asyncio.Task[None]
    progress: Progress | None = None
    """Unknown until the sink has told where to go on."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    look: Look
    outcome: LookOutcome
    at_us: int
    held: Partition


class Keeper:
    """Owns what was looked at or skipped and is not kept yet; `run` it until it is cancelled.

    Args:
        sink: where to.
        scheduler: is told when a look is done.
        memories: is told what a look gave.
        partitions: ours; whose are not any more is dropped.
        patience: how often, how long.
        freed: called when something has been settled.
        options: how long things wait for each other.
        clock: to say when was looked.
    """

    def __init__(
        self,
        *,
        sink: WindowSink,
        scheduler: Scheduler,
        memories: Memories,
        partitions: Mapping[int, Partition],
        patience: Patience,
        freed: Callable[[], None],
        options: KeeperOptions,
        clock: Clock,
    ) -> None:
        self._sink = sink
        self._scheduler = scheduler
        self._memories = memories
        self._partitions = partitions
        self._patience = patience
        self._freed = freed
        self._options = options
        self._clock = clock
        self._unkept: list[SkippedWindow] = []
        # Cameras of these two stay in flight, so there is one a camera at most.
        self._uneventful: list[_Seen] = []
        self._aside: dict[CameraKey, _Seen] = {}
        self._noting, self._settling = asyncio.Lock(), asyncio.Lock()
        self.stages: dict[str, StageCount] = {}
        self.deepened = 0
        self._failed = 0
        self.failing = ""
        """Why the last looks failed, all of them; empty: they did not."""

    @property
    def unkept(self) -> int:
        """Skipped windows not told yet."""
        return len(self._unkept)

    async def run(self) -> None:
        """Keep until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._note_on())
            tasks.create_task(self._settle_on())
            tasks.create_task(self._keep_aside_on(tasks))

    async def keep(self, look: Look, outcome: LookOutcome, held: Partition) -> None:
        """A look is done."""
        self._failed, self.failing = 0, ""
        seen = _Seen(look, outcome, self._clock.wall_us(), held)
        if outcome.before is None and not outcome.found and not outcome.findings.objects:
            self._uneventful.append(seen)
        else:
            await self._keep(seen)

    def give_up(self, look: Look, reason: SkipReason, error: Exception) -> None:
        """A look failed for good."""
        self._patience.troubles[reason] += 1
        if reason is SkipReason.FAILED:
            self._count_failure(error)
        _log.info("window %s of %s skipped: %s", look.target.start_us, look.key, error)
        self._scheduler.give_up(look, cost_us=look.charged_us, reason=reason)

    def _count_failure(self, error: Exception) -> None:
        """Warn once of failures in a row: a footage that harms a decoder is news, not trouble."""
        self._failed += 1
        if self._failed == FAILING:
            _log.warning("the last %d looks failed: %s", FAILING, error)
        if self._failed >= FAILING:
            self.failing = str(error)

    async def finish(self) -> None:
        """Keep now what waits for others."""
        await self._note()
        await self._settle_skipped()
        await self._checkpoint()

    def drop(self, partition: int) -> None:
        """It is someone else's now, and so is what was not kept of it."""
        for key in [key for key in self._aside if key.partition == partition]:
            del self._aside[key]
        self._uneventful = [s for s in self._uneventful if s.look.partition != partition]
        unkept = [*self._unkept, *self._scheduler.drain_skipped()]
        self._unkept = [each for each in unkept if each.partition != partition]

    # What was seen

    async def _keep(self, seen: _Seen) -> None:
        look, outcome = seen.look, seen.outcome
        try:
            if outcome.before is not None and look.before is not None:
                await self._write(self._result(seen, outcome.before, look.before), seen.held)
            await self._write(self._result(seen, outcome.findings, look.target), seen.held)
        except NotYet as error:
            self._put_aside(seen, error)
        except Refused as error:
            self.give_up(look, SkipReason.REFUSED, error)
        else:
            self._kept(seen)

    def _kept(self, seen: _Seen) -> None:
        look, outcome = seen.look, seen.outcome
        if not self._ours(seen):
            return
        self._memories.keep(look.key, outcome)
        self.deepened += outcome.before is not None and look.before is not None
        for stage, count in outcome.stages.items():
            self.stages[stage] = self.stages.get(stage, StageCount()) + count
        self._scheduler.settle(
            look,
            cost_us=sum(count.cost_us for count in outcome.stages.values()),
            changed=outcome.changed,
            found=outcome.found,
            moved=outcome.stages.get("audit", StageCount()).passed > 0,
        )
        self._close(look.partition, look.target.position)

    def _ours(self, seen: _Seen) -> bool:
        """Its partition was not revoked meanwhile, even if it is ours again."""
        return self._partitions.get(seen.look.partition) is seen.held

    def _result(self, seen: _Seen, findings: Findings, pending: Pending) -> WindowResult:
        return WindowResult(
            window=window_of(seen.look.key, pending),
            version=PIPELINE,
            partition=seen.look.partition,
            position=pending.position,
            looked_us=seen.at_us,
            objects=findings.objects,
            changed=findings.changed,
            stages=findings.stages,
        )

    async def _write(self, result: WindowResult, held: Partition) -> None:
        while self._partitions.get(result.partition) is held:
            if await self._patience.attempt("write", self._sink.write(result)) is not FAILED:
                return

    def _put_aside(self, seen: _Seen, error: NotYet) -> None:
        if self._ours(seen):
            look = seen.look
            self._patience.troubles["not_yet"] += 1
            _log.info("window %s of %s waits: %s", look.target.start_us, look.key, error)
            self._aside[look.key] = seen

    async def _keep_aside_on(self, tasks: asyncio.TaskGroup) -> None:
        """Try again to keep what waits aside; nobody waits for it, nor one for the other."""
        while True:
            await asyncio.sleep(self._options.aside_s)
            for seen in self._aside.values():
                tasks.create_task(self._keep_again(seen))
            self._aside.clear()

    async def _keep_again(self, seen: _Seen) -> None:
        await self._keep(seen)
        self._freed()

    # What was not seen

    async def _note_on(self) -> None:
        while True:
            await asyncio.sleep(self._options.note_every_s)
            await self._note()

    async def _note(self) -> None:
        """Keep looks that saw nothing; those that cannot be kept together wait aside."""
        async with self._noting:
            self._uneventful = [each for each in self._uneventful if self._ours(each)]
            seen = {each.look.window: each for each in self._uneventful}
            if not seen:
                return
            results = [self._result(s, s.outcome.findings, s.look.target) for s in seen.values()]
            noted = await self._patience.attempt("note", self._sink.note(results))
            if noted is FAILED:
                return
            alone, later = ({each.window for each in some} for some in noted)
            settled = {each for window, each in seen.items() if window not in later}
            self._uneventful = [each for each in self._uneventful if each not in settled]
            for window, each in seen.items():
                # Revoked meanwhile, and ours again perhaps: then another look may wait aside.
                if each not in settled or not self._ours(each):
                    continue
                if window in alone:
                    self._aside[each.look.key] = each
                else:
                    self._kept(each)
            self._freed()

    async def _settle_on(self) -> None:
        """Windows of one camera are told together: the row that counts them is written once."""
        every_s, clock = self._options.settle_every_s, asyncio.get_running_loop().time
        told = clock()
        while True:
            await asyncio.sleep(min(_TICK_S, every_s))
            skipped = self.unkept + self._scheduler.in_memory - self._scheduler.pending
            if skipped >= MOST_AT_ONCE or clock() - told >= every_s:
                await self._settle_skipped()
                await self._checkpoint()
                told = clock()

    async def _settle_skipped(self) -> None:
        """Tell which windows were skipped; what is not told now is told the next time."""
        async with self._settling:
            unkept = [*self._unkept, *self._scheduler.drain_skipped()]
            telling, self._unkept = unkept[:MOST_AT_ONCE], unkept[MOST_AT_ONCE:]
            if not telling:
                return
            held = {each.partition: self._partitions.get(each.partition) for each in telling}
            later = await self._patience.attempt("skip", self._sink.skip(telling))
            waiting = {each.window for each in (telling if later is FAILED else later)}
            for each in telling:
                # Revoked meanwhile, it is another reader's to settle, who has read it again.
                if self._partitions.get(each.partition) is not held[each.partition]:
                    continue
                if each.window in waiting:
                    self._unkept.append(each)  # at the end, so that it holds up no others
                else:
                    self._close(each.partition, each.position)
            self._freed()

    async def _checkpoint(self) -> None:
        """Tell how far each partition is settled; what is not told now is told the next time."""
        news = {
            partition: position
            for partition, held in self._partitions.items()
            if held.progress is not None and (position := held.progress.news()) is not None
        }
        if not news or await self._patience.attempt("advance", self._sink.advance(news)) is FAILED:
            return
        for partition, position in news.items():
            held = self._partitions.get(partition)
            if held is not None and held.progress is not None:
                held.progress.told(position)

    def _close(self, partition: int, position: Position) -> None:
        held = self._partitions.get(partition)
        if held is not None and held.progress is not None:
            held.progress.settle(position)
