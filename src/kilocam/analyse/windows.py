"""What the scheduler hands around: windows that wait, looks in flight, each camera's account."""

from dataclasses import dataclass, field
from enum import Enum, auto

from kilocam.analyse.results import SkipReason
from kilocam.bus import Position
from kilocam.core import CameraKey, Window


class Lane(Enum):
    """Where a look comes from."""

    FRESH = auto()
    CATCH_UP = auto()


@dataclass(slots=True, eq=False)
class Pending:
    """An offered window that is neither looked at nor skipped."""

    start_us: int
    gop_us: int
    position: Position
    busy: bool
    """By the packets before it, or by its own first ones; a camera met anew always is."""
    remarkable: bool
    """The same, but of a camera met anew only what is so among its windows."""
    end_us: int
    complexity: tuple[float, ...] = ()
    """As told of the window before it and, once that is known, of itself."""
    unjudged: bool = False
    """It waits because nobody knew what is quiet here."""
    late: bool = False
    """It was told after newer ones, and what its successor tells of it is not known yet."""
    doubtful: bool = False
    """Only what came later in it stood out."""
    audit: bool = False
    """It was passed over as quiet, and is looked at all the same, to know what that misses."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What `take` hands out; give it back to `settle` or `give_up`."""

    key: CameraKey
    partition: int
    lane: Lane
    target: Pending
    before: Pending | None
    """The window before, looked at by its key frame alone, in which something was found."""
    charged_us: int

    @property
    def window(self) -> Window:
        """The window to look at."""
        return window_of(self.key, self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What is known of a camera beyond its windows, for the analyst that comes after."""

    active: bool = False
    """The last look at it saw something."""
    levels: tuple[float, ...] = ()
    """What is quiet, as `RateGate.levels` has it."""


@dataclass(slots=True)
class Counts:
    """A camera's windows since its partition was taken over."""

    offered: int = 0
    looked: int = 0
    skipped: dict[SkipReason, int] = field(default_factory=dict)
    pending: int = 0

    def check(self) -> None:
        """The promise of exact accounting."""
        assert self.looked + sum(self.skipped.values()) + self.pending == self.offered


def window_of(key: CameraKey, pending: Pending) -> Window:
    """The window as a value."""
    return Window(
        tenant=key.tenant, camera=key.camera, start_us=pending.start_us, end_us=pending.end_us
    )
