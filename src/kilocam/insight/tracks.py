"""What one tracked object does by a camera's rules: pure, over all its sights at once.

An object stands where the middle of its box's lower edge is (`foot`). Boxes tremble, so a change of
state needs the foot to be off by a share of the box itself (`SLACK`): what stands on a line or a
zone's border is not counted again and again. Everything follows from the sights alone, sorted by
time, so it does not matter in how many parts or in which order they were kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot
from statistics import median

from kilocam.core.geometry import Point, contains, side, touch
from kilocam.core.rules import Line, Loitering, Rule, Speed, Zone
from kilocam.insight.query import expand
from kilocam.insight.seams import Box

SLACK = 0.1
"""Of the box's width and height; the detector's boxes of what stands still differ by less."""
STRETCH_US = 4_000_000
"""Speed is measured over so much time: long against trembling, short against turning."""
APART_US = 5_000_000
"""Sights further apart are not one stretch."""
LEAST_SIGHTS = 4
"""With fewer nothing tells a fast walk from two people who were taken for one."""
FOOT_JITTER = 0.02
"""Of the box's height, one sigma: a foot is known no better, however well the sights agree."""
_SURE = (4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""Of Student's distribution, 95 %, for 2, 3, … degrees of freedom; 2.2 beyond is near enough."""
KMH = 3.6
RIGHT, LEFT = "left_to_right", "right_to_left"


@dataclass(frozen=True, slots=True)
class Seen:
    """An object at one moment."""

    at_us: int
    box: Box
    label: str

    @property
    def foot(self) -> Point:
        """Where it stands: as much of it as the picture shows."""
        x, y, w, h = self.box
        return _inside(x + w / 2), _inside(y + h)

    def around(self) -> tuple[Point, ...]:
        """Where its foot may as well be."""
        (x, y), (_, _, w, h) = self.foot, self.box
        return tuple((x + i * SLACK * w, y + j * SLACK * h) for i in (-1, 1) for j in (-1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One object: an event with all its sights, one a moment, in order of time."""

    event: str
    label: str
    sights: tuple[Seen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something did what a rule waits for."""

    rule: str
    kind: str
    version: int
    """Of the rule that was applied."""
    at_us: int
    event: str | None
    """The object that did it; None: several together."""
    ordinal: int = 0
    """Of this event's hits of this rule, in order of time."""
    label: str = ""
    direction: str | None = None
    value: float | None = None
    """Seconds (zone, loitering), km/h (speed) or how many (crowd)."""
    uncertainty: float | None = None
    """Of the value, 95 %, as far as trembling boxes tell: not of the plane's calibration."""


def joined(event: str, label: str, sights: Iterable[Seen]) -> Track:
    """A track of sights in any order; of two at one moment the first by its box is taken."""
    by_time: dict[int, Seen] = {}
    for each in sorted(sights, key=lambda seen: (seen.at_us, seen.box)):
        by_time.setdefault(each.at_us, each)
    return Track(event=event, label=label, sights=tuple(by_time.values()))


def labels_of(rule: Rule) -> frozenset[str]:
    """The labels a rule looks at; empty: all."""
    return frozenset(label for word in rule.classes for label in expand(word))


def zones_of(rules: Iterable[Rule]) -> Mapping[str, Zone]:
    """The camera's zones by name."""
    return {rule.name: rule.test for rule in rules if isinstance(rule.test, Zone)}


def hits_of(track: Track, rule: Rule, zones: Mapping[str, Zone]) -> list[Hit]:
    """What the object did, in order of time; nothing for rules that look at several together."""
    labels = labels_of(rule)
    if labels and track.label not in labels:
        return []
    found = (hit for hit in _hits(track, rule, zones) if rule.schedule.holds(hit.at_us))
    return [replace(hit, ordinal=ordinal) for ordinal, hit in enumerate(found)]


def _hits(track: Track, rule: Rule, zones: Mapping[str, Zone]) -> Iterator[Hit]:
    match rule.test:
        case Zone() as zone:
            for visit in visits(zone, track.sights):
                yield _hit(track, rule, visit[0], value=(visit[1] - visit[0]) / 1e6)
        case Line() as line:
            for at_us, direction in crossings(line, track.sights):
                yield _hit(track, rule, at_us, direction=direction)
        case Loitering(zone=name, seconds=seconds) if name in zones:
            for from_us, to_us in visits(zones[name], track.sights):
                if to_us - from_us >= seconds * 1e6:
                    at_us = from_us + round(seconds * 1e6)
                    yield _hit(track, rule, at_us, value=(to_us - from_us) / 1e6)
        case Speed() as test:
            if (fastest := measure(test, track.sights)) is not None:
                at_us, kmh, uncertainty = fastest
                if kmh - uncertainty > test.above_kmh:
                    yield _hit(track, rule, at_us, value=kmh, uncertainty=uncertainty)
        case _:
            return


def visits(zone: Zone, sights: Sequence[Seen]) -> Iterator[tuple[int, int]]:
    """When an object was in a zone: first and last sight of each visit.

    It has come in when its foot is inside, and has left when its foot is clearly outside.
    """
    since = last = None
    for seen in sights:
        inside = contains(zone.polygon, seen.foot)
        if since is None or last is None:
            if inside:
                since = last = seen.at_us
        elif inside or any(contains(zone.polygon, point) for point in seen.around()):
            last = seen.at_us
        else:
            yield since, last
            since = last = None
    if since is not None and last is not None:
        yield since, last


def crossings(line: Line, sights: Sequence[Seen]) -> Iterator[tuple[int, str]]:
    """When an object came over a line, and which way.

    It has come over when it is clearly on the other side than it clearly was before; where and when
    is where its foot last came over. Beside the line's ends it may pass.
    """
    before, path = 0, list[Seen]()
    for seen in sights:
        path.append(seen)
        now = _clear_side(line, seen)
        if now == 0:
            continue
        if before not in (0, now):
            at_us, one, other = _came_over(line, path, now)
            if touch(line.first, line.second, one.foot, other.foot):
                yield at_us, RIGHT if now > 0 else LEFT
        before, path = now, [seen]


def measure(test: Speed, sights: Sequence[Seen]) -> tuple[int, float, float] | None:
    """The fastest stretch that may be too fast: when, km/h, its uncertainty (95 %).

    The speed of a stretch is the median of the slopes between all its sights (Theil and Sen), which
    one box gone wrong does not move. The uncertainty is that of a line through them all, so that a
    jump makes it large; only sights within the plane's four points are measured.
    """
    placed = [(seen, at) for seen in sights if (at := _on_ground(test, seen.foot)) is not None]
    steps = [(0.0, 0.0), *(_step(one, other) for one, other in pairwise(placed))]
    best: tuple[int, float, float] | None = None
    start = 0
    for end in range(len(placed)):
        if end and placed[end][0].at_us - placed[end - 1][0].at_us > APART_US:
            start = end
        while placed[end][0].at_us - placed[start][0].at_us > STRETCH_US:
            start += 1
        # No median of slopes exceeds the steepest step, so most stretches need no closer look.
        most = hypot(
            *(
                max(step[axis] for step in steps[start + 1 : end + 1] or [(0.0, 0.0)])
                for axis in (0, 1)
            )
        )
        if end - start + 1 < LEAST_SIGHTS or most * KMH <= test.above_kmh:
            continue
        kmh, uncertainty = _speed(test, placed[start : end + 1])
        if best is None or kmh - uncertainty > best[1] - best[2]:
            middle_us = (placed[start][0].at_us + placed[end][0].at_us) // 2
            best = (middle_us, kmh, uncertainty)
    return best


def _step(one: tuple[Seen, Point], other: tuple[Seen, Point]) -> Point:
    """How fast from sight to sight, by axis."""
    seconds = (other[0].at_us - one[0].at_us) / 1e6
    return abs(other[1][0] - one[1][0]) / seconds, abs(other[1][1] - one[1][1]) / seconds


def _speed(test: Speed, placed: Sequence[tuple[Seen, Point]]) -> tuple[float, float]:
    times = [(seen.at_us - placed[0][0].at_us) / 1e6 for seen, _ in placed]
    slopes, off = [], []
    for axis in (0, 1):
        places = [at[axis] for _, at in placed]
        slope = median(
            (places[j] - places[i]) / (times[j] - times[i])
            for j in range(len(times))
            for i in range(j)
        )
        rest = [place - slope * time for place, time in zip(places, times, strict=True)]
        middle = sum(rest) / len(rest)
        off.append(sum((each - middle) ** 2 for each in rest))
        slopes.append(slope)
    mean = sum(times) / len(times)
    spread = sum((time - mean) ** 2 for time in times)
    free = len(times) - 2
    sure = _SURE[min(free - 2, len(_SURE) - 1)] * (sum(off) / free) ** 0.5
    known = 2 * median(_jitter(test, seen, at) for seen, at in placed)
    return hypot(*slopes) * KMH, max(sure, known) / spread**0.5 * KMH


def _jitter(test: Speed, seen: Seen, at: Point) -> float:
    """How far apart on the ground feet are that differ as much as boxes tremble."""
    x, y = seen.foot
    moved = test.plane.at((x, y + FOOT_JITTER * seen.box[3]))
    return hypot(moved[0] - at[0], moved[1] - at[1]) if moved else 0.0


def _on_ground(test: Speed, foot: Point) -> Point | None:
    return test.plane.at(foot) if contains(test.image, foot) else None


def _clear_side(line: Line, seen: Seen) -> int:
    """1: right of the line, wherever the foot may be; -1: left; 0: it may be either."""
    (x0, y0), (x1, y1), (_, _, w, h) = line.first, line.second, seen.box
    off = side(line.first, line.second, seen.foot)
    may_differ = SLACK * (abs(x1 - x0) * h + abs(y1 - y0) * w)
    return 0 if abs(off) <= may_differ else 1 if off > 0 else -1


def _came_over(line: Line, path: Sequence[Seen], to_side: int) -> tuple[int, Seen, Seen]:
    """When and between which sights a path that ends on `to_side` last came over the line."""
    for one, other in reversed(list(pairwise(path))):
        before = side(line.first, line.second, one.foot) * to_side
        after = side(line.first, line.second, other.foot) * to_side
        if before <= 0 < after:
            share = before / (before - after)
            return one.at_us + round(share * (other.at_us - one.at_us)), one, other
    raise AssertionError("a path from one side to the other crosses the line")


def _hit(
    track: Track,
    rule: Rule,
    at_us: int,
    *,
    direction: str | None = None,
    value: float | None = None,
    uncertainty: float | None = None,
) -> Hit:
    return Hit(
        rule=rule.name, kind=rule.kind, version=rule.version, at_us=at_us, event=track.event,
        label=track.label, direction=direction, value=value, uncertainty=uncertainty,
    )  # fmt: skip


def _inside(share: float) -> float:
    return min(max(share, 0.0), 1.0)
