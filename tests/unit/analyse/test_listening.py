"""The listening service with typed fakes around it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from tests.fakes import pieces as made

from kilocam.analyse.ears import EarOptions
from kilocam.analyse.errors import ModelError, Refused, WorkerError
from kilocam.analyse.listening import Listening, ListeningOptions
from kilocam.analyse.pictures import Footage
from kilocam.analyse.results import ObjectSeen
from kilocam.analyse.seams import Glance
from kilocam.analyse.stored_sound import has_sound
from kilocam.analyse.utterances import (
    CODECS,
    ListenOutcome,
    ListenTask,
    Noise,
    Utterance,
    is_audible,
)
from kilocam.core import CameraKey, Session, SystemClock, Window, now_us

S = 1_000_000
GATE = CameraKey("default", "gate")


def _session(codec: str = "pcmu") -> Session:
    sound = replace(made.track(codec, "audio"), index=1, rtp_channel=2, rtcp_channel=3)
    if codec == "mpeg4-generic":
        sound = replace(sound, fmtp="mode=AAC-hbr;config=1408", clock_rate=16_000)
    else:
        sound = replace(sound, clock_rate=48_000 if codec == "opus" else 8_000)
    return replace(made.session(GATE), tracks=(made.track(), sound))


def _glance(at_us: int, session: Session, key: CameraKey = GATE) -> Glance:
    window = Window(tenant=key.tenant, camera=key.camera, start_us=at_us, end_us=at_us + 2 * S)
    return Glance(
        key=key, window=window, gop_us=at_us, changed=None, moving=False, grey=None,
        audible=is_audible(session),
    )  # fmt: skip


class Shelf:
    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        return ((_session(), made.piece(key, wall_us=from_us, duration_us=to_us - from_us)),)


class Listeners:
    """Every second something is said, unless `mute`, and `noise` sounds."""

    def __init__(self) -> None:
        self.tasks: list[ListenTask] = []
        self.errors: list[Exception] = []
        self.mute = False
        self.noise = ""

    async def do(self, task: ListenTask) -> ListenOutcome:
        self.tasks.append(task)
        if self.errors:
            raise self.errors.pop()
        span = {"from_us": task.from_us, "to_us": task.to_us}
        said = Utterance(**span, text="stop", score=0.7)
        noise = Noise(**span, label=self.noise, score=0.7)
        return ListenOutcome(
            until_us=task.to_us,
            said=() if self.mute else (said,),
            noises=(noise,) if self.noise else (),
            floor_db=-50.0,
            loud=not self.mute,
            spent_us={"decode": 10},
            heard_us={"decode": task.to_us - task.from_us},
        )


@dataclass
class Row:
    start_us: int
    until_us: int
    ends_us: int | None


class Book:
    """A `HearingSink` in memory, with the database's rules."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.said: list[ObjectSeen] = []
        self.errors: list[Exception] = []
        self.dropped = 0

    def _here(self) -> None:
        if self.errors:
            raise self.errors.pop()

    async def stretches(self, key: CameraKey) -> Sequence[Row]:
        del key
        self._here()
        return [replace(row) for row in self.rows]

    async def begin(self, key: CameraKey, at_us: int, instead_of: int | None) -> None:
        del key
        self._here()
        for row in self.rows:
            if row.ends_us is None and row.start_us == instead_of:
                row.ends_us = max(row.until_us, at_us)
        if all(row.ends_us is not None for row in self.rows):
            self.rows.append(Row(at_us, at_us, None))

    async def heard(
        self, key: CameraKey, start_us: int, from_us: int, until_us: int,
        said: Sequence[ObjectSeen],
    ) -> bool:  # fmt: skip
        del key
        self._here()
        [row] = [row for row in self.rows if row.start_us == start_us]
        if row.until_us > from_us:
            return False
        row.until_us = until_us
        self.said += said
        return True

    async def silent(self, silences: Sequence[tuple[CameraKey, int, int]]) -> None:
        self._here()
        for _, start_us, until_us in silences:
            [row] = [row for row in self.rows if row.start_us == start_us]
            row.until_us = max(row.until_us, until_us)

    async def drop(self, key: CameraKey) -> None:
        del key
        self.dropped += 1
        self.rows = [r for r in self.rows if r.ends_us is None or r.until_us < r.ends_us]


class Stage:
    def __init__(self) -> None:
        self.listeners, self.book = Listeners(), Book()
        ears = EarOptions(turn_us=10_000, quiet_turn_us=10_000, arrival_us=0, again_us=10_000)
        options = ListeningOptions(ears=ears, note_every_us=10_000)
        self.listening = Listening(Shelf(), self.listeners, self.book, SystemClock(), options)

    def looked(self, codec: str = "pcmu", camera: str = "gate") -> None:
        key = CameraKey("default", camera)
        self.listening.looked(_glance(now_us() - S, _session(codec), key))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)


@asynccontextmanager
async def _running() -> AsyncIterator[Stage]:
    stage = Stage()
    task = asyncio.create_task(stage.listening.run())
    yield stage
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


@pytest.mark.parametrize("codec", [*sorted(CODECS), "g726-32", "l16", "vnd.onvif.metadata"])
def test_cameras_with_sound_are_those_whose_sound_is_decoded(codec: str) -> None:
    assert is_audible(_session(codec)) == has_sound(_session(codec)) == (codec in CODECS)
    assert not is_audible(made.session(GATE))


@pytest.mark.asyncio
async def test_what_is_said_is_kept_once_and_in_order() -> None:
    async with _running() as stage:
        stage.looked()
        stage.looked()
        await stage.until(lambda: len(stage.book.said) >= 5)
        times = [(each.boxes[0].at_us, each.boxes[1].at_us) for each in stage.book.said]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(times))
        assert {each.label for each in stage.book.said} == {"speech"}
        assert {each.text for each in stage.book.said} == {"stop"}
        assert len(stage.book.rows) == 1


@pytest.mark.asyncio
async def test_a_sound_that_goes_on_is_one_event_until_the_camera_is_anothers() -> None:
    async with _running() as stage:
        stage.listeners.mute, stage.listeners.noise = True, "siren"
        stage.looked()
        await stage.until(lambda: len(stage.book.said) >= 3)
        assert {(each.label, each.text) for each in stage.book.said} == {("sound", "siren")}
        assert len({each.event_id for each in stage.book.said}) == 1
        assert [each.opens for each in stage.book.said[:3]] == [True, False, False]

        stage.listening.dropped(GATE.partition)
        stage.book.said.clear()
        stage.looked()
        await stage.until(lambda: bool(stage.book.said))
        assert stage.book.said[0].opens


@pytest.mark.asyncio
async def test_silence_is_noted_by_and_by() -> None:
    async with _running() as stage:
        stage.listeners.mute = True
        stage.looked()
        await stage.until(lambda: bool(stage.book.rows))
        [row] = stage.book.rows
        await stage.until(lambda: row.until_us > row.start_us + S)
        assert stage.book.said == []


@pytest.mark.asyncio
async def test_a_camera_without_sound_is_left_alone_and_one_that_lost_it_too() -> None:
    async with _running() as stage:
        stage.looked("l16")
        await asyncio.sleep(0.02)
        assert stage.listeners.tasks == []
        stage.looked()
        await stage.until(lambda: bool(stage.listeners.tasks))
        stage.looked("l16")
        await asyncio.sleep(0.02)
        heard = len(stage.listeners.tasks)
        await asyncio.sleep(0.05)
        assert len(stage.listeners.tasks) == heard


@pytest.mark.asyncio
async def test_a_successor_goes_on_where_hearing_ended_and_catches_up_what_is_old() -> None:
    async with _running() as stage:
        stage.listeners.mute = True
        long_ago = now_us() - 300 * S
        stage.book.rows.append(Row(long_ago - 10 * S, long_ago, None))
        stage.looked()
        await stage.until(lambda: stage.book.dropped > 0)
        [live] = stage.book.rows
        assert live.ends_us is None
        # From where it was left all is heard, but that of which the live stretch was made.
        heard = sorted((task.from_us, task.to_us) for task in stage.listeners.tasks)
        assert heard[0][0] == long_ago
        past = [each for each in heard if each[1] <= live.start_us]
        assert past[-1][1] == live.start_us
        assert all(a[1] == b[0] for a, b in itertools.pairwise(past))


@pytest.mark.asyncio
async def test_whoever_was_overtaken_asks_anew() -> None:
    async with _running() as stage:
        stage.looked()
        await stage.until(lambda: bool(stage.book.said))
        [row] = stage.book.rows
        row.until_us = now_us() + 5 * S  # another has heard further
        await stage.until(lambda: stage.listening.counts["overtaken"] == 1)
        kept = len(stage.book.said)
        stage.looked()
        await asyncio.sleep(0.05)
        assert len(stage.book.said) == kept


@pytest.mark.asyncio
async def test_a_turn_that_fails_is_counted_and_the_next_goes_on() -> None:
    async with _running() as stage:
        stage.listeners.errors.append(WorkerError("died"))
        stage.looked()
        await stage.until(lambda: stage.listening.counts["failed"] == 1)
        await stage.until(lambda: bool(stage.book.said))
        assert stage.listeners.tasks[1].from_us == stage.listeners.tasks[0].from_us


@pytest.mark.asyncio
async def test_a_database_that_is_away_is_waited_for() -> None:
    async with _running() as stage:
        stage.looked()
        await stage.until(lambda: bool(stage.book.said))
        stage.book.errors.append(ConnectionRefusedError("away"))
        kept = len(stage.book.said)
        await stage.until(lambda: not stage.book.errors and len(stage.book.said) > kept)
        assert len({each.event_id for each in stage.book.said}) == len(stage.book.said)


@pytest.mark.asyncio
async def test_a_camera_without_a_place_keeps_out_nobody() -> None:
    async with _running() as stage:
        stage.book.errors.append(Refused("no such tenant"))
        stage.looked()
        await stage.until(lambda: stage.listening.counts["refused"] == 1)
        stage.looked()  # it is not asked about again at once
        stage.looked(camera="yard")
        await stage.until(lambda: bool(stage.book.said))
        assert stage.listening.counts["refused"] == 1
        assert {task.key.camera for task in stage.listeners.tasks} == {"yard"}


@pytest.mark.asyncio
async def test_without_its_model_it_says_so() -> None:
    async with _running() as stage:
        stage.listeners.errors.append(ModelError("model ear: missing"))
        stage.looked()
        await stage.until(lambda: stage.listening.problem == "model ear: missing")


@pytest.mark.asyncio
async def test_a_camera_given_away_while_its_place_is_asked_for_is_not_taken_back() -> None:
    async with _running() as stage:
        stage.book.errors.append(ConnectionRefusedError("away"))
        stage.looked()
        await asyncio.sleep(0.01)
        stage.listening.dropped(GATE.partition)
        await stage.until(lambda: not stage.book.errors)
        await asyncio.sleep(0.6)
        assert stage.listeners.tasks == []


@pytest.mark.asyncio
async def test_a_partition_that_went_is_heard_no_more() -> None:
    async with _running() as stage:
        stage.looked()
        await stage.until(lambda: bool(stage.book.said))
        stage.listening.dropped(GATE.partition)
        await asyncio.sleep(0.02)
        heard = len(stage.listeners.tasks)
        await asyncio.sleep(0.05)
        assert len(stage.listeners.tasks) == heard
        assert stage.listening.lag_s() == 0
