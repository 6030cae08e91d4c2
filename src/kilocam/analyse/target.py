"""The gate follows a target: no more than so much of what moves may be passed over as quiet.

The audit looks at a sample of what was passed over, which bounds how many windows with something
that moves were among it. Once those bounds, beside the windows in which looks found something, say
that too much is missed the gate lets more of what is quiet through, and less once they say that it
is little enough. One figure for all cameras of an analyst: one camera has too few audits.
"""

from dataclasses import dataclass

from kilocam.analyse.gate import LEAST_LEVEL
from kilocam.core import share_within

MOST_LOST = 0.05
"""Of windows in which something moves."""
LOWEST_LEVEL = 0.5
STEP = 0.05
LEAST_AUDITS = 30
"""Before the level is judged: it is so again and again, and bounds of few would be wrong soon."""
FORGET = 2_000
"""Audits: how the fleet was before them tells nothing any more."""


@dataclass(slots=True)
class LossTarget:
    """Counts since the level was set anew."""

    level: float = LEAST_LEVEL
    """The percentile of quiet windows that gates let nothing below through, if there is time."""
    _passed_over: int = 0
    _audited: int = 0
    _moved: int = 0
    _found: int = 0

    def passed_over(self) -> None:
        """A window was called quiet, whether it is drawn for the audit or not."""
        self._passed_over += 1

    def found(self) -> None:
        """A look that was no audit found something that moves."""
        self._found += 1

    def audited(self, *, moved: bool) -> None:
        """A window that was called quiet was looked at all the same."""
        self._audited += 1
        self._moved += moved
        if self._audited < LEAST_AUDITS:
            return
        low, high = self.lost
        if low > MOST_LOST and self.level > LOWEST_LEVEL:
            self._set(max(LOWEST_LEVEL, self.level - STEP))
        elif high < MOST_LOST and self.level < LEAST_LEVEL:
            self._set(min(LEAST_LEVEL, self.level + STEP))
        elif self._audited >= FORGET:
            self._set(self.level)

    @property
    def lost(self) -> tuple[float, float]:
        """Bounds of the share of windows with something that moves that were passed over; 95 %."""
        low, high = share_within(self._audited, self._moved)
        return self._of_moving(low), self._of_moving(high)

    def _of_moving(self, share: float) -> float:
        missed = share * self._passed_over
        return missed / (missed + self._found) if missed else 0.0

    def _set(self, level: float) -> None:
        self.level = level
        self._passed_over = self._audited = self._moved = self._found = 0
