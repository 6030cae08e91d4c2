"""Which window is looked at next: pure, deterministic, the time is handed in.

A camera's newest window waits in the *fresh* lane, older ones in the *catch-up* lane. In the fresh
lane the most overdue camera comes first: the one longest without a look, times its weight. A
camera whose packets say "quiet" is held until its least rate of looks is due, and then gives way to
busy ones for some seconds; one in which something begins goes before them. While both lanes have
work the catch-up lane gets a fixed share of the time; a lane without work lends its share.

    offered ──▶ newest ──take──▶ in flight ──settle──▶ looked
                  │ superseded by a newer one   └─give_up─▶ skipped (unreadable, failed)
                  ├──▶ skipped (quiet)
                  └──▶ backlog ──take──▶ in flight
                          └──▶ skipped (overload: more than the lane's share can reach; too old)

Per camera, at any moment: looked + skipped + pending = offered. One look per camera at a time.
"""

import heapq
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kilocam.analyse.audit import drawn
from kilocam.analyse.camera import Camera, Queued
from kilocam.analyse.gate import RateGate
from kilocam.analyse.results import PIPELINE, SkippedWindow, SkipReason
from kilocam.analyse.shares import Shares
from kilocam.analyse.strictness import Strictness
from kilocam.analyse.windows import Counts, Lane, Learnt, Look, Pending, window_of
from kilocam.bus import Position
from kilocam.core import CameraKey, GopRef

WINDOW_US = 2_000_000
QUIET_US = 4_000_000
"""A quiet camera that is due is as overdue as a busy one that was looked at so much later ..."""
NEWS_US = 4_000_000
"""... and one in which something begins as one that was looked at so much earlier; before all of
them where it takes longer than both together to come round."""
STRETCH_US = 10_000_000
"""Caught up from its beginning, so that tracks join forward."""
NEXT_US = 500_000
"""A window that begins this soon after another's end follows it."""
AHEAD_US = 10_000_000
"""A window that begins so long after now, or a clock so far behind what it showed, means that the
clock was put back."""
YOUNG_US = 10_000_000
"""A window older than this when its successor is heard of was not there to be looked at."""
LEAST_BACKLOG = 4
"""Windows per camera that may wait even when the lane's share reaches none."""
MOST_BACKLOG = 200_000
FIRST_COST_US = 50_000
COST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerOptions:
    """How time is shared out."""

    lookers: int
    """Looks that really run at once: worker processes."""
    look_every_us: int = 6_000_000
    """A quiet camera's least rate; leaves 4 s to keep the promise of one look in 10 s."""
    catch_up_share: float = 0.2
    """Of workers' time ..."""
    pressed_share: float = 0.02
    """... and where there is too little of it for what is new."""
    audit_every: int = 500
    """Of windows passed over as quiet about one in so many is looked at all the same."""
    max_age_us: int = 3_600_000_000
    deepen_within_us: int = 1_000_000
    """The whole GOP before is looked at only if the newest window is no later than this."""
    codecs: frozenset[str] = frozenset({"h264", "h265"})
    """What can be looked at at all."""
    weight: Callable[[CameraKey], float] = lambda _key: 1.0
    """Of a camera, as it is now."""


class Scheduler:
    """Owns the offered windows of the cameras of its partitions."""

    def __init__(
        self,
        options: SchedulerOptions,
        learnt: Mapping[CameraKey, Learnt] = MappingProxyType({}),
    ) -> None:
        self._options = options
        self._learnt = dict(learnt)
        self._cameras: dict[CameraKey, Camera] = {}
        self._waiting: dict[float, list[tuple[int, CameraKey, int]]] = {}
        self._held: list[tuple[int, CameraKey, int]] = []
        self._behind: list[tuple[int, CameraKey]] = []
        self._unread: set[int] = set()
        """Partitions of which older windows are still to come."""
        self._shares = Shares()
        self._cost_us = float(FIRST_COST_US)
        self._round_us = 0.0
        """How long quiet cameras wait for a look, on average."""
        self._strictness = Strictness()
        self._skipped: list[SkippedWindow] = []
        self._totals: Counter[str] = Counter()
        self._latest_us = 0

    @property
    def cameras(self) -> int:
        """Those that were met and are ours."""
        return len(self._cameras)

    @property
    def pending(self) -> int:
        """Windows of all cameras that are neither looked at nor skipped."""
        return self._totals["pending"]

    @property
    def in_memory(self) -> int:
        """Those, and the skipped ones not yet drained."""
        return self.pending + len(self._skipped)

    @property
    def backlog_per_camera(self) -> int:
        """Older windows a camera may have waiting: its part of what the lane's share reaches."""
        share = self._options.catch_up_share * self._options.lookers
        reach = min(int(share * self._options.max_age_us / self._cost_us), MOST_BACKLOG)
        return max(LEAST_BACKLOG, reach // max(1, len(self._cameras)))

    @property
    def gate_level(self) -> float:
        """Share of quiet windows that the gates call quiet (`strictness.py`)."""
        return self._strictness.level

    @property
    def lost(self) -> tuple[float, float]:
        """Bounds of the share of windows with something that moves that gates passed over."""
        return self._strictness.target.lost

    @property
    def pressed(self) -> bool:
        """There is time for key frames only."""
        return self._strictness.pressed

    @property
    def totals(self) -> "Counter[str]":
        """Of all cameras that are ours: `offered`, `looked`, `pending`, `skipped_...` by reason."""
        return self._totals.copy()

    def counts(self) -> dict[CameraKey, Counts]:
        """The account of each camera."""
        return {key: camera.counts for key, camera in self._cameras.items()}

    def learnt(self) -> dict[CameraKey, Learnt]:
        """What is known of each camera, for a scheduler that goes on from here.

        Of those too that were not met (yet), or whose partition was lost.
        """
        met = {key: camera.learnt() for key, camera in self._cameras.items()}
        return {**self._learnt, **met}

    def drain_skipped(self) -> list[SkippedWindow]:
        """Windows skipped since the last call."""
        skipped, self._skipped = self._skipped, []
        return skipped

    def offer(self, ref: GopRef, position: Position, now_us: int) -> bool:
        """A window has begun; False when it is known already, or this only tells its onset."""
        self._note_time(now_us)
        key = CameraKey(ref.tenant, ref.camera)
        camera = self._cameras.get(key)
        if ref.onset:
            if camera is not None:
                self._stir(camera, ref)
            return False
        if camera is None:
            camera = self._cameras[key] = self._admit(key, now_us)
        if ref.start_us in camera.known:
            return False
        level, gate = self.gate_level, camera.gate
        late = _is_late(camera, ref.start_us, now_us)
        # What is told late lies between no two looks, so it does not say what is quiet.
        busy = (gate.stands_out if late else gate.busy)(ref.complexity, level)
        # By what looks have taught these are the same.
        remarkable = busy if gate.knows else gate.remarkable(ref.complexity, level)
        end_us = ref.start_us + WINDOW_US
        pending = Pending(
            ref.start_us, ref.gop_us, position, busy, remarkable, end_us, (ref.complexity,)
        )
        camera.known.add(pending.start_us)
        camera.counts.offered += 1
        camera.counts.pending += 1
        self._totals["offered"] += 1
        self._totals["pending"] += 1
        if ref.codec not in self._options.codecs:
            self._skip(camera, pending, SkipReason.CODEC)
        elif now_us - pending.start_us > self._options.max_age_us:
            self._skip(camera, pending, SkipReason.TOO_OLD)
        elif late:
            self._place_late(camera, pending)
            self._enqueue(camera)
        else:
            self._place(camera, pending, now_us)
            self._enqueue(camera)
        return True

    def take(self, now_us: int) -> Look | None:
        """The next look, or None while nothing is due; its camera is busy until it is given back.

        Amortised O(log cameras).
        """
        self._note_time(now_us)
        self._release_held(now_us)
        fresh, behind = self._most_overdue(now_us), self._next_behind(now_us)
        if fresh is None and behind is None:
            return None
        if behind is None or (fresh is not None and not self._shares.catch_up_is_due(self._share)):
            assert fresh is not None
            return self._take_fresh(fresh, now_us, alone=behind is None)
        return self._take_behind(behind, now_us, alone=fresh is None)

    def next_due_us(self, now_us: int) -> int | None:
        """When `take` may have something without a further offer; None: never."""
        self._release_held(now_us)
        if self._most_overdue(now_us) is not None or self._next_behind(now_us) is not None:
            return now_us
        return self._held[0][0] if self._held else None

    def settle(
        self, look: Look, *, cost_us: int, changed: bool, found: bool, moved: bool = False
    ) -> None:
        """A look is done and its result kept.

        Args:
            look: What `take` gave.
            cost_us: Time of one worker it took.
            changed: Something differed from the background: what comes next is worth a look.
            found: Something that moves was found: the rest of the window is worth one too.
            moved: In a window that was audited something moved.
        """
        camera = self._return(look, cost_us)
        if camera is None:
            return
        self._close(camera, look.target)
        camera.counts.looked += 1
        self._totals["looked"] += 1
        self._strictness.looked(audit=look.target.audit, found=found, moved=moved)
        if look.lane is Lane.FRESH:
            camera.active = changed or found
            self._resolve_doubt(camera, look.target)
            knew = camera.gate.knows
            camera.gate.answered(quiet=not camera.active)
            camera.onsets.answered(quiet=not camera.active)
            if camera.gate.knows and not knew:
                self._judge(camera)
            camera.found_in = look.target if found else None
        self._enqueue(camera)

    def give_up(self, look: Look, *, cost_us: int, reason: SkipReason) -> None:
        """A look failed for good."""
        camera = self._return(look, cost_us)
        if camera is None:
            return
        self._skip(camera, look.target, reason)
        self._enqueue(camera)

    def hold_back(self, partition: int) -> None:
        """Older windows of the partition are still to come: nothing of it is caught up yet."""
        self._unread.add(partition)

    def catch_up(self, partition: int) -> None:
        """They have come."""
        self._unread.discard(partition)
        for camera in self._cameras.values():
            if camera.partition == partition:
                self._enqueue(camera)

    def forget(self, partition: int) -> None:
        """The partition is someone else's now: so is all that is pending in it."""
        self._unread.discard(partition)
        for key in [k for k, camera in self._cameras.items() if camera.partition == partition]:
            camera = self._cameras.pop(key)
            self._totals.subtract(_totals(camera.counts))
            self._learnt[key] = camera.learnt()

    def check_invariants(self) -> None:
        """For tests: accounting is exact and every pending window is in exactly one place."""
        for camera in self._cameras.values():
            camera.counts.check()
            places = [p.start_us for p in camera.backlog]
            places += [p.start_us for p in (camera.newest,) if p]
            places += [look.target.start_us for look in (camera.in_flight,) if look]
            assert sorted([*places, *camera.settled]) == sorted(camera.known)
            assert len(places) == camera.counts.pending
            assert [p.start_us for p in camera.backlog] == sorted(
                p.start_us for p in camera.backlog
            )
        expected: Counter[str] = Counter()
        for camera in self._cameras.values():
            expected += _totals(camera.counts)
        assert +self._totals == +expected

    def _admit(self, key: CameraKey, now_us: int) -> Camera:
        known = self._learnt.get(key, Learnt())
        return Camera(
            key=key,
            partition=key.partition,
            last_look_us=now_us - self._options.look_every_us,
            gate=RateGate.knowing(known.levels),
            active=known.active,
        )

    def _note_time(self, now_us: int) -> None:
        """A clock put back leaves no camera waiting for the moment it showed before."""
        if now_us < self._latest_us - AHEAD_US:
            self._held, self._behind, self._waiting = [], [], {}
            for camera in self._cameras.values():
                camera.last_look_us = min(camera.last_look_us, now_us)
                camera.last_catch_up_us = min(camera.last_catch_up_us, now_us)
                camera.queued, camera.catching_up = Queued.NOT, False
                self._enqueue(camera)
            self._latest_us = now_us
        self._latest_us = max(self._latest_us, now_us)

    def _place(self, camera: Camera, pending: Pending, now_us: int) -> None:
        newest = camera.newest
        last = camera.last_offered
        if last is not None and pending.start_us < last.start_us:
            last = None  # The clock was put back: nothing that comes could be newer.
        if last is not None:
            last.end_us = min(last.end_us, pending.start_us)
        camera.was_busy = last is not None and last.busy
        camera.newest = camera.last_offered = pending
        if newest is None:
            return
        young = now_us - newest.start_us <= YOUNG_US
        if young and (newest.busy or camera.active):
            self._strictness.note(missed=True)
        # What `pending` tells of complexity is about the packets of the window before it.
        newest.complexity += pending.complexity
        if newest.remarkable or pending.remarkable or camera.active:
            newest.unjudged = not (camera.gate.knows or camera.active)
            newest.doubtful = not (newest.remarkable or camera.active)
            self._put_behind(camera, newest)
        else:
            self._pass_over(camera, newest)

    def _place_late(self, camera: Camera, pending: Pending) -> None:
        """Among the older ones, each judged when its successor tells of it."""
        assert camera.last_offered is not None
        pending.end_us = min(pending.end_us, camera.last_offered.start_us)
        at = bisect_left(camera.backlog, pending.start_us, key=lambda each: each.start_us)
        if at < len(camera.backlog):
            pending.end_us = min(pending.end_us, camera.backlog[at].start_us)
        before = camera.backlog[at - 1] if at else None
        if before is not None and before.late:
            before.late = False
            before.end_us = min(before.end_us, pending.start_us)
            follows = pending.start_us - before.end_us <= NEXT_US
            if follows and not (before.remarkable or pending.remarkable):
                del camera.backlog[at - 1]
                self._pass_over(camera, before)
        pending.late = True
        self._put_behind(camera, pending)

    def _judge(self, camera: Camera) -> None:
        """Now that looks have said what is quiet: what waited for that alone is passed over."""
        waiting, camera.backlog = camera.backlog, []
        for pending in waiting:
            stands_out = any(camera.gate.stands_out(each) for each in pending.complexity)
            if pending.unjudged and not stands_out:
                self._pass_over(camera, pending)
            else:
                camera.backlog.append(pending)

    def _resolve_doubt(self, camera: Camera, seen: Pending) -> None:
        """A window that stood out by its packets alone was noise if nothing is there after it."""
        if camera.active:
            for pending in camera.backlog:  # what came while the look was under way
                pending.doubtful &= pending.start_us < seen.start_us
            return
        last = camera.backlog[-1] if camera.backlog else None
        if last is not None and last.doubtful and 0 <= seen.start_us - last.end_us <= NEXT_US:
            self._pass_over(camera, camera.backlog.pop())

    def _pass_over(self, camera: Camera, pending: Pending) -> None:
        """Skip what is quiet, but for a sample that says what is missed so."""
        self._strictness.passed_over()
        if drawn(camera.key, pending.start_us, self._options.audit_every):
            pending.audit, pending.doubtful = True, False
            self._put_behind(camera, pending)
        else:
            self._skip(camera, pending, SkipReason.QUIET)

    def _stir(self, camera: Camera, ref: GopRef) -> None:
        """The window that waits does not wait for its camera's least rate if it is busy itself."""
        newest = camera.newest
        stands_out = camera.onsets.busy(ref.onset, self.gate_level)
        if not camera.onsets.knows:
            stands_out = camera.gate.stands_out(ref.onset, self.gate_level)
        # What is remarkable is busy, too.
        if newest is None or newest.start_us != ref.start_us or newest.remarkable:
            return
        if stands_out:
            newest.busy = newest.remarkable = True
            self._enqueue(camera)

    def _put_behind(self, camera: Camera, pending: Pending) -> None:
        insort(camera.backlog, pending, key=lambda each: each.start_us)
        while len(camera.backlog) > self.backlog_per_camera:
            self._skip(camera, camera.backlog.pop(0), SkipReason.OVERLOAD)

    def _enqueue(self, camera: Camera) -> None:
        """Put the camera where it belongs in both lanes; at most one live entry in each."""
        if camera.in_flight is not None:
            return
        read = camera.partition not in self._unread
        if camera.backlog and read and not camera.catching_up:
            camera.catching_up = True
            heapq.heappush(self._behind, (camera.last_catch_up_us, camera.key))
        if camera.newest is None:
            return
        if camera.newest.busy or camera.active:
            news = camera.newest.busy and not camera.was_busy
            since_us = camera.last_look_us - (self._advance_us if news else 0)
            if camera.queued is not Queued.URGENT or since_us < camera.since_us:
                self._wait(camera, Queued.URGENT, since_us)
        elif camera.queued is Queued.NOT:
            camera.queued = Queued.HELD
            camera.token += 1
            due_us = camera.last_look_us + self._options.look_every_us
            heapq.heappush(self._held, (due_us, camera.key, camera.token))

    def _wait(self, camera: Camera, queued: Queued, since_us: int) -> None:
        camera.queued, camera.since_us = queued, since_us
        camera.weight = self._options.weight(camera.key)
        camera.token += 1
        queue = self._waiting.setdefault(camera.weight, [])
        heapq.heappush(queue, (since_us, camera.key, camera.token))

    def _release_held(self, now_us: int) -> None:
        while self._held and (self._held[0][0] <= now_us or not self._live(*self._held[0][1:])):
            _, key, token = heapq.heappop(self._held)
            if self._live(key, token):
                camera = self._cameras[key]
                self._wait(camera, Queued.DUE, camera.last_look_us + QUIET_US)

    def _live(self, key: CameraKey, token: int) -> bool:
        camera = self._cameras.get(key)
        return camera is not None and camera.token == token and camera.newest is not None

    def _most_overdue(self, now_us: int) -> Camera | None:
        best: tuple[float, Camera] | None = None
        for weight, queue in sorted(self._waiting.items()):
            while queue and not self._live(*queue[0][1:]):
                heapq.heappop(queue)
            if queue:
                overdue = (now_us - queue[0][0]) * weight
                if best is None or overdue > best[0]:
                    best = (overdue, self._cameras[queue[0][1]])
        return best[1] if best else None

    def _next_behind(self, now_us: int) -> Camera | None:
        while self._behind:
            camera = self._cameras.get(self._behind[0][1])
            read = camera is not None and camera.partition not in self._unread
            if camera is not None and read and camera.catching_up and camera.in_flight is None:
                self._drop_old(camera, now_us)
                if camera.backlog:
                    return camera
            heapq.heappop(self._behind)
            if camera is not None:
                camera.catching_up = False
        return None

    def _drop_old(self, camera: Camera, now_us: int) -> None:
        while camera.backlog and now_us - camera.backlog[0].start_us > self._options.max_age_us:
            self._skip(camera, camera.backlog.pop(0), SkipReason.TOO_OLD)

    @property
    def _advance_us(self) -> int:
        return max(NEWS_US, int(self._round_us) - QUIET_US)

    @property
    def _share(self) -> float:
        return self._options.pressed_share if self.pressed else self._options.catch_up_share

    def _take_fresh(self, camera: Camera, now_us: int, *, alone: bool) -> Look:
        heapq.heappop(self._waiting[camera.weight])
        target, camera.newest = camera.newest, None
        assert target is not None
        before, late_us = camera.found_in, now_us - target.start_us
        near = before is not None and 0 <= target.start_us - before.end_us <= NEXT_US
        deepen = near and late_us <= self._options.deepen_within_us and not self.pressed
        camera.found_in = None
        if target.busy or camera.active:
            self._strictness.note(missed=False)
        if camera.queued is Queued.DUE:
            self._round_us += COST_WEIGHT * (now_us - camera.last_look_us - self._round_us)
        # A look at what was read late says nothing of now: the camera is due again, behind others.
        stale = late_us > YOUNG_US
        camera.last_look_us = now_us - self._options.look_every_us * stale
        camera.gate.asked()
        camera.onsets.asked()
        look = self._hand_out(camera, Lane.FRESH, target, before if deepen else None)
        if alone:
            self._shares.even_out(Lane.FRESH, self._share)
        return look

    def _take_behind(self, camera: Camera, now_us: int, *, alone: bool) -> Look:
        heapq.heappop(self._behind)
        camera.catching_up = False
        camera.last_catch_up_us = now_us
        target = camera.backlog.pop(_next_of(camera.backlog))
        look = self._hand_out(camera, Lane.CATCH_UP, target, None)
        if alone:
            self._shares.even_out(Lane.CATCH_UP, self._share)
        return look

    def _hand_out(
        self, camera: Camera, lane: Lane, target: Pending, before: Pending | None
    ) -> Look:
        camera.queued = Queued.NOT
        camera.token += 1
        charged = int(self._cost_us)
        self._shares.spend(lane, charged)
        camera.in_flight = Look(
            key=camera.key,
            partition=camera.partition,
            lane=lane,
            target=target,
            before=before,
            charged_us=charged,
        )
        return camera.in_flight

    def _return(self, look: Look, cost_us: int) -> Camera | None:
        """The look's camera, free again; None when it was forgotten meanwhile."""
        self._cost_us += COST_WEIGHT * (cost_us - self._cost_us)
        self._shares.spend(look.lane, cost_us - look.charged_us)
        camera = self._cameras.get(look.key)
        if camera is None or camera.in_flight is not look:
            return None
        camera.in_flight = None
        return camera

    def _skip(self, camera: Camera, pending: Pending, reason: SkipReason) -> None:
        self._close(camera, pending)
        camera.counts.skipped[reason] = camera.counts.skipped.get(reason, 0) + 1
        self._totals[f"skipped_{reason}"] += 1
        self._skipped.append(
            SkippedWindow(
                window=window_of(camera.key, pending),
                version=PIPELINE,
                partition=camera.partition,
                position=pending.position,
                reason=reason,
            )
        )

    def _close(self, camera: Camera, pending: Pending) -> None:
        camera.settle(pending.start_us)
        camera.counts.pending -= 1
        self._totals["pending"] -= 1


def _totals(counts: Counts) -> "Counter[str]":
    skipped = {f"skipped_{reason}": many for reason, many in counts.skipped.items()}
    return Counter(offered=counts.offered, looked=counts.looked, pending=counts.pending, **skipped)


def _next_of(backlog: Sequence[Pending]) -> int:
    """The newest stretch first, and that from its beginning."""
    from_us = backlog[-1].start_us // STRETCH_US * STRETCH_US
    return bisect_left(backlog, from_us, key=lambda each: each.start_us)


def _is_late(camera: Camera, start_us: int, now_us: int) -> bool:
    """Newer windows of the camera were told before, and not by a clock that was put back since."""
    last = camera.last_offered
    return last is not None and start_us < last.start_us and not _is_ahead(last, now_us)


def _is_ahead(pending: Pending, now_us: int) -> bool:
    return pending.start_us > now_us + AHEAD_US
