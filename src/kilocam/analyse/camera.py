"""What the scheduler keeps of one camera."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from kilocam.analyse.gate import RateGate
from kilocam.analyse.windows import Counts, Learnt, Look, Pending
from kilocam.core import CameraKey

REMEMBERED = 64
"""Settled windows of a camera that a late second announcement is recognised by."""


class Queued(Enum):
    """Where a camera stands in the fresh lane."""

    NOT = auto()
    HELD = auto()
    """Quiet, and its least rate of looks is not due yet."""
    DUE = auto()
    """Quiet, and it is; gives way to busy ones."""
    URGENT = auto()
    """Busy."""


@dataclass(slots=True, eq=False)
class Camera:
    """One camera's windows that wait, and what decides when they are looked at."""

    key: CameraKey
    partition: int
    last_look_us: int
    last_catch_up_us: int = 0
    gate: RateGate = field(default_factory=RateGate)
    onsets: RateGate = field(default_factory=RateGate)
    """The same of how windows begin: at a constant bit rate most differ from their rest."""
    active: bool = False
    """The last look saw something."""
    newest: Pending | None = None
    """Waits in the fresh lane."""
    last_offered: Pending | None = None
    was_busy: bool = False
    """So was the window before that by its packets."""
    found_in: Pending | None = None
    """The window whose key frame showed something that moves; its rest is not looked at yet."""
    backlog: list[Pending] = field(default_factory=list)
    """Waits in the catch-up lane, in order of time."""
    in_flight: Look | None = None
    known: set[int] = field(default_factory=set)
    """Starts of the pending windows, and of those settled last ..."""
    settled: deque[int] = field(default_factory=deque)
    """... in the order in which they were."""
    queued: Queued = Queued.NOT
    since_us: int = 0
    """As of when it is overdue there ..."""
    weight: float = 1.0
    """... times this."""
    token: int = 0
    """Of its live entry in the fresh lane; others are stale."""
    catching_up: bool = False
    """It has an entry in the catch-up lane."""
    counts: Counts = field(default_factory=Counts)

    def settle(self, start_us: int) -> None:
        """A window is not pending any more."""
        self.settled.append(start_us)
        if len(self.settled) > REMEMBERED:
            self.known.discard(self.settled.popleft())

    def learnt(self) -> Learnt:
        """What the next analyst should know of it."""
        return Learnt(active=self.active, levels=self.gate.levels)
