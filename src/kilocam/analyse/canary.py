"""The rule by which a detector on trial is promoted or rolled back: counts in, verdict out. Pure.

The candidate sees the same pictures as the detector in use, on a share of the cameras. What is
counted is whether they agree about objects, for what is true nobody knows: two models that make the
same mistake agree, and one that sees better than the one in use disagrees with it. So the rule
keeps bad models out and lets like ones in; whoever knows that a model is better names it as the
detector.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import product

from blake3 import blake3

from kilocam.analyse.detector import KIND_OF, THRESHOLD, iou
from kilocam.analyse.tracker import SURE
from kilocam.core import CameraKey, Detection, share_within

OVERLAP = 0.5
"""Boxes of one kind, of two models or two pictures, that overlap more are of one object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is borne of a candidate, and how much must be known before a verdict."""

    missed: float = 0.10
    """Of what the one in use finds. Our own network with 8 bits misses 1 of 677 of the
    one with 32; what is made otherwise draws its boxes otherwise, and needs room."""
    extra: float = 0.30
    """Of what the candidate finds: one that finds the tenth more that ours misses keeps within."""
    failed: float = 0.01
    """Of looks: one in a hundred lost is what an analyst can bear."""
    cost: float = 2.0
    """Times the processor time of the one in use: beyond, looks become half as many."""
    deviations: float = 3.3
    """How sure: 99.9 % of a verdict taken once. It is asked for each few seconds for days, and
    objects of one picture are not independent of each other: 95 % would be far too little."""
    least_objects: int = 30
    """Of a kind; no verdict about objects rests on fewer."""
    least_failures: int = 3
    least_looks: int = 100
    """No verdict about cost rests on fewer."""
    promoting_looks: int = 1000
    promoting_us: int = 86_400_000_000
    """Nothing is promoted before: nights are not like days."""


class Verdict(StrEnum):
    """Of a trial; shown to people as it stands."""

    UNDECIDED = "undecided"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """About objects of one kind."""

    known: int = 0
    """Surely seen by the one in use."""
    missed: int = 0
    """Of those, not seen by the candidate."""
    found: int = 0
    """Surely seen by the candidate."""
    extra: int = 0
    """Of those, not seen by the one in use."""

    def __add__(self, other: "Agreement") -> "Agreement":
        ours, theirs = (tuple(getattr(a, f.name) for f in fields(a)) for a in (self, other))
        known, missed, found, extra = map(sum, zip(ours, theirs, strict=True))
        return Agreement(known=known, missed=missed, found=found, extra=extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a trial has counted."""

    looks: int = 0
    """Both have looked at a picture."""
    failed: int = 0
    """The candidate crashed, hung or could not be started."""
    kinds: Mapping[str, Agreement] = field(default_factory=dict)
    cost_us: int = 0
    candidate_cost_us: int = 0
    """Processor time."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            looks=self.looks + other.looks,
            failed=self.failed + other.failed,
            kinds={
                kind: self.kinds.get(kind, Agreement()) + other.kinds.get(kind, Agreement())
                for kind in sorted({*self.kinds, *other.kinds})
            },
            cost_us=self.cost_us + other.cost_us,
            candidate_cost_us=self.candidate_cost_us + other.candidate_cost_us,
        )

    @property
    def all_kinds(self) -> Agreement:
        """About objects of any kind."""
        return sum(self.kinds.values(), Agreement())


def judge(tally: Tally, lasted_us: int, limits: Limits, failure: str = "") -> tuple[Verdict, str]:
    """The verdict and why.

    Args:
        tally: all that was counted.
        lasted_us: since the trial began.
        limits: what is borne.
        failure: how the candidate failed last, if that is known.
    """
    if against := _against(tally, limits, failure):
        return Verdict.ROLLED_BACK, against
    if lasted_us >= limits.promoting_us and _certainly_within(tally, limits):
        return Verdict.PROMOTED, _account(tally)
    return Verdict.UNDECIDED, ""


def _against(tally: Tally, limits: Limits, failure: str) -> str:
    """What speaks against the candidate for certain."""

    def low(seen: int, passed: int) -> float:
        return share_within(seen, passed, limits.deviations)[0]

    asked = tally.looks + tally.failed
    if tally.failed >= limits.least_failures and low(asked, tally.failed) > limits.failed:
        last = f"; the last time: {failure}" if failure else ""
        return f"it failed {tally.failed} of {asked} looks{last}"
    for kind, of in tally.kinds.items():
        if of.known >= limits.least_objects and low(of.known, of.missed) > limits.missed:
            return f"it misses {of.missed} of {of.known} {kind}s that the one in use sees"
        if of.found >= limits.least_objects and low(of.found, of.extra) > limits.extra:
            return f"of {of.found} {kind}s that it sees the one in use does not see {of.extra}"
    if tally.looks >= limits.least_looks and _times(tally) > limits.cost:
        return f"it takes {_times(tally):.1f} times the processor time of the one in use"
    return ""


def _certainly_within(tally: Tally, limits: Limits) -> bool:
    """Whether it keeps within all limits for certain.

    Of kinds that are seldom seen nothing is certain for months; there it is enough that what was
    seen keeps within them.
    """

    def high(seen: int, passed: int) -> float:
        return share_within(seen, passed, limits.deviations)[1]

    of = tally.all_kinds
    certain = (
        tally.looks >= limits.promoting_looks
        and high(tally.looks + tally.failed, tally.failed) <= limits.failed
        and min(of.known, of.found) >= limits.least_objects
        and high(of.known, of.missed) <= limits.missed
        and high(of.found, of.extra) <= limits.extra
        and _times(tally) <= limits.cost
    )
    return certain and all(
        kind.missed <= limits.missed * kind.known and kind.extra <= limits.extra * kind.found
        for kind in tally.kinds.values()
    )


def _account(tally: Tally) -> str:
    of = tally.all_kinds
    return (
        f"in {tally.looks} looks it missed {of.missed} of {of.known} objects and saw {of.extra} "
        f"of {of.found} alone, for {_times(tally):.1f} times the processor time"
    )


def _times(tally: Tally) -> float:
    return tally.candidate_cost_us / tally.cost_us if tally.cost_us else math.inf


def in_share(key: CameraKey, share: float) -> bool:
    """Whether a camera is among those of the trial: the same ones in every trial."""
    drawn = blake3(str(key).encode(), derive_key_context=_CONTEXT).digest(8)
    return int.from_bytes(drawn, "big") < share * 2**64


def agreement(
    current: Sequence[Detection], candidate: Sequence[Detection], before: Sequence[Detection]
) -> dict[str, Agreement]:
    """How far two detectors agree about one picture, by kind.

    What one is sure of (an event would open) the other must see at all, so that a score just below
    a threshold is no disagreement. What stood there `before` was counted then: a car that is parked
    all day would outweigh all who pass it.
    """
    together = _pairs(current, candidate)
    counts: dict[str, Agreement] = {}
    for side, detections in enumerate((current, candidate)):
        for number, each in enumerate(detections):
            if each.score < SURE or any(_overlap(each, b) > OVERLAP for b in before):
                continue
            alone = int(all(pair[side] != number for pair in together))
            more = Agreement(found=1, extra=alone) if side else Agreement(known=1, missed=alone)
            kind = KIND_OF[each.label]
            counts[kind] = counts.get(kind, Agreement()) + more
    return counts


def sure(*seen: Sequence[Detection]) -> tuple[Detection, ...]:
    """What the next picture's `before` is, of what was seen in this one."""
    return tuple(each for detections in seen for each in detections if each.score >= SURE)


def _pairs(one: Sequence[Detection], other: Sequence[Detection]) -> set[tuple[int, int]]:
    """Which detections are of the same object: those that overlap most first, each once."""
    seen = [
        [number for number, each in enumerate(side) if each.score >= THRESHOLD]
        for side in (one, other)
    ]
    fits = [(_overlap(one[i], other[j]), i, j) for i, j in product(*seen)]
    together: set[tuple[int, int]] = set()
    for overlap, i, j in sorted(fits, key=lambda fit: -fit[0]):
        if overlap > OVERLAP and all(i != a and j != b for a, b in together):
            together.add((i, j))
    return together


def _overlap(one: Detection, other: Detection) -> float:
    return iou(one.box, other.box) if KIND_OF[one.label] == KIND_OF[other.label] else 0.0


_CONTEXT = "kilocam 2026 canary cameras"
