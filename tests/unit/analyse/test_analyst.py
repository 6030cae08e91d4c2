"""The service with typed fakes around it: a queue, footage, workers, a sink that can be away."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from kilocam.analyse.analyst import MORE_LOOKS, Analyst, AnalystOptions
from kilocam.analyse.errors import FootageError, ModelError, NotYet, Refused, WorkerError
from kilocam.analyse.keeper import KeeperOptions
from kilocam.analyse.look import SAMPLE_US, SPARE_US, Findings, LookOutcome, LookTask, Memory
from kilocam.analyse.results import (
    BoxAt,
    ObjectSeen,
    SkippedWindow,
    SkipReason,
    StageCount,
    WindowResult,
)
from kilocam.analyse.scheduler import SchedulerOptions
from kilocam.analyse.seams import Glance, Noted
from kilocam.bus import Asked, BusUnavailable, Granted, LeaseChange, Position, Revoked, Unread
from kilocam.core import CameraKey, GopRef, SystemClock, Window, now_us

pytestmark = pytest.mark.asyncio
S = 1_000_000
GATE = CameraKey("default", "gate")
HOME = GATE.partition


class Queue:
    """A `WindowSource`: what was offered stays, and is read from any position."""

    def __init__(self) -> None:
        self.offered: list[tuple[tuple[GopRef, ...], Position]] = []
        self.changes: asyncio.Queue[LeaseChange] = asyncio.Queue()
        self.released: list[int] = []
        self.more = asyncio.Event()
        self.failures = 0
        self.closable = asyncio.Event()
        """A reader that is given up can end."""
        self.closable.set()
        self.start_us = now_us() - 60 * S
        self.left: Unread | None = None
        """What an outage left."""

    def offer(
        self,
        camera: str = "gate",
        *,
        second: float | None = None,
        codec: str = "h264",
        tenant: str = "default",
    ) -> int:
        number = len(self.offered) + 1
        start = self.start_us + round((2 * number if second is None else second) * S)
        ref = GopRef(
            tenant=tenant, camera=camera, session=1, epoch=1, start_us=start, gop_us=start,
            complexity=0.0, onset=0.0, bytes_before=0, codec=codec, durable=False,
        )  # fmt: skip
        self.offered.append(((ref,), Position(1, number)))
        self.more.set()
        return start

    def together(self, many: int) -> None:
        """The last messages become one, at the position of the last."""
        refs = tuple(ref for each, _ in self.offered[-many:] for ref in each)
        self.offered = [*self.offered[:-many], *([((), Position(0, 0))] * (many - 1))]
        self.offered.append((refs, Position(1, len(self.offered) + 1)))

    async def next(self) -> LeaseChange:
        return await self.changes.get()

    async def release(self, partition: int) -> None:
        self.released.append(partition)

    async def unread(self, partition: int, after: Position | None) -> Unread | None:
        del partition, after
        return self.left

    async def read(
        self, partition: int, after: Position | None
    ) -> AsyncGenerator[tuple[Sequence[GopRef], Position]]:
        if self.failures:
            self.failures -= 1
            raise BusUnavailable("the queue is away")
        told = after.sequence if after else 0
        try:
            while True:
                for refs, position in self.offered[told:]:
                    told += 1
                    if refs and CameraKey(refs[0].tenant, refs[0].camera).partition == partition:
                        yield refs, position
                self.more.clear()
                await self.more.wait()
        finally:
            await self.closable.wait()


class Crew:
    """`Workers` that see what the test says."""

    def __init__(self) -> None:
        self.tasks: list[LookTask] = []
        self.found = False
        self.walker = False
        """Somebody is seen in each window; the event's id is its start."""
        self.stages = {"decode": StageCount(seen=1, passed=1, cost_us=2000)}
        self.error: Callable[[LookTask], Exception | None] = lambda _: None
        self.gate = asyncio.Event()
        self.gate.set()

    async def do(self, task: LookTask) -> LookOutcome:
        self.tasks.append(task)
        await self.gate.wait()
        if (error := self.error(task)) is not None:
            raise error
        findings = Findings(
            window=task.window, objects=self._seen(task.window), changed=None, stages=self.stages
        )
        before = None
        if task.before is not None:
            before = Findings(
                window=task.before,
                objects=self._seen(task.before),
                changed=None,
                stages=self.stages,
            )
        return LookOutcome(
            before=before,
            findings=findings,
            memory=Memory(tracker=b"seen", last=findings),
            stages=self.stages,
            changed=self.found,
            found=self.found,
            audible=True,
        )

    def _seen(self, window: Window) -> tuple[ObjectSeen, ...]:
        if not self.walker:
            return ()
        box = BoxAt(at_us=window.start_us, box=(0.1, 0.1, 0.1, 0.1), score=0.9)
        event = str(window.start_us)
        return (ObjectSeen(event_id=event, opens=True, label="person", still=False, boxes=(box,)),)


@dataclass(frozen=True)
class Settled:
    position: Position | None
    windows: frozenset[tuple[CameraKey, int]]


class Book:
    """A `WindowSink` in memory; `away` makes it fail, `objection` what a camera's windows meet."""

    def __init__(self) -> None:
        self.away = False
        self.objection: dict[str, Exception] = {}
        self.absent = ""
        """A tenant whose database is away."""
        self.writable = asyncio.Event()
        self.writable.set()
        self.skippable = asyncio.Event()
        self.skippable.set()
        self.telling = 0
        """How often windows were told as skipped, or began to be."""
        self.written: list[WindowResult] = []
        self.noted: list[int] = []
        """How many at a time."""
        self.skipped: dict[tuple[str, int], SkipReason] = {}
        self.positions: dict[int, Position] = {}
        self.settled: frozenset[tuple[CameraKey, int]] = frozenset()
        self.calls = 0

    def _here(self) -> None:
        self.calls += 1
        if self.away:
            raise ConnectionRefusedError("the database is away")

    async def resume(self, partition: int) -> Settled:
        self._here()
        return Settled(self.positions.get(partition), self.settled)

    async def write(self, result: WindowResult) -> None:
        self._here()
        await self.writable.wait()
        if (error := self.objection.get(result.window.camera)) is not None:
            raise error
        self.written.append(result)

    async def note(self, results: Sequence[WindowResult]) -> Noted:
        self._here()
        await self.writable.wait()
        self.noted.append(len(results))
        alone = [each for each in results if each.window.camera in self.objection]
        later = [each for each in results if each.window.tenant == self.absent]
        self.written += [each for each in results if each not in alone and each not in later]
        return alone, later

    async def skip(self, windows: Sequence[SkippedWindow]) -> Sequence[SkippedWindow]:
        self._here()
        self.telling += 1
        await self.skippable.wait()
        later = []
        for each in windows:
            assert (each.window.camera, each.window.start_us) not in self.skipped
            if isinstance(self.objection.get(each.window.camera), NotYet):
                later.append(each)
            else:
                self.skipped[each.window.camera, each.window.start_us] = each.reason
        return later

    async def advance(self, positions: Mapping[int, Position]) -> None:
        self._here()
        self.positions |= positions

    @property
    def starts(self) -> list[int]:
        return [result.window.start_us for result in self.written]


class Beside:
    """A `Companion` that remembers."""

    def __init__(self) -> None:
        self.glances: list[Glance] = []
        self.gone: list[int] = []

    def looked(self, glance: Glance) -> None:
        self.glances.append(glance)

    def dropped(self, partition: int) -> None:
        self.gone.append(partition)


class Stage:
    """An analyst and everything around it."""

    def __init__(self, keeper: KeeperOptions, behind_after_s: float = 0.0) -> None:
        self.queue, self.crew, self.book = Queue(), Crew(), Book()
        self.beside = Beside()
        options = AnalystOptions(
            scheduler=SchedulerOptions(lookers=1, deepen_within_us=120 * S),
            late_key_s=(0.001, 0.001, 0.001),
            again_s=(0.001,),
            keeper=keeper,
            behind_after_s=behind_after_s,
            drain_s=0.5,
        )
        self.analyst = Analyst(
            source=self.queue,
            sink=self.book,
            workers=self.crew,
            options=options,
            clock=SystemClock(),
            companions=(self.beside,),
        )

    def grant(self, partition: int = HOME) -> None:
        self.queue.changes.put_nowait(Granted(partition, 1))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)


AT_ONCE = KeeperOptions(note_every_s=0.005, settle_every_s=0.005, aside_s=0.005)


@asynccontextmanager
async def _running(
    keeper: KeeperOptions = AT_ONCE, behind_after_s: float = 0.0
) -> AsyncIterator[Stage]:
    stage = Stage(keeper, behind_after_s)
    task = asyncio.create_task(stage.analyst.run())
    yield stage
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


async def test_an_offered_window_is_looked_at_written_and_settled() -> None:
    async with _running() as stage:
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 1)})

        [result] = stage.book.written
        assert result.key == GATE
        assert result.window.start_us == start
        assert (result.partition, result.position) == (HOME, Position(1, 1))
        [task] = stage.crew.tasks
        assert task.stretch is not None
        from_us, to_us = task.stretch
        assert (task.key, from_us) == (GATE, start)
        assert start < to_us <= start + S
        counts = stage.analyst.counts()[GATE]
        assert (counts.offered, counts.looked, counts.pending) == (1, 1, 0)


async def test_those_beside_are_told_of_looks_and_of_partitions_that_go() -> None:
    async with _running() as stage:
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: bool(stage.book.written))
        [glance] = stage.beside.glances
        assert (glance.key, glance.window.start_us, glance.gop_us) == (GATE, start, start)
        assert (glance.changed, glance.moving) == (None, False)
        assert glance.audible
        stage.beside.gone.clear()
        stage.queue.changes.put_nowait(Revoked(HOME, 1))
        await stage.until(lambda: stage.beside.gone == [HOME])


async def test_those_beside_are_told_what_was_seen_and_in_the_rest_of_the_window_before() -> None:
    async with _running() as stage:
        stage.crew.found = stage.crew.walker = True
        stage.grant()
        first = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [first])
        second = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [first, first, second])
        told = [[each.event_id for each in glance.objects] for glance in stage.beside.glances]
        assert told == [[str(first)], [str(first), str(second)]]


async def test_windows_of_partitions_that_are_not_ours_are_left_alone() -> None:
    async with _running() as stage:
        stage.queue.offer("yard")
        stage.queue.offer()
        stage.grant()
        await stage.until(lambda: len(stage.book.written) == 1)
        assert CameraKey("default", "yard").partition != HOME
        assert stage.book.written[0].key == GATE


async def test_when_something_is_found_the_rest_of_the_window_is_written_with_the_next() -> None:
    async with _running() as stage:
        stage.crew.found = True
        stage.grant()
        first = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [first])
        second = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [first, first, second])

        assert stage.book.written[1].window.end_us == second
        assert stage.book.written[1].position == Position(1, 1)
        assert stage.crew.tasks[1].stretch == (first, second + 600_000)
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 2)})
        assert stage.analyst.status().deepened == 1
        assert stage.analyst.counts()[GATE].looked == 2


async def test_what_is_looked_at_late_is_looked_at_less_closely() -> None:
    async with _running() as stage:
        stage.grant()
        stage.queue.offer()
        await stage.until(lambda: len(stage.crew.tasks) == 1)
        stage.queue.start_us = now_us() - 10 * S
        stage.queue.offer()
        await stage.until(lambda: len(stage.crew.tasks) == 2)
        assert [task.sample_us for task in stage.crew.tasks] == [SPARE_US, SAMPLE_US]


async def test_a_restart_goes_on_behind_what_is_settled_and_looks_at_nothing_twice() -> None:
    async with _running() as stage:
        starts = [stage.queue.offer() for _ in range(4)]
        stage.book.positions = {HOME: Position(1, 1)}
        stage.book.settled = frozenset({(GATE, starts[2])})
        stage.grant()
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 4)})
        assert sorted(stage.book.starts) == [starts[1], starts[3]]


async def test_results_wait_for_a_database_that_is_away_and_none_is_lost() -> None:
    async with _running() as stage:
        stage.grant()
        await stage.until(lambda: stage.book.calls > 0)
        stage.book.away = True
        starts = [stage.queue.offer() for _ in range(5)]
        before = stage.book.calls
        await stage.until(lambda: stage.book.calls > before + 10)
        assert stage.book.written == []

        stage.book.away = False
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 5)})
        assert sorted(stage.book.starts) == starts
        assert stage.analyst.status().troubles["note"] > 0


async def test_a_database_that_is_away_at_the_start_is_waited_for() -> None:
    async with _running() as stage:
        stage.book.away = True
        stage.grant()
        stage.queue.offer()
        await stage.until(lambda: stage.book.calls > 3)
        stage.book.away = False
        await stage.until(lambda: len(stage.book.written) == 1)


async def test_a_queue_that_breaks_off_is_read_on_from_the_same_place() -> None:
    async with _running() as stage:
        stage.queue.failures = 3
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [start])
        assert stage.analyst.status().troubles["read"] == 3


async def test_a_key_frame_that_is_not_whole_yet_is_waited_for() -> None:
    async with _running() as stage:
        stage.queue.start_us = now_us() - 2 * S
        stage.crew.error = lambda _: (
            FootageError("half a picture") if len(stage.crew.tasks) < 3 else None
        )
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [start])
        assert len(stage.crew.tasks) == 3


async def test_footage_that_is_gone_is_skipped_with_its_reason() -> None:
    async with _running() as stage:
        stage.crew.error = lambda _: FootageError("no picture")
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 1)})
        assert stage.book.skipped == {("gate", start): SkipReason.UNREADABLE}
        assert len(stage.crew.tasks) == 1


async def test_a_recorder_that_is_away_for_a_moment_costs_no_window() -> None:
    async with _running() as stage:
        stage.queue.start_us = now_us() - 2 * S
        away = iter([FootageError("the recorder is away")] * 2)
        stage.crew.error = lambda _: next(away, None)
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [start])


async def test_a_look_that_fails_for_good_is_skipped_and_others_go_on() -> None:
    async with _running() as stage:
        first = stage.queue.start_us + 2 * S
        stage.crew.error = lambda task: (
            WorkerError("died twice") if task.window.start_us == first else None
        )
        stage.grant()
        stage.queue.offer()
        second = stage.queue.offer()
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 2)})
        assert stage.book.skipped == {("gate", first): SkipReason.FAILED}
        assert stage.book.starts == [second]


async def test_looks_that_fail_one_after_the_other_are_told_once_until_one_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def looked(many: int) -> bool:
        return stage.book.positions == {HOME: Position(1, many)}

    async with _running() as stage:
        stage.crew.error = lambda task: WorkerError(f"window {task.window.start_us} died")
        stage.grant()
        for many in (1, 2):
            stage.queue.offer()
            await stage.until(lambda many=many: looked(many))  # type: ignore[misc] # bound now
        assert stage.analyst.status().failing == ""
        for many in (3, 4):
            last = stage.queue.offer()
            await stage.until(lambda many=many: looked(many))  # type: ignore[misc] # bound now
        assert stage.analyst.status().failing == f"window {last} died"
        told = [each for each in caplog.records if each.levelname == "WARNING"]
        assert [each.getMessage()[:28] for each in told] == ["the last 3 looks failed: win"]
        stage.crew.error = lambda _: None
        stage.queue.offer()
        await stage.until(lambda: looked(5))
        assert stage.analyst.status().failing == ""


async def test_a_codec_that_is_not_decoded_is_skipped_without_reading_anything() -> None:
    async with _running() as stage:
        stage.grant()
        start = stage.queue.offer(codec="jpeg")
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 1)})
        assert stage.book.skipped == {("gate", start): SkipReason.CODEC}
        assert stage.crew.tasks == []


async def test_a_key_frame_too_far_back_is_skipped_without_reading_anything() -> None:
    async with _running() as stage:
        stage.grant()
        start = stage.queue.offer()
        (ref,), position = stage.queue.offered[0]
        far = GopRef(
            tenant=ref.tenant, camera=ref.camera, session=1, epoch=1, start_us=start,
            gop_us=start - 31 * S, complexity=0, onset=0, bytes_before=0, codec="h264",
            durable=False,
        )  # fmt: skip
        stage.queue.offered[0] = ((far,), position)
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 1)})
        assert stage.book.skipped == {("gate", start): SkipReason.UNREADABLE}
        assert stage.crew.tasks == []


async def test_parts_of_pictures_are_enlarged_while_there_is_time_for_that() -> None:
    async with _running() as stage:
        stage.grant()
        stage.crew.stages = {"tiles": StageCount(seen=2, cost_us=3 * S)}
        for _ in range(3):
            stage.queue.offer()
            await stage.until(lambda: len(stage.book.written) == len(stage.queue.offered))
        assert [task.enlarge for task in stage.crew.tasks] == [True, True, False]
        assert all(task.spare for task in stage.crew.tasks)


async def test_a_partition_that_is_asked_for_is_finished_kept_and_given_back() -> None:
    async with _running() as stage:
        stage.grant()
        stage.crew.gate.clear()
        start = stage.queue.offer()
        await stage.until(lambda: len(stage.crew.tasks) == 1)
        stage.queue.changes.put_nowait(Asked(HOME, 1))
        await asyncio.sleep(0)
        assert stage.queue.released == []

        stage.crew.gate.set()
        await stage.until(lambda: stage.queue.released == [HOME])
        assert stage.book.starts == [start]
        assert stage.book.positions == {HOME: Position(1, 1)}
        assert stage.analyst.counts() == {}


async def test_a_partition_that_was_revoked_is_dropped_and_its_look_not_written() -> None:
    async with _running() as stage:
        stage.grant()
        stage.crew.gate.clear()
        stage.queue.offer()
        await stage.until(lambda: len(stage.crew.tasks) == 1)
        stage.queue.changes.put_nowait(Revoked(HOME, 1))
        await stage.until(lambda: stage.analyst.counts() == {})
        stage.crew.gate.set()
        stage.grant()
        await stage.until(lambda: len(stage.book.written) == 1)
        assert len(stage.crew.tasks) == 2


async def test_nothing_of_a_revoked_partition_is_taken_up_while_its_reader_ends() -> None:
    names = (f"cam{number}" for number in range(10_000))
    beside = [name for name in names if CameraKey("default", name).partition == HOME]
    at_once = 1 + MORE_LOOKS
    async with _running() as stage:
        stage.crew.gate.clear()
        stage.grant()
        for camera in beside[: at_once + 1]:
            stage.queue.offer(camera)
        await stage.until(lambda: len(stage.crew.tasks) == at_once)
        stage.queue.closable.clear()
        stage.queue.changes.put_nowait(Revoked(HOME, 1))
        await asyncio.sleep(0.01)
        stage.crew.gate.set()
        await asyncio.sleep(0.02)
        stage.queue.closable.set()
        stage.grant()
        await stage.until(lambda: len(stage.book.written) == at_once + 1)


async def test_a_window_is_settled_only_after_it_was_written() -> None:
    async with _running() as stage:
        stage.book.writable.clear()
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: len(stage.crew.tasks) == 1)
        skipped = stage.queue.offer(codec="jpeg")
        await stage.until(lambda: ("gate", skipped) in stage.book.skipped)
        await asyncio.sleep(0.05)  # many checkpoints
        assert stage.analyst.counts()[GATE].looked == 0
        assert stage.book.positions.get(HOME, Position(1, 0)) < Position(1, 1)

        stage.book.writable.set()
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 2)})
        assert stage.book.starts == [start]


async def test_looks_that_saw_nothing_are_noted_together_and_one_that_did_is_written_before() -> (
    None
):
    names = (f"cam{number}" for number in range(10_000))
    beside = [name for name in names if CameraKey("default", name).partition == HOME][:5]
    async with _running(KeeperOptions(note_every_s=0.2)) as stage:
        stage.grant()
        for camera in beside:
            stage.queue.offer(camera)
        await stage.until(lambda: len(stage.crew.tasks) == 5)
        stage.crew.found = True
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [start])
        assert stage.book.noted == []
        assert stage.analyst.counts()[CameraKey("default", beside[0])].looked == 0

        await stage.until(lambda: len(stage.book.written) == 6)
        assert stage.book.noted == [5]
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 6)})


async def test_what_waits_to_be_noted_is_noted_before_its_partition_is_given_back() -> None:
    async with _running(KeeperOptions(note_every_s=60)) as stage:
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: len(stage.crew.tasks) == 1)
        stage.queue.changes.put_nowait(Asked(HOME, 1))
        await stage.until(lambda: stage.queue.released == [HOME])
        assert stage.book.starts == [start]
        assert stage.book.positions == {HOME: Position(1, 1)}


async def test_windows_told_together_are_settled_with_the_last_of_them() -> None:
    names = (f"cam{number}" for number in range(10_000))
    beside = [name for name in names if CameraKey("default", name).partition == HOME]
    async with _running() as stage:
        stage.book.objection[beside[0]] = NotYet("its day has no place yet")
        starts = [stage.queue.offer(camera, codec="jpeg") for camera in beside[:3]]
        stage.queue.together(3)
        stage.grant()
        await stage.until(lambda: len(stage.book.skipped) == 2)
        await asyncio.sleep(0.05)  # many checkpoints
        assert stage.book.positions.get(HOME, Position(1, 0)) < Position(1, 3)

        del stage.book.objection[beside[0]]
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 3)})
        assert {start for _, start in stage.book.skipped} == set(starts)


async def test_few_skipped_windows_wait_for_each_other_and_many_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kilocam.analyse.keeper.MOST_AT_ONCE", 3)
    monkeypatch.setattr("kilocam.analyse.keeper._TICK_S", 0.005)
    async with _running(KeeperOptions(settle_every_s=3600)) as stage:
        stage.grant()
        stage.queue.offer(codec="jpeg")
        stage.queue.offer(codec="jpeg")
        await stage.until(lambda: stage.analyst.status().windows["skipped_codec"] == 2)
        await asyncio.sleep(0.05)  # many ticks
        assert stage.book.skipped == {}

        stage.queue.offer(codec="jpeg")
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 3)})
        assert len(stage.book.skipped) == 3


async def test_what_a_tenant_away_saw_nothing_in_is_noted_later_and_holds_up_no_other() -> None:
    ours, theirs = GATE, CameraKey("other", "gate")
    async with _running() as stage:
        stage.book.absent = "other"
        for partition in {ours.partition, theirs.partition}:
            stage.grant(partition)
        first = stage.queue.offer(tenant="other")
        await stage.until(lambda: len(stage.book.noted) > 2)
        second = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [second])

        stage.book.absent = ""
        await stage.until(lambda: sorted(stage.book.starts) == [first, second])
        assert len(stage.crew.tasks) == 2


async def test_a_note_from_before_a_revocation_does_not_replace_the_look_that_waits_aside() -> None:
    async with _running() as stage:
        stage.book.objection["gate"] = NotYet("its day has no place")
        held_up = stage.book.writable
        held_up.clear()
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.calls == 2)  # it resumed, and notes
        stage.queue.changes.put_nowait(Revoked(HOME, 1))
        stage.book.writable = asyncio.Event()
        stage.book.writable.set()
        stage.crew.found = True  # so that it is written by itself
        stage.grant()
        await stage.until(lambda: stage.analyst.status().troubles.get("not_yet", 0) > 1)
        held_up.set()
        await asyncio.sleep(0.02)

        stage.book.objection = {}
        await stage.until(lambda: stage.book.starts == [start])
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 1)})


async def test_what_the_sink_refuses_for_good_is_skipped_with_its_reason_and_holds_up_nobody() -> (
    None
):
    async with _running() as stage:
        stage.book.objection["gate"] = Refused("no row takes this")
        stage.grant()
        refused = [stage.queue.offer() for _ in range(5)]
        stage.grant(CameraKey("default", "yard").partition)
        other = stage.queue.offer("yard")
        await stage.until(lambda: stage.book.positions.get(HOME) == Position(1, 5))
        await stage.until(lambda: stage.book.starts == [other])
        assert stage.book.skipped == {("gate", start): SkipReason.REFUSED for start in refused}
        counts = stage.analyst.counts()[GATE]
        assert (counts.offered, counts.looked, counts.pending) == (5, 0, 0)
        assert counts.skipped == {SkipReason.REFUSED: 5}


async def test_windows_that_cannot_be_kept_yet_hold_up_no_other_camera() -> None:
    ghosts = [f"ghost-{n}" for n in range(6)]
    async with _running() as stage:
        for partition in {CameraKey("default", camera).partition for camera in (*ghosts, "gate")}:
            stage.grant(partition)
        waiting = {camera: stage.queue.offer(camera) for camera in ghosts}
        stage.book.objection = {camera: NotYet("its tenant has no place") for camera in ghosts}
        late = stage.queue.offer("ghost-0", codec="jpeg")
        await stage.until(lambda: len(stage.crew.tasks) == 6)
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [start])
        await stage.until(lambda: stage.book.positions.get(HOME) is not None)
        seen = stage.queue.offer(codec="jpeg")
        await stage.until(lambda: ("gate", seen) in stage.book.skipped)
        assert ("ghost-0", late) not in stage.book.skipped

        stage.book.objection = {}
        await stage.until(lambda: len(stage.book.written) == 7)
        await stage.until(lambda: ("ghost-0", late) in stage.book.skipped)
        assert sorted(stage.book.starts) == sorted([start, *waiting.values()])
        assert len(stage.crew.tasks) == 7  # nothing is looked at twice for it


async def test_what_waits_aside_is_forgotten_with_its_partition() -> None:
    async with _running() as stage:
        stage.book.objection["gate"] = NotYet("its day has no place")
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: stage.analyst.status().troubles.get("not_yet", 0) > 2)
        stage.queue.changes.put_nowait(Asked(HOME, 1))
        await stage.until(lambda: stage.queue.released == [HOME])
        stage.book.objection = {}
        await asyncio.sleep(0.05)
        assert stage.book.written == []
        assert HOME not in stage.book.positions

        stage.grant()
        await stage.until(lambda: stage.book.starts == [start])


async def test_a_look_from_before_a_revocation_does_not_replace_the_one_that_waits_aside() -> None:
    async with _running() as stage:
        stage.crew.found = True  # so that it is written by itself
        stage.book.objection["gate"] = NotYet("its day has no place")
        held_up = stage.book.writable
        held_up.clear()
        stage.grant()
        start = stage.queue.offer()
        await stage.until(lambda: stage.book.calls == 2)  # it resumed, and writes
        stage.queue.changes.put_nowait(Revoked(HOME, 1))
        stage.book.writable = asyncio.Event()
        stage.book.writable.set()
        stage.grant()
        await stage.until(lambda: stage.analyst.status().troubles.get("not_yet", 0) > 1)
        held_up.set()
        await asyncio.sleep(0.02)

        stage.book.objection = {}
        second = stage.queue.offer()
        await stage.until(lambda: stage.book.starts == [start, start, second])
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 2)})


async def test_a_skip_from_before_a_revocation_does_not_settle_what_is_told_with_it() -> None:
    names = (f"cam{number}" for number in range(10_000))
    beside = next(name for name in names if CameraKey("default", name).partition == HOME)
    async with _running() as stage:
        stage.crew.gate.clear()
        stage.book.objection[beside] = NotYet("its day has no place")
        skipped = stage.queue.offer(beside, codec="jpeg")
        start = stage.queue.offer()
        stage.queue.together(2)
        stage.grant()
        await stage.until(lambda: len(stage.crew.tasks) == 1)
        stage.queue.changes.put_nowait(Revoked(HOME, 1))
        stage.grant()
        await stage.until(lambda: len(stage.crew.tasks) == 2)

        stage.book.objection = {}
        await stage.until(lambda: (beside, skipped) in stage.book.skipped)
        await asyncio.sleep(0.05)  # many checkpoints
        assert stage.book.positions.get(HOME, Position(1, 0)) < Position(1, 2)
        stage.crew.gate.set()
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 2)})
        assert stage.book.starts == [start]


async def test_a_skip_that_is_being_told_while_its_partition_goes_settles_nothing_of_the_next() -> (
    None
):
    names = (f"cam{number}" for number in range(10_000))
    beside = next(name for name in names if CameraKey("default", name).partition == HOME)
    async with _running() as stage:
        held_up = stage.book.skippable
        held_up.clear()
        stage.crew.gate.clear()
        skipped = stage.queue.offer(beside, codec="jpeg")
        start = stage.queue.offer()
        stage.queue.together(2)
        stage.grant()
        await stage.until(lambda: stage.book.telling > 0)
        stage.queue.changes.put_nowait(Revoked(HOME, 1))
        stage.book.skippable = asyncio.Event()
        stage.grant()
        await stage.until(lambda: len(stage.crew.tasks) == 2)
        held_up.set()
        await stage.until(lambda: (beside, skipped) in stage.book.skipped)
        stage.book.skipped.clear()  # it is told again, as whoever reads anew does not know it
        stage.book.skippable.set()
        await stage.until(lambda: (beside, skipped) in stage.book.skipped)
        await asyncio.sleep(0.05)  # many checkpoints
        assert stage.book.positions.get(HOME, Position(1, 0)) < Position(1, 2)

        stage.crew.gate.set()
        await stage.until(lambda: stage.book.positions == {HOME: Position(1, 2)})
        assert stage.book.starts == [start]


async def test_a_model_that_vanished_ends_the_service_with_its_line() -> None:
    stage = Stage(AT_ONCE)
    stage.crew.error = lambda _: ModelError("model eye: it is gone")
    stage.grant()
    stage.queue.offer()
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(stage.analyst.run(), 5)
    assert caught.group_contains(ModelError, match="it is gone")


async def test_what_an_outage_left_is_read_beside_what_comes_and_holds_the_checkpoint() -> None:
    async with _running(behind_after_s=0.2) as stage:
        left = [stage.queue.offer() for _ in range(5)]
        stage.queue.left = Unread(stage.queue.start_us, Position(1, 5))
        live = stage.queue.offer(second=58)
        stage.grant()
        await stage.until(lambda: stage.book.starts == [live])
        assert stage.book.positions == {}  # a restart would read again what was left

        newer = stage.queue.offer(second=60)
        await stage.until(lambda: stage.book.positions.get(HOME) == Position(1, 7))
        settled = {*stage.book.starts, *(start for _, start in stage.book.skipped)}
        assert settled == {*left, live, newer}
        counts = stage.analyst.counts()[GATE]
        assert (counts.offered, counts.pending) == (7, 0)


async def test_what_waits_in_the_queue_for_a_moment_is_read_in_order() -> None:
    async with _running(behind_after_s=60) as stage:
        stage.crew.found = True
        starts = [stage.queue.offer() for _ in range(3)]
        stage.queue.left = Unread(now_us() - S, Position(1, 3))
        stage.grant()
        await stage.until(lambda: stage.book.positions.get(HOME) == Position(1, 3))
        assert {*stage.book.starts, *(start for _, start in stage.book.skipped)} == {*starts}
