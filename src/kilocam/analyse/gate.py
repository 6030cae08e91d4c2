"""The first stage: packet headers say whether anything moved, before anything is decoded.

`GopRef.complexity` is mean size x 2^(QP/6) of P-frames. What is quiet differs from camera to
camera, so each learns its own: the 85th percentile of its last eight minutes of windows after
looks that saw no change. So one quiet window in seven or so gets through, which costs little (a key frame
and a difference); what moves and does not stand out of the noise is found at the camera's least
rate of looks.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

LEARNING = 5
"""Quiet windows before the gate says anything but "busy"."""
KEPT = 256
LEVEL = 0.85
MARGIN = 0.01
"""Of the logarithm, so that what never varies is never busy."""


@dataclass(slots=True)
class RateGate:
    """One camera's sense of quiet."""

    _last: deque[float] = field(default_factory=deque)
    """Logarithms of complexity, in the order they came ..."""
    _sorted: list[float] = field(default_factory=list)
    """... and in order of size."""

    def busy(self, complexity: float, *, learn: bool = True) -> bool:
        """Whether a window of this complexity is worth a look.

        Unknown complexity (nothing sampled, a codec without a gate) is always worth one. `learn`
        only from what is not known to be restless.
        """
        if not complexity > 0 or not math.isfinite(complexity):
            return True
        value = math.log(complexity)
        known = len(self._sorted)
        busy = known < LEARNING or value > self._sorted[int(known * LEVEL)] + MARGIN
        if learn:
            self._learn(value)
        return busy

    def _learn(self, value: float) -> None:
        self._last.append(value)
        insort(self._sorted, value)
        if len(self._last) > KEPT:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]
