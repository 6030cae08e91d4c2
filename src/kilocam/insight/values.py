"""What insights are made of; all frozen, times in microseconds since 1970 UTC."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID

from kilocam.database import Row
from kilocam.insight.errors import Invalid
from kilocam.insight.seams import Box

Item = TypeVar("Item")
LOOKED = "looked"
"""The outcome of a window that was looked at; any other outcome is why it was skipped."""
_CURSOR = re.compile(r"(\d{1,18})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the order of changes: a transaction, and an event in it."""

    transaction: int
    event: str

    def __str__(self) -> str:
        return f"{self.transaction}-{UUID(self.event).hex}"

    @classmethod
    def before(cls, transaction: int) -> "Cursor":
        """The place just before all that `transaction` changed."""
        return cls(transaction, str(UUID(int=0)))

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Of `str(cursor)`.

        Raises:
            Invalid: it is not one.
        """
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise Invalid(f"cursor {text[:80]!r} is not one of ours: give one as it was received")
        return cls(int(match[1]), str(UUID(match[2])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One object while it could be followed; a text while it could be read; something said."""

    id: str
    camera: str
    label: str
    score: float
    """Of the picture that shows it best."""
    start_us: int
    end_us: int
    best_us: int
    """The moment of that picture."""
    box: Box
    """Where the object is in it."""
    colours: tuple[str, ...]
    """Its colours, the largest first; empty: none could be told."""
    text: str
    """What was read or said; empty for an object."""
    description: str
    """What a model says of one picture of it, and may be wrong about; empty: nothing."""
    described_by: str
    """That model."""
    still: bool
    """It had not moved for a while when it was last seen."""
    zones: tuple[str, ...]
    """Names of the zones it was in, by the rules as they were when it was last seen."""
    changed: Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """An event that is gone: a second look at its only window did not see it."""

    id: str
    camera: str
    label: str
    start_us: int
    changed: Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Where an event's object was at one moment."""

    at_us: int
    score: float
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events; what is empty does not restrict."""

    cameras: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    from_us: int | None = None
    to_us: int | None = None
    text: str = ""
    zones: tuple[str, ...] = ()
    """Events that were in any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some items of a list, and where the rest begins."""

    items: tuple[Item, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An event that a search found; the score is between 0 and 1."""

    event: Event
    score: float
    matched: frozenset[str]
    """The words of the question, beyond classes, cameras and times, that it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """An event whose object looks like another's."""

    event: Event
    likeness: float
    """Cosine: 1 is the same picture, 0 as unlike as any two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a search found, best first."""

    found: tuple[Found, ...]
    unmatched: tuple[str, ...]
    """Words of the question that nothing found holds: it was answered without them."""
    words: tuple[str, ...] = ()
    """Of the question, beyond classes, cameras and times."""
    wanted: EventFilter | None = None
    """What was looked through, by those and by what the caller restricts; None: nothing is both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSum:
    """What a stage of the cascade saw and passed on, and what that cost, over many windows."""

    seen: int = 0
    passed: int = 0
    cost_us: int = 0

    def __add__(self, other: "StageSum") -> "StageSum":
        return StageSum(
            seen=self.seen + other.seen,
            passed=self.passed + other.passed,
            cost_us=self.cost_us + other.cost_us,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraCounts:
    """A camera's windows by outcome."""

    camera: str
    looked: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    last_look_us: int | None = None
    """Start of the newest window that was looked at."""
    stages: Mapping[str, StageSum] = field(default_factory=dict)
    """Of the windows that were looked at."""

    @property
    def offered(self) -> int:
        """All windows that are settled."""
        return self.looked + sum(self.skipped.values())


class ChangeKind(StrEnum):
    """What happened to an event."""

    OPENED = "opened"
    EXTENDED = "extended"
    WITHDRAWN = "withdrawn"
    """A second look at its only window did not see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventChange:
    """What is published as `insights.<tenant>.<camera>`."""

    tenant: str
    camera: str
    event_id: str
    kind: ChangeKind
    label: str
    score: float
    start_us: int
    end_us: int
    best_us: int
    box: Box
    text: str = ""
    description: str = ""
    """Of a model; it may be wrong."""

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "EventChange":
        """Of what the outbox keeps; `Any`: JSON."""
        x, y, w, h = body["box"]
        return cls(**{**body, "kind": ChangeKind(body["kind"]), "box": (x, y, w, h)})


def read_event(row: Row) -> Event:
    """An event from its row."""
    x, y, w, h = row["box"]
    return Event(
        id=row["id"],
        camera=row["camera"],
        label=row["label"],
        colours=tuple(row["colours"].split()),
        text=row["text"],
        description=row["description"],
        described_by=row["described_by"],
        score=row["score"],
        start_us=row["start_us"],
        end_us=row["end_us"],
        best_us=row["best_us"],
        box=(x, y, w, h),
        still=row["still"],
        zones=tuple(row["zones"]),
        changed=Cursor(row["changed"], row["id"]),
    )
