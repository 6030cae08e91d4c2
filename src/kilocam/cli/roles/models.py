"""Which detector looks here, and the one that is on trial beside it.

Configuration names both; a trial that has ended says which of them looks. What is wrong with the
candidate never keeps the detector in use from looking.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kilocam.analyse import (
    BUCKET,
    BusTrial,
    Companion,
    ComparePool,
    Comparing,
    ComparingOptions,
    FootageSource,
    Limits,
    LookPool,
    Manifest,
    ModelError,
    PoolOptions,
    Tally,
    Trial,
    Verdict,
    WorkerError,
    check_detector,
    known_models,
    load_manifest,
    load_model,
    worker_command,
)
from kilocam.bus import Bus
from kilocam.cli.child import Child
from kilocam.cli.models_board import listing, write_models
from kilocam.core import Clock
from kilocam.core.metrics import by_name
from kilocam.core.settings import AnalysisSettings

_log = logging.getLogger(__name__)
_SHOW_S = 5.0
_COMPARERS = PoolOptions(workers=1, start_s=180.0)
"""Patient with a start, which on a full machine takes long: three failures end a trial."""


class Models:
    """The models of one analyst; made before the bus is entered, `run` beside the analyst."""

    def __init__(
        self,
        settings: AnalysisSettings,
        directory: Path,
        bus: Bus,
        clock: Clock,
        board: Path,
        *,
        look_command: Callable[[str], tuple[str, ...]],
    ) -> None:
        """`look_command` says how to start whoever looks with the detector of a reference."""
        self._settings = settings
        self._directory = directory
        self._bucket = bus.bucket(BUCKET, Trial) if settings.canary else None
        self._clock = clock
        self._board = board
        self._look_command = look_command
        self._current: Manifest | None = None
        self._candidate: Manifest | None = None
        self._kept: BusTrial | None = None
        self._trial: Trial | None = None
        self._problem = ""
        self._refused = ""
        """Why nothing looks."""
        self._pool: LookPool | None = None
        self._looking: Manifest | None = None
        self._comparing: Comparing | None = None
        self._comparers: ComparePool | None = None

    async def start(self, options: PoolOptions) -> LookPool:
        """Workers with the detector that is to look.

        Raises:
            ModelError, WorkerError: it cannot; that is shown, too.
            BusError: whether the candidate was promoted cannot be asked now.
        """
        try:
            pool = await self._start(options)
        except (ModelError, WorkerError) as error:
            self._refused = f"nothing is looked at: {error}"
            await asyncio.to_thread(self._show, "")
            raise
        self._refused = ""
        return pool

    async def _start(self, options: PoolOptions) -> LookPool:
        current = self._current = load_manifest(self._settings.detector, self._directory)
        check_detector(current)
        await self._choose(current)
        if self._promoted is not None:
            try:
                return await self._enter(self._promoted, options)
            except (ModelError, WorkerError) as error:
                self._give_up(f"the one before it looks: {error}")
        return await self._enter(current, options)

    def follow(self, footage: FootageSource) -> Sequence[Companion]:
        """Who follows the looks for the trial: nobody without one."""
        undecided = self._trial is not None and self._trial.verdict is Verdict.UNDECIDED
        if not undecided or not (self._current and self._candidate and self._kept):
            return ()
        names = (self._current.reference, self._candidate.reference)
        self._comparers = ComparePool(
            worker_command(self._directory, "compare", *names), _COMPARERS
        )
        self._comparing = Comparing(
            footage=footage,
            comparers=self._comparers,
            trials=self._kept,
            clock=self._clock,
            options=ComparingOptions(cameras=self._settings.canary_share),
            decided=self._decided,
        )
        return (self._comparing,)

    async def run(self, likeness_problem: Callable[[], str] = str) -> None:
        """Try the candidate until that is decided, and tell how it stands, until cancelled.

        Args:
            likeness_problem: why how objects look is not kept, to be told with it; empty: it is.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._show_on(likeness_problem))
            if self._comparing is not None and self._comparers is not None:
                try:
                    await self._comparing.run()
                finally:
                    await self._comparers.__aexit__()

    @property
    def problem(self) -> str:
        """Why the candidate is not tried; empty: it is, or there is none."""
        return self._problem or (self._comparing.problem if self._comparing is not None else "")

    def show_metrics(self, child: Child) -> None:
        """What became of wishes to compare, and how the trial stands."""
        metrics = child.metrics("analyse")

        def wishes() -> Iterable[tuple[tuple[str], float]]:
            counts = self._comparing.counts if self._comparing is not None else {}
            return by_name(counts)

        def tally() -> Iterable[tuple[tuple[str, str], float]]:
            trial = self._trial_now()
            if trial is None:
                return
            yield ("", "looks"), trial.tally.looks
            yield ("", "failed"), trial.tally.failed
            yield ("", "cost_us"), trial.tally.cost_us
            yield ("", "candidate_cost_us"), trial.tally.candidate_cost_us
            for kind, of in trial.tally.kinds.items():
                yield (kind, "known"), of.known
                yield (kind, "missed"), of.missed
                yield (kind, "found"), of.found
                yield (kind, "extra"), of.extra

        def verdict() -> Iterable[tuple[tuple[str, str], float]]:
            trial = self._trial_now()
            return [((trial.candidate, str(trial.verdict)), 1)] if trial is not None else []

        metrics.watch_counters(
            "canary", "Pictures wished to be compared, what came of them.", ("what",), wishes
        )
        metrics.watch_gauges(
            "trial", "What the trial has counted, on all analysts.", ("kind", "what"), tally
        )
        metrics.watch_gauges(
            "trial_verdict", "How the trial stands.", ("candidate", "verdict"), verdict
        )

    async def _choose(self, current: Manifest) -> None:
        """Learn whether the candidate can be tried, and how its trial stands."""
        self._candidate = self._kept = self._trial = None
        self._problem = ""
        if self._bucket is None:
            return
        try:
            candidate = load_model(self._settings.canary, self._directory).manifest
            check_detector(candidate)
            if candidate.reference == current.reference:
                raise ModelError(f"{current.reference} is the detector in use; name another")
        except ModelError as error:
            self._give_up(str(error))
            return
        self._candidate = candidate
        self._kept = BusTrial(
            self._bucket,
            current,
            candidate,
            limits=Limits(promoting_us=self._settings.canary_least),
            clock=self._clock,
        )
        self._trial = await self._kept.add(Tally())

    def _give_up(self, why: str) -> None:
        self._problem = f"the canary {self._settings.canary} is not used: {why}"
        _log.warning("%s", self._problem)

    @property
    def _promoted(self) -> Manifest | None:
        promoted = self._trial is not None and self._trial.verdict is Verdict.PROMOTED
        return self._candidate if promoted else None

    async def _enter(self, manifest: Manifest, options: PoolOptions) -> LookPool:
        self._pool = await LookPool(self._look_command(manifest.reference), options).__aenter__()
        self._looking = manifest
        return self._pool

    def _decided(self, trial: Trial) -> None:
        self._trial = trial
        if self._promoted is not None and self._pool is not None:
            self._pool.renew(self._look_command(self._promoted.reference))
            self._looking = self._promoted

    def _trial_now(self) -> Trial | None:
        return (self._comparing and self._comparing.trial) or self._trial

    async def _show_on(self, likeness_problem: Callable[[], str]) -> None:
        while True:
            await asyncio.to_thread(self._show, likeness_problem())
            await asyncio.sleep(_SHOW_S)

    def _show(self, likeness_problem: str) -> None:
        known = list(known_models(self._directory))
        told = "; ".join(filter(None, [self._refused, self.problem]))
        unreadable = [str(each) for each in known if isinstance(each, ModelError)]
        shown = listing(
            [each for each in known if isinstance(each, Manifest)],
            configured=self._current,
            looking=self._looking,
            candidate=self._candidate,
            trial=self._trial_now(),
            likeness=self._likeness(),
            problem="; ".join(filter(None, [told, *(e for e in unreadable if e not in told)])),
            likeness_problem=likeness_problem,
        )
        try:
            write_models(self._board, shown)
        except OSError as error:
            _log.warning("which models there are cannot be shown: %s", error)

    def _likeness(self) -> Manifest | None:
        if not self._settings.likeness:
            return None
        try:
            return load_manifest(self._settings.likeness, self._directory)
        except ModelError:
            return None  # whoever needs it says so
