"""What a rule may be, and what is said to whoever writes one that cannot be."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from kilocam.core import ConfigError
from kilocam.core.geometry import Plane, contains
from kilocam.core.rules import (
    Crowd,
    Line,
    Speed,
    Zone,
    check_references,
    parse_rule,
    parse_schedule,
)

SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
ROAD = [[0.4, 0.4], [0.6, 0.4], [0.9, 0.9], [0.1, 0.9]]
YARD = [[0, 20], [6, 20], [6, 0], [0, 0]]


def test_each_kind_is_read() -> None:
    assert parse_rule("hall", {"kind": "zone", "polygon": SQUARE}).test == Zone(
        polygon=((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
    )
    line = parse_rule("door", {"kind": "line", "line": [[0, 0.5], [1, 0.5]]}, 3)
    assert (line.test, line.version) == (Line(first=(0.0, 0.5), second=(1.0, 0.5)), 3)
    crowd = parse_rule("many", {"kind": "crowd", "zone": "hall", "count": 5})
    assert (crowd.test, crowd.zone) == (Crowd(zone="hall", count=5), "hall")
    left = parse_rule("bag", {"kind": "left_object", "zone": "hall", "seconds": 60})
    assert left.classes == {"backpack", "suitcase", "handbag"}
    speed = parse_rule("fast", {"kind": "speed", "image": ROAD, "ground": YARD, "above_kmh": 30})
    assert isinstance(speed.test, Speed)


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"kind": "wall"}, "kind 'wall' is none of zone, line"),
        ({"kind": "zone"}, "the kind zone needs polygon"),
        ({"kind": "line", "line": [[0, 0], [1, 1]], "seconds": 3}, "seconds does not belong"),
        ({"kind": "zone", "polygon": [[0, 0], [1, 1]]}, "2 corners were given"),
        ({"kind": "zone", "polygon": [[0, 0], [1.2, 0], [1, 1]]}, r"point 2 \(1.2, 0\) lies out"),
        ({"kind": "zone", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "it crosses itself"),
        ({"kind": "zone", "polygon": [[0, 0], [0.5, 0.5], [1, 1]]}, "it crosses itself"),
        ({"kind": "zone", "polygon": [[0, 0], [0, 0], [1, 1], [1, 0]]}, "it crosses itself"),
        (
            {"kind": "zone", "polygon": [[0, 0], [1, 0], [0.5, 0.5], [1, 1], [0, 1], [0.5, 0.5]]},
            "it crosses itself",
        ),
        ({"kind": "line", "line": [[0, 0]]}, "1 points were given: give 2"),
        ({"kind": "line", "line": [[0.5, 0.5], [0.5, 0.501]]}, "less than 0.2% of the picture"),
        ({"kind": "loitering", "zone": "hall", "seconds": 0}, "seconds: 0 is not possible"),
        ({"kind": "crowd", "zone": "hall", "count": 1}, "count: 1 is not possible"),
        (
            {"kind": "speed", "image": [*ROAD[:2], ROAD[3], ROAD[2]], "ground": YARD,
             "above_kmh": 3},
            "image: the four points are no convex quadrilateral",
        ),
        (
            {"kind": "speed", "image": ROAD, "ground": [[0, 0], [1, 0], [2, 0], [0, 1]],
             "above_kmh": 3},
            "ground: the four points are no convex quadrilateral",
        ),
        (
            {"kind": "speed", "image": ROAD, "ground": [[0, 0], [0.01, 0], [0.01, 0.01], [0, 0.01]],
             "above_kmh": 3},
            "ground: the four points lie too close together",
        ),
        (
            {"kind": "speed", "image": ROAD, "ground": [[0, 0], [9, 0], [9, 0.01], [0, 0.01]],
             "above_kmh": 3},
            "ground: a side is shorter than 0.05 m",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_the_rule_and_the_part(
    definition: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=rf"rule 'door'.*{said}"):
        parse_rule("door", definition)


def test_a_rule_needs_the_zone_that_it_looks_at() -> None:
    crowd = parse_rule("many", {"kind": "crowd", "zone": "hall", "count": 5})
    with pytest.raises(ConfigError, match="zone 'hall' does not exist: the camera has none yet"):
        check_references(crowd, [])
    hall = parse_rule("hall", {"kind": "zone", "polygon": SQUARE})
    check_references(crowd, [hall])
    other = parse_rule("hall", {"kind": "line", "line": [[0, 0], [1, 1]]})
    with pytest.raises(ConfigError, match="'hall' is the zone of many: it stays one"):
        check_references(other, [hall, crowd])


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


def test_a_schedule_goes_by_the_clock_on_the_wall_there() -> None:
    berlin = parse_schedule(
        {
            "time_zone": "Europe/Berlin",
            "hours": [{"days": ["fri"], "from": "22:00", "to": "06:00"}],
        }
    )
    assert not berlin.holds(at("2026-11-27T20:59:59"))  # 21:59:59 there, a Friday
    assert berlin.holds(at("2026-11-27T21:00:00"))
    assert berlin.holds(at("2026-11-28T04:59:59"))  # the night belongs to the day it begins on
    assert not berlin.holds(at("2026-11-28T05:00:00"))
    assert not berlin.holds(at("2026-11-28T21:30:00"))
    assert berlin.holds(at("2026-07-03T20:00:00"))  # summer time
    assert not berlin.holds(at("2026-07-03T19:59:00"))


def test_a_schedule_without_hours_holds_always() -> None:
    assert parse_schedule({}).holds(0)
    assert parse_schedule({"hours": [{"days": ["thu"], "from": "00:00", "to": "24:00"}]}).holds(0)
    assert not parse_schedule({"hours": [{"days": ["wed"], "from": "00:00", "to": "24:00"}]}).holds(
        0
    )


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"time_zone": "Mars/Phobos"}, "time zone 'Mars/Phobos' is not known"),
        ({"time_zone": "../../etc/passwd"}, "is not known on this machine"),
        ({"hours": [{"days": ["mon"], "from": "8:00", "to": "09:00"}]}, "'8:00' is no time of day"),
        ({"hours": [{"days": ["mon"], "from": "08:00", "to": "25:00"}]}, "'25:00' is no time"),
        ({"hours": [{"days": ["mon"], "from": "08:00", "to": "08:00"}]}, "is no time: a whole day"),
        ({"hours": [{"days": ["moon"], "from": "08:00", "to": "09:00"}]}, "day 'moon' is none of"),
        ({"hours": [{"from": "08:00", "to": "09:00"}]}, "a stretch needs days, from and to"),
    ],
)
def test_a_schedule_that_cannot_be_is_told(schedule: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_schedule(schedule)


def test_a_plane_goes_through_its_four_points_and_keeps_what_is_straight() -> None:
    image = tuple((x, y) for x, y in ROAD)
    plane = Plane.through(image, tuple((float(x), float(y)) for x, y in YARD))
    for (x, y), there in zip(image, YARD, strict=True):
        assert plane.at((x, y)) == pytest.approx(there, abs=1e-9)
    middle = plane.at((0.5, 0.65))  # where the diagonals of the picture's quadrilateral cross is
    crossing = plane.at((0.5, 0.5))  # not here
    assert middle is not None
    assert crossing is not None
    assert middle[0] == pytest.approx(3)  # the road's middle stays its middle
    assert crossing[0] == pytest.approx(3)
    assert crossing[1] > middle[1]  # further up is further away


def test_a_border_belongs_to_its_polygon() -> None:
    notched = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.0, 1.0))
    assert contains(notched, (0.0, 0.5))
    assert contains(notched, (1.0, 0.5))
    assert contains(notched, (0.5, 0.5))
    assert contains(notched, (0.25, 0.25))
    assert not contains(notched, (0.5, 0.75))
