"""What one object does by a rule."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from kilocam.core.geometry import Plane
from kilocam.core.rules import parse_rule
from kilocam.insight.tracks import Hit, Seen, Track, hits_of, joined, zones_of

S = 1_000_000
HALL = {"kind": "zone", "polygon": [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]}
ACROSS = {"kind": "line", "line": [[0.25, 0.5], [0.75, 0.5]]}


def walk(
    feet: Iterable[tuple[float, float, float]], label: str = "person", height: float = 0.2
) -> Track:
    """Someone of a size whose foot is at (x, y) at each of some seconds."""
    width = height / 4
    sights = [
        Seen(round(at * S), (x - width / 2, y - height, width, height), label) for at, x, y in feet
    ]
    return joined("e", label, sights)


def found(track: Track, definition: Mapping[str, Any], **zones: Mapping[str, Any]) -> list[Hit]:
    rule = parse_rule("r", definition)
    return hits_of(track, rule, zones_of([rule, *(parse_rule(n, z) for n, z in zones.items())]))


def test_who_comes_over_a_line_is_counted_with_direction_and_moment() -> None:
    down = walk([(0, 0.5, 0.3), (1, 0.5, 0.4), (2, 0.5, 0.6), (3, 0.5, 0.7)])
    (hit,) = found(down, ACROSS)
    assert (hit.direction, hit.at_us) == ("left_to_right", round(1.5 * S))  # down is right of east
    up = walk([(0, 0.5, 0.7), (4, 0.5, 0.3)])
    (hit,) = found(up, ACROSS)
    assert (hit.direction, hit.at_us) == ("right_to_left", 2 * S)


def test_who_passes_beside_a_lines_end_is_not_counted() -> None:
    assert found(walk([(0, 0.1, 0.3), (1, 0.1, 0.7)]), ACROSS) == []
    assert found(walk([(0, 0.76, 0.3), (1, 0.8, 0.7)]), ACROSS) == []
    assert len(found(walk([(0, 0.74, 0.3), (1, 0.74, 0.7)]), ACROSS)) == 1


def test_what_stands_on_a_line_and_trembles_is_counted_once_when_it_has_come_over() -> None:
    trembling = random.Random(5)
    feet = [(0.0, 0.5, 0.3)]
    feet += [(1 + n / 2, 0.5, 0.5 + trembling.uniform(-0.015, 0.015)) for n in range(200)]
    assert found(walk(feet), ACROSS) == []
    (hit,) = found(walk([*feet, (110, 0.5, 0.7)]), ACROSS)
    assert hit.direction == "left_to_right"
    assert found(walk([*feet, (110, 0.5, 0.3)]), ACROSS) == []


def test_there_and_back_is_two_crossings() -> None:
    feet = [(0, 0.5, 0.3), (1, 0.5, 0.7), (2, 0.5, 0.3)]
    hits = found(walk(feet), ACROSS)
    assert [(h.direction, h.ordinal) for h in hits] == [
        ("left_to_right", 0), ("right_to_left", 1),
    ]  # fmt: skip


def test_a_rule_looks_at_its_classes_only() -> None:
    car = walk([(0, 0.5, 0.3), (1, 0.5, 0.7)], label="car")
    assert found(car, {**ACROSS, "classes": ["person"]}) == []
    assert len(found(car, {**ACROSS, "classes": ["vehicle"]})) == 1
    assert len(found(car, ACROSS)) == 1


def test_a_visit_lasts_from_the_first_sight_inside_to_the_last() -> None:
    feet = [(0, 0.1, 0.5), (1, 0.3, 0.5), (2, 0.5, 0.5), (3, 0.9, 0.5), (4, 0.5, 0.5)]
    first, second = found(walk(feet), HALL)
    assert (first.at_us, first.value, second.at_us, second.value) == (S, 1.0, 4 * S, 0.0)


def test_what_trembles_at_a_zones_border_visits_it_once() -> None:
    trembling = random.Random(6)
    feet = [(n / 2, 0.5, 0.25 + trembling.uniform(-0.015, 0.015)) for n in range(100)]
    (visit,) = found(walk(feet), HALL)
    assert visit.value is not None
    assert visit.value > 40


def test_who_stays_long_enough_loiters_once_the_time_is_over() -> None:
    stay = walk([(at, 0.5, 0.5) for at in range(0, 100, 2)])
    rule = {"kind": "loitering", "zone": "hall", "seconds": 60}
    (hit,) = found(stay, rule, hall=HALL)
    assert (hit.at_us, hit.value) == (60 * S, 98.0)
    assert found(walk([(0, 0.5, 0.5), (59.9, 0.5, 0.5)]), rule, hall=HALL) == []
    away = [(0, 0.5, 0.5), (40, 0.5, 0.5), (41, 0.5, 0.1), (42, 0.5, 0.5), (90, 0.5, 0.5)]
    assert found(walk(away), rule, hall=HALL) == []


def test_a_rule_whose_zone_is_gone_finds_nothing() -> None:
    assert found(walk([(0, 0.5, 0.5), (9, 0.5, 0.5)]),
                 {"kind": "loitering", "zone": "hall", "seconds": 5}) == []  # fmt: skip


def test_what_happens_outside_the_schedule_is_not_found() -> None:
    feet = [(0, 0.5, 0.3), (1, 0.5, 0.7), (7200, 0.5, 0.7), (7201, 0.5, 0.3)]
    first_hour = {"hours": [{"days": ["thu"], "from": "00:00", "to": "01:00"}]}  # 1970-01-01
    (hit,) = found(walk(feet), {**ACROSS, "schedule": first_hour})
    assert hit.direction == "left_to_right"


# A road seen from a bridge: 30 m of it, 6 m wide.
ROAD: Mapping[str, Any] = {
    "kind": "speed",
    "image": [[0.4, 0.3], [0.6, 0.3], [0.9, 0.9], [0.1, 0.9]],
    "ground": [[0, 30], [6, 30], [6, 0], [0, 0]],
}


def drive(kmh: float, jitter: float = 0.0, per_s: float = 2.0, seed: int = 1) -> Track:
    """A car down the middle of that road, boxes trembling by a share of their height."""
    ground = [(float(x), float(y)) for x, y in ROAD["ground"]]
    image = [(float(x), float(y)) for x, y in ROAD["image"]]
    back = Plane.through(ground, image)
    trembling, feet, n = random.Random(seed), [], 0
    while (metres := 29 - kmh / 3.6 * n / per_s) > 0:
        place = back.at((3.0, metres))
        assert place is not None
        feet.append((n / per_s, place[0], place[1] + trembling.gauss(0, jitter * 0.1)))
        n += 1
    return walk(feet, label="car", height=0.1)


@pytest.mark.parametrize("kmh", [20, 40, 60])
@pytest.mark.parametrize("seed", range(5))
def test_a_speed_is_measured_with_its_uncertainty(kmh: float, seed: int) -> None:
    (hit,) = found(drive(kmh, jitter=0.02, seed=seed), {**ROAD, "above_kmh": 1})
    assert hit.value is not None
    assert hit.uncertainty is not None
    assert abs(hit.value - kmh) <= 2 * hit.uncertainty
    assert hit.uncertainty < 0.25 * kmh


def test_who_is_only_perhaps_too_fast_is_not_reported() -> None:
    track = drive(50, jitter=0.02)
    assert len(found(track, {**ROAD, "above_kmh": 40})) == 1
    assert found(track, {**ROAD, "above_kmh": 49.5}) == []
    assert found(track, {**ROAD, "above_kmh": 60}) == []


def test_one_box_gone_wrong_makes_nobody_fast() -> None:
    still = [(n / 2, 0.5, 0.6) for n in range(12)]
    still[6] = (3.0, 0.5, 0.4)
    assert found(walk(still), {**ROAD, "above_kmh": 5}) == []


def test_what_is_outside_the_plane_is_not_measured() -> None:
    beside = walk([(n / 2, 0.05 + n / 50, 0.2) for n in range(10)])
    assert found(beside, {**ROAD, "above_kmh": 0}) == []
