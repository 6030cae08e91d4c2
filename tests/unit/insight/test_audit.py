"""What the stages let through, and bounds of a share out of a sample."""

import numpy as np
import pytest

from kilocam.insight import CameraCounts, Missed, StageSum, missed, share_within, stages


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


def counts(quiet: int, audited: int, moving: int) -> CameraCounts:
    """A camera of which ten windows were looked at besides what was audited."""
    return CameraCounts(
        camera="gate",
        looked=10 + audited,
        skipped={"quiet": quiet, "overload": 3},
        stages={
            "audit": StageSum(seen=audited, passed=moving),
            "detector": StageSum(seen=5, passed=2, cost_us=70_000),
        },
    )


def test_the_gate_passes_on_all_that_is_neither_quiet_nor_audited() -> None:
    pooled = stages([counts(80, 2, 1), counts(20, 0, 0)])
    assert pooled["gate"] == StageSum(seen=2 * 10 + 2 + 100 + 6, passed=2 * 10 + 6)
    assert pooled["detector"] == StageSum(seen=10, passed=4, cost_us=140_000)
    assert next(iter(pooled)) == "gate"


def test_what_is_missed_is_pooled_over_cameras() -> None:
    cameras = [counts(80, 40, 3), counts(20, 10, 0)]
    pooled = missed(cameras)
    assert pooled == Missed(audited=50, moving=3)
    assert pooled.bounds == share_within(50, 3)
    low, high = missed(cameras[1:]).bounds
    assert high - low > pooled.bounds[1] - pooled.bounds[0]  # one camera alone says less


def test_without_any_camera_nothing_is_known_and_nothing_seen() -> None:
    assert missed([]).bounds == (0, 1)
    assert stages([]) == {"gate": StageSum()}
