"""Of which objects vectors are made and when, with typed fakes around it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.fakes import pieces as made

from kilocam.analyse.embedding import EmbedOutcome, EmbedTask
from kilocam.analyse.errors import FootageError, ModelError, NotYet, Refused, WorkerError
from kilocam.analyse.likening import BETTER, Likening, Wish, Wishes
from kilocam.analyse.pictures import Footage
from kilocam.analyse.results import BoxAt, ObjectSeen, WindowResult, event_id
from kilocam.analyse.seams import Portrait
from kilocam.bus import Position
from kilocam.core import CameraKey, SystemClock, Window

S = 1_000_000
GATE = CameraKey("default", "gate")
BOX = (0.3, 0.3, 0.1, 0.4)


def _seen(number: int, score: float = 0.6, *, at_us: int = 0) -> ObjectSeen:
    return ObjectSeen(
        event_id=event_id(GATE, 0, number),
        opens=True,
        label="person",
        still=False,
        boxes=(
            BoxAt(at_us=at_us, box=BOX, score=score),
            BoxAt(at_us=at_us + S, box=(0.0, 0.0, 0.5, 0.5), score=score / 2),
        ),
    )


def _window(start_us: int = 0) -> Window:
    return Window(
        tenant=GATE.tenant, camera=GATE.camera, start_us=start_us, end_us=start_us + 2 * S
    )


def _wish(number: int, score: float = 0.6) -> Wish:
    return Wish(window=_window(), seen=_seen(number, score))


def _result(*objects: ObjectSeen, start_us: int = 0) -> WindowResult:
    return WindowResult(
        window=_window(start_us), version="1", partition=GATE.partition, position=Position(1, 1),
        looked_us=0, objects=objects,
    )  # fmt: skip


class Desk:
    """Wishes of which each is kept as soon as it is taken."""

    def __init__(self, most: int = 10) -> None:
        self.counts: Counter[str] = Counter()
        self.wishes = Wishes(self.counts, most)

    def kept(self) -> list[float]:
        """Scores of those taken now."""
        scores = []
        while (wish := self.wishes.take()) is not None:
            self.wishes.kept(wish)
            scores.append(wish.score)
        return scores


def test_an_event_gets_one_vector_and_another_when_it_is_seen_much_better() -> None:
    desk = Desk()
    kept = []
    for score in (0.5, 0.55, 0.59, 0.5 + BETTER, 0.65, 0.4, 0.9, 0.9):
        desk.wishes.add(_wish(0, score))
        kept += desk.kept()
    assert kept == [0.5, 0.6, 0.9]


def test_what_waits_is_replaced_by_a_better_sight_and_by_no_worse_one() -> None:
    desk = Desk()
    for number, score in ((0, 0.5), (1, 0.7), (0, 0.51), (0, 0.45)):
        desk.wishes.add(_wish(number, score))
    assert desk.kept() == [0.51, 0.7]  # in the place of the first
    assert desk.counts == {"wished": 3, "replaced": 1}


def test_a_vector_that_was_not_kept_is_wished_for_again() -> None:
    desk = Desk()
    desk.wishes.add(_wish(0))
    assert desk.wishes.take() is not None
    desk.wishes.add(_wish(0))
    assert desk.kept() == [0.6]


def test_when_too_many_wait_the_oldest_goes_and_is_counted() -> None:
    desk = Desk(most=3)
    for number in range(5):
        desk.wishes.add(_wish(number, 0.5 + number / 100))
    assert desk.kept() == [0.52, 0.53, 0.54]
    assert desk.counts == {"wished": 5, "replaced": 0, "crowded_out": 2}


class Shelf:
    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        self.asked.append((from_us, to_us))
        return ((made.session(key), made.piece(key, wall_us=from_us, keyed=True)),)


class Embedders:
    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.tasks: list[EmbedTask] = []

    async def do(self, task: EmbedTask) -> EmbedOutcome:
        self.tasks.append(task)
        if self.errors:
            raise self.errors.pop()
        return EmbedOutcome(vector=(0.6, 0.8), model="eye@1", cost_us=10)


class Album:
    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.kept: list[Portrait] = []

    async def keep(self, portrait: Portrait) -> None:
        if self.errors:
            raise self.errors.pop()
        self.kept.append(portrait)


class Stage:
    def __init__(self) -> None:
        self.shelf, self.embedders, self.album = Shelf(), Embedders(), Album()
        self.likening = Likening(self.shelf, self.embedders, self.album, SystemClock())

    def written(self, number: int, at_us: int = 4 * S) -> None:
        self.likening.written(_result(_seen(number, at_us=at_us), start_us=at_us))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    async def counted(self, **counts: int) -> None:
        await self.until(lambda: self.likening.counts["wished"] == counts["wished"])
        ends = {what: count for what, count in counts.items() if count}
        await self.until(lambda: all(self.likening.counts[what] == n for what, n in ends.items()))
        del self.likening.counts["cost_us"]
        assert +self.likening.counts == ends


@asynccontextmanager
async def _running() -> AsyncIterator[Stage]:
    stage = Stage()
    task = asyncio.create_task(stage.likening.run())
    yield stage
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


@pytest.mark.asyncio
async def test_the_best_sight_of_each_object_is_kept() -> None:
    async with _running() as stage:
        stage.written(0)
        stage.written(1, at_us=6 * S)
        await stage.counted(wished=2, kept=2)
        first, second = stage.album.kept
        assert first == Portrait(
            window=_window(4 * S), event_id=event_id(GATE, 0, 0), label="person", at_us=4 * S,
            model="eye@1", vector=(0.6, 0.8),
        )  # fmt: skip
        assert second.at_us == 6 * S
        task = stage.embedders.tasks[0]
        assert (task.key, task.at_us, task.box) == (GATE, 4 * S, BOX)
        assert stage.shelf.asked[0] == (4 * S, 4 * S + 600_000)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "count"),
    [(FootageError("gone"), "unreadable"), (WorkerError("died"), "failed")],
)
async def test_what_fails_is_counted_and_the_next_goes_on(error: Exception, count: str) -> None:
    async with _running() as stage:
        stage.embedders.errors.append(error)
        stage.written(0)
        stage.written(1)
        await stage.counted(wished=2, kept=1, **{count: 1})


@pytest.mark.asyncio
async def test_what_cannot_be_kept_for_the_moment_is_tried_again() -> None:
    async with _running() as stage:
        stage.album.errors.append(ConnectionRefusedError("the database is away"))
        stage.written(0)
        await stage.counted(wished=1, kept=1)


@pytest.mark.asyncio
async def test_what_has_no_place_is_counted() -> None:
    async with _running() as stage:
        stage.album.errors.append(Refused("no such tenant"))
        stage.written(0)
        stage.written(1)
        await stage.counted(wished=2, refused=1, kept=1)


@pytest.mark.asyncio
async def test_a_database_that_keeps_no_vectors_is_told() -> None:
    async with _running() as stage:
        stage.album.errors.append(NotYet("this database keeps no vectors"))
        stage.written(0)
        await stage.until(lambda: stage.likening.problem == "this database keeps no vectors")
        await stage.counted(wished=1, unkept=1)


@pytest.mark.asyncio
async def test_without_its_model_it_says_so() -> None:
    async with _running() as stage:
        stage.embedders.errors.append(ModelError("model eye: missing"))
        stage.written(0)
        await stage.until(lambda: stage.likening.problem == "model eye: missing")
        await stage.counted(wished=1, failed=1)
