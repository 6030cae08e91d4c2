"""Spare time: spent is what has been earned."""

from tests.fakes.clock import FakeClock

from kilocam.analyse.spare import SpareTime


def test_what_is_spent_has_to_be_earned_again() -> None:
    clock = FakeClock()
    spare = SpareTime(0.1, 1_000, clock)
    assert spare.left
    spare.spend(3_000)
    clock.advance(20_000)
    assert not spare.left
    clock.advance(10)
    assert spare.left


def test_no_more_is_saved_up_than_there_was_at_the_start() -> None:
    clock = FakeClock()
    spare = SpareTime(0.1, 1_000, clock)
    clock.advance(10_000_000)
    assert spare.left
    spare.spend(1_000)
    assert not spare.left
