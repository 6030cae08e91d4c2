"""What the stages let through, and what the first one misses."""

from kilocam.core import share_within
from kilocam.insight import CameraCounts, Missed, StageSum, missed, stages


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
