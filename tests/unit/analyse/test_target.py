import pytest

from kilocam.analyse.gate import LEAST_LEVEL
from kilocam.analyse.target import FORGET, LEAST_AUDITS, LOWEST_LEVEL, STEP, LossTarget


def _audits(target: LossTarget, many: int, *, moved_each: int, found_each: int) -> None:
    """Audits of one window in a hundred, one of so many with something that moves in it.

    In `found_each` windows beside each of them looks find something.
    """
    for number in range(1, many + 1):
        for _ in range(100):
            target.passed_over()
        for _ in range(found_each):
            target.found()
        target.audited(moved=number % moved_each == 0)


def test_without_audits_nothing_is_known_and_the_level_stays() -> None:
    target = LossTarget()
    for _ in range(100):
        target.passed_over()
        target.found()
    assert target.level == LEAST_LEVEL
    assert target.lost == (0.0, 0.5)


def test_where_too_much_is_missed_more_of_what_is_quiet_is_let_through() -> None:
    target = LossTarget()
    # A fifth of 100 windows missed for 20 found: half of what moves.
    _audits(target, LEAST_AUDITS - 1, moved_each=5, found_each=20)
    assert target.level == LEAST_LEVEL
    _audits(target, 1, moved_each=1, found_each=20)
    assert target.level == pytest.approx(LEAST_LEVEL - STEP)
    _audits(target, 1000, moved_each=5, found_each=20)
    assert target.level == LOWEST_LEVEL


def test_where_little_is_missed_the_level_comes_back_and_goes_no_further() -> None:
    target = LossTarget(level=LOWEST_LEVEL)
    _audits(target, 2000, moved_each=1 << 40, found_each=50)
    assert target.level == LEAST_LEVEL


def test_where_the_bounds_hold_the_target_nothing_changes_and_the_past_is_forgotten() -> None:
    target = LossTarget(level=0.7)
    _audits(target, FORGET - 1, moved_each=100, found_each=19)  # one missed for 19 found
    low, high = target.lost
    assert target.level == 0.7
    assert low < 0.05 < high < 0.1
    _audits(target, 1, moved_each=100, found_each=19)
    assert target.lost == (0.0, 0.0)


def test_where_nothing_ever_moves_nothing_is_missed_and_the_level_stays() -> None:
    target = LossTarget()
    _audits(target, 500, moved_each=1 << 40, found_each=0)
    assert target.level == LEAST_LEVEL
