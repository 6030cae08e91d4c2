"""The tracker: which boxes of successive pictures are one object.

Hungarian assignment over the overlap of predicted and seen boxes with two score thresholds, after
SORT (Bewley et al. 2016) and ByteTrack (Zhang et al. 2022); motion is an alpha-beta filter, which
takes the uneven intervals of looks as they are. Deterministic: the same pictures in the same order
give the same tracks. A tracker is a small value that travels with the camera from look to look.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from kilocam.analyse.colours import named
from kilocam.analyse.detector import KIND_OF, THRESHOLD, iou
from kilocam.analyse.results import Box, BoxAt, ObjectSeen, event_id
from kilocam.core import CameraKey, Detection

SURE = 0.5
"""One sight at this score opens an event (measured precision 1.00); below it takes two sights."""
OVERLAP = 0.2
OVERLAP_WEAK = 0.4
"""A weak detection must fit better to continue a track."""
MATCH_HORIZON_US = 3_000_000
"""Beyond this a velocity says nothing any more."""
LOST_US = 4_000_000
LOST_STILL_US = 60_000_000
"""A parked car is often missed for a few pictures by this detector."""
STILL_US = 10_000_000
STILL_OVERLAP = 0.6
MOVED_OVERLAP = 0.7
"""Boxes of what stands still overlap more, whatever the detector makes of its edges."""
STILL_REPORT_US = 30_000_000
"""What stands still contributes once in this time."""
POSITION_GAIN, VELOCITY_GAIN = 0.8, 0.4
MAX_TRACKS = 64
REACH_SLACK, REACH_PER_S = 0.5, 1.0
"""How far, in heights of the object, a walker may have come since it was last seen."""
SIMILAR_SIZE = 1.6

Cost = Callable[["Track", Detection], float]
_NO_MATCH = 1e6


@dataclass(slots=True)
class Track:
    """One object; its event id is empty until it was seen well enough."""

    kind: str
    box: Box
    at_us: int
    anchor: Box
    anchor_us: int
    velocity: tuple[float, float] = (0.0, 0.0)
    hits: int = 1
    event_id: str = ""
    opened_us: int = 0
    """Start of the window that opened its event."""
    reported_us: int = 0
    """When an earlier window last contributed to its event."""
    votes: dict[str, float] = field(default_factory=dict)
    shades: dict[str, float] = field(default_factory=dict)
    """The share of each colour, summed over the sights that told any."""
    shaded: int = 0
    """How many of those there were."""
    seen: list[BoxAt] = field(default_factory=list)
    """Sights in the window at hand."""

    @property
    def label(self) -> str:
        """The label with most votes; the first by name of equals."""
        return min(self.votes, key=lambda label: (-self.votes[label], label))

    @property
    def colours(self) -> tuple[str, ...]:
        """Those worth naming by all that was seen of it so far."""
        return named({name: share / self.shaded for name, share in self.shades.items()})

    @property
    def still(self) -> bool:
        """Whether it stays where it is."""
        return self.at_us - self.anchor_us >= STILL_US

    def predicted(self, at_us: int) -> Box:
        """Where it should be now."""
        elapsed = (at_us - self.at_us) / 1e6
        if self.still or at_us - self.at_us > MATCH_HORIZON_US:
            elapsed = 0.0
        x, y, w, h = self.box
        return (x + self.velocity[0] * elapsed, y + self.velocity[1] * elapsed, w, h)

    def lost(self, at_us: int) -> bool:
        """Whether to give it up when it is not seen in the picture at `at_us`."""
        if not self.event_id:
            return True
        return at_us - self.at_us > (LOST_STILL_US if self.still else LOST_US)

    def see(self, found: Detection) -> None:
        """It was seen again."""
        elapsed = max((found.at_us - self.at_us) / 1e6, 1e-3)
        here = self.predicted(found.at_us)
        off = (_middle(found.box)[0] - _middle(here)[0], _middle(found.box)[1] - _middle(here)[1])
        gain = VELOCITY_GAIN / max(elapsed, 0.5) if self.hits > 1 else 1 / elapsed
        if found.at_us - self.at_us <= MATCH_HORIZON_US:
            self.velocity = (self.velocity[0] + gain * off[0], self.velocity[1] + gain * off[1])
        else:
            self.velocity = (0.0, 0.0)
        self.box = _between(here, found.box, POSITION_GAIN)
        self.at_us = found.at_us
        self.hits += 1
        if iou(self.anchor, found.box) < STILL_OVERLAP:
            self.anchor, self.anchor_us = found.box, found.at_us
        self.note(found)

    def note(self, found: Detection) -> None:
        """Keep a sight for the window at hand."""
        self.votes[found.label] = self.votes.get(found.label, 0.0) + found.score
        for name, share in found.colours.items():
            self.shades[name] = self.shades.get(name, 0.0) + share
        self.shaded += bool(found.colours)
        self.seen.append(BoxAt(at_us=found.at_us, box=found.box, score=found.score))


@dataclass(slots=True)
class Tracker:
    """The objects of one camera; `begin` a window, `step` through its pictures, `findings`."""

    key: CameraKey
    window_us: int = 0
    opened: int = 0
    """Events opened by the window at hand: the next one's ordinal."""
    tracks: list[Track] = field(default_factory=list)

    def begin(self, window_us: int) -> None:
        """A new window: what follows is its contribution."""
        for track in self.tracks:
            if track.event_id and self._reported(track):
                track.reported_us = track.seen[-1].at_us
            track.seen = []
        self.window_us, self.opened = window_us, 0

    def step(self, found: Sequence[Detection], at_us: int, aspect: float) -> None:
        """One picture's detections, best first; `aspect` is the picture's width by height."""
        strong = [each for each in found if each.score >= THRESHOLD]
        weak = [each for each in found if each.score < THRESHOLD]
        tracks, strong = self._assign(self.tracks, strong, _overlap_cost(at_us, OVERLAP))
        tracks, _ = self._assign(tracks, weak, _overlap_cost(at_us, OVERLAP_WEAK))
        tracks, strong = self._assign(tracks, strong, _distance_cost(at_us, aspect))
        unseen = {id(track) for track in tracks}
        self.tracks = [t for t in self.tracks if id(t) not in unseen or not t.lost(at_us)]
        for each in strong[: MAX_TRACKS - len(self.tracks)]:
            self._start(each)
        for track in self.tracks:
            self._open(track)

    def findings(self) -> tuple[ObjectSeen, ...]:
        """What the window at hand contributes so far, in order of opening."""
        return tuple(
            ObjectSeen(
                event_id=track.event_id,
                opens=track.opened_us == self.window_us,
                label=track.label,
                colours=track.colours,
                still=track.still,
                boxes=tuple(track.seen),
            )
            for track in self.tracks
            if track.event_id and self._reported(track)
        )

    @property
    def moving(self) -> bool:
        """Whether anything seen in the window at hand may be elsewhere in the next picture."""
        return any(track.seen and not track.still for track in self.tracks)

    @property
    def moved(self) -> bool:
        """Whether anything was elsewhere at its last sight in the window at hand than at its first.

        Other than `moving` this does not take a parked car that is new to us for one that drives.
        """
        sights = (track.seen for track in self.tracks if len(track.seen) > 1)
        return any(iou(seen[0].box, seen[-1].box) < MOVED_OVERLAP for seen in sights)

    def _reported(self, track: Track) -> bool:
        if not track.seen:
            return False
        return not track.still or track.seen[-1].at_us - track.reported_us >= STILL_REPORT_US

    def _assign(
        self, tracks: list[Track], found: list[Detection], cost: Cost
    ) -> tuple[list[Track], list[Detection]]:
        """Match what fits; returns what is left over of both."""
        if not tracks or not found:
            return tracks, found
        costs = np.full((len(tracks), len(found)), _NO_MATCH)
        for (row, track), (column, each) in itertools.product(enumerate(tracks), enumerate(found)):
            if track.kind == KIND_OF[each.label]:
                costs[row, column] = cost(track, each)
        pairs = [
            (int(row), int(column))
            for row, column in zip(*linear_sum_assignment(costs), strict=True)
            if costs[row, column] < _NO_MATCH
        ]
        for row, column in pairs:
            tracks[row].see(found[column])
        rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
        return (
            [track for row, track in enumerate(tracks) if row not in rows],
            [each for column, each in enumerate(found) if column not in columns],
        )

    def _start(self, found: Detection) -> None:
        track = Track(
            kind=KIND_OF[found.label],
            box=found.box,
            at_us=found.at_us,
            anchor=found.box,
            anchor_us=found.at_us,
        )
        track.note(found)
        self.tracks.append(track)

    def _open(self, track: Track) -> None:
        if track.event_id or not (track.hits > 1 or track.seen[-1].score >= SURE):
            return
        track.event_id = event_id(self.key, self.window_us, self.opened)
        track.opened_us = self.window_us
        self.opened += 1


def _overlap_cost(at_us: int, least: float) -> Cost:
    predicted: dict[int, Box] = {}

    def cost(track: Track, found: Detection) -> float:
        here = predicted.setdefault(id(track), track.predicted(at_us))
        overlap = iou(here, found.box)
        return 1 - overlap if overlap >= least else _NO_MATCH

    return cost


def _distance_cost(at_us: int, aspect: float) -> Cost:
    """For walkers that no longer overlap with where they were, at a few pictures a second."""

    def cost(track: Track, found: Detection) -> float:
        elapsed_us = at_us - track.at_us
        if track.still or elapsed_us > MATCH_HORIZON_US:
            return _NO_MATCH
        height = max(track.box[3], found.box[3])
        if height > SIMILAR_SIZE * min(track.box[3], found.box[3]):
            return _NO_MATCH
        here, there = _middle(track.predicted(at_us)), _middle(found.box)
        away = np.hypot((there[0] - here[0]) * aspect, there[1] - here[1]) / height
        reach = REACH_SLACK + REACH_PER_S * elapsed_us / 1e6
        return float(away) if away <= reach else _NO_MATCH

    return cost


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2] / 2, box[1] + box[3] / 2)


def _between(a: Box, b: Box, share: float) -> Box:
    x, y, w, h = (p + share * (q - p) for p, q in zip(a, b, strict=True))
    return (x, y, w, h)
