import pytest

from kilocam.simulate.errors import SimulateError
from kilocam.simulate.faults import Every, Faults


def test_by_default_nothing_goes_wrong() -> None:
    faults = Faults()
    assert (faults.flap, faults.stall, faults.jump, faults.lose) == (None, None, None, 0)
    assert not faults.quirks


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (3, 2)])
def test_times_that_make_no_sense_are_refused(low: float, high: float) -> None:
    with pytest.raises(SimulateError, match="give two times above 0, the smaller one first"):
        Every(low_s=low, high_s=high)


def test_shares_and_drifts_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SimulateError, match=r"fault lose 1\.5: give a share"):
        Faults(lose=1.5)
    with pytest.raises(SimulateError, match="fault drift_ppm"):
        Faults(drift_ppm=1e6)
