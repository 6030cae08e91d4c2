"""The first stage: packet headers say whether anything moved, before anything is decoded.

`GopRef.complexity` is mean size x 2^(QP/6) of P-frames. What is quiet differs from camera to
camera, so each learns its own: a percentile of its last windows that lay between two looks which
saw nothing. At the 85th one quiet window in seven or so gets through, which costs little (a key
frame and a difference); where there is no time for that it is a higher one. What moves and does not
stand out of the noise is found at the camera's least rate of looks.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

LEARNING = 5
"""Quiet windows before the gate says anything but "busy"."""
KEPT = 256
LEAST_LEVEL, MOST_LEVEL = 0.85, 0.98
MARGIN = 0.01
"""Of the logarithm, so that what never varies is never busy."""
_FIRST = 64
_TOLD = 32
_HEARD = 8
"""Windows between two looks; of a longer time without a look nobody knows that it was quiet."""


def _short() -> deque[float]:
    return deque(maxlen=_HEARD)


@dataclass(slots=True)
class RateGate:
    """One camera's sense of quiet. Values are logarithms of complexity."""

    _heard: deque[float] = field(default_factory=_short)
    """Since the last look was asked for ..."""
    _between: deque[float] = field(default_factory=_short)
    """... and between that and the one before."""
    _quiet: bool = False
    """There was a look, and the last one saw nothing."""
    _learnt: deque[float] = field(default_factory=deque)
    """In the order they came ..."""
    _sorted: list[float] = field(default_factory=list)
    """... and in order of size."""
    _first: list[float] = field(default_factory=list)
    """The first windows heard of, in order of size; nobody has looked yet."""

    @classmethod
    def knowing(cls, levels: Sequence[float]) -> "RateGate":
        """One that goes on from what another one had learnt (`levels`).

        In order of size, not of time: they are outnumbered long before the first is forgotten.
        """
        return cls(_learnt=deque(levels), _sorted=sorted(levels))

    @property
    def levels(self) -> tuple[float, ...]:
        """What is quiet here, in a few dozen numbers: each n-th of what was learnt, by size."""
        step = max(1, len(self._sorted) // _TOLD)
        return tuple(self._sorted[step // 2 :: step])

    @property
    def knows(self) -> bool:
        """Looks have said what is quiet."""
        return len(self._sorted) >= LEARNING

    def busy(self, complexity: float, level: float = LEAST_LEVEL) -> bool:
        """Whether a window of this complexity is worth a look."""
        if _is_known(complexity):
            value = math.log(complexity)
            self._heard.append(value)
            if not self.knows and len(self._first) < _FIRST:
                insort(self._first, value)
        return self.stands_out(complexity, level)

    def stands_out(self, complexity: float, level: float = LEAST_LEVEL) -> bool:
        """The same, for what is to teach nothing.

        Unknown complexity (nothing sampled, a codec without a gate) always does, and everything
        does until looks have said what is quiet.
        """
        return _above(self._sorted, complexity, level)

    def remarkable(self, complexity: float, level: float = LEAST_LEVEL) -> bool:
        """The same, by the first windows heard of where no looks have said yet what is quiet.

        So that of a camera met anew not everything has to be caught up.
        """
        return _above(self._sorted if self.knows else self._first, complexity, level)

    def asked(self) -> None:
        """A look at the newest window is under way."""
        self._between, self._heard = self._heard, _short()

    def answered(self, *, quiet: bool) -> None:
        """What that look saw. Windows between two that saw nothing are what quiet is like."""
        if quiet and self._quiet:
            for value in self._between:
                self._learn(value)
        self._between.clear()
        self._quiet = quiet

    def _learn(self, value: float) -> None:
        self._learnt.append(value)
        insort(self._sorted, value)
        if len(self._learnt) > KEPT:
            del self._sorted[bisect_left(self._sorted, self._learnt.popleft())]


def _above(usual: list[float], complexity: float, level: float) -> bool:
    if len(usual) < LEARNING or not _is_known(complexity):
        return True
    return math.log(complexity) > usual[int(len(usual) * level)] + MARGIN


def _is_known(complexity: float) -> bool:
    return complexity > 0 and math.isfinite(complexity)
