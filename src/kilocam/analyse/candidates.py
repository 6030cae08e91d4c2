"""Which events are worth a description: those that are new and in which something moved; pure.

An event is judged once, some seconds after it was first seen: by then it was seen well, if it ever
will be. What did not move until then, or stands still, is a parked car, a shadow or a coat on a
hook, whatever opened the event; it is passed over for good. Of each camera the newest event waits,
at most one a minute is taken, and tenants take turns, so that neither a busy camera nor a large
tenant leaves nothing to others.
"""

from collections import Counter
from dataclasses import dataclass, field

from kilocam.analyse.detector import iou
from kilocam.analyse.results import BoxAt, ObjectSeen
from kilocam.analyse.seams import Glance
from kilocam.analyse.tracker import MOVED_OVERLAP
from kilocam.core import CameraKey

_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateOptions:
    """How long things wait, how many of them."""

    settle_us: int = 15 * _S
    """An event is judged so long after it was first seen."""
    gap_us: int = 60 * _S
    """Between two of one camera."""
    stale_us: int = 600 * _S
    """What waited so long since it was judged is not taken any more."""
    most_young: int = 16
    """Events of a camera that wait to be judged; in a crowd others are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An event to be described, and its best picture so far."""

    key: CameraKey
    event_id: str
    label: str
    best: BoxAt
    judged_us: int


@dataclass(slots=True)
class _Young:
    """An event that was not judged yet."""

    met_us: int
    label: str
    first: BoxAt
    best: BoxAt
    still: bool = False
    moved: bool = False

    def see(self, seen: ObjectSeen) -> None:
        self.label, self.still = seen.label, seen.still
        if seen.best.score > self.best.score:
            self.best = seen.best
        self.moved |= any(iou(self.first.box, each.box) < MOVED_OVERLAP for each in seen.boxes)


@dataclass(slots=True)
class _Camera:
    young: dict[str, _Young] = field(default_factory=dict)
    waiting: Candidate | None = None
    taken_us: int | None = None

    def rested(self, now_us: int, gap_us: int) -> bool:
        return self.taken_us is None or now_us - self.taken_us >= gap_us


class Candidates:
    """The events of cameras that are ours, as looks tell of them.

    Counts: `met` + `again` = `unmoved` + `crowded` + `replaced` + `stale` + `taken` + those that
    wait or were given away. Times are monotonic.
    """

    def __init__(self, options: CandidateOptions, counts: Counter[str]) -> None:
        self._options = options
        self._counts = counts
        self._cameras: dict[CameraKey, _Camera] = {}
        self._turns: dict[str, int] = {}
        """Of tenants: when one of theirs was taken last."""

    @property
    def idle(self) -> bool:
        """Nothing waits."""
        return not any(each.young or each.waiting for each in self._cameras.values())

    def looked(self, glance: Glance, now_us: int) -> None:
        """A look was done."""
        for seen in glance.objects:
            camera = self._cameras.get(glance.key)
            if camera is None:
                camera = self._cameras[glance.key] = _Camera()
            if (known := camera.young.get(seen.event_id)) is not None:
                known.see(seen)
            elif seen.opens:
                self._meet(camera, seen, now_us)

    def choose(self, now_us: int) -> Candidate | None:
        """The newest of the tenant whose turn it is; it waits until it is taken."""
        ready: list[Candidate] = []
        for key, camera in self._cameras.items():
            self._judge(key, camera, now_us)
            if camera.waiting is not None and camera.rested(now_us, self._options.gap_us):
                ready.append(camera.waiting)
        if not ready:
            return None
        tenant = min({each.key.tenant for each in ready}, key=lambda one: (self._turn(one), one))
        theirs = (each for each in ready if each.key.tenant == tenant)
        return max(theirs, key=lambda each: (each.judged_us, each.event_id))

    def take(self, chosen: Candidate, now_us: int) -> None:
        """It is being described."""
        camera = self._cameras[chosen.key]
        camera.waiting, camera.taken_us = None, now_us
        self._turns[chosen.key.tenant] = now_us
        self._counts["taken"] += 1

    def put_back(self, taken: Candidate) -> None:
        """Nobody was asked: it waits again, if nothing newer of its camera does."""
        camera = self._cameras.get(taken.key)
        if camera is not None and camera.waiting is None:
            camera.waiting, camera.taken_us = taken, None
            self._counts["again"] += 1

    def drop(self, partition: int) -> None:
        """Forget a partition's cameras."""
        for key in [key for key in self._cameras if key.partition == partition]:
            del self._cameras[key]

    def _turn(self, tenant: str) -> int:
        return self._turns.get(tenant, -1)

    def _meet(self, camera: _Camera, seen: ObjectSeen, now_us: int) -> None:
        self._counts["met"] += 1
        if len(camera.young) >= self._options.most_young:
            self._counts["crowded"] += 1
            return
        young = _Young(met_us=now_us, label=seen.label, first=seen.boxes[0], best=seen.best)
        young.see(seen)
        camera.young[seen.event_id] = young

    def _judge(self, key: CameraKey, camera: _Camera, now_us: int) -> None:
        settled = now_us - self._options.settle_us
        for event_id in [e for e, young in camera.young.items() if young.met_us <= settled]:
            young = camera.young.pop(event_id)
            if young.still or not young.moved:
                self._counts["unmoved"] += 1
                continue
            self._counts["replaced"] += camera.waiting is not None
            camera.waiting = Candidate(
                key=key, event_id=event_id, label=young.label, best=young.best, judged_us=now_us
            )
        waiting = camera.waiting
        if waiting is not None and now_us - waiting.judged_us > self._options.stale_us:
            camera.waiting = None
            self._counts["stale"] += 1
