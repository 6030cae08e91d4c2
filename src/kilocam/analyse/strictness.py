"""How strict gates are: stricter the less time there is, and else as a target of loss allows."""

from dataclasses import dataclass, field

from kilocam.analyse.gate import MOST_LEVEL
from kilocam.analyse.target import LossTarget

MOST_MISSED = 0.2
"""Of windows that their packets call busy: when as many pass before anyone looks at them, only what
is most unlike quiet is called so; at half of it there is no time for anything but key frames."""
FEW_MISSED = 0.02
"""What is passed over where more are missed says nothing of what gates lose."""
_WEIGHT = 0.004


@dataclass(slots=True)
class Strictness:
    """Of the gates of all cameras of an analyst."""

    target: LossTarget = field(default_factory=LossTarget)
    _missed: float = 0.0

    @property
    def level(self) -> float:
        """Share of quiet windows that gates call quiet."""
        least = self.target.level
        return least + (MOST_LEVEL - least) * min(1.0, self._missed / MOST_MISSED)

    @property
    def pressed(self) -> bool:
        """Too many windows pass before anyone looks: there is time for key frames only."""
        return self._missed > MOST_MISSED / 2

    def note(self, *, missed: bool) -> None:
        """Whether anybody looked at a window that was called busy while it was the newest."""
        self._missed += _WEIGHT * (missed - self._missed)

    def passed_over(self) -> None:
        """A window was called quiet."""
        if self._has_time:
            self.target.passed_over()

    def looked(self, *, audit: bool, found: bool, moved: bool) -> None:
        """What a look saw; `moved` is about one that is an `audit` of what was passed over."""
        if not self._has_time:
            return
        if audit:
            self.target.audited(moved=moved)
        elif found:
            self.target.found()

    @property
    def _has_time(self) -> bool:
        return self._missed < FEW_MISSED
