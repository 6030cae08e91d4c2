"""What the gate misses, estimated from the quiet windows that are looked at after all."""

import math

_SURE = 1.96
"""Standard deviations of a normal distribution within which 95 % lie."""


def share_within(seen: int, passed: int, deviations: float = _SURE) -> tuple[float, float]:
    """Bounds of a share of which a sample is known (Wilson 1927); 0 to 1 without one.

    Args:
        seen: the sample.
        passed: those of it that have what is asked for.
        deviations: how sure, in standard deviations of a normal distribution; else 95 %.
    """
    if not seen:
        return 0.0, 1.0
    share, square = passed / seen, deviations**2
    middle = share + square / (2 * seen)
    reach = deviations * math.sqrt(share * (1 - share) / seen + square / (4 * seen**2))
    scale = 1 + square / seen
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)
