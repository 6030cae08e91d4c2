import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from kilocam.api.limits import RateLimit
from kilocam.api.problems import Problem


def taken(limit: RateLimit, caller: str, times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            limit.take(caller)
        except Problem:
            return count
        count += 1
    return count


def test_a_burst_is_granted_and_then_the_rate() -> None:
    clock = FakeClock()
    limit = RateLimit(per_s=10, burst=5, clock=clock)
    assert taken(limit, "a", 10) == 5
    clock.advance(300_000)
    assert taken(limit, "a", 10) == 3


def test_callers_do_not_share() -> None:
    limit = RateLimit(per_s=1, burst=2, clock=FakeClock())
    assert taken(limit, "a", 5) == 2
    assert taken(limit, "b", 5) == 2


def test_what_is_told_is_enough_to_wait() -> None:
    clock = FakeClock()
    limit = RateLimit(per_s=0.25, burst=1, clock=clock)
    limit.take("a")
    with pytest.raises(Problem) as refused:
        limit.take("a")
    assert refused.value.status == 429
    clock.advance(int(refused.value.headers["Retry-After"]) * 1_000_000)
    limit.take("a")


@settings(max_examples=50)
@given(st.lists(st.integers(0, 500_000), max_size=60))
def test_never_more_than_burst_and_rate(waits: list[int]) -> None:
    clock = FakeClock()
    limit = RateLimit(per_s=4, burst=3, clock=clock)
    granted = 0
    for wait in waits:
        clock.advance(wait)
        granted += taken(limit, "a", 1)
    assert granted <= 3 + 4 * sum(waits) / 1e6 + 1e-6
