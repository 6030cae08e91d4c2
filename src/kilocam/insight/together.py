"""What several objects do together by a camera's rules: crowds, and things left alone. Pure.

Kept minute by minute: what is found of a minute follows from the sights of that minute and a
bounded time around it (`reach_us`), so whatever changes there is found again the same way.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from kilocam.core.geometry import contains
from kilocam.core.rules import Crowd, LeftObject, Rule, Zone
from kilocam.insight.tracks import Hit, Seen, Track, labels_of

TOGETHER = ("crowd", "left_object")
MINUTE_US = 60_000_000
GAP_US = 65_000_000
"""An object is there between two sights that are no further apart: what stands still is told of
each 30 s, and analysis follows it for 60 s unseen."""
_WIDTHS_HIGH = 3
"""A person is about three times as high as wide: widths become heights of the picture by it."""

Stay = tuple[int, int]


def reach_us(rule: Rule) -> tuple[int, int]:
    """How far before a minute and after it sights have a say in it."""
    seconds = rule.test.seconds if isinstance(rule.test, LeftObject) else 0.0
    return round(seconds * 1e6) + GAP_US, GAP_US


def minutes_touched(rule: Rule, from_us: int, to_us: int) -> range:
    """Beginnings of the minutes in which sights of [from, to] have a say."""
    before_us, after_us = reach_us(rule)
    first = (from_us - after_us) // MINUTE_US * MINUTE_US
    return range(first, to_us + before_us + 1, MINUTE_US)


def hits_together(
    tracks: Sequence[Track], rule: Rule, zones: Mapping[str, Zone], minutes: range
) -> list[Hit]:
    """What is found in some minutes, in order of time.

    `tracks` hold all sights that have a say in them; each sight counts by its own label.
    """
    test = rule.test
    if not isinstance(test, Crowd | LeftObject) or test.zone not in zones:
        return []
    zone, labels = zones[test.zone], labels_of(rule)
    runs = [(track.event, run) for track in tracks for run in _stays(track, zone, labels)]
    if isinstance(test, Crowd):
        found = _crowds([run for _, run in runs], rule, test.count, minutes)
    else:
        found = _left(runs, tracks, rule, test)
    hits = (h for h in found if h.at_us // MINUTE_US * MINUTE_US in minutes)
    return [hit for hit in hits if rule.schedule.holds(hit.at_us)]


def _stays(track: Track, zone: Zone, labels: frozenset[str]) -> Iterator[list[Seen]]:
    """Runs of sights in the zone."""
    run: list[Seen] = []
    for seen in track.sights:
        inside = (not labels or seen.label in labels) and contains(zone.polygon, seen.foot)
        if run and (not inside or seen.at_us - run[-1].at_us > GAP_US):
            yield run
            run = []
        if inside:
            run.append(seen)
    if run:
        yield run


def _crowds(
    runs: Sequence[Sequence[Seen]], rule: Rule, count: int, minutes: range
) -> Iterator[Hit]:
    """At most one a minute: when it is complete, and how many there are at most."""
    stays = [(run[0].at_us, run[-1].at_us) for run in runs]
    for minute in minutes:
        here = [stay for stay in stays if stay[0] < minute + MINUTE_US and stay[1] >= minute]
        if len(here) < count:
            continue
        moments = sorted({max(from_us, minute) for from_us, _ in here})
        counts = [(sum(a <= at <= b for a, b in here), at) for at in moments]
        complete = [at for many, at in counts if many >= count]
        if complete:
            yield Hit(
                rule=rule.name, kind=rule.kind, version=rule.version, at_us=complete[0],
                event=None, value=float(max(many for many, _ in counts)),
            )  # fmt: skip


def _left(
    runs: Iterable[tuple[str, Sequence[Seen]]],
    tracks: Iterable[Track],
    rule: Rule,
    test: LeftObject,
) -> Iterator[Hit]:
    wait_us = round(test.seconds * 1e6)
    people = [track for track in tracks if any(seen.label == "person" for seen in track.sights)]
    for event, run in runs:
        near = [stay for person in people for stay in _near(person, run, test.reach)]
        for from_us, to_us in _alone((run[0].at_us, run[-1].at_us), near):
            if to_us - from_us >= wait_us:
                yield Hit(
                    rule=rule.name, kind=rule.kind, version=rule.version,
                    at_us=from_us + wait_us, event=event, label=run[0].label,
                )  # fmt: skip


def _near(person: Track, thing: Sequence[Seen], reach: float) -> Iterator[Stay]:
    """When a person was within reach of a thing: from sight to sight, if at either end."""
    from_us, to_us = thing[0].at_us - GAP_US, thing[-1].at_us + GAP_US
    if person.sights[-1].at_us < from_us or person.sights[0].at_us > to_us:
        return
    times = [seen.at_us for seen in thing]
    sights = [s for s in person.sights if from_us <= s.at_us <= to_us and s.label == "person"]
    close = [
        _reaches(seen, thing[max(bisect_right(times, seen.at_us) - 1, 0)], reach) for seen in sights
    ]
    for seen, is_close in zip(sights, close, strict=True):
        if is_close:
            yield seen.at_us, seen.at_us
    for (one, other), either in zip(pairwise(sights), pairwise(close), strict=True):
        if any(either) and other.at_us - one.at_us <= GAP_US:
            yield one.at_us, other.at_us


def _reaches(person: Seen, thing: Seen, reach: float) -> bool:
    (x0, y0), (x1, y1), (_, _, w, h) = person.foot, thing.foot, person.box
    across, along = (x1 - x0) / max(w, 1e-6), (y1 - y0) / max(h / _WIDTHS_HIGH, 1e-6)
    return across**2 + along**2 <= reach**2


def _alone(stay: Stay, near: Iterable[Stay]) -> Iterator[Stay]:
    """What is left of a stay without the times when somebody was near."""
    from_us, end_us = stay
    for begin_us, until_us in sorted(near):
        if until_us < from_us:
            continue
        if begin_us > end_us:
            break
        if begin_us > from_us:
            yield from_us, begin_us
        from_us = max(from_us, until_us)
    if from_us <= end_us:
        yield from_us, end_us
