"""What the stages of the cascade let through, and what the first one misses.

Windows passed over as quiet are looked at all the same now and then, drawn by chance: that sample
says in how many of them something moved, within bounds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kilocam.core import share_within
from kilocam.insight.values import CameraCounts, StageSum

GATE, AUDIT = "gate", "audit"
QUIET = "quiet"
"""The outcome of a window that the gate passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Of windows passed over as quiet: in what share of them the detector sees something move."""

    audited: int
    """Those that were looked at all the same."""
    moving: int
    """Those of them in which something moved."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which the share lies, 95 % sure; 0 to 1 when nothing was audited."""
        return share_within(self.audited, self.moving)


def missed(counts: Iterable[CameraCounts]) -> Missed:
    """Pooled over some cameras."""
    sums = [each.stages.get(AUDIT, StageSum()) for each in counts]
    # Windows of before there were counts, looked at again, take away what was never added.
    audited = max(0, sum(each.seen for each in sums))
    return Missed(audited=audited, moving=min(audited, max(0, sum(each.passed for each in sums))))


def stages(counts: Iterable[CameraCounts]) -> dict[str, StageSum]:
    """Pooled over some cameras, the gate among them.

    The gate sees every window and passes on all but those that were skipped as quiet, or would
    have been but for the audit. It runs in the recorder, so its cost is not in here.
    """
    total: dict[str, StageSum] = {}
    seen = passed_over = 0
    for each in counts:
        for stage, count in each.stages.items():
            total[stage] = total.get(stage, StageSum()) + count
        seen += each.offered
        passed_over += each.skipped.get(QUIET, 0) + each.stages.get(AUDIT, StageSum()).seen
    return {GATE: StageSum(seen=seen, passed=seen - passed_over), **total}
