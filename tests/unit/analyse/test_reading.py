"""What is read and when, with typed fakes around it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from tests.fakes import pieces as made

from kilocam.analyse.difference import HEIGHT, WIDTH, Grey
from kilocam.analyse.errors import FootageError, ModelError, Refused, WorkerError
from kilocam.analyse.lines import WHOLE, Line, ReadOutcome, ReadTask
from kilocam.analyse.pictures import Footage
from kilocam.analyse.reading import Reading, ReadingOptions, Wishes
from kilocam.analyse.results import ObjectSeen
from kilocam.analyse.seams import Glance
from kilocam.core import CameraKey, SystemClock, Window, now_us

S = 1_000_000
GATE, YARD = CameraKey("default", "gate"), CameraKey("default", "yard")
SIGN = (0.3, 0.3, 0.2, 0.1)
EXIT = Line(text="EXIT", score=0.9, box=SIGN)
OPTIONS = ReadingOptions()


def _glance(
    second: float = 0,
    key: CameraKey = GATE,
    *,
    changed: tuple[float, float, float, float] | None = SIGN,
    moving: bool = False,
    grey: Grey | None = None,
) -> Glance:
    start = int(second * S)
    return Glance(
        key=key,
        window=Window(tenant=key.tenant, camera=key.camera, start_us=start, end_us=start + 2 * S),
        gop_us=start,
        changed=changed,
        moving=moving,
        grey=grey,
        audible=False,
    )


class Desk:
    """Wishes and what becomes of them; seconds in place of microseconds."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wishes = Wishes(OPTIONS, self.counts)

    def looked(self, second: float, key: CameraKey = GATE, **more: object) -> None:
        self.wishes.looked(_glance(second, key, **more), int(second * S) + 1000 * S)  # type: ignore[arg-type] # the test's own

    def read(self, second: float, *lines: Line) -> str:
        """Whose turn it is."""
        now = int(second * S) + 1000 * S
        wish = self.wishes.take(now)
        if wish is None:
            return ""
        at_us = wish.glance.window.start_us
        self.wishes.read(wish, ReadOutcome(at_us=at_us, lines=lines, cost_us=300_000), now)
        return wish.glance.key.camera


def test_what_changed_is_read_with_a_margin() -> None:
    desk = Desk()
    desk.looked(0)
    wish = desk.wishes.take(1000 * S)
    assert wish is not None
    assert wish.region == pytest.approx((0.26, 0.26, 0.28, 0.18))


def test_change_of_nearly_everything_is_read_as_a_whole() -> None:
    desk = Desk()
    desk.looked(0, changed=(0.1, 0.0, 0.9, 0.9))
    wish = desk.wishes.take(1000 * S)
    assert wish is not None
    assert wish.region == WHOLE


def test_a_picture_without_change_is_read_once_in_ten_minutes() -> None:
    desk = Desk()
    reads = []
    for second in range(0, 1300, 2):
        desk.looked(second, changed=None)
        if desk.read(second):
            reads.append(second)
    assert reads == [0, 600, 1200]


def _seconds_read(desk: Desk, greys: Mapping[int, Grey]) -> list[int]:
    """When a camera is read that is looked at each 2 s and looks like that from then on."""
    reads = []
    for second in range(0, 200, 2):
        grey = greys[max(each for each in greys if each <= second)]
        desk.looked(second, grey=grey)
        if desk.read(second, EXIT):
            reads.append(second)
    return reads


def _grey(level: int, *, sign: int = 0) -> Grey:
    grey = np.full((HEIGHT, WIDTH), level, np.uint8)
    grey[18:22, 32:40] += np.uint8(sign)
    return grey


def test_what_looks_the_same_is_not_read_again_for_a_minute() -> None:
    assert _seconds_read(Desk(), {0: _grey(100)}) == [0, 60, 120, 180]
    darker = {0: _grey(100), 30: _grey(60)}
    assert _seconds_read(Desk(), darker) == [0, 60, 120, 180]


def test_what_looks_different_is_read_at_once() -> None:
    greys = {0: _grey(100), 10: _grey(100, sign=40), 12: _grey(100, sign=80), 50: _grey(100)}
    assert _seconds_read(Desk(), greys) == [0, 10, 14, 50, 110, 170]


def test_what_looks_different_elsewhere_is_no_reason() -> None:
    other = _grey(100)
    other[40:50, 80:90] = 200
    assert _seconds_read(Desk(), {0: _grey(100), 10: other}) == [0, 60, 120, 180]


def test_what_always_moves_is_read_now_and_then() -> None:
    greys = {second: _grey(100, sign=second // 4 % 2 * 90) for second in range(0, 200, 2)}
    assert _seconds_read(Desk(), greys) == list(range(0, 200, 4))


def test_change_that_nothing_moving_explains_comes_first() -> None:
    desk = Desk()
    desk.looked(0, GATE, moving=True)
    desk.looked(0, YARD)
    assert [desk.read(1), desk.read(1), desk.read(1)] == ["yard", "gate", ""]


def test_the_camera_that_waits_longest_comes_first() -> None:
    desk = Desk()
    for second in range(0, 400, 40):
        desk.looked(second, GATE)
        desk.looked(second, YARD)
        assert desk.read(second) == ("gate", "yard")[second // 40 % 2]


def test_a_camera_that_cannot_be_read_keeps_out_nobody() -> None:
    desk = Desk()
    turns = {"gate": 0, "yard": 0}
    for second in range(0, 600, 4):
        desk.looked(second, GATE)
        desk.looked(second, YARD)
        now = second * S + 1000 * S
        if (wish := desk.wishes.take(now)) is None:
            continue
        turns[wish.glance.key.camera] += 1
        if wish.glance.key == GATE:
            desk.wishes.failed(wish, now)
        else:
            outcome = ReadOutcome(at_us=second * S, lines=(EXIT,), cost_us=1)
            desk.wishes.read(wish, outcome, now)
    assert turns["yard"] > 50
    assert turns["gate"] < 10


def test_every_wish_comes_to_one_end() -> None:
    desk = Desk()
    desk.looked(0)
    desk.looked(4)  # replaces the first
    desk.looked(4, YARD)
    assert desk.read(70) == ""  # both have waited too long
    assert desk.counts == {"wished": 3, "replaced": 1, "expired": 2}


def test_what_changed_in_another_place_pushes_out_no_wish() -> None:
    desk = Desk()
    desk.looked(0)
    desk.looked(2, changed=(0.8, 0.8, 0.1, 0.1))
    desk.looked(4)
    regions = []
    while (wish := desk.wishes.take(1005 * S)) is not None:
        regions.append((wish.glance.window.start_us // S, round(wish.region[0], 2)))
    assert regions == [(2, 0.76), (4, 0.26)]
    assert desk.counts == {"wished": 3, "replaced": 1}


def test_no_camera_has_more_than_a_few_wishes() -> None:
    desk = Desk()
    for place in range(8):
        desk.looked(place, changed=(place / 10, 0.1, 0.02, 0.02))
    taken = 0
    while desk.wishes.take(1010 * S) is not None:
        taken += 1
    assert taken == 4
    assert desk.counts == {"wished": 8, "replaced": 4}


def test_cameras_of_a_partition_that_went_are_forgotten() -> None:
    desk = Desk()
    desk.looked(0)
    wish = desk.wishes.take(1000 * S)
    assert wish is not None
    desk.wishes.drop(GATE.partition)
    outcome = ReadOutcome(at_us=0, lines=(EXIT,), cost_us=1)
    assert desk.wishes.read(wish, outcome, 1001 * S) == ()
    desk.looked(1)
    desk.wishes.drop(GATE.partition)
    assert desk.read(1) == ""


class Shelf:
    failures = 0

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        del to_us
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError("the recorder is away")
        return ((made.session(key), made.piece(key, wall_us=from_us, keyed=True)),)


class Readers:
    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.lines: tuple[Line, ...] = (EXIT,)
        self.tasks: list[ReadTask] = []

    async def do(self, task: ReadTask) -> ReadOutcome:
        self.tasks.append(task)
        if self.errors:
            raise self.errors.pop()
        return ReadOutcome(at_us=task.window.start_us, lines=self.lines, cost_us=10)


class Book:
    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.kept: list[tuple[Window, tuple[ObjectSeen, ...]]] = []

    async def read(self, window: Window, texts: Sequence[ObjectSeen]) -> None:
        if self.errors:
            raise self.errors.pop()
        self.kept.append((window, tuple(texts)))


class Stage:
    def __init__(self) -> None:
        self.shelf, self.readers, self.book = Shelf(), Readers(), Book()
        self.reading = Reading(self.shelf, self.readers, self.book, SystemClock())

    def looked(self, key: CameraKey = GATE) -> None:
        self.reading.looked(_glance(now_us() / S, key))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)


@asynccontextmanager
async def _running() -> AsyncIterator[Stage]:
    stage = Stage()
    task = asyncio.create_task(stage.reading.run())
    yield stage
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


@pytest.mark.asyncio
async def test_what_is_read_is_kept_with_its_window() -> None:
    async with _running() as stage:
        stage.looked()
        await stage.until(lambda: bool(stage.book.kept))
        [(window, (seen,))] = stage.book.kept
        [task] = stage.readers.tasks
        assert task.window == window
        assert (seen.label, seen.text, seen.best.box) == ("text", "EXIT", SIGN)
        await stage.until(lambda: stage.reading.counts["read"] == 1)


@pytest.mark.asyncio
async def test_a_picture_without_text_adds_nothing() -> None:
    async with _running() as stage:
        stage.readers.lines = ()
        stage.looked()
        await stage.until(lambda: stage.reading.counts["read"] == 1)
        assert stage.book.kept == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "count"),
    [(FootageError("gone"), "unreadable"), (WorkerError("died"), "failed")],
)
async def test_a_reading_that_fails_is_counted_and_the_next_goes_on(
    error: Exception, count: str
) -> None:
    async with _running() as stage:
        stage.readers.errors.append(error)
        stage.looked()
        await stage.until(lambda: stage.reading.counts[count] == 1)
        stage.looked(YARD)
        await stage.until(lambda: bool(stage.book.kept))


@pytest.mark.asyncio
async def test_footage_that_cannot_be_read_is_counted() -> None:
    async with _running() as stage:
        stage.shelf.failures = 1
        stage.looked()
        await stage.until(lambda: stage.reading.counts["unreadable"] == 1)


@pytest.mark.asyncio
async def test_what_cannot_be_kept_for_the_moment_is_tried_again() -> None:
    async with _running() as stage:
        stage.book.errors.append(ConnectionRefusedError("the database is away"))
        stage.looked()
        await stage.until(lambda: bool(stage.book.kept))


@pytest.mark.asyncio
async def test_what_has_no_place_is_counted() -> None:
    async with _running() as stage:
        stage.book.errors.append(Refused("no such tenant"))
        stage.looked()
        await stage.until(lambda: stage.reading.counts["refused"] == 1)


@pytest.mark.asyncio
async def test_without_its_model_it_says_so() -> None:
    async with _running() as stage:
        stage.readers.errors.append(ModelError("model eye: missing"))
        stage.looked()
        await stage.until(lambda: stage.reading.problem == "model eye: missing")
