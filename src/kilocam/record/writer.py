"""The log's writer: what ingest calls, and the wiring of lanes, retention and watchdog.

Owns: cameras as sources, sequences, the gap a restart leaves, taps of followers, which lane a
camera goes to. `lane.py` writes.
"""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from kilocam.core import CameraKey, Clock, ConfigError, Gap, GapCause, Piece, Session, SystemClock
from kilocam.record.age_clock import SleepingClock
from kilocam.record.disk import Disk
from kilocam.record.gops import GopSink, GopTracker, Position
from kilocam.record.lane import Lane
from kilocam.record.live import DiskStatus, LiveAnswer, LiveFile, LogStatus
from kilocam.record.names import check_recorder, unusable
from kilocam.record.options import LogOptions
from kilocam.record.recovery import Recovered, mark_stopped
from kilocam.record.retention import Retention
from kilocam.record.ring import Item
from kilocam.record.source import Opened, Source, Tap

CLASSES = 8
"""Distinct retentions; each has its own open file per disk."""
_START_S = 2.0
"""A healthy disk may take this long to list and recover; the hang of a disk, if that is longer."""
_STOP_S = 15.0
_STOP_ABANDONED_S = 2.0
_log = logging.getLogger(__name__)


class LogWriter:
    """Keeps what cameras send. Structurally ingest's `PieceSink`.

    `open_session`, `append`, `gap`, `set_keep`, `account`, `tap` and `untap` are called from one
    thread and never wait; the rest from any.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        recorder: str,
        options: LogOptions | None = None,
        *,
        gops: GopSink | None = None,
        died: GapCause = GapCause.RECORDER_DIED,
        clock: Clock | None = None,
        disk: Disk | None = None,
    ) -> None:
        """Nothing is touched before `start`.

        `died` is how the run before ended, should it turn out that it did not stop cleanly.
        """
        self.recorder = check_recorder(recorder)
        self.epoch = 0
        self._paths = [Path(path) for path in paths]
        self._options = options or LogOptions()
        self._gops = gops
        self._died = died
        self._clock = clock or SystemClock()
        self._disk = disk or Disk()
        self._lanes: list[Lane] = []
        self._sources: dict[tuple[str, str], Source] = {}
        self._classes = {self._options.keep_us}
        self._keeps: dict[CameraKey, int] = {}
        self._sequence = 0
        self._before = Recovered()
        self._abandoning = threading.Lock()
        self._closing = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="log-watchdog", daemon=True)
        ages = clock or SleepingClock()
        self._retention = Retention(self._paths, self._options, self._disk, ages)

    # -- start and stop ----------------------------------------------------------------------

    def start(self) -> None:
        """Check the paths, recover what is there, begin to write. Blocks while it recovers.

        Of several paths one that cannot be used, or takes long, joins when it can (P9).

        Raises:
            ConfigError: no path can be used; one line.
        """
        if not self._paths:
            raise ConfigError("storage.path is empty; name at least one directory")
        now = self._clock.wall_us()
        lanes = [self._make_lane(path) for path in self._paths]
        for lane in lanes:
            lane.begin()
        ready = self._wait_for(lanes)
        for lane in ready:
            assert lane.recovered is not None
            self._before.merge(lane.recovered)
        self._sequence = max(now, self._before.sequence + 1)
        self.epoch = max(now, self._before.epoch + 1)
        for lane in lanes:
            lane.admit(self.epoch, self._sequence, ready=lane in ready)
            if lane not in ready:
                reason = unusable(lane.path, lane.trouble)
                _log.warning("%s; recording starts without it", reason)
        self._lanes = lanes
        self._retention.start()
        self._watchdog.start()

    def _wait_for(self, lanes: list[Lane]) -> list[Lane]:
        """Lanes whose paths are ready: all, or after a while those that are.

        Raises:
            ConfigError: none is, and none can be waited for.
        """
        until = time.monotonic() + max(_START_S, self._options.hang_us / 1e6)
        for lane in lanes:
            lane.answered.wait(max(0.0, until - time.monotonic()))
        while True:
            waiting = [lane for lane in lanes if not lane.answered.is_set()]
            ready = [lane for lane in lanes if lane.recovered is not None]
            if ready:
                return ready
            if not waiting:
                for lane in lanes:
                    lane.dismiss()
                raise unusable(lanes[0].path, lanes[0].trouble)
            waiting[0].answered.wait(0.1)

    def close(self) -> None:
        """Write and seal everything; blocks, but not for longer than a disk may hang."""
        self._closing.set()
        deadline = time.monotonic() + _STOP_S
        # What an abandoned lane had was handed over: it is waited for last, and not for long.
        abandoned = [lane for lane in self._lanes if lane.ring.closed]
        writing = [lane for lane in self._lanes if lane not in abandoned]
        stopped = [lane.stop(max(0.1, deadline - time.monotonic())) for lane in writing]
        for lane in abandoned:
            lane.stop(_STOP_ABANDONED_S)
        self._retention.stop()
        if self._watchdog.is_alive():
            self._watchdog.join(2.0)
        if all(stopped) and not any(len(lane.ring) for lane in self._lanes):
            for lane in writing:
                try:
                    mark_stopped(lane.path, self.recorder)
                except OSError as error:
                    _log.warning("storage path %s: no mark of the stop: %s", lane.path, error)

    def _make_lane(self, path: Path) -> Lane:
        return Lane(
            path,
            recorder=self.recorder,
            options=self._options,
            disk=self._disk,
            clock=self._clock,
            roll=self._roll,
            failed=self._abandon,
            pressed=self._retention.press,
        )

    # -- what ingest calls -------------------------------------------------------------------

    def open_session(self, session: Session) -> None:
        """A camera plays; its pieces follow."""
        source = self._source(session.tenant, session.camera)
        source.opened = Opened(session)
        source.keep_us = self._class_of(source.key)
        source.lane = self._lane_of(source.key)

    def append(self, piece: Piece) -> None:
        """Keep one piece of the session opened last for its camera.

        Raises:
            ValueError: that session was not opened.
        """
        source = self._sources.get((piece.tenant, piece.camera))
        opened = source.opened if source else None
        if source is None or opened is None or opened.session.session != piece.session:
            raise ValueError(
                f"camera {piece.tenant}/{piece.camera}: session {piece.session} is not open; "
                "call open_session first"
            )
        if not source.accounted:
            self._account(source, piece.wall_us)
        sequence = self._next_sequence()
        end = piece.wall_us + piece.duration_us
        if source.last_us is None or end > source.last_us:
            source.last_us = end
        self._push(Item(source, opened, sequence, piece))
        if self._gops is not None:
            tracker = source.tracker
            if tracker is None:
                tracker = source.tracker = GopTracker()
            ref = tracker.feed(opened.session, piece, len(piece.payload))
            if ref is not None:
                self._gops.announce(ref, Position(recorder=self.recorder, sequence=sequence))
        for tap in source.taps:
            tap(opened.session, piece)

    def gap(self, tenant: str, camera: str, gap: Gap) -> None:
        """Nothing was received from this camera in this stretch, and why."""
        source = self._source(tenant, camera)
        if not source.accounted:
            if gap.cause is GapCause.NOT_CONNECTED and source.key in self._before.last:
                # Merely not connected again yet: what is missing is the restart's doing.
                self._account(source, gap.end_us, lasting=True)
                return
            self._account(source, gap.start_us)
        if gap.end_us > gap.start_us:
            self._push_gap(source, gap)

    def set_keep(self, key: CameraKey, keep_us: int) -> None:
        """Retention of one camera, from its next piece on."""
        self._keeps[key] = keep_us
        source = self._sources.get((key.tenant, key.camera))
        if source is not None:
            source.keep_us = self._class_of(key)

    def account(self, key: CameraKey, until_us: int) -> None:
        """Write the gap since the last run up to `until_us` now; later calls extend it."""
        if key in self._before.last:
            self._account(self._source(key.tenant, key.camera), until_us, lasting=True)

    def tap(self, key: CameraKey, callback: Tap) -> Session | None:
        """Hand each piece of a camera to `callback` too; the session open now."""
        source = self._source(key.tenant, key.camera)
        source.taps = (*source.taps, callback)
        return source.opened.session if source.opened else None

    def untap(self, key: CameraKey, callback: Tap) -> None:
        """End a `tap`."""
        source = self._source(key.tenant, key.camera)
        source.taps = tuple(tap for tap in source.taps if tap != callback)

    # -- what anyone may ask -----------------------------------------------------------------

    def last_stored(self, key: CameraKey) -> int | None:
        """End of the newest footage or gap of a camera, this run's or an earlier one's."""
        source = self._sources.get((key.tenant, key.camera))
        if source is not None and source.last_us is not None:
            return source.last_us
        return self._before.last.get(key)

    def durable(self) -> int:
        """Sequence up to which everything accepted is on stable storage."""
        with self._abandoning:  # not between two lanes
            # What was pushed before, not what has a sequence: that may be on its way to a ring.
            accepted = max((lane.ring.pushed for lane in self._lanes), default=0)
            for ring in (lane.ring for lane in self._lanes):
                if not ring.closed and ring.synced < ring.pushed:
                    accepted = min(accepted, ring.synced)
        return accepted

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything accepted so far is durable; False when time ran out."""
        deadline = time.monotonic() + timeout_s
        target = self._sequence
        while self.durable() < target:
            if time.monotonic() > deadline:
                return False
            for lane in self._lanes:
                lane.hurry()
            time.sleep(0.005)
        return True

    def where(self, key: CameraKey, from_us: int, to_us: int) -> LiveAnswer:
        """What the unsealed files hold of a camera; sessions always."""
        files = []
        for lane in self._lanes:
            for file in lane.files():
                touching = tuple(file.tally.touching(key, from_us, to_us))
                files.append(LiveFile(path=file.path, epoch=file.epoch, entries=touching))
        return LiveAnswer(files=tuple(files))

    def unsealed(self, key: CameraKey) -> int:
        """Entries of a camera in unsealed files: what `where` goes through."""
        return sum(file.tally.count(key) for lane in self._lanes for file in lane.files())

    def status(self) -> LogStatus:
        """The writer's state."""
        return LogStatus(
            recorder=self.recorder,
            epoch=self.epoch,
            cameras=len(self._sources),
            accepted=self._sequence,
            durable=self.durable(),
            disks=tuple(
                DiskStatus(
                    path=str(lane.path),
                    error=lane.error,
                    ring_bytes=lane.ring.bytes,
                    dropped=lane.ring.dropped,
                    stored_bytes=lane.stored_bytes,
                )
                for lane in self._lanes
            ),
        )

    # -- sources, sequences, gaps ------------------------------------------------------------

    def _source(self, tenant: str, camera: str) -> Source:
        source = self._sources.get((tenant, camera))
        if source is None:
            key = CameraKey(tenant, camera)
            source = Source(key, self._lane_of(key), self._class_of(key), self.epoch)
            self._sources[tenant, camera] = source
        return source

    def _next_sequence(self) -> int:
        """A hybrid logical clock: near the wall clock, but it never goes back (I9)."""
        sequence = self._sequence + 1
        now = self._clock.wall_us()
        self._sequence = sequence = max(now, sequence)
        return sequence

    def _push(self, item: Item) -> None:
        while not item.source.lane.ring.push(item):
            item.source.lane = self._lane_of(item.source.key)

    def _push_gap(self, source: Source, gap: Gap) -> None:
        if source.last_us is None or gap.end_us > source.last_us:
            source.last_us = gap.end_us
        self._push(Item(source, source.opened, self._next_sequence(), gap))

    def _account(self, source: Source, until_us: int, *, lasting: bool = False) -> None:
        """The gap between two runs (P5): nobody else knows where the last one ended."""
        source.accounted = not lasting
        last = self._before.last.pop(source.key, None)
        if last is None:
            return
        if until_us > last:
            stopped = self._before.stopped
            cause = GapCause.RECORDER_STOPPED if stopped else self._died
            self._push_gap(source, Gap(start_us=last, end_us=until_us, cause=cause))
        if lasting:
            self._before.last[source.key] = max(last, until_us)

    def _roll(self) -> dict[str, int]:
        """The last stored moment of every camera not yet forgotten; first record of each file."""
        horizon = self._clock.wall_us() - max(self._classes)
        known = dict(self._before.last)
        for source in list(self._sources.values()):
            if source.stored_us is not None:
                known[source.key] = max(source.stored_us, known.get(source.key, 0))
        return {str(key): last for key, last in known.items() if last >= horizon}

    def _class_of(self, key: CameraKey) -> int:
        """The retention class of a camera: its own `keep`, or the next longer of eight."""
        keep = self._keeps.get(key, self._options.keep_us)
        if keep in self._classes:
            return keep
        longer = [known for known in self._classes if known > keep]
        if len(self._classes) >= CLASSES:
            if longer:
                return min(longer)
            self._classes.discard(min(self._classes))
        self._classes.add(keep)
        return keep

    # -- lanes -------------------------------------------------------------------------------

    def _lane_of(self, key: CameraKey) -> Lane:
        """The camera's own disk, or the next one that works; its own when none does."""
        count = len(self._lanes)
        preferred = key.partition % count
        for step in range(count):
            lane = self._lanes[(preferred + step) % count]
            if not lane.failed and not lane.ring.closed:
                return lane
        return next((lane for lane in self._lanes if not lane.ring.closed), self._lanes[preferred])

    def _abandon(self, lane: Lane) -> bool:
        """Hand a failed lane's cameras to another lane (P9); False when there is none."""
        with self._abandoning:
            if lane.ring.closed:
                return True
            others = [x for x in self._lanes if x is not lane and x.takes_over]
            if not others:
                return False
            lane.ring.close_into(others[0].ring)
        _log.warning("storage path %s is abandoned for %s", lane.path, others[0].path)
        return True

    def _watch(self) -> None:
        """Notice a disk that hangs; this thread touches no disk itself."""
        limit = self._options.hang_us / 1e6
        while not self._closing.wait(min(1.0, limit / 4)):
            now = time.monotonic()
            for lane in self._lanes:
                since = lane.waits_since()
                if since is not None and now - since > limit and not lane.ring.closed:
                    lane.error = lane.error or "hangs"
                    lane.failed = True
                    lane.ring.cause = GapCause.DISK_FAILED
                    self._abandon(lane)
