"""The first stage: packet headers say whether anything moved, before anything is decoded.

`GopRef.complexity` is mean size x 2^(QP/6) of P-frames. What is quiet differs from camera to
camera, so each learns its own: the running 80th percentile of the logarithm, over windows after
looks that saw no change. So one quiet window in six or so gets through, which costs little (a
key frame and a difference); what moves and does not stand out of the noise is found at the
camera's least rate of looks.
"""

import math
from dataclasses import dataclass

LEARNING = 5
"""Windows before the gate says anything but "busy"."""
LEVEL = 0.8
STEP = 0.01
MARGIN = 0.01
"""More than a step of learning, so that what never varies is never busy."""


@dataclass(slots=True)
class RateGate:
    """One camera's sense of quiet."""

    windows: int = 0
    level: float = 0.0

    def busy(self, complexity: float, *, learn: bool = True) -> bool:
        """Whether a window of this complexity is worth a look.

        Unknown complexity (nothing sampled, a codec without a gate) is always worth one. `learn`
        only from what is not known to be restless.
        """
        if not complexity > 0 or not math.isfinite(complexity):
            return True
        value = math.log(complexity)
        busy = self.windows < LEARNING or value > self.level + MARGIN
        if learn or self.windows < LEARNING:
            self._learn(value)
        return busy

    def _learn(self, value: float) -> None:
        """Robbins-Monro: wide steps at first; up and down in the odds of the percentile."""
        self.windows += 1
        if self.windows == 1:
            self.level = value
            return
        step = max(STEP, 0.5 / self.windows)
        self.level += step * (LEVEL if value > self.level else LEVEL - 1)
