"""Rules of cameras, what they found, and evaluating them over the past."""

import difflib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field

from kilocam.api.catalogue import Caller, Catalogue, Model, Nothing, Operation
from kilocam.api.known import KnownCameras
from kilocam.api.operations.cameras import CameraId
from kilocam.api.operations.events import Limit, refuse_unknown
from kilocam.api.operations.footage import Moment, RangeIn, check_order
from kilocam.api.problems import Problem
from kilocam.core import format_time
from kilocam.fleet import Fleet, Role, StoredRule
from kilocam.insight import SEEN_CLASSES, Hit, RuleHits

Name = Annotated[str, Field(description="The rule's name, unique on its camera: an id.")]
Points = Annotated[
    list[tuple[float, float]],
    Field(max_length=64, description="[x, y], fractions of the picture, from its top left corner."),
]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CLIP_US = 5_000_000
"""A clip begins so much before what it shows, and ends so much after it."""
KIND = "zone, line, loitering, left_object, crowd or speed."


class Hours(Model):
    """A stretch of certain weekdays; one that ends before it begins ends on the day after."""

    days: Annotated[list[Day], Field(min_length=1, max_length=7)]
    start: Annotated[str, Field(alias="from", description="08:00")]
    end: Annotated[str, Field(alias="to", description="18:30; 24:00 is the end of the day.")]


class Schedule(Model):
    """When a rule holds; without hours: always."""

    time_zone: Annotated[str, Field(max_length=64, description="IANA, such as Europe/Berlin.")] = (
        "UTC"
    )
    hours: Annotated[tuple[Hours, ...], Field(max_length=32)] = ()


class Definition(Model):
    """What a rule waits for; which parts it has follows from its kind."""

    kind: Annotated[
        Literal["zone", "line", "loitering", "left_object", "crowd", "speed"],
        Field(description=KIND),
    ]
    polygon: Annotated[Points | None, Field(description="Of a zone: its corners.")] = None
    line: Annotated[
        Points | None, Field(description="Of a line: two points; left and right as one goes.")
    ] = None
    zone: Annotated[
        str | None, Field(description="Of loitering, left_object and crowd: a zone's name.")
    ] = None
    seconds: Annotated[
        float | None, Field(description="Of loitering and left_object: for so long.")
    ] = None
    reach: Annotated[
        float | None,
        Field(description="Of left_object: nobody so near, in widths of a person; 3 if not given."),
    ] = None
    count: Annotated[int | None, Field(description="Of a crowd: so many at once.")] = None
    image: Annotated[
        Points | None, Field(description="Of speed: four points around a piece of ground.")
    ] = None
    ground: Annotated[
        list[tuple[float, float]] | None,
        Field(max_length=64, description="Of speed: where these four are, in metres."),
    ] = None
    above_kmh: Annotated[float | None, Field(description="Of speed: faster than this.")] = None
    classes: Annotated[
        tuple[str, ...],
        Field(max_length=32, description="Classes or groups; empty: all (left_object: bags)."),
    ] = ()
    schedule: Schedule | None = None


class PutRule(Definition):
    """A rule of a camera."""

    id: CameraId
    name: Name


class RuleOut(Definition):
    """A rule as it is now; parts that its kind does not have are null."""

    name: str
    version: int
    updated: str


class RuleList(Model):
    """All rules of a camera, by name."""

    items: list[RuleOut]
    next_cursor: None = None


class RulesOfCamera(Model):
    """Which camera."""

    id: CameraId


class OneRule(Model):
    """Which rule."""

    id: CameraId
    name: Name


class EvaluateRule(Model):
    """Over which time of the past: up to 24 hours."""

    id: CameraId
    name: Name
    start: Annotated[Moment, Field(alias="from", description="RFC 3339.")]
    end: Annotated[Moment, Field(alias="to", description="RFC 3339.")]


class EvaluatedOut(Model):
    """What came of it."""

    rule: str
    start: Annotated[str, Field(alias="from")]
    end: Annotated[str, Field(alias="to")]
    events: Annotated[int, Field(description="Whose sights were looked at again.")]
    hits: Annotated[int, Field(description="In that time, as they are now.")]


class ListHits(Model):
    """Which hits, and which page of them."""

    id: CameraId
    rule: str = ""
    start: Annotated[Moment | None, Field(alias="from", description="RFC 3339.")] = None
    end: Annotated[Moment | None, Field(alias="to", description="RFC 3339.")] = None
    limit: Limit = 100
    cursor: str | None = None


class HitOut(Model):
    """Something did what a rule waits for; links need the caller's sign-in."""

    rule: str
    kind: Annotated[str, Field(description=KIND)]
    version: Annotated[int, Field(description="Of the rule that was applied.")]
    camera: str
    at: str
    event_id: Annotated[str | None, Field(description="Null: several objects together.")]
    label: Annotated[str, Field(alias="class")]
    direction: Annotated[
        str | None, Field(description="left_to_right or right_to_left, along the line.")
    ]
    value: Annotated[
        float | None, Field(description="Seconds (zone, loitering), km/h (speed), or how many.")
    ]
    uncertainty: Annotated[
        float | None, Field(description="Of a speed, 95 %, without the calibration's own.")
    ]
    snapshot_url: str
    clip_url: str


class HitList(Model):
    """A page of hits, newest first."""

    items: list[HitOut]
    next_cursor: str | None


class CountHits(RangeIn):
    """Of which rule, and in which time."""

    rule: str = ""


class CountOut(Model):
    """How often."""

    rule: str
    kind: str
    direction: str | None
    label: Annotated[str, Field(alias="class")]
    hits: int


class CountList(Model):
    """Hits in [from, to) by rule, direction and class."""

    items: list[CountOut]
    next_cursor: None = None


class RuleOperations:
    """The operations on rules: declared in the fleet, applied where events are."""

    def __init__(self, fleet: Fleet, hits: RuleHits, cameras: KnownCameras) -> None:
        self._rules = fleet.rules
        self._hits = hits
        self._cameras = cameras

    def enter(self, catalogue: Catalogue) -> None:
        """Put them into the catalogue."""
        add = catalogue.add
        add(Operation(
            name="list_rules", summary="Zones, lines and other rules of a camera.",
            method="GET", path="/v1/cameras/{id}/rules", needs=Role.VIEWER, tool=True,
            takes=RulesOfCamera, gives=RuleList, call=self.list,
        ))  # fmt: skip
        add(Operation(
            name="get_rule", summary="One rule of a camera.",
            method="GET", path="/v1/cameras/{id}/rules/{name}", needs=Role.VIEWER,
            takes=OneRule, gives=RuleOut, call=self.get,
        ))  # fmt: skip
        add(Operation(
            name="put_rule", summary="Make or change a rule; it holds for what comes.",
            method="PUT", path="/v1/cameras/{id}/rules/{name}", needs=Role.OPERATOR,
            takes=PutRule, gives=RuleOut, call=self.put,
        ))  # fmt: skip
        add(Operation(
            name="remove_rule", summary="Remove a rule; what it found stays.",
            method="DELETE", path="/v1/cameras/{id}/rules/{name}", needs=Role.OPERATOR, status=204,
            takes=OneRule, gives=Nothing, call=self.remove,
        ))  # fmt: skip
        add(Operation(
            name="evaluate_rule", summary="Apply a rule to what was seen in the past.",
            method="POST", path="/v1/cameras/{id}/rules/{name}/evaluate", needs=Role.OPERATOR,
            takes=EvaluateRule, gives=EvaluatedOut, call=self.evaluate,
        ))  # fmt: skip
        add(Operation(
            name="list_hits", summary="What a camera's rules found, newest first.",
            method="GET", path="/v1/cameras/{id}/hits", needs=Role.VIEWER, tool=True,
            takes=ListHits, gives=HitList, call=self.hits,
        ))  # fmt: skip
        add(Operation(
            name="count_hits", summary="How often rules found something, by direction and class.",
            method="GET", path="/v1/cameras/{id}/counts", needs=Role.VIEWER, tool=True,
            takes=CountHits, gives=CountList, call=self.counts,
        ))  # fmt: skip

    async def list(self, caller: Caller, given: RulesOfCamera) -> RuleList:
        """All of them."""
        stored = await self._rules.rules(caller.tenant, given.id)
        return RuleList(items=[_shown(rule) for rule in stored])

    async def get(self, caller: Caller, given: OneRule) -> RuleOut:
        """One of them."""
        return _shown(await self._rules.rule(caller.tenant, given.id, given.name))

    async def put(self, caller: Caller, given: PutRule) -> RuleOut:
        """The rule as it is afterwards."""
        check_classes(given.classes)
        definition = _definition(given)
        return _shown(
            await self._rules.put(
                caller.tenant, given.id, given.name, definition, actor=caller.actor
            )
        )

    async def remove(self, caller: Caller, given: OneRule) -> Nothing:
        """Nothing is left but what it found."""
        await self._rules.remove(caller.tenant, given.id, given.name, actor=caller.actor)
        return Nothing()

    async def evaluate(self, caller: Caller, given: EvaluateRule) -> EvaluatedOut:
        """Over the past, at once."""
        check_order(given.start, given.end)
        await self._rules.rule(caller.tenant, given.id, given.name)
        done = await self._hits.evaluate(
            caller.tenant, given.id, given.name, from_us=given.start, to_us=given.end
        )
        return EvaluatedOut(
            rule=given.name,
            start=format_time(given.start),
            end=format_time(given.end),
            events=done.events,
            hits=done.hits,
        )

    async def hits(self, caller: Caller, given: ListHits) -> HitList:
        """A page of them."""
        check_order(given.start, given.end)
        page = await self._hits.hits(
            caller.tenant, given.id, rule=given.rule or None, from_us=given.start,
            to_us=given.end, cursor=given.cursor, limit=given.limit,
        )  # fmt: skip
        if not page.items:
            await self._refuse_unknown(caller.tenant, given.id, given.rule)
        items = [_hit(given.id, hit) for hit in page.items]
        return HitList(items=items, next_cursor=page.next_cursor)

    async def counts(self, caller: Caller, given: CountHits) -> CountList:
        """Of one rule, or of all."""
        check_order(given.start, given.end)
        counts = await self._hits.counts(
            caller.tenant, given.id, rule=given.rule or None, from_us=given.start, to_us=given.end
        )
        if not counts:
            await self._refuse_unknown(caller.tenant, given.id, given.rule)
        return CountList(items=[CountOut(**asdict(each)) for each in counts])

    async def _refuse_unknown(self, tenant: str, camera: str, rule: str) -> None:
        """Raise 404 where finding nothing would say that nothing happened."""
        if rule:
            await self._rules.rule(tenant, camera, rule)
        else:
            refuse_unknown(tenant, await self._cameras.unknown(tenant, (camera,)))


def check_classes(classes: Sequence[str]) -> None:
    """Raise 422 for the first that is neither a class nor a group."""
    for each in classes:
        if each not in SEEN_CLASSES:
            close = difflib.get_close_matches(each, SEEN_CLASSES, n=1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise Problem(
                422,
                "invalid",
                f"class {each[:80]!r} is not known: {meant}there are {', '.join(SEEN_CLASSES)}",
            )


def _definition(given: PutRule) -> dict[str, Any]:
    """As it is kept: what was given, without what stands for nothing."""
    said = given.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"id", "name"})
    return {field: value for field, value in said.items() if value != []}


def _shown(rule: StoredRule) -> RuleOut:
    return RuleOut(
        name=rule.name,
        version=rule.version,
        updated=format_time(rule.updated_us),
        **rule.definition,
    )


def _hit(camera: str, hit: Hit) -> HitOut:
    at, name = format_time(hit.at_us), quote(camera)
    span = f"from={format_time(hit.at_us - CLIP_US)}&to={format_time(hit.at_us + CLIP_US)}"
    return HitOut(
        rule=hit.rule, kind=hit.kind, version=hit.version, camera=camera, at=at,
        event_id=hit.event, label=hit.label, direction=hit.direction,
        value=_rounded(hit.value), uncertainty=_rounded(hit.uncertainty),
        snapshot_url=f"/v1/cameras/{name}/snapshot.jpg?at={at}",
        clip_url=f"/v1/cameras/{name}/clip.mp4?{span}",
    )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
