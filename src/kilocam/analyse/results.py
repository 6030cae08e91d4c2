"""What a look gives: the frozen values handed to whoever keeps insights.

A window's objects are its *contributions*. An event is nothing but the fold of all contributions
that carry its id, so replacing what one window contributed, in one transaction, is all a re-run
has to do (`docs/design/analyse.md`, "Events").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from blake3 import blake3

from kilocam.bus import Position
from kilocam.core import CameraKey, Window

PIPELINE = "1"
"""Version of the cascade: part of a window's idempotency key, with its camera and its start."""

Box = tuple[float, float, float, float]


class SkipReason(StrEnum):
    """Why an offered window was not looked at; shown to people as it stands."""

    QUIET = "quiet"
    """Its packets say that nothing moved, or the picture after it that nothing came, and the camera
    was looked at a moment ago."""
    OVERLOAD = "overload"
    """The catch-up lane's share of the time does not reach it."""
    TOO_OLD = "too_old"
    CODEC = "codec"
    """Its codec is not decoded here."""
    UNREADABLE = "unreadable"
    """Its footage is gone or no picture in it can be decoded."""
    FAILED = "failed"
    """Looking at it crashed or took too long, twice."""
    REFUSED = "refused"
    """What was found in it can never be kept: the database does not take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAt:
    """Where an object was at one moment; box = (x, y, w, h) as fractions, origin top left."""

    at_us: int
    box: Box
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSeen:
    """What one window contributes to one event: an object, a text, or something said."""

    event_id: str
    opens: bool
    """The event begins in this window; else an earlier one opened it."""
    label: str
    """The object's most likely label by all that was seen of it so far."""
    still: bool
    """It has not moved for a while (a parked car)."""
    boxes: tuple[BoxAt, ...]
    """In order of time, at least one."""
    colours: tuple[str, ...] = ()
    """Its colours by all that was seen of it so far, the largest first; empty: none can be told."""
    text: str = ""
    """What was read or said; empty for an object."""

    @property
    def first_us(self) -> int:
        """When it was first seen in this window."""
        return self.boxes[0].at_us

    @property
    def last_us(self) -> int:
        """When it was last seen in this window."""
        return self.boxes[-1].at_us

    @property
    def best(self) -> BoxAt:
        """The moment it was seen most clearly in this window: the best picture."""
        return max(self.boxes, key=lambda seen: seen.score)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCount:
    """What one stage of the cascade saw and passed on in one look, and what that cost."""

    seen: int = 0
    passed: int = 0
    cost_us: int = 0

    def __add__(self, other: "StageCount") -> "StageCount":
        return StageCount(
            seen=self.seen + other.seen,
            passed=self.passed + other.passed,
            cost_us=self.cost_us + other.cost_us,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowResult:
    """One look at one window; replaces whatever (window, version) contributed before.

    It may be written twice: at once with its key frame alone, and again when the whole window was
    looked at. `position` is where the queue told of it.
    """

    window: Window
    version: str
    partition: int
    position: Position
    looked_us: int
    objects: tuple[ObjectSeen, ...]
    changed: Box | None = None
    """Around what differs from the scene's background; None: nothing does."""
    stages: Mapping[str, StageCount] = field(default_factory=dict)

    @property
    def key(self) -> CameraKey:
        """The camera."""
        return CameraKey(self.window.tenant, self.window.camera)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedWindow:
    """A window that was offered and not looked at."""

    window: Window
    version: str
    partition: int
    position: Position
    reason: SkipReason


TEXT, SPEECH, SOUND = "text", "speech", "sound"
"""Labels of events that are no objects."""


def event_id(key: CameraKey, window_start_us: int, ordinal: int, kind: str = "") -> str:
    """Id of the `ordinal`-th event of a kind that a window opens: the same on every run.

    Args:
        key: the camera.
        window_start_us: when the window begins; of speech and sounds, when they began.
        ordinal: counts from 0.
        kind: `TEXT`, `SPEECH`, a sound's own label, or nothing for an object.
    """
    name = f"{key}/{window_start_us}/{ordinal}{kind}"
    return str(UUID(bytes=blake3(name.encode(), derive_key_context=_CONTEXT).digest(16)))


_CONTEXT = "kilocam 2026 event id"
