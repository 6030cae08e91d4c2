"""Everything but the recorder killed and frozen in turn under load: the heavy proof."""

import pytest
from bench.chaos import prove


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_fifty_cameras_are_recorded_and_every_window_accounted_for() -> None:
    result = prove(50, 60)
    assert result.faults == []
    assert result.events > 0
    assert result.packets > 50 * 15 * 120
    assert result.offered == result.windows == result.looked + sum(result.skipped.values())
