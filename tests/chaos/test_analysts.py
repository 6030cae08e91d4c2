"""Analysts killed, frozen and away: every window is accounted for once, and newest comes first."""

import pytest
from bench import analysts, outage

BUSY = 11
"""With so many cameras one sees a street."""


@pytest.mark.timeout(300)
def test_windows_are_kept_once_while_analysts_are_killed_and_frozen() -> None:
    result = analysts.prove(BUSY, 30, seed=1, settling_s=5)
    assert result.faults == []
    assert result.strokes
    assert result.looked + sum(result.skipped.values()) == result.windows
    assert result.packets > 0


@pytest.mark.timeout(300)
def test_what_waited_for_analysts_is_caught_up_newest_first() -> None:
    result = outage.prove(BUSY, 30, 90, learning_s=5)
    assert result.faults == []
    assert result.looked + sum(result.skipped.values()) == result.windows
    assert result.behind_looked > 0
    assert result.inverted <= outage.INVERTED


def test_what_is_inverted_is_what_is_not_newest_first() -> None:
    ten_s = 10_000_000
    promised = [("a", start + at) for start in (2 * ten_s, ten_s, 0) for at in (0, 1, 2)]
    assert outage.inverted(promised) == 0
    assert outage.inverted(promised[::-1]) == 1
    assert outage.inverted([*promised[3:], *promised[:3]]) == 0.5
    assert outage.inverted([("a", 0), ("b", ten_s)]) == 0


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_ten_minutes_of_killing_and_freezing_lose_nothing() -> None:
    result = analysts.prove(100, 600, seed=2)
    assert result.faults == []
    assert result.outlived > 0
    assert result.looked + sum(result.skipped.values()) == result.windows
