"""Laws of rules: mirrors, splits, repetition, minutes; and no sight breaks an evaluation."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.core import ConfigError
from kilocam.core.geometry import contains, edges, touch
from kilocam.core.rules import Rule, parse_rule
from kilocam.insight.hits import tracks as read_tracks
from kilocam.insight.together import (
    MINUTE_US,
    TOGETHER,
    hits_together,
    minutes_touched,
    reach_us,
)
from kilocam.insight.tracks import Hit, Seen, Track, hits_of, joined, zones_of

# Sixty-fourths are exact, mirrored too; so what is mirrored is the same figure and not nearly.
_GRID = 64
_step = st.integers(0, _GRID).map(lambda n: n / _GRID)
_point = st.tuples(_step, _step)
_moment = st.integers(0, 300).map(lambda s: s * 1_000_000)
ROAD = {"image": [[0.25, 0.25], [0.75, 0.25], [1, 1], [0, 1]],
        "ground": [[0, 30], [6, 30], [6, 0], [0, 0]]}  # fmt: skip


@st.composite
def _sights(draw: st.DrawFn, label: str = "person") -> list[Seen]:
    times = sorted(draw(st.sets(_moment, min_size=1, max_size=15)))
    made = []
    for at in times:
        (x, y), w, h = draw(_point), draw(st.integers(1, 10)) / 64, draw(st.integers(1, 20)) / 64
        made.append(Seen(at, (x - w / 2, y - h, w, h), label))
    return made


@st.composite
def _lines(draw: st.DrawFn) -> Rule:
    first = draw(_point)
    second = draw(_point.filter(lambda p: p != first))
    return parse_rule("line", {"kind": "line", "line": [list(first), list(second)]})


@st.composite
def _polygons(draw: st.DrawFn) -> list[tuple[float, float]]:
    left, top = draw(st.integers(0, 40)) / 64, draw(st.integers(0, 40)) / 64
    w, h = draw(st.integers(4, 24)) / 64, draw(st.integers(4, 24)) / 64
    corners = [(left, top), (left + w, top), (left + w, top + h), (left, top + h)]
    if draw(st.booleans()):
        corners.insert(2, (left + w / 2, top + h / 2))
    return corners


def _zone(corners: Sequence[tuple[float, float]]) -> Rule:
    return parse_rule("hall", {"kind": "zone", "polygon": [list(c) for c in corners]})


def _mirrored(seen: Seen) -> Seen:
    x, y, w, h = seen.box
    return replace(seen, box=(1 - x - w, y, w, h))


@st.composite
def _scenes(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[list[Seen]], list[Seen]]:
    """A zone, a bag that mostly stays in it, and people, some of whom come near the bag."""
    corners = draw(_polygons())
    (left, top), (right, bottom) = corners[0], corners[-2]
    place = (left + (right - left) / 4, top + (bottom - top) / 4)
    moments = st.sets(_moment.map(lambda at: at // 10 * 10), min_size=2, max_size=15)
    bag = [_standing(at, place, "suitcase") for at in sorted(draw(moments))]
    people = [
        draw(_sights())
        if draw(st.booleans())
        else [_standing(at, place, "person") for at in sorted(draw(moments))]
        for _ in range(draw(st.integers(1, 4)))
    ]
    return corners, people, bag


def _standing(at_us: int, foot: tuple[float, float], label: str) -> Seen:
    return Seen(at_us, (foot[0] - 1 / 64, foot[1] - 1 / 8, 1 / 32, 1 / 8), label)


def _rules(zone: Rule) -> list[Rule]:
    return [
        zone,
        parse_rule("line", {"kind": "line", "line": [[0.25, 0.5], [0.75, 0.5]]}),
        parse_rule("long", {"kind": "loitering", "zone": "hall", "seconds": 20}),
        parse_rule("fast", {"kind": "speed", **ROAD, "above_kmh": 1}),
        parse_rule("many", {"kind": "crowd", "zone": "hall", "count": 2}),
        parse_rule("bag", {"kind": "left_object", "zone": "hall", "seconds": 45}),
    ]


def _all(tracks: Sequence[Track], rules: Sequence[Rule]) -> list[Hit]:
    zones = zones_of(rules)
    minutes = range(-2 * MINUTE_US, 8 * MINUTE_US, MINUTE_US)
    hits = [hit for track in tracks for rule in rules for hit in hits_of(track, rule, zones)]
    for rule in rules:
        hits += hits_together(tracks, rule, zones, minutes)
    return hits


@given(_lines(), _sights())
def test_a_mirrored_walk_over_a_mirrored_line_goes_the_other_way(
    line: Rule, sights: list[Seen]
) -> None:
    (x0, y0), (x1, y1) = line.test.first, line.test.second  # type: ignore[union-attr]
    there = parse_rule("line", {"kind": "line", "line": [[1 - x0, y0], [1 - x1, y1]]})
    turned = parse_rule("line", {"kind": "line", "line": [[x1, y1], [x0, y0]]})
    straight = hits_of(joined("e", "person", sights), line, {})
    mirror = hits_of(joined("e", "person", map(_mirrored, sights)), there, {})
    turn = hits_of(joined("e", "person", sights), turned, {})
    other = {"left_to_right": "right_to_left", "right_to_left": "left_to_right"}
    expected = [(other[str(hit.direction)], hit.at_us) for hit in straight]
    assert [(hit.direction, hit.at_us) for hit in mirror] == expected
    assert [(hit.direction, hit.at_us) for hit in turn] == expected


@given(_lines(), _sights())
def test_directions_over_an_endless_line_take_turns(line: Rule, sights: list[Seen]) -> None:
    whole = parse_rule("line", {"kind": "line", "line": [[0, 0.5], [1, 0.5]]})
    hits = hits_of(joined("e", "person", sights), whole, {})
    assert all(a.direction != b.direction for a, b in pairwise(hits))


@given(_polygons(), _sights())
def test_a_mirrored_zone_is_visited_at_the_same_times(
    corners: list[tuple[float, float]], sights: list[Seen]
) -> None:
    here, there = _zone(corners), _zone([(1 - x, y) for x, y in corners])
    straight = hits_of(joined("e", "person", sights), here, {})
    mirror = hits_of(joined("e", "person", map(_mirrored, sights)), there, {})
    assert mirror == straight


@settings(max_examples=100)
@given(_scenes(), st.data())
def test_sights_split_into_windows_in_any_way_give_the_same_hits(
    scene: tuple[list[tuple[float, float]], list[list[Seen]], list[Seen]], data: st.DataObject
) -> None:
    corners, people, bag = scene
    rules = _rules(_zone(corners))
    named = {**{str(n): each for n, each in enumerate(people)}, "bag": bag}
    whole = _all([joined(e, s[0].label, s) for e, s in named.items()], rules)
    rows = []
    for event, sights in named.items():
        shuffled = list(sights)
        random.Random(data.draw(st.integers())).shuffle(shuffled)
        while shuffled:
            size = data.draw(st.integers(1, len(shuffled)))
            part, shuffled = shuffled[:size], shuffled[size:]
            kept = [[seen.at_us, 0.5, list(seen.box)] for seen in part]
            rows.append({"event": event, "label": part[0].label, "sights": kept})
            if data.draw(st.booleans()):  # told of twice
                rows.append(rows[-1])
    assert _all(read_tracks(rows), rules) == whole


@settings(max_examples=100)
@given(_scenes(), st.data())
def test_a_sight_more_or_less_changes_only_the_minutes_that_it_touches(
    scene: tuple[list[tuple[float, float]], list[list[Seen]], list[Seen]], data: st.DataObject
) -> None:
    corners, people, bag = scene
    rules = _rules(_zone(corners))
    zones = zones_of(rules)
    gone = data.draw(st.sampled_from(people[0]))
    rest = [joined(str(n), "person", s) for n, s in enumerate(people[1:], 1)]
    tracks = [*rest, joined("bag", "suitcase", bag)]
    before = [*tracks, joined("0", "person", people[0])]
    after = [*tracks, joined("0", "person", [s for s in people[0] if s != gone])]
    minutes = range(-2 * MINUTE_US, 8 * MINUTE_US, MINUTE_US)
    for rule in (rule for rule in rules if rule.kind in TOGETHER):
        touched = minutes_touched(rule, gone.at_us, gone.at_us)
        for minute in set(minutes) - set(touched):
            alone = range(minute, minute + 1, MINUTE_US)
            assert hits_together(before, rule, zones, alone) == hits_together(
                after, rule, zones, alone
            )


@settings(max_examples=100)
@given(_scenes())
def test_sights_beyond_a_minutes_reach_have_no_say_in_it(
    scene: tuple[list[tuple[float, float]], list[list[Seen]], list[Seen]],
) -> None:
    corners, people, bag = scene
    rules = _rules(_zone(corners))
    zones = zones_of(rules)
    named = {**{str(n): each for n, each in enumerate(people)}, "bag": bag}
    whole = [joined(e, s[0].label, s) for e, s in named.items()]
    for rule in (rule for rule in rules if rule.kind in TOGETHER):
        before_us, after_us = reach_us(rule)
        for minute in range(0, 5 * MINUTE_US, MINUTE_US):
            low, high = minute - before_us, minute + MINUTE_US + after_us
            near = [
                replace(track, sights=tuple(s for s in track.sights if low <= s.at_us <= high))
                for track in whole
            ]
            alone = range(minute, minute + 1, MINUTE_US)
            assert hits_together(near, rule, zones, alone) == hits_together(
                whole, rule, zones, alone
            )


_any = st.floats(-0.5, 1.5)


@given(
    st.lists(
        st.builds(
            Seen,
            st.integers(0, 10**9),
            st.tuples(_any, _any, st.floats(0, 1.5), st.floats(0, 1.5)),
            st.sampled_from(["person", "car", "suitcase"]),
        ),
        min_size=1,
        max_size=12,
    ),
    _polygons(),
)
def test_no_sights_break_an_evaluation(
    sights: list[Seen], corners: list[tuple[float, float]]
) -> None:
    rules = _rules(_zone(corners))
    track = joined("e", "person", sights)
    assert _all([track], rules) == _all([joined("e", "person", reversed(sights))], rules)


@given(st.lists(_point, min_size=3, max_size=7))
def test_a_polygon_that_is_taken_has_edges_that_meet_in_corners_only(
    corners: list[tuple[float, float]],
) -> None:
    try:
        _zone(corners)
    except ConfigError:
        return
    walls = list(edges(corners))
    for one, (a, b) in enumerate(walls):
        assert contains(corners, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2))
        for other, (c, d) in enumerate(walls):
            if other not in (one, (one + 1) % len(walls), (one - 1) % len(walls)):
                assert not touch(a, b, c, d)
