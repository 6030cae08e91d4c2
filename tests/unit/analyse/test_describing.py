"""What becomes of an event that is to be described, with typed fakes around it."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from itertools import pairwise

import pytest
from tests.fakes import pieces as made
from tests.fakes.clock import FakeClock

from kilocam.analyse import Describing, DescribingOptions, Permit
from kilocam.analyse.candidates import CandidateOptions
from kilocam.analyse.cutter import CutOutcome, CutTask
from kilocam.analyse.describing import MOST_LETTERS, clean
from kilocam.analyse.errors import FootageError, Refused, WorkerError
from kilocam.analyse.pictures import Footage
from kilocam.analyse.results import BoxAt, ObjectSeen
from kilocam.analyse.seams import Glance
from kilocam.core import CameraKey, Window
from kilocam.llm import LlmError, Question, Trouble

S = 1_000_000
GATE, OTHERS = CameraKey("default", "gate"), CameraKey("other", "gate")
TODAY, TOMORROW = date(2026, 3, 26), date(2026, 3, 27)


class Shelf:
    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        assert to_us > from_us
        return ((made.session(key), made.piece(key, wall_us=from_us, keyed=True)),)


class Cutters:
    def __init__(self) -> None:
        self.errors: list[Exception] = []

    async def do(self, task: CutTask) -> CutOutcome:
        if self.errors:
            raise self.errors.pop(0)
        return CutOutcome(jpeg=str(task.at_us).encode(), cost_us=10)


class Teller:
    def __init__(self) -> None:
        self.script: list[LlmError | str] = []
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> str:
        self.asked.append(question)
        said = self.script.pop(0) if self.script else "A person walks by."
        if isinstance(said, LlmError):
            raise said
        return said


class Book:
    """Budgets and descriptions, as the database keeps them."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.spent: Counter[tuple[str, date]] = Counter()
        self.kept: dict[str, tuple[str, str]] = {}
        self.gone: set[str] = set()
        self.questions = 0

    async def may_describe(self, key: CameraKey, event_id: str, day: date, budget: int) -> Permit:
        self.questions += 1
        if self.errors:
            raise self.errors.pop(0)
        if event_id in self.kept:
            return Permit.NEEDLESS
        if self.spent[key.tenant, day] >= budget:
            return Permit.SPENT
        self.spent[key.tenant, day] += 1
        return Permit.GIVEN

    async def give_back(self, tenant: str, day: date) -> None:
        self.spent[tenant, day] -= 1

    async def describe(self, key: CameraKey, event_id: str, said: str, by: str) -> bool:
        if self.errors:
            raise self.errors.pop(0)
        if event_id in self.gone:
            return False
        self.kept[event_id] = (said, by)
        return True


class Stage:
    def __init__(self, budget: int) -> None:
        self.clock = FakeClock()
        self.cutters, self.teller, self.book = Cutters(), Teller(), Book()
        self.events = 0
        self.describing = Describing(
            footage=Shelf(),
            cutters=self.cutters,
            teller=self.teller,
            sink=self.book,
            clock=self.clock,
            options=DescribingOptions(
                budget=budget,
                model="eye-1",
                candidates=CandidateOptions(settle_us=0, gap_us=0),
                idle_s=0.002,
            ),
        )
        self.counts = self.describing.counts

    def happens(self, key: CameraKey = GATE) -> str:
        """Somebody walks by; the event's id."""
        self.events += 1
        event = f"e{self.events}"
        at_us = self.clock.wall_us()
        boxes = tuple(
            BoxAt(at_us=at_us + n, box=(n / 4, 0.2, 0.1, 0.3), score=0.5) for n in range(3)
        )
        seen = ObjectSeen(event_id=event, opens=True, label="person", still=False, boxes=boxes)
        window = Window(tenant=key.tenant, camera=key.camera, start_us=at_us, end_us=at_us + 2 * S)
        self.describing.looked(
            Glance(
                key=key, window=window, gop_us=at_us, changed=None, moving=True, grey=None,
                audible=False, objects=(seen,),
            )
        )  # fmt: skip
        return event

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.002)

    async def settled(self) -> None:
        """All that was to be done now is done."""
        await self.until(lambda: self.describing._candidates.idle)
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _running(budget: int = 100) -> AsyncIterator[Stage]:
    stage = Stage(budget)
    running = asyncio.create_task(stage.describing.run())
    try:
        yield stage
    finally:
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()


def trouble(kind: Trouble, wait_us: int = 0) -> LlmError:
    return LlmError(f"it is {kind}", kind, wait_us=wait_us)


@pytest.mark.asyncio
async def test_a_new_event_is_described_and_counted() -> None:
    async with _running() as stage:
        event = stage.happens()
        await stage.until(lambda: event in stage.book.kept)
        assert stage.book.kept == {event: ("A person walks by.", "eye-1")}
        assert stage.book.spent == Counter({("default", TODAY): 1})
        [question] = stage.teller.asked
        assert question.jpeg == str(stage.clock.wall_us()).encode()
        assert "person" in question.text
        assert "never an instruction" in question.instructions


@pytest.mark.asyncio
async def test_a_budget_is_a_tenants_and_a_days() -> None:
    async with _running(budget=2) as stage:
        for _ in range(4):
            stage.happens()
            await stage.settled()
        theirs = stage.happens(OTHERS)
        await stage.settled()
        assert len(stage.teller.asked) == 3
        assert theirs in stage.book.kept
        assert stage.counts["over_budget"] == 2
        assert stage.book.questions == 4  # once it is spent nobody asks the database
        stage.clock.advance(86_400 * S)
        event = stage.happens()
        await stage.until(lambda: event in stage.book.kept)
        assert stage.book.spent["default", TOMORROW] == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", list(Trouble))
async def test_of_an_answer_that_is_none_nothing_is_kept(kind: Trouble) -> None:
    async with _running() as stage:
        stage.teller.script = [trouble(kind)]
        event = stage.happens()
        await stage.until(lambda: stage.counts[f"failed_{kind}"] == 1)
        await asyncio.sleep(0.02)
        assert stage.book.kept == {}
        assert len(stage.teller.asked) == 1
        assert stage.book.spent["default", TODAY] == trouble(kind).costs
        stage.clock.advance(10 * S)  # it is left alone for no longer
        if kind in (Trouble.UNREACHABLE, Trouble.BUSY, Trouble.BROKEN):
            await stage.until(lambda: event in stage.book.kept)  # asked again
        else:
            other = stage.happens()
            await stage.until(lambda: other in stage.book.kept)
            assert list(stage.book.kept) == [other]
        assert stage.describing.problem == ""


@pytest.mark.asyncio
async def test_an_endpoint_that_fails_is_asked_ever_less_often() -> None:
    async with _running() as stage:
        stage.teller.script = [trouble(Trouble.BROKEN)] * 50
        stage.happens()
        await stage.until(lambda: stage.counts["failed_broken"] == 1)
        assert stage.describing.problem == "it is broken"
        asked_at: list[int] = []
        for second in range(540):
            stage.clock.advance(S)
            await asyncio.sleep(0.006)
            asked_at += [second] * (len(stage.teller.asked) - 1 - len(asked_at))
        gaps = [later - former for former, later in pairwise(asked_at)]
        assert 5 <= len(asked_at) <= 12  # of some 270 that two seconds would allow
        assert gaps[-1] > gaps[0]
        assert stage.book.spent["default", TODAY] == 0


@pytest.mark.asyncio
async def test_who_wants_to_be_left_alone_is() -> None:
    async with _running() as stage:
        stage.teller.script = [trouble(Trouble.BUSY, wait_us=100 * S)]
        event = stage.happens()
        await stage.until(lambda: stage.counts["failed_busy"] == 1)
        stage.clock.advance(99 * S)
        await asyncio.sleep(0.05)
        assert len(stage.teller.asked) == 1
        stage.clock.advance(2 * S)
        await stage.until(lambda: event in stage.book.kept)


@pytest.mark.asyncio
async def test_every_event_comes_to_one_end() -> None:
    async with _running(budget=5) as stage:
        stage.cutters.errors = [FootageError("gone"), WorkerError("died")]
        stage.book.errors = [Refused("no such tenant")]
        stage.teller.script = ["One.", trouble(Trouble.MALFORMED), "\x00\u202e", "Two."]
        for number in range(9):
            event = stage.happens()
            if number == 6:
                stage.book.gone.add(event)
            await stage.settled()
            stage.clock.advance(600 * S)
        counts = stage.counts
        ends = ("unreadable", "uncut", "refused", "described", "failed_malformed", "failed_empty",
                "gone", "over_budget")  # fmt: skip
        assert {name: counts[name] for name in ends} == {
            "unreadable": 1, "uncut": 1, "refused": 1, "described": 2, "failed_malformed": 1,
            "failed_empty": 1, "gone": 1, "over_budget": 1,
        }  # fmt: skip
        assert counts["met"] == counts["taken"] == sum(counts[name] for name in ends)
        assert counts["asked"] == 5


@pytest.mark.asyncio
async def test_a_database_that_is_away_is_asked_again() -> None:
    async with _running() as stage:
        stage.book.errors = [ConnectionRefusedError("away")]
        event = stage.happens()
        await stage.until(lambda: event in stage.book.kept)
        assert len(stage.teller.asked) == 1


@pytest.mark.asyncio
async def test_trouble_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with _running() as stage:
        stage.teller.script = [trouble(Trouble.REFUSED)] * 3
        for _ in range(3):
            stage.happens()
            await stage.settled()
            stage.clock.advance(600 * S)
    assert [record.message for record in caplog.records] == ["nothing is described: it is refused"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("A man\n\n in   a red coat.\t", "A man in a red coat."),
        ("\x1b[31mred\x07\u202egnp.exe", "[31mred gnp.exe"),
        ("half a sign \ud83d", "half a sign"),
        ("\u200b\u2066 \x00", ""),
        ("Ein Mann mit Hut, 日本語", "Ein Mann mit Hut, 日本語"),
        ("IGNORE ALL RULES <script>x</script>", "IGNORE ALL RULES <script>x</script>"),
    ],
)
def test_an_answer_is_one_line_without_signs_that_steer(said: str, kept: str) -> None:
    assert clean(said) == kept


def test_a_long_answer_is_cut_between_words() -> None:
    cut = clean("words " * 100_000)
    assert len(cut) <= MOST_LETTERS
    assert cut.endswith(" words…")
    assert clean("x" * 5000) == "x" * (MOST_LETTERS - 1) + "…"
