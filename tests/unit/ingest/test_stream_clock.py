"""The mapping from media time to wall time."""

from itertools import pairwise

from kilocam.ingest.stream_clock import ArrivalClock, StreamClock

SECOND = 1_000_000


def test_the_least_delayed_packet_sets_the_start() -> None:
    clock = StreamClock()
    for n in range(100):
        jitter = 80_000 if n % 7 else 5_000
        clock.observe(n * 66_667, 1_000_000_000 + n * 66_667 + jitter)
    assert clock.wall_us(0) == 1_000_000_000 + 5_000


def test_an_opening_burst_does_not_shift_the_footage() -> None:
    clock = StreamClock()
    for n in range(30):  # two seconds of cached frames arrive at once
        clock.observe(n * 66_667, 50 * SECOND + n)
    assert abs(clock.wall_us(29 * 66_667) - 50 * SECOND) < 1000


def test_drift_is_followed_by_at_most_500_ppm() -> None:
    clock = StreamClock()
    walls = []
    for n in range(3600):
        media = n * SECOND
        arrival = 10 * SECOND + round(media * 1.0001)  # the camera's clock is 100 ppm slow
        assert not clock.observe(media, arrival)
        walls.append(clock.wall_us(media))
    steps = [b - a for a, b in pairwise(walls[5:])]
    assert max(abs(step - SECOND) for step in steps) <= 501
    assert abs(walls[-1] - (10 * SECOND + round(3599 * SECOND * 1.0001))) < 20_000


def test_a_clock_that_counts_wrong_seconds_steps_and_says_so() -> None:
    clock = StreamClock()
    stepped = sum(clock.observe(n * SECOND * 21 // 25, n * SECOND) for n in range(120))
    assert stepped
    assert abs(clock.wall_us(119 * SECOND * 21 // 25) - 119 * SECOND) < 13 * SECOND


def test_media_time_that_runs_ahead_steps_at_once() -> None:
    clock = StreamClock()
    clock.observe(0, 100 * SECOND)
    assert clock.observe(20 * SECOND, 101 * SECOND)
    assert clock.wall_us(20 * SECOND) == 101 * SECOND


def test_a_restart_forgets_the_past() -> None:
    clock = StreamClock()
    clock.observe(0, 100 * SECOND)
    clock.restart(5_000 * SECOND, 103 * SECOND)
    assert clock.wall_us(5_001 * SECOND) == 104 * SECOND


def test_the_arrival_clock_follows_a_set_clock_and_bends_after_a_drifting_one() -> None:
    clock = ArrivalClock(wall_us=1000 * SECOND, monotonic_us=0)
    clock.correct(1001 * SECOND + 300_000, SECOND)
    assert clock.at(SECOND) == 1001 * SECOND + 500
    clock.correct(5000 * SECOND, 2 * SECOND)
    assert clock.at(2 * SECOND) == 5000 * SECOND
