"""A clock that steps deletes nothing; time that certainly passed counts (P10)."""

import time

from tests.fakes.clock import FakeClock
from tests.fakes.pieces import START_US

from kilocam.record.age_clock import CONFIRM_US, TOLERANCE_US, AgeClock, SleepingClock

S = 1_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S


class SteppingClock(FakeClock):
    """Its wall clock may be set."""

    def __init__(self) -> None:
        super().__init__(START_US)
        self.off = 0

    def wall_us(self) -> int:
        return self.now + self.off


def run(age: AgeClock, clock: FakeClock, for_us: int, every_us: int = HOUR) -> int:
    """Tick as retention does; the time at the end."""
    now = age.tick(None)
    for _ in range(for_us // every_us):
        clock.advance(every_us)
        now = age.tick(None)
    return now


def test_it_goes_with_a_clock_that_runs_true() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    assert run(time, clock, 10 * DAY) == START_US + 10 * DAY


def test_a_step_of_minutes_is_followed_at_once() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    run(time, clock, HOUR)
    clock.off = TOLERANCE_US
    assert time.tick(None) == clock.wall_us()


def test_a_step_of_days_is_believed_after_it_has_stood_for_a_day() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    run(time, clock, HOUR)
    clock.off = 8 * DAY
    assert run(time, clock, CONFIRM_US - HOUR) == clock.now
    assert run(time, clock, HOUR) == clock.wall_us()


def test_a_step_that_is_taken_back_leaves_no_trace() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    run(time, clock, HOUR)
    clock.off = 8 * DAY
    run(time, clock, 20 * HOUR)
    clock.off = 0
    assert time.tick(None) == clock.now
    clock.off = 8 * DAY
    assert run(time, clock, 20 * HOUR) == clock.now


def test_another_step_begins_a_new_doubt() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    run(time, clock, HOUR)
    clock.off = DAY
    run(time, clock, 20 * HOUR)
    clock.off = 9 * DAY
    assert run(time, clock, 20 * HOUR) == clock.now


def test_a_clock_set_back_is_followed_and_its_way_forward_is_no_step() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    run(time, clock, HOUR)
    clock.off = -50 * 365 * DAY  # a machine without a battery, before NTP
    assert time.tick(None) == clock.wall_us()
    clock.advance(MINUTE)
    clock.off = 0
    assert time.tick(None) == clock.now


def test_a_clock_that_stays_back_is_believed_in_the_end() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    run(time, clock, HOUR)
    clock.off = -8 * DAY
    run(time, clock, CONFIRM_US)
    clock.off = 0
    assert time.tick(None) < clock.now - 7 * DAY


def test_after_a_restart_footage_of_a_wrong_clock_does_not_vouch_for_it() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    run(time, clock, HOUR)
    clock.off = 8 * DAY
    run(time, clock, HOUR)
    again = AgeClock(clock)
    again.resume(time.memory())
    assert again.tick(clock.wall_us()) == clock.now


def test_after_a_long_time_off_age_counts_again_after_a_day_of_running_in_parts() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    run(time, clock, HOUR)
    clock.off = 30 * DAY  # powered off
    for _ in range(3):
        again = AgeClock(clock)
        again.resume(time.memory())
        now, time = run(again, clock, 8 * HOUR), again
        assert now == clock.now or _ == 2
        clock.off += 14 * HOUR  # and each night
    assert now == clock.wall_us() - 14 * HOUR


def test_without_a_memory_the_newest_footage_has_to_do() -> None:
    for memory in (b"", b"torn", b"1 2 3"):
        clock = SteppingClock()
        clock.off = 8 * DAY
        time = AgeClock(clock)
        time.resume(memory)
        assert time.tick(START_US - HOUR) == START_US - HOUR


def test_a_memory_is_of_one_length() -> None:
    clock = SteppingClock()
    time = AgeClock(clock)
    empty = len(time.memory())
    run(time, clock, HOUR)
    clock.off = DAY
    run(time, clock, HOUR)
    assert len(time.memory()) == empty


def test_time_that_a_machine_slept_has_passed() -> None:
    # A machine that is suspended each night would else be in doubt anew each morning.
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    told = SleepingClock().monotonic_us()
    assert before <= told <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    assert abs(SleepingClock().wall_us() - time.time_ns() // 1000) < MINUTE
