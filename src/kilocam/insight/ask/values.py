"""What asking is made of: steps as they happen, and the answer with what it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kilocam.core import parse_time

BUILT_IN = "built-in"
"""Who answered, where no language model did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was done for an answer."""

    did: str
    """The operation that was called, or `read`, `model`, `check`."""
    given: Mapping[str, object] = field(default_factory=dict)
    came: str
    """What came of it, in a few words; never what a camera read or heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An event as the API gives it."""

    id: str
    camera: str
    label: str
    colours: tuple[str, ...]
    start: str
    end: str
    text: str
    description: str
    score: float
    still: bool
    title: str
    clip_url: str

    @property
    def start_us(self) -> int:
        """When it was first seen."""
        return parse_time(self.start)

    @property
    def end_us(self) -> int:
        """When it was last seen."""
        return parse_time(self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Footage that shows what an answer says."""

    camera: str
    start: str
    end: str
    event_id: str
    clip_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch without footage, and why."""

    start: str
    end: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraCoverage:
    """How much of one camera's time an answer rests on."""

    camera: str
    start: str
    end: str
    recorded: float | None
    """Share of the time; None: it could not be asked, `problem` says why."""
    gaps: tuple[Gap, ...] = ()
    looked: int = 0
    """Windows, of the whole hours around the time."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    problem: str = ""

    @property
    def unseen(self) -> Mapping[str, int]:
        """Windows that nobody looked at although something may have been there, by reason."""
        return {reason: many for reason, many in self.skipped.items() if reason != "quiet"}

    @property
    def whole(self) -> bool:
        """All of it was recorded, and looked at or passed over as quiet."""
        return (
            not self.problem
            and not self.gaps
            and not any(self.unseen.values())
            and self.looked + self.skipped.get("quiet", 0) > 0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to a question."""

    answer: str
    citations: tuple[Citation, ...] = ()
    coverage: str
    cameras: tuple[CameraCoverage, ...] = ()
    refused: bool = False
    """It is no answer but says why there is none."""
    by: str = BUILT_IN


def seen_of(item: Mapping[str, Any]) -> Seen:
    """Of an event's, or a search result's, JSON; `Any`: JSON."""
    return Seen(
        id=item["id"] if "id" in item else item["event_id"],
        camera=item["camera"],
        label=item.get("class", ""),
        colours=tuple(item.get("colours", ())),
        start=item["start"],
        end=item["end"],
        text=" ".join(item["text"]),
        description=item["description"],
        score=item["score"],
        still=item.get("still", False),
        title=item["title"],
        clip_url=item["clip_url"],
    )


def cite(events: Sequence[Seen]) -> tuple[Citation, ...]:
    """Citations of some events."""
    return tuple(
        Citation(
            camera=each.camera,
            start=each.start,
            end=each.end,
            event_id=each.id,
            clip_url=each.clip_url,
        )
        for each in events
    )
