"""The comparing service: on a share of the cameras a candidate looks beside the detector in use.

It follows the analyst's looks. Of each camera the newest wish waits, the camera that was compared
longest ago comes first, and all of it takes a share of a core: when that does not reach, pictures
are left out and counted. Events come from the detector in use alone, whatever becomes of the
candidate. Counts are handed to the trial now and then, until it is decided.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from kilocam.analyse.canary import Tally, Verdict, agreement, in_share, sure
from kilocam.analyse.comparer import CompareOutcome, CompareTask
from kilocam.analyse.errors import MOST_LETTERS, FootageError, ModelError, WorkerError
from kilocam.analyse.patience import FAILED, Patience, read_footage
from kilocam.analyse.seams import Comparers, FootageSource, Glance
from kilocam.analyse.trials import Trial, Trials
from kilocam.core import CameraKey, Clock, Detection

_log = logging.getLogger(__name__)
_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparingOptions:
    """How much comparing may take, and how often a camera is compared."""

    cameras: float
    """The share of them."""
    share: float = 0.25
    """Of one core's time."""
    gap_us: int = 5 * _S
    """Between two pictures of a camera in which something changes ..."""
    quiet_gap_us: int = 30 * _S
    """... and of one in which nothing does; the detector in use runs as seldom then."""
    stale_us: int = 60 * _S
    """A wish that waited so long expires."""
    fresh_us: int = 600_000
    """Footage read from a window's start on."""
    read_s: float = 10.0
    keep_s: float = 5.0
    """Between two hand-ins of counts."""
    failed_s: float = 5.0
    """After a failure, before the next attempt."""


@dataclass(slots=True)
class _Camera:
    wish: Glance | None = None
    wished_us: int = 0
    compared_us: int = 0
    before: tuple[Detection, ...] = ()
    """Surely seen in the last picture, by either."""


@dataclass(slots=True)
class Comparing:
    """A `Companion` of the analyst; `run` it beside: it returns when the trial is decided."""

    footage: FootageSource
    comparers: Comparers
    trials: Trials
    clock: Clock
    options: ComparingOptions
    decided: Callable[[Trial], None]
    """Told the verdict, once."""
    counts: Counter[str] = field(default_factory=Counter)
    """`wished` = `replaced` + `expired` + `unreadable` + `failed` + `compared` + those that wait or
    were given away."""
    trial: Trial | None = None
    """As it stood last, with what other analysts have counted."""
    problem: str = ""
    """Why nothing comes of the trial here; empty: something does."""
    _cameras: dict[CameraKey, _Camera] = field(default_factory=dict)
    _others: set[CameraKey] = field(default_factory=set)
    """Cameras that are not of the share."""
    _unkept: Tally = field(default_factory=Tally)
    _failure: str = ""
    """How the candidate failed last."""
    _over: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def looked(self, glance: Glance) -> None:
        """A look was done."""
        if self._over:
            return
        if not in_share(glance.key, self.options.cameras):
            self._others.add(glance.key)
            return
        camera = self._cameras.setdefault(glance.key, _Camera())
        busy = glance.changed is not None or glance.moving
        gap_us = self.options.gap_us if busy else self.options.quiet_gap_us
        now_us = self.clock.wall_us()
        if now_us - camera.compared_us < gap_us:
            return
        self.counts["wished"] += 1
        self.counts["replaced"] += camera.wish is not None
        camera.wish, camera.wished_us = glance, now_us
        self._wake.set()

    def dropped(self, partition: int) -> None:
        """A partition is not ours any more."""
        for key in [key for key in self._cameras if key.partition == partition]:
            del self._cameras[key]
        self._others = {key for key in self._others if key.partition != partition}

    async def run(self) -> None:
        """Compare until the trial is decided or this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            comparing = tasks.create_task(self._compare_on())
            await self._keep_on()
            comparing.cancel()

    # Counts

    async def _keep_on(self) -> None:
        patience = Patience(self.options.read_s, (1.0, 2.0, 5.0))
        while True:
            more, self._unkept = self._unkept, Tally()
            trial = await patience.attempt("trial", self.trials.add(more, self._failure))
            if trial is FAILED:
                self._unkept += more
                continue
            self.trial = trial
            if trial.verdict is not Verdict.UNDECIDED:
                self._over = True
                self._cameras.clear()
                _log.warning("model %s is %s: %s", trial.candidate, trial.verdict, trial.why)
                self.decided(trial)
                return
            self._tell_emptiness()
            await asyncio.sleep(self.options.keep_s)

    def _tell_emptiness(self) -> None:
        """With few cameras the share may have none of them, which should not be a riddle."""
        empty = bool(self._others) and not self._cameras
        if empty and not self.problem:
            self.problem = (
                f"none of {len(self._others)} cameras here is among the share of "
                f"{self.options.cameras:g} for the canary; raise analysis.canary_share"
            )
            _log.warning("%s", self.problem)
        elif not empty:
            self.problem = ""

    # Comparing

    async def _compare_on(self) -> None:
        while True:
            self._wake.clear()
            camera = self._take()
            if camera is None or camera.wish is None:
                await self._wake.wait()
                continue
            glance, camera.wish = camera.wish, None
            camera.compared_us = self.clock.wall_us()
            await self._compare(glance, camera)

    def _take(self) -> _Camera | None:
        """The camera that was compared longest ago, of those that have a wish."""
        now_us = self.clock.wall_us()
        best: _Camera | None = None
        for camera in self._cameras.values():
            if camera.wish is not None and now_us - camera.wished_us > self.options.stale_us:
                camera.wish = None
                self.counts["expired"] += 1
            if camera.wish and (best is None or camera.compared_us < best.compared_us):
                best = camera
        return best

    async def _compare(self, glance: Glance, camera: _Camera) -> None:
        try:
            outcome = await self.comparers.do(await self._task(glance))
        except FootageError:
            self.counts["unreadable"] += 1
        except (WorkerError, ModelError) as error:
            # The detector in use has just looked at this window in another process, so whatever
            # fails here is the candidate's.
            self.counts["failed"] += 1
            self._unkept += Tally(failed=1)
            self._failure = str(error)[:MOST_LETTERS]
            _log.warning("the canary failed: %s", error)
            await asyncio.sleep(self.options.failed_s)
        else:
            self.counts["compared"] += 1
            self._unkept += _tally(outcome, camera.before)
            camera.before = sure(outcome.current.seen, outcome.candidate.seen)
            spent_s = (outcome.current.cost_us + outcome.candidate.cost_us) / 1e6
            await asyncio.sleep(spent_s * (1 / self.options.share - 1))

    async def _task(self, glance: Glance) -> CompareTask:
        to_us = glance.window.start_us + self.options.fresh_us
        footage = await read_footage(
            self.footage, glance.key, glance.gop_us, to_us, self.options.read_s
        )
        return CompareTask(key=glance.key, window=glance.window, footage=footage)


def _tally(outcome: CompareOutcome, before: tuple[Detection, ...]) -> Tally:
    return Tally(
        looks=1,
        kinds=agreement(outcome.current.seen, outcome.candidate.seen, before),
        cost_us=outcome.current.cost_us,
        candidate_cost_us=outcome.candidate.cost_us,
    )
