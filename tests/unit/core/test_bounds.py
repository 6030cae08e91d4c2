"""Bounds of a share out of a sample."""

import numpy as np
import pytest

from kilocam.core import share_within


def test_without_a_sample_nothing_is_known() -> None:
    assert share_within(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("seen", "passed", "bounds"),
    [(10, 0, (0.0, 0.278)), (100, 5, (0.022, 0.112)), (50, 25, (0.366, 0.634)), (7, 7, (0.646, 1))],
)
def test_bounds_are_those_of_the_books(seen: int, passed: int, bounds: tuple[float, float]) -> None:
    assert share_within(seen, passed) == pytest.approx(bounds, abs=1e-3)


@pytest.mark.parametrize("seen", range(1, 200, 7))
def test_of_none_and_of_all_the_bound_is_exact(seen: int) -> None:
    assert share_within(seen, 0)[0] == 0
    assert share_within(seen, seen)[1] == 1


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_the_truth_lies_within_them_as_often_as_they_say(share: float) -> None:
    draws = np.random.default_rng(1).binomial(200, share, 2000)
    held = [low <= share <= high for low, high in (share_within(200, int(n)) for n in draws)]
    assert 0.93 < np.mean(held) <= 0.99


def test_who_wants_to_be_surer_gets_wider_bounds() -> None:
    low, high = share_within(100, 20)
    lower, higher = share_within(100, 20, deviations=3.3)
    assert (lower, higher) == pytest.approx((0.1009, 0.3581), abs=1e-3)
    assert lower < low < 0.2 < high < higher
