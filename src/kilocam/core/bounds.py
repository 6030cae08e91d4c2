"""How sure one may be of a share of which only a sample is known."""

import math

SURE = 1.96
"""Standard deviations of a normal distribution within which 95 % lie."""


def share_within(seen: int, passed: int, deviations: float = SURE) -> tuple[float, float]:
    """Bounds of a share of which a sample is known (Wilson 1927); 0 to 1 without one.

    Args:
        seen: the sample.
        passed: those of it that have what is asked for.
        deviations: how sure, in standard deviations of a normal distribution.
    """
    if not seen:
        return 0.0, 1.0
    share, square = passed / seen, deviations**2
    middle = share + square / (2 * seen)
    reach = deviations * math.sqrt(share * (1 - share) / seen + square / (4 * seen**2))
    scale = 1 + square / seen
    # Of none and of all the bound is exact; rounding would put it a hair inside of the truth.
    low = (middle - reach) / scale if passed else 0.0
    high = (middle + reach) / scale if passed < seen else 1.0
    return low, high
