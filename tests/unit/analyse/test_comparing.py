"""What is compared and when, and how a trial ends, with typed fakes around it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from tests.fakes import pieces as made
from tests.fakes.clock import FakeClock

from kilocam.analyse.canary import Agreement, Limits, Tally, Verdict, judge
from kilocam.analyse.comparer import CompareOutcome, CompareTask, Opinion
from kilocam.analyse.comparing import Comparing, ComparingOptions
from kilocam.analyse.errors import FootageError, ModelError, WorkerError
from kilocam.analyse.pictures import Footage
from kilocam.analyse.seams import Glance
from kilocam.analyse.trials import Trial
from kilocam.core import CameraKey, Detection, Window

S = 1_000_000
BOX = (0.3, 0.3, 0.2, 0.1)
GATE, YARD = CameraKey("default", "gate"), CameraKey("default", "yard")
PERSON = Detection(label="person", score=0.9, box=BOX, at_us=0)
OPTIONS = ComparingOptions(cameras=1.0, keep_s=0.01, failed_s=0.01)


class Shelf:
    failing = False

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        del to_us
        if self.failing:
            raise ConnectionRefusedError("the recorder is away")
        return ((made.session(key), made.piece(key, wall_us=from_us, keyed=True)),)


class Comparers:
    def __init__(self) -> None:
        self.tasks: list[CompareTask] = []
        self.errors: list[Exception] = []
        self.candidate: tuple[Detection, ...] = (PERSON,)
        self.gate = asyncio.Event()
        self.gate.set()

    async def do(self, task: CompareTask) -> CompareOutcome:
        self.tasks.append(task)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop()
        return CompareOutcome(
            current=Opinion(seen=(PERSON,), cost_us=10),
            candidate=Opinion(seen=self.candidate, cost_us=20),
        )


class Book:
    """A trial without a queue."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.trial = Trial(current="eye@1", candidate="eye@2", begun_us=0)
        self.failures = 0
        self.asked = 0

    async def add(self, more: Tally, failure: str = "") -> Trial:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError("the queue is away")
        tally = self.trial.tally + more
        verdict, why = judge(tally, 0, self.limits, failure)
        self.trial = replace(self.trial, tally=tally, verdict=verdict, why=why)
        return self.trial


class Stage:
    def __init__(self, options: ComparingOptions) -> None:
        self.shelf, self.comparers, self.book = Shelf(), Comparers(), Book()
        self.clock = FakeClock()
        self.decided: list[Trial] = []
        self.comparing = Comparing(
            footage=self.shelf,
            comparers=self.comparers,
            trials=self.book,
            clock=self.clock,
            options=options,
            decided=self.decided.append,
        )

    def looked(self, key: CameraKey = GATE, *, busy: bool = True) -> None:
        start = self.clock.now
        window = Window(tenant=key.tenant, camera=key.camera, start_us=start, end_us=start + 2 * S)
        self.comparing.looked(
            Glance(
                key=key,
                window=window,
                gop_us=start,
                changed=BOX if busy else None,
                moving=False,
                grey=None,
                audible=False,
            )
        )

    def count(self, what: str) -> int:
        return self.comparing.counts[what]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.002)


@asynccontextmanager
async def _running(options: ComparingOptions = OPTIONS) -> AsyncIterator[Stage]:
    stage = Stage(options)
    task = asyncio.create_task(stage.comparing.run())
    yield stage
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


@pytest.mark.asyncio
async def test_what_both_saw_is_counted_for_the_trial() -> None:
    async with _running() as stage:
        stage.comparers.candidate = ()
        stage.looked()
        await stage.until(lambda: stage.book.trial.tally.looks == 1)
        assert stage.book.trial.tally == Tally(
            looks=1,
            kinds={"person": Agreement(known=1, missed=1)},
            cost_us=10,
            candidate_cost_us=20,
        )
        stage.clock.advance(10 * S)
        stage.looked()  # the same person stands there: counted once
        await stage.until(lambda: stage.book.trial.tally.looks == 2)
        assert stage.book.trial.tally.all_kinds == Agreement(known=1, missed=1)


@pytest.mark.asyncio
async def test_a_camera_is_compared_seldom_and_more_seldom_when_nothing_changes() -> None:
    async with _running() as stage:
        for second in range(60):
            stage.looked(GATE, busy=True)
            stage.looked(YARD, busy=False)
            waiting = stage.count("wished")
            await stage.until(
                lambda waiting=waiting: stage.count("compared") == waiting  # type: ignore[misc] # bound now
            )
            assert second < 60
            stage.clock.advance(S)
        cameras = [task.key for task in stage.comparers.tasks]
        assert (cameras.count(GATE), cameras.count(YARD)) == (12, 2)


@pytest.mark.asyncio
async def test_a_slow_candidate_is_left_behind_and_every_wish_comes_to_one_end() -> None:
    async with _running() as stage:
        stage.comparers.gate.clear()
        stage.looked(GATE)
        await stage.until(lambda: len(stage.comparers.tasks) == 1)
        for _ in range(3):
            stage.clock.advance(10 * S)
            stage.looked(GATE)
        stage.looked(YARD)
        stage.clock.advance(50 * S)
        stage.looked(YARD)
        stage.clock.advance(20 * S)  # the gate's is too old now
        stage.comparers.gate.set()
        await stage.until(lambda: stage.count("compared") == 2)
        assert stage.comparing.counts == {
            "wished": 6,
            "replaced": 3,
            "expired": 1,
            "compared": 2,
        }


@pytest.mark.asyncio
async def test_only_cameras_of_the_share_are_compared_and_none_is_told() -> None:
    async with _running(replace(OPTIONS, cameras=1e-9)) as stage:
        stage.looked(GATE)
        stage.looked(YARD)
        await stage.until(lambda: bool(stage.comparing.problem))
        assert stage.comparing.problem == (
            "none of 2 cameras here is among the share of 1e-09 for the canary; "
            "raise analysis.canary_share"
        )
        assert not stage.comparing.counts


@pytest.mark.asyncio
async def test_footage_that_is_gone_counts_against_nobody() -> None:
    async with _running() as stage:
        stage.comparers.errors.append(FootageError("no picture"))
        stage.looked()
        await stage.until(lambda: stage.count("unreadable") == 1)
        stage.shelf.failing = True
        stage.looked(YARD)
        await stage.until(lambda: stage.count("unreadable") == 2)
        asked = stage.book.asked
        await stage.until(lambda: stage.book.asked > asked + 1)
        assert stage.book.trial.tally == Tally()


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [WorkerError("died"), ModelError("refused" * 99)])
async def test_a_candidate_that_fails_is_rolled_back_and_asked_no_more(error: Exception) -> None:
    async with _running() as stage:
        stage.comparers.errors += [error] * 9
        for number in range(9):
            if stage.decided:
                break
            stage.looked(CameraKey("default", f"cam{number}"))
            failed = number + 1
            await stage.until(
                lambda failed=failed: stage.book.trial.tally.failed == failed  # type: ignore[misc] # bound now
            )
        await stage.until(lambda: bool(stage.decided))
        [trial] = stage.decided
        assert trial.verdict is Verdict.ROLLED_BACK
        assert trial.why == f"it failed 3 of 3 looks; the last time: {str(error)[:300]}"
        assert stage.comparing.trial == trial
        stage.clock.advance(60 * S)
        stage.looked()
        await asyncio.sleep(0.05)
        assert len(stage.comparers.tasks) == 3


@pytest.mark.asyncio
async def test_a_verdict_of_another_analyst_ends_the_trial_here() -> None:
    async with _running() as stage:
        await stage.until(lambda: stage.book.asked > 0)
        stage.book.trial = replace(
            stage.book.trial,
            tally=Tally(looks=0, failed=3),  # what the rule makes of it here too
        )
        await stage.until(lambda: bool(stage.decided))
        assert stage.comparers.tasks == []


@pytest.mark.asyncio
async def test_counts_wait_for_a_queue_that_is_away() -> None:
    async with _running() as stage:
        await stage.until(lambda: stage.book.asked > 0)
        stage.book.failures = 1
        stage.looked()
        await stage.until(lambda: stage.book.failures == 0)
        await stage.until(lambda: stage.book.trial.tally.looks == 1)


@pytest.mark.asyncio
async def test_cameras_that_went_are_not_compared() -> None:
    async with _running() as stage:
        stage.comparers.gate.clear()
        stage.looked(YARD)
        await stage.until(lambda: len(stage.comparers.tasks) == 1)
        stage.looked(GATE)
        stage.comparing.dropped(GATE.partition)
        stage.comparers.gate.set()
        stage.clock.advance(10 * S)
        stage.looked(YARD)
        await stage.until(lambda: stage.count("compared") == 2)
        assert {task.key for task in stage.comparers.tasks} == {YARD}
