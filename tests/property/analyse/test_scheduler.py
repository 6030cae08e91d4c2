"""The scheduler's laws under any sequence of calls, and its fairness on a virtual clock."""

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.analyse.results import SkipReason
from kilocam.analyse.scheduler import Scheduler, SchedulerOptions
from kilocam.analyse.windows import Look
from kilocam.bus import Position
from kilocam.core import CameraKey, GopRef

S = 1_000_000
T0 = 1_700_000_000 * S


def _ref(camera: str, start_us: int, complexity: float = 0.0, onset: float = 0.0) -> GopRef:
    return GopRef(
        tenant="default",
        camera=camera,
        session=1,
        epoch=1,
        start_us=start_us,
        gop_us=start_us,
        complexity=complexity,
        onset=onset,
        bytes_before=0,
        codec="h264",
        durable=False,
    )


_camera = st.sampled_from(["a", "b", "c"])
_ops = st.one_of(
    st.tuples(
        st.just("offer"),
        _camera,
        st.integers(-8, 2),
        st.sampled_from([0.0, 1e2, 1.05e2, 1e3]),
    ),
    st.tuples(st.just("onset"), _camera, st.integers(-8, 2), st.sampled_from([1e2, 1e3])),
    st.tuples(st.just("take")),
    st.tuples(st.just("settle"), st.booleans(), st.booleans(), st.integers(0, 60 * S)),
    st.tuples(st.just("give up")),
    st.tuples(st.just("forget"), _camera),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 2.0, 7.0, 4000.0])),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_ops, max_size=80))
def test_every_offered_window_is_looked_at_or_skipped_once_or_still_pending(
    ops: list[tuple[object, ...]],
) -> None:
    scheduler = Scheduler(SchedulerOptions(lookers=2))
    now, position = T0, 0
    in_flight: list[Look] = []
    open_windows: set[tuple[str, int]] = set()
    for op in ops:
        match op:
            case ("offer", str(camera), int(ago), float(complexity)):
                position += 1
                start = now // (2 * S) * 2 * S + ago * 2 * S
                if scheduler.offer(_ref(camera, start, complexity), Position(1, position), now):
                    assert (camera, start) not in open_windows
                    open_windows.add((camera, start))
            case ("onset", str(camera), int(ago), float(onset)):
                start = now // (2 * S) * 2 * S + ago * 2 * S
                ref = _ref(camera, start, 1.0, onset)
                assert not scheduler.offer(ref, Position(1, position), now)
            case ("take",):
                look = scheduler.take(now)
                if look is None:
                    due = scheduler.next_due_us(now)
                    assert due is None or due > now
                else:
                    assert all(look.key != other.key for other in in_flight)
                    in_flight.append(look)
            case ("settle", bool(changed), bool(found), int(cost)) if in_flight:
                look = in_flight.pop(0)
                scheduler.settle(look, cost_us=cost, changed=changed, found=found)
                open_windows.discard((look.key.camera, look.target.start_us))
            case ("give up",) if in_flight:
                look = in_flight.pop()
                scheduler.give_up(look, cost_us=0, reason=SkipReason.FAILED)
            case ("forget", str(camera)):
                partition = CameraKey("default", camera).partition
                scheduler.forget(partition)
                open_windows = {w for w in open_windows if _partition(w[0]) != partition}
                in_flight = [look for look in in_flight if look.partition != partition]
            case ("wait", float(seconds)):
                now += round(seconds * S)
        scheduler.check_invariants()
        for skipped in scheduler.drain_skipped():
            open_windows.discard((skipped.window.camera, skipped.window.start_us))
        assert scheduler.pending == len(open_windows)


def _partition(camera: str) -> int:
    return CameraKey("default", camera).partition


class Simulation:
    """Cameras with their key intervals, workers with a cost per look, all on a virtual clock."""

    def __init__(self, *, workers: int, cost_us: int, seed: int) -> None:
        self.scheduler = Scheduler(SchedulerOptions(lookers=workers))
        self.random = random.Random(seed)
        self.workers, self.cost_us = workers, cost_us
        self.events: list[tuple[int, int, str, object]] = []
        self.sequence = 0
        self.idle = workers
        self.looks: Counter[str] = Counter()
        self.gaps: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self.from_us = T0
        self.skipped: Counter[SkipReason] = Counter()

    def at(self, when: int, kind: str, what: object) -> None:
        self.sequence += 1
        heapq.heappush(self.events, (when, self.sequence, kind, what))

    def camera(self, name: str, interval_us: int, *, busy: bool = True) -> None:
        first = T0 + self.random.randrange(interval_us)
        self.at(first, "offer", (name, interval_us, busy))

    def run(self, until_us: int) -> None:
        while self.events and self.events[0][0] <= until_us:
            now, _, kind, what = heapq.heappop(self.events)
            if kind == "offer":
                self._offer(now, what)
            elif kind == "done":
                self._done(what)
            self._take(now)
            for skipped in self.scheduler.drain_skipped():
                self.skipped[skipped.reason] += 1

    def _offer(self, now: int, what: object) -> None:
        assert isinstance(what, tuple)
        name, interval_us, busy = what
        complexity = 0.0 if busy else 100 * self.random.lognormvariate(0, 0.05)
        self.scheduler.offer(_ref(name, now, complexity), Position(1, self.sequence), now)
        self.at(now + interval_us, "offer", what)

    def _done(self, what: object) -> None:
        assert isinstance(what, Look)
        self.idle += 1
        self.scheduler.settle(what, cost_us=self.cost_us, changed=False, found=False)

    def _take(self, now: int) -> None:
        while self.idle and (look := self.scheduler.take(now)) is not None:
            self.idle -= 1
            name = look.key.camera
            if now >= self.from_us:
                self.looks[name] += 1
                gap = now - self.last.get(name, self.from_us)
                self.gaps[name] = max(self.gaps.get(name, 0), gap)
                self.last[name] = now
            self.at(now + self.cost_us, "done", look)
        due = self.scheduler.next_due_us(now) if self.idle else None
        if due is not None and due > now:
            self.at(due, "wake", None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_times_too_much_work_is_shared_evenly_among_cameras_of_1_s_and_4_s(seed: int) -> None:
    # 100 windows a second at 1 s and 25 at 4 s; two workers at 80 ms take 25 looks a second.
    simulation = Simulation(workers=2, cost_us=80_000, seed=seed)
    names = [f"fast{i}" for i in range(100)] + [f"slow{i}" for i in range(100)]
    for name in names:
        simulation.camera(name, S if name.startswith("fast") else 4 * S)
    simulation.from_us = T0 + 30 * S
    simulation.run(T0 + 210 * S)

    looks = [simulation.looks[name] for name in names]
    assert min(looks) > 0
    assert max(looks) / min(looks) <= 2
    simulation.scheduler.check_invariants()
    assert simulation.skipped[SkipReason.OVERLOAD] + simulation.scheduler.pending > 10_000


def test_two_hundred_cameras_most_of_them_quiet_are_each_looked_at_within_ten_seconds() -> None:
    simulation = Simulation(workers=2, cost_us=60_000, seed=4)
    names = [f"c{i}" for i in range(200)]
    for i, name in enumerate(names):
        simulation.camera(name, 2 * S, busy=i < 20)
    simulation.from_us = T0 + 60 * S
    simulation.run(T0 + 180 * S)

    assert set(simulation.gaps) == set(names)
    assert max(simulation.gaps.values()) < 10 * S
    assert simulation.skipped[SkipReason.QUIET] > 0
    assert simulation.skipped[SkipReason.OVERLOAD] == 0


def test_what_waits_in_memory_is_bounded_however_long_the_overload_lasts() -> None:
    simulation = Simulation(workers=1, cost_us=2 * S, seed=5)
    for i in range(50):
        simulation.camera(f"c{i}", S)
    simulation.run(T0 + 600 * S)

    # A fifth of one worker's hour at 2 s a look reaches 360 windows, and each camera's newest.
    assert simulation.scheduler.pending <= 360 + 50 + 1
    simulation.scheduler.check_invariants()
