"""Crowds, and what is left alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.unit.insight.test_tracks import HALL, S

from kilocam.core.rules import parse_rule
from kilocam.insight.together import MINUTE_US, hits_together, minutes_touched
from kilocam.insight.tracks import Hit, Seen, Track, joined, zones_of

MINUTES = range(0, 10 * MINUTE_US, MINUTE_US)
CROWD = {"kind": "crowd", "zone": "hall", "count": 3}
LEFT = {"kind": "left_object", "zone": "hall", "seconds": 30}


def stays(
    event: str, seconds: Iterable[float], at: tuple[float, float] = (0.5, 0.5),
    label: str = "person",
) -> Track:  # fmt: skip
    x, y = at
    sights = [Seen(round(s * S), (x - 0.025, y - 0.2, 0.05, 0.2), label) for s in seconds]
    return joined(event, label, sights)


def found(tracks: list[Track], definition: Mapping[str, Any]) -> list[Hit]:
    rule = parse_rule("r", definition)
    return hits_together(tracks, rule, zones_of([parse_rule("hall", HALL)]), MINUTES)


def test_a_crowd_is_told_when_it_is_complete_and_how_many_it_was_at_most() -> None:
    people = [stays(str(n), range(n * 2, 30 - n)) for n in range(4)]
    (hit,) = found(people, CROWD)
    assert (hit.at_us, hit.value, hit.event) == (4 * S, 4.0, None)


def test_people_after_one_another_are_no_crowd() -> None:
    assert found([stays(str(n), range(n * 10, n * 10 + 9)) for n in range(5)], CROWD) == []


def test_people_elsewhere_and_cars_are_not_counted() -> None:
    two = [stays("a", range(20)), stays("b", range(20))]
    away = stays("c", range(20), at=(0.9, 0.5))
    car = stays("d", range(20), label="car")
    assert found([*two, away], CROWD) == []
    assert found([*two, car], {**CROWD, "classes": ["person"]}) == []
    assert len(found([*two, car], CROWD)) == 1


def test_a_crowd_that_lasts_is_told_each_minute() -> None:
    people = [stays(str(n), range(50, 130, 5)) for n in range(3)]
    assert [hit.at_us // S for hit in found(people, CROWD)] == [50, 60, 120]


def test_who_stands_still_is_there_between_reports_half_a_minute_apart() -> None:
    people = [stays("a", (0, 30, 60)), stays("b", (10, 40)), stays("c", (20, 50))]
    assert [hit.at_us // S for hit in found(people, CROWD)] == [20]


def test_who_was_not_seen_for_over_a_minute_may_have_been_away() -> None:
    people = [stays("a", (0, 90)), stays("b", (40, 45)), stays("c", (40, 45))]
    assert found(people, CROWD) == []


def bag(seconds: Iterable[float]) -> Track:
    return stays("bag", seconds, label="suitcase")


def test_a_bag_is_left_when_its_owner_is_gone_long_enough() -> None:
    thing = bag(range(0, 100, 5))
    owner = stays("owner", range(20), at=(0.55, 0.5))
    (hit,) = found([thing, owner], LEFT)
    assert (hit.at_us, hit.event, hit.label) == (49 * S, "bag", "suitcase")


def test_a_bag_with_somebody_near_is_not_left() -> None:
    thing = bag(range(0, 100, 5))
    assert found([thing, stays("owner", (0, 30, 60, 90), at=(0.55, 0.5))], LEFT) == []
    far = stays("stranger", (0, 30, 60, 90), at=(0.9, 0.5))
    assert len(found([thing, far], LEFT)) == 1
    assert found([thing, far], {**LEFT, "reach": 10}) == []


def test_a_bag_elsewhere_or_gone_in_time_is_not_left() -> None:
    assert found([stays("bag", range(0, 100, 5), (0.9, 0.5), "suitcase")], LEFT) == []
    assert found([bag(range(0, 30, 5))], LEFT) == []


def test_a_bag_taken_up_and_left_again_is_told_twice() -> None:
    thing = bag(range(0, 200, 5))
    owner = stays("owner", (80, 85, 90), at=(0.55, 0.5))
    assert [hit.at_us // S for hit in found([thing, owner], LEFT)] == [30, 120]


def test_minutes_found_alone_are_what_all_of_them_are() -> None:
    thing, owner = bag(range(7, 400, 9)), stays("o", range(150, 170), at=(0.55, 0.5))
    crowd = [stays(str(n), range(40 + n, 330, 30 + n)) for n in range(4)]
    for definition in (LEFT, CROWD):
        rule = parse_rule("r", definition)
        zones = zones_of([parse_rule("hall", HALL)])
        tracks = [thing, owner, *crowd] if definition is CROWD else [thing, owner]
        alone = [
            hit
            for minute in MINUTES
            for hit in hits_together(tracks, rule, zones, range(minute, minute + 1, MINUTE_US))
        ]
        assert alone == hits_together(tracks, rule, zones, MINUTES)
        assert alone


def test_minutes_that_a_sight_touches_reach_as_far_as_the_rule() -> None:
    crowd, left = parse_rule("r", CROWD), parse_rule("r", LEFT)
    at = 10 * MINUTE_US
    assert minutes_touched(crowd, at, at) == range(8 * MINUTE_US, at + 65 * S + 1, MINUTE_US)
    assert minutes_touched(left, at, at) == range(8 * MINUTE_US, at + 95 * S + 1, MINUTE_US)
