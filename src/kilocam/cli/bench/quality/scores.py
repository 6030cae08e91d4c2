"""What was found against what is there: matching, precision and recall, IDF1. Pure.

Matching is COCO's: what was found, best first, takes the free object of its kind that it overlaps
most, from intersection over union .5 up. What takes none is wrong, unless it lies on something
unclear (`labels.Unclear`). IDF1 is that of Ristani et al. 2016.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from kilocam.analyse.detector import iou, shared
from kilocam.cli.bench.quality.labels import Box, LabelledPicture, Seen

OVERLAP = 0.5
_RECALLS = 101
"""Steps of recall over which COCO takes the mean of precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found in a picture; a tracker gives it an `id`, a detector a `score`."""

    kind: str
    box: Box
    score: float = 1.0
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """One picture judged."""

    right: tuple[tuple[Seen, Found], ...]
    wrong: tuple[Found, ...]
    missed: tuple[Seen, ...]


def match(picture: LabelledPicture, found: Sequence[Found]) -> Matched:
    """Who is who in one picture."""
    free = list(picture.seen)
    right: list[tuple[Seen, Found]] = []
    wrong: list[Found] = []
    for each in sorted(found, key=lambda one: -one.score):
        fits = [seen for seen in free if seen.kind == each.kind]
        best = max(fits, key=lambda seen: iou(seen.box, each.box), default=None)
        if best is not None and iou(best.box, each.box) >= OVERLAP:
            free.remove(best)
            right.append((best, each))
        elif not _excused(picture, each):
            wrong.append(each)
    return Matched(right=tuple(right), wrong=tuple(wrong), missed=tuple(free))


def _excused(picture: LabelledPicture, found: Found) -> bool:
    for unclear in picture.unclear:
        if unclear.kind != found.kind:
            continue
        if unclear.region and _inside(found.box, unclear.box) >= OVERLAP:
            return True
        if not unclear.region and iou(found.box, unclear.box) >= OVERLAP:
            return True
    return False


def _inside(box: Box, region: Box) -> float:
    """The share of a box that lies in a region."""
    return shared(box, region) / (box[2] * box[3])


@dataclass(slots=True)
class Tally:
    """Objects of one kind over many pictures."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def there(self) -> int:
        """Objects that are there."""
        return self.right + self.missed

    @property
    def recall(self) -> float:
        """The share of what is there that was found; 1 where nothing is."""
        return self.right / self.there if self.there else 1.0

    @property
    def precision(self) -> float:
        """The share of what was found that is there; 1 where nothing was."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0


def tally(judged: Sequence[Matched], kind: str) -> Tally:
    """Count one kind."""
    return Tally(
        right=sum(seen.kind == kind for each in judged for seen, _ in each.right),
        wrong=sum(found.kind == kind for each in judged for found in each.wrong),
        missed=sum(seen.kind == kind for each in judged for seen in each.missed),
    )


def average_precision(judged: Sequence[Matched], kind: str) -> float:
    """COCO's AP at an overlap of .5 for one kind: the mean of precision over 101 recalls.

    Of pictures judged with everything a detector gave, however low its score.
    """
    scored = [(found.score, True) for each in judged for s, found in each.right if s.kind == kind]
    scored += [
        (found.score, False) for each in judged for found in each.wrong if found.kind == kind
    ]
    there = tally(judged, kind).there
    if not scored or not there:
        return 0.0
    hits = np.array([hit for _, hit in sorted(scored, key=lambda one: -one[0])])
    rights = hits.cumsum()
    precision = rights / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(rights / there, np.linspace(0, 1, _RECALLS))
    return float(np.mean([best[at] if at < len(best) else 0.0 for at in place]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """How well tracks keep to objects, over many pictures."""

    there: int
    """Sights of objects."""
    given: int
    """Sights of tracks, what is excused left out."""
    kept: int
    """Sights of objects by the one track that each is given; no two objects are given the same."""
    objects: int
    tracks: int

    @property
    def idf1(self) -> float:
        """The harmonic mean of `kept / there` and `kept / given`."""
        return 2 * self.kept / (self.there + self.given) if self.there + self.given else 1.0


def identities(
    pictures: Sequence[tuple[LabelledPicture, Sequence[Found]]], kind: str
) -> Identities:
    """IDF1 and what it is made of, for one kind: what tracks are given in each picture."""
    together, there, given = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
    for picture, found in pictures:
        judged = match(picture, [each for each in found if each.kind == kind])
        sights = [*judged.wrong, *(each for _, each in judged.right)]
        seen = [each for each in picture.seen if each.kind == kind]
        there.update(each.id for each in seen)
        given.update(each.id for each in sights)
        together.update(
            (one.id, each.id)
            for one in seen
            for each in sights
            if iou(one.box, each.box) >= OVERLAP
        )
    objects, tracks = sorted(there), sorted(given)
    kept = 0
    if objects and tracks:
        both = np.array([[together[one, each] for each in tracks] for one in objects])
        rows, columns = linear_sum_assignment(both, maximize=True)
        kept = int(both[rows, columns].sum())
    return Identities(
        there=there.total(),
        given=given.total(),
        kept=kept,
        objects=len(objects),
        tracks=len(tracks),
    )
