"""Events and search."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from pydantic import Field

from kilocam.api.catalogue import Caller, Catalogue, Model, Operation
from kilocam.api.known import KnownCameras
from kilocam.api.operations.footage import Moment, check_order
from kilocam.api.problems import Problem
from kilocam.core import KilocamError, format_time
from kilocam.fleet import Role
from kilocam.insight import (
    Cursor,
    Event,
    EventFilter,
    Feed,
    Insight,
    Invalid,
    Meaning,
    NotFound,
    Sight,
    Unavailable,
    admits,
)

INSIGHT_PROBLEMS: dict[type[KilocamError], tuple[int, str]] = {
    NotFound: (404, "not-found"),
    Invalid: (422, "invalid"),
    Unavailable: (503, "unavailable"),
}
"""Status and kind of what the operations here may raise."""

LEAD_US = 2_000_000
"""A clip begins so much before what it shows, and ends so much after it."""
CLIP_US = 60_000_000
"""Of what lasts longer (a parked car) the clip shows the time around the best picture."""
WAIT_S = 60.0
_MOST_NAMED = 100

Limit = Annotated[int, Field(ge=1, le=500, description="At most so many items.")]
Box = Annotated[
    list[float],
    Field(description="[x, y, width, height] as fractions of the picture; of speech, all of it."),
]
Description = Annotated[
    str,
    Field(
        description="What the model `described_by` says of one picture; it may be wrong, or "
        "repeat lettering that somebody held into the picture. Empty: nothing."
    ),
]
DescribedBy = Annotated[str, Field(description="The model that wrote `description`.")]


class EventOut(Model):
    """One object while it could be followed, a text while it could be read, or something said.

    Their classes are `text` and `speech` then. Links need the caller's sign-in.
    """

    id: str
    camera: str
    label: Annotated[str, Field(alias="class")]
    colours: Annotated[
        list[str], Field(description="The largest first; a person's are of clothes.")
    ]
    title: str
    score: float
    start: str
    end: str
    box: Box
    zones: list[str]
    text: Annotated[list[str], Field(description="What was read or said.")]
    description: Description
    described_by: DescribedBy
    still: bool
    best: Annotated[str, Field(description="When it was seen best; `box` is of that picture.")]
    snapshot_url: str
    clip_url: str


class SightOut(Model):
    """Where the object was at one moment."""

    at: str
    score: float
    box: Box


class OneEventOut(EventOut):
    """An event with where its object was, moment by moment."""

    sights: list[SightOut]


class EventList(Model):
    """A page of events."""

    items: list[EventOut]
    next_cursor: str | None


class Changes(Model):
    """Events that were opened or extended, each as it is now."""

    items: list[EventOut]
    after: Annotated[str, Field(description="Give it as `after` to go on.")]


class Restricted(Model):
    """Which events; several cameras or classes are separated by commas."""

    camera: str = ""
    label: Annotated[str, Field(alias="class", description="A class, or a group: vehicle.")] = ""


class ListEvents(Restricted):
    """Which events, and which page of them."""

    zone: Annotated[
        str, Field(description="Names of zones, separated by commas: objects that were in one.")
    ] = ""
    start: Annotated[Moment | None, Field(alias="from", description="RFC 3339.")] = None
    end: Annotated[Moment | None, Field(alias="to", description="RFC 3339.")] = None
    text: Annotated[str, Field(max_length=500, description="Words.")] = ""
    limit: Limit = 100
    cursor: str | None = None


class OneEvent(Model):
    """Which event."""

    id: UUID


class PollEvents(Restricted):
    """Where to go on, and how long to wait for something."""

    after: Annotated[
        str, Field(description="`after` of the last answer; without it: what is new from now on.")
    ] = ""
    wait: Annotated[float, Field(ge=0, le=WAIT_S, description="Seconds.")] = 25.0


class Search(Model):
    """A question in plain words, and what restricts it further."""

    query: Annotated[str, Field(max_length=500)]
    start: Annotated[Moment | None, Field(alias="from", description="RFC 3339.")] = None
    end: Annotated[Moment | None, Field(alias="to", description="RFC 3339.")] = None
    cameras: Annotated[tuple[str, ...], Field(max_length=_MOST_NAMED)] = ()
    classes: Annotated[tuple[str, ...], Field(max_length=_MOST_NAMED)] = ()
    limit: Limit = 20


class ResultOut(Model):
    """What a search found; `score` is between 0 and 1."""

    score: float
    kind: Annotated[str, Field(description="event, text, speech or sound.")]
    camera: str
    start: str
    end: str
    title: str
    text: Annotated[list[str], Field(description="What was read or said.")]
    description: Description
    described_by: DescribedBy
    box: Annotated[Box, Field(description="Where it is in the picture of `snapshot_url`.")]
    event_id: str
    snapshot_url: str
    clip_url: str


class ResultList(Model):
    """What a search found, best first."""

    items: list[ResultOut]
    next_cursor: None = None
    unmatched: Annotated[
        list[str], Field(description="Words of the question that no result holds.")
    ]


class EventOperations:
    """The operations on what was seen."""

    def __init__(
        self,
        insight: Insight,
        feed: Feed,
        cameras: KnownCameras,
        meaning: Meaning | None = None,
    ) -> None:
        """`meaning`: searches by looks too."""
        self._insight = insight
        self._searching = meaning or insight
        self._feed = feed
        self._cameras = cameras

    def enter(self, catalogue: Catalogue) -> None:
        """Put them into the catalogue."""
        add = catalogue.add
        add(Operation(
            name="list_events", summary="What was seen, newest first.",
            method="GET", path="/v1/events", needs=Role.VIEWER, tool=True,
            takes=ListEvents, gives=EventList, call=self.list,
        ))  # fmt: skip
        add(Operation(
            name="poll_events", summary="What was seen since; waits for news (long poll).",
            method="GET", path="/v1/events/poll", needs=Role.VIEWER,
            takes=PollEvents, gives=Changes, call=self.poll,
        ))  # fmt: skip
        add(Operation(
            name="get_event", summary="One event, with where its object was.",
            method="GET", path="/v1/events/{id}", needs=Role.VIEWER, tool=True,
            takes=OneEvent, gives=OneEventOut, call=self.get,
        ))  # fmt: skip
        add(Operation(
            name="search", summary="Find footage by a question in plain words.",
            method="POST", path="/v1/search", needs=Role.VIEWER, tool=True,
            takes=Search, gives=ResultList, call=self.search,
        ))  # fmt: skip

    async def list(self, caller: Caller, given: ListEvents) -> EventList:
        """A page of events."""
        check_order(given.start, given.end)
        await check_known(self._cameras, caller.tenant, names(given.camera))
        wanted = replace(
            filter_of(given), from_us=given.start, to_us=given.end, text=given.text,
            zones=names(given.zone),
        )  # fmt: skip
        page = await self._insight.events(
            caller.tenant, wanted, cursor=given.cursor, limit=given.limit
        )
        items = [event_out(event) for event in page.items]
        return EventList(items=items, next_cursor=page.next_cursor)

    async def poll(self, caller: Caller, given: PollEvents) -> Changes:
        """Changes after a place; empty when none came in time."""
        await check_known(self._cameras, caller.tenant, names(given.camera))
        if given.after:
            after = Cursor.parse(given.after)
        else:
            after = await self._feed.now_at(caller.tenant)
        events = await self._feed.next(caller.tenant, after, given.wait)
        wanted = filter_of(given)
        return Changes(
            items=[event_out(event) for event in events if admits(wanted, event)],
            after=str(events[-1].changed if events else after),
        )

    async def get(self, caller: Caller, given: OneEvent) -> OneEventOut:
        """One event."""
        event = await self._insight.event(caller.tenant, str(given.id))
        sights = await self._insight.sights(caller.tenant, event.id)
        return OneEventOut(
            **event_out(event).model_dump(), sights=[_sight(each) for each in sights]
        )

    async def search(self, caller: Caller, given: Search) -> ResultList:
        """What fits best."""
        check_order(given.start, given.end)
        await check_known(self._cameras, caller.tenant, given.cameras)
        wanted = EventFilter(
            cameras=given.cameras,
            labels=given.classes,
            from_us=given.start,
            to_us=given.end,
        )
        answer = await self._searching.search(caller.tenant, given.query, wanted, limit=given.limit)
        return ResultList(
            items=[_result(each.event, each.score) for each in answer.found],
            unmatched=list(answer.unmatched),
        )


async def check_known(known: KnownCameras, tenant: str, cameras: Sequence[str]) -> None:
    """Refuse cameras that nobody knows; what was seen by one that is removed stays."""
    refuse_unknown(tenant, await known.unknown(tenant, cameras))


def refuse_unknown(tenant: str, cameras: Sequence[str]) -> None:
    """Raise 404 if there are any: an answer of nothing would say that nothing was seen."""
    if cameras:
        many = len(cameras) > 1
        raise Problem(
            404,
            "not-found",
            f"{'cameras' if many else 'camera'} {', '.join(map(repr, cameras))} "
            f"{'do' if many else 'does'} not exist in tenant {tenant!r}: "
            "GET /v1/cameras lists those that do",
        )


def filter_of(wanted: Restricted) -> EventFilter:
    """Cameras and classes that are named."""
    return EventFilter(cameras=names(wanted.camera), labels=names(wanted.label))


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    found = tuple(name for part in text.split(",") if (name := part.strip()))
    if len(found) > _MOST_NAMED:
        raise Problem(422, "invalid", f"{len(found)} names are too many: give {_MOST_NAMED}")
    return found


def event_out(event: Event) -> EventOut:
    """An event as everybody outside sees it."""
    return EventOut(
        id=event.id,
        camera=event.camera,
        label=event.label,
        colours=list(event.colours),
        title=title(event),
        score=round(event.score, 4),
        start=format_time(event.start_us),
        end=format_time(event.end_us),
        box=_box(event.box),
        zones=list(event.zones),
        text=[event.text] if event.text else [],
        description=event.description,
        described_by=event.described_by,
        still=event.still,
        best=format_time(event.best_us),
        snapshot_url=snapshot_url(event),
        clip_url=clip_url(event),
    )


def title(event: Event) -> str:
    """`red car at gate`, `person in black and blue at gate`, `speech "stop" at gate`."""
    colours = " and ".join(event.colours)
    if event.text:
        what = f'{event.label} "{event.text}"'
    elif not colours:
        what = event.label
    elif event.label == "person":
        what = f"{event.label} in {colours}"
    else:
        what = f"{colours} {event.label}"
    return f"{what} at {event.camera}"


def snapshot_url(event: Event) -> str:
    """The picture that shows it best."""
    return f"/v1/cameras/{quote(event.camera)}/snapshot.jpg?at={format_time(event.best_us)}"


def clip_url(event: Event) -> str:
    """What happened, with a little before and after."""
    from_us, to_us = event.start_us - LEAD_US, event.end_us + LEAD_US
    if to_us - from_us > CLIP_US:
        from_us = max(from_us, event.best_us - CLIP_US // 2)
        to_us = min(to_us, from_us + CLIP_US)
    span = f"from={format_time(from_us)}&to={format_time(to_us)}"
    return f"/v1/cameras/{quote(event.camera)}/clip.mp4?{span}"


def _result(event: Event, score: float) -> ResultOut:
    return ResultOut(
        score=score,
        kind=event.label if event.text else "event",
        camera=event.camera,
        start=format_time(event.start_us),
        end=format_time(event.end_us),
        title=title(event),
        text=[event.text] if event.text else [],
        description=event.description,
        described_by=event.described_by,
        box=_box(event.box),
        event_id=event.id,
        snapshot_url=snapshot_url(event),
        clip_url=clip_url(event),
    )


def _sight(sight: Sight) -> SightOut:
    return SightOut(at=format_time(sight.at_us), score=round(sight.score, 4), box=_box(sight.box))


def _box(box: tuple[float, float, float, float]) -> list[float]:
    return [round(part, 5) for part in box]
