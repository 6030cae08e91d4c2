"""What analysis hands in. Rooms of one level do not import each other, so these are shapes only.

`kilocam.analyse.results` has values of these shapes; a role's wiring brings both together.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from kilocam.bus import Position
from kilocam.core import Window

Box = tuple[float, float, float, float]
"""(x, y, w, h) as fractions of the picture, origin top left."""


class BoxAt(Protocol):
    """Where an object was at one moment."""

    @property
    def at_us(self) -> int: ...  # noqa: D102 - what the class says
    @property
    def box(self) -> Box: ...  # noqa: D102
    @property
    def score(self) -> float: ...  # noqa: D102


class ObjectSeen(Protocol):
    """What one window adds to one event."""

    @property
    def event_id(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def colours(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def still(self) -> bool: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def boxes(self) -> Sequence[BoxAt]:
        """In order of time, at least one."""
        ...

    @property
    def best(self) -> BoxAt:
        """The moment it was seen most clearly in this window."""
        ...


class Portrait(Protocol):
    """How an event's object looks in the picture that shows it best so far."""

    @property
    def window(self) -> Window:
        """The picture lies in it."""
        ...

    @property
    def event_id(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def at_us(self) -> int: ...  # noqa: D102
    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def vector(self) -> Sequence[float]:
        """Of length 1."""
        ...


class Encoded(Protocol):
    """A vector of a text, to be compared with those of pictures."""

    @property
    def model(self) -> str:
        """Who made it."""
        ...

    @property
    def vector(self) -> Sequence[float]:
        """Of length 1."""
        ...


Encode = Callable[[str], Awaitable[Encoded | None]]
"""Makes a vector of a text; None where that cannot be done now."""


class StageCount(Protocol):
    """What one stage of the cascade saw and passed on, and what that cost."""

    @property
    def seen(self) -> int: ...  # noqa: D102
    @property
    def passed(self) -> int: ...  # noqa: D102
    @property
    def cost_us(self) -> int: ...  # noqa: D102


class OfferedWindow(Protocol):
    """A window that the queue told of."""

    @property
    def window(self) -> Window: ...  # noqa: D102
    @property
    def version(self) -> str:
        """Of the pipeline; part of the idempotency key."""
        ...

    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def position(self) -> Position:
        """Where the queue told of it."""
        ...


class LookedWindow(OfferedWindow, Protocol):
    """One that was looked at."""

    @property
    def looked_us(self) -> int: ...  # noqa: D102
    @property
    def objects(self) -> Sequence[ObjectSeen]: ...  # noqa: D102
    @property
    def changed(self) -> Box | None:
        """Around what differs from the scene's background."""
        ...

    @property
    def stages(self) -> Mapping[str, StageCount]: ...  # noqa: D102


class SkippedWindow(OfferedWindow, Protocol):
    """One that was not."""

    @property
    def reason(self) -> str: ...  # noqa: D102
