"""The whole system looks at its cameras: every window accounted for once, nobody left out."""

import pytest
from bench import fleet, others, overload


@pytest.mark.timeout(240)
def test_each_window_is_looked_at_or_skipped_once_and_people_become_events() -> None:
    result = fleet.prove(12, 25, settling_s=5)
    assert result.faults == []
    assert result.looked + sum(result.skipped.values()) == result.windows
    assert result.events > 0


@pytest.mark.timeout(240)
def test_under_overload_no_camera_is_left_out_and_no_window_lost() -> None:
    result = overload.prove(12, 30, settling_s=10)
    assert result.faults == []
    assert result.looked + sum(result.skipped.values()) == result.windows
    assert result.least_looks > 0
    # A few looks each: one more or less is no unfairness.
    assert result.most_looks <= overload.FAIR * result.least_looks + 1


@pytest.mark.timeout(300)
def test_the_other_way_decodes_every_picture_and_detects_where_something_moves() -> None:
    result = others.watch(others.few(5), 15, settling_s=0)
    kinds = result.kinds
    assert (kinds["still"].moving, kinds["always"].moving) == (0, 1)
    assert kinds["still"].ffmpeg_percent > 0
    assert kinds["still"].detector_percent == 0 < kinds["always"].detector_percent
    assert result.told_per_minute > 0


@pytest.mark.full
@pytest.mark.timeout(900)
def test_two_hundred_cameras_are_recorded_and_looked_at() -> None:
    result = fleet.prove(200, 120)
    assert result.faults == []
    assert result.looked + sum(result.skipped.values()) == result.windows
    assert result.events > 0


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_three_minutes_of_overload_are_shared_out_fairly() -> None:
    result = overload.prove(100, 180)
    assert result.faults == []
    assert result.least_looks > 0
    assert result.unfairness <= overload.FAIR
