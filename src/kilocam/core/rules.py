"""Rules of a camera: what they are, and how they follow from what somebody wrote.

A rule is kept as JSON (`definition`), checked by `parse_rule` when it is written and read by it
again where it is applied. Zones are rules too; others name the zone they look at.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, get_args
from zoneinfo import ZoneInfo

from kilocam.core.errors import ConfigError
from kilocam.core.geometry import Plane, Point, area, convex, edges, side, touch
from kilocam.core.ids import check_id

MOST_CORNERS = 64
MOST_SECONDS = 86_400.0
MOST_LEFT_SECONDS = 600.0
"""Who is near what was left is looked up over that time at every change."""
_LEAST_AREA = 1e-5
"""Of the picture."""
_LEAST_GROUND = 0.01
"""Square metres ..."""
_LEAST_SIDE = 0.05
"""... and metres."""
_LEAST_LENGTH = 0.002
"""Of the picture's sides."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A part of the picture."""

    polygon: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Counted is who comes over it, by direction: left and right as seen from the first point."""

    first: Point
    second: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Loitering:
    """Somebody stays in a zone."""

    zone: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftObject:
    """Something stays in a zone with nobody within reach."""

    zone: str
    seconds: float
    reach: float
    """In widths of whoever might reach it: about half a metre each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """So many are in a zone at once."""

    zone: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Somebody is faster, measured where the ground is known: within four points."""

    image: tuple[Point, ...]
    plane: Plane
    above_kmh: float


Test = Zone | Line | Loitering | LeftObject | Crowd | Speed
KINDS: Mapping[str, type[Test]] = {
    "zone": Zone, "line": Line, "loitering": Loitering, "left_object": LeftObject,
    "crowd": Crowd, "speed": Speed,
}  # fmt: skip
assert set(KINDS.values()) == set(get_args(Test))
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "zone": ("polygon",),
    "line": ("line",),
    "loitering": ("zone", "seconds"),
    "left_object": ("zone", "seconds", "reach"),
    "crowd": ("zone", "count"),
    "speed": ("image", "ground", "above_kmh"),
}
_DEFAULTS: Mapping[str, object] = {"reach": 3.0}
_LEFT = ("backpack", "suitcase", "handbag")
_PARTS = "a stretch needs days, from and to, such as ['mon', 'fri'], '22:00', '06:00'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A stretch of certain weekdays; one that ends before it begins ends on the day after."""

    days: frozenset[int]
    """0 is Monday."""
    from_minute: int
    to_minute: int

    def hold(self, moment: datetime) -> bool:
        """Whether they hold at a local time."""
        minute, day = moment.hour * 60 + moment.minute, moment.weekday()
        if self.from_minute < self.to_minute:
            return day in self.days and self.from_minute <= minute < self.to_minute
        before = (day - 1) % 7 in self.days and minute < self.to_minute
        return before or (day in self.days and minute >= self.from_minute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a rule holds, by the clock on the wall there; without hours: always."""

    zone: tzinfo = UTC
    hours: tuple[Hours, ...] = ()

    def holds(self, at_us: int) -> bool:
        """Whether it holds at a moment."""
        if not self.hours:
            return True
        moment = datetime.fromtimestamp(at_us // 1_000_000, self.zone)
        return any(each.hold(moment) for each in self.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a camera."""

    name: str
    version: int
    kind: str
    test: Test
    classes: frozenset[str]
    """Of which objects, as they were named (groups too); empty: of all."""
    schedule: Schedule

    @property
    def zone(self) -> str | None:
        """The name of the zone that it looks at."""
        return None if isinstance(self.test, Zone | Line | Speed) else self.test.zone


def parse_rule(name: str, definition: Mapping[str, Any], version: int = 0) -> Rule:
    """The rule that a definition (JSON) makes.

    Raises:
        ConfigError: it cannot be taken: which part, why, and how to mend it.
    """
    check_id("rule", name)
    kind = str(definition.get("kind"))
    if kind not in KINDS:
        raise ConfigError(f"rule {name!r}: kind {kind!r} is none of {', '.join(KINDS)}")
    allowed = {"kind", "classes", "schedule", *_FIELDS[kind]}
    for field in sorted(set(definition) - allowed):
        raise ConfigError(
            f"rule {name!r}: {field} does not belong to the kind {kind}: leave it out"
        )
    given = {**_DEFAULTS, **definition}
    for field in _FIELDS[kind]:
        if field not in given:
            raise ConfigError(f"rule {name!r}: the kind {kind} needs {field}")
    try:
        test = _test(kind, given)
        schedule = parse_schedule(given.get("schedule") or {})
        classes = frozenset(map(str, given.get("classes") or ()))
    except ConfigError as error:
        raise ConfigError(f"rule {name!r}: {error}") from None
    if kind == "left_object":
        classes = classes or frozenset(_LEFT)
    return Rule(
        name=name, version=version, kind=kind, test=test, classes=classes, schedule=schedule
    )


def parse_schedule(given: Mapping[str, Any]) -> Schedule:
    """`{"time_zone": "Europe/Berlin", "hours": [{"days": ["mon"], "from": "08:00", "to": …}]}`.

    Raises:
        ConfigError: a part cannot be taken.
    """
    hours = tuple(_hours(each) for each in given.get("hours") or ())
    return Schedule(zone=_time_zone(str(given.get("time_zone") or "UTC")), hours=hours)


def check_references(rule: Rule, others: Collection[Rule]) -> None:
    """A rule's zone exists among the camera's other rules, and no other needs it as a zone.

    Raises:
        ConfigError: what is missing, or needed.
    """
    zones = sorted(o.name for o in others if isinstance(o.test, Zone) and o.name != rule.name)
    if rule.zone is not None and rule.zone not in zones:
        known = f"the camera has {', '.join(zones)}" if zones else "the camera has none yet"
        raise ConfigError(
            f"rule {rule.name!r}: zone {rule.zone!r} does not exist: {known}; draw it first as a "
            "rule of the kind zone"
        )
    if not isinstance(rule.test, Zone) and (users := users_of(rule.name, others)):
        raise ConfigError(
            f"rule {rule.name!r} is the zone of {', '.join(users)}: it stays one until they are "
            "removed or look at another"
        )


def users_of(zone: str, rules: Collection[Rule]) -> list[str]:
    """Names of the rules that look at a zone."""
    return sorted(rule.name for rule in rules if rule.zone == zone)


def _test(kind: str, given: Mapping[str, Any]) -> Test:
    match kind:
        case "zone":
            return Zone(polygon=_polygon("polygon", given["polygon"]))
        case "line":
            first, second = _points("line", given["line"], 2)
            if math.dist(first, second) < _LEAST_LENGTH:
                raise ConfigError(
                    f"line: its points are less than {_LEAST_LENGTH:.1%} of the picture apart: "
                    "draw a longer one"
                )
            return Line(first=first, second=second)
        case "loitering":
            seconds = _number("seconds", given["seconds"], 1, MOST_SECONDS)
            return Loitering(zone=str(given["zone"]), seconds=seconds)
        case "left_object":
            return LeftObject(
                zone=str(given["zone"]),
                seconds=_number("seconds", given["seconds"], 1, MOST_LEFT_SECONDS),
                reach=_number("reach", given["reach"], 0, 100),
            )
        case "crowd":
            count = _number("count", given["count"], 2, 1000)
            return Crowd(zone=str(given["zone"]), count=math.ceil(count))
        case _:
            return _speed(given)


def _speed(given: Mapping[str, Any]) -> Speed:
    image = _points("image", given["image"], 4)
    ground = _points("ground", given["ground"], 4, most=100_000.0)
    for field, corners in (("image", image), ("ground", ground)):
        if not convex(corners):
            raise ConfigError(
                f"{field}: the four points are no convex quadrilateral: give them in the order in "
                "which one walks around it, no three of them in a line"
            )
    for field, corners, least in (("image", image, _LEAST_AREA), ("ground", ground, _LEAST_GROUND)):
        if area(corners) < least:
            raise ConfigError(f"{field}: the four points lie too close together to measure by")
    sides = (math.dist(a, b) for a, b in zip(ground, (*ground[1:], ground[0]), strict=True))
    if min(sides) < _LEAST_SIDE:
        raise ConfigError(f"ground: a side is shorter than {_LEAST_SIDE:g} m: nobody measures so")
    above = _number("above_kmh", given["above_kmh"], 0, 1000)
    return Speed(image=image, plane=Plane.through(image, ground), above_kmh=above)


def _points(
    field: str, given: Sequence[Any], count: int | None = None, most: float | None = None
) -> tuple[Point, ...]:
    if count is not None and len(given) != count:
        raise ConfigError(f"{field}: {len(given)} points were given: give {count}")
    points = []
    for number, each in enumerate(given, start=1):
        if len(each) != 2:
            raise ConfigError(f"{field}: point {number} has {len(each)} numbers: give x and y")
        x, y = float(each[0]), float(each[1])
        if most is None and not (0 <= x <= 1 and 0 <= y <= 1):
            raise ConfigError(
                f"{field}: point {number} ({x:g}, {y:g}) lies outside the picture: x and y are "
                "fractions of it, from 0 to 1"
            )
        if most is not None and not (abs(x) <= most and abs(y) <= most):
            raise ConfigError(f"{field}: point {number} is over {most:g} m away")
        points.append((x, y))
    return tuple(points)


def _polygon(field: str, given: Sequence[Any]) -> tuple[Point, ...]:
    corners = _points(field, given)
    if not 3 <= len(corners) <= MOST_CORNERS:
        raise ConfigError(f"{field}: {len(corners)} corners were given: give 3 to {MOST_CORNERS}")
    if crossed := _crossed(corners):
        one, other = crossed
        raise ConfigError(
            f"{field}: it crosses itself, the edge after corner {one} meets the one after corner "
            f"{other}: give the corners in the order in which one walks around it"
        )
    if area(corners) < _LEAST_AREA:
        raise ConfigError(f"{field}: it holds less than {_LEAST_AREA:.3%} of the picture")
    return corners


def _crossed(corners: Sequence[Point]) -> tuple[int, int] | None:
    """Two edges that meet where they should not, counted from 1."""
    walls, count = list(edges(corners)), len(corners)
    for one, (a, b) in enumerate(walls):
        for other in range(one + 1, count):
            c, d = walls[other]
            if other == one + 1:
                meets = _folded(a, b, d)
            elif other - one == count - 1:
                meets = _folded(b, a, c)
            else:
                meets = touch(a, b, c, d)
            if meets:
                return one + 1, other + 1
    return None


def _folded(before: Point, corner: Point, after: Point) -> bool:
    """Whether two edges that share a corner have more in common."""
    straight = side(before, corner, after) == 0
    return (
        straight
        and (
            (before[0] - corner[0]) * (after[0] - corner[0])
            + (before[1] - corner[1]) * (after[1] - corner[1])
        )
        >= 0
    )


def _number(field: str, given: Any, least: float, most: float) -> float:
    # `Any`: JSON, of a type that the gateway's schema or an earlier check made sure of.
    value = float(given)
    if not least <= value <= most:
        raise ConfigError(f"{field}: {value:g} is not possible: give {least:g} to {most:g}")
    return value


def _hours(given: Mapping[str, Any]) -> Hours:
    if not {"days", "from", "to"} <= set(given) or not given["days"]:
        raise ConfigError(f"schedule: {_PARTS}")
    for day in given["days"]:
        if day not in DAYS:
            raise ConfigError(f"schedule: day {day!r} is none of {', '.join(DAYS)}")
    from_minute, to_minute = _minute(str(given["from"])), _minute(str(given["to"]))
    if from_minute in (to_minute, _DAY_MINUTES):
        raise ConfigError(
            f"schedule: from {given['from']} to {given['to']} is no time: a whole day is "
            "from 00:00 to 24:00"
        )
    days = frozenset(DAYS.index(day) for day in given["days"])
    return Hours(days=days, from_minute=from_minute, to_minute=to_minute)


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    if not (len(text) == 5 and hour.isdecimal() and minute.isdecimal()):
        raise ConfigError(f"schedule: {text!r} is no time of day: write it as 08:30")
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > _DAY_MINUTES:
        raise ConfigError(f"schedule: {text!r} is no time of day: from 00:00 to 24:00")
    return total


def _time_zone(name: str) -> tzinfo:
    if name == "UTC":  # known without the machine's list of zones
        return UTC
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"schedule: time zone {name!r} is not known on this machine: give an IANA name such "
            "as Europe/Berlin (on a machine without any, install its package tzdata)"
        ) from None
    return zone
