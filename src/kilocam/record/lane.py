"""One disk: its ring, and the thread that makes its path ready and writes.

Owns: P1 (append) of one data path, and what happens when the disk is slow, full or gone, at the
start too. `committer.py` syncs and seals.
"""

import contextlib
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from kilocam.core import Clock, ConfigError, GapCause, KilocamError
from kilocam.record.active import ActiveFile
from kilocam.record.committer import Committer
from kilocam.record.disk import Disk
from kilocam.record.names import FULL, FileName, list_names, prepare_path
from kilocam.record.options import LogOptions
from kilocam.record.recovery import Recovered, recover
from kilocam.record.ring import Item, Ring

_SLICE = 512
"""Items packed at once: two buffers each make one writev of IOV_MAX."""
_RETRY_S = 1.0
_log = logging.getLogger(__name__)


class Lane:
    """Stores what its ring holds; never raises to those who push."""

    def __init__(
        self,
        path: Path,
        *,
        recorder: str,
        options: LogOptions,
        disk: Disk,
        clock: Clock,
        roll: Callable[[], dict[str, int]],
        failed: Callable[["Lane"], bool],
        pressed: Callable[[Path], None],
    ) -> None:
        """`failed` tries to hand the ring to another lane; `pressed` asks retention for room."""
        self.path = path
        self.ring = Ring(options.ring_bytes)
        self.failed = False
        self.error = ""
        self.stored_bytes = 0
        self.busy_since: float | None = None
        self.answered = threading.Event()
        """The path was made ready and recovered, or cannot be."""
        self.recovered: Recovered | None = None
        self.trouble: Exception | None = None
        self._recorder = recorder
        self._epoch = 0
        self._options = options
        self._disk = disk
        self._clock = clock
        self._roll = roll
        self._on_failed = failed
        self._on_pressed = pressed
        self._committer = Committer(
            path, self.ring, options=options, disk=disk, clock=clock, pressed=pressed
        )
        self._files = self._committer.files
        self._hurry = threading.Event()
        self._admitted = threading.Event()
        self._stopping = threading.Event()
        self._created = 0
        self._writer = threading.Thread(target=self._run, name="log-writer", daemon=True)

    # -- start and stop ----------------------------------------------------------------------

    def begin(self) -> None:
        """Make the path ready and recover it (P4), in the lane's own thread: a disk may hang."""
        self._writer.start()

    def admit(self, epoch: int, sequence: int, *, ready: bool) -> None:
        """Write from now on; a path that is not ready is an abandoned lane, and probed (P9)."""
        self._epoch = epoch
        if not ready:
            self.error, self.failed = _reason(self.trouble) if self.trouble else "hangs", True
        self.ring.begin(sequence, closed=not ready)
        self._committer.start()
        self._admitted.set()

    def dismiss(self) -> None:
        """There is nothing to write: the lane's thread ends."""
        self._admitted.set()

    def stop(self, timeout_s: float) -> bool:
        """Write everything, seal every file; False when the disk did not let us in time."""
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        self.hurry()
        self._writer.join(timeout_s)
        committed = self._committer.join(max(0.0, deadline - time.monotonic()))
        return committed and not self._writer.is_alive()

    def hurry(self) -> None:
        """Write and commit now instead of gathering."""
        self._hurry.set()
        self.ring.filled.set()
        self._committer.hurry()

    def files(self) -> list[ActiveFile]:
        """Files not yet sealed; any thread may look at their tallies."""
        return self._committer.unsealed()

    @property
    def takes_over(self) -> bool:
        """It can write what another lane had: at a stop one may have ended before the other."""
        return not (self.failed or self.ring.closed) and self._writer.is_alive()

    def waits_since(self) -> float | None:
        """Since when a write or a sync has not returned; None when none is under way."""
        since = [t for t in (self.busy_since, self._committer.since) if t is not None]
        return min(since, default=None)

    def _run(self) -> None:
        try:
            self.recovered = self._recover()
        except Exception as error:  # noqa: BLE001 - whoever starts us says what it means
            self.trouble = error
        self.answered.set()
        self._admitted.wait()
        if self._epoch:
            while self._round():
                pass
            self._committer.retire(lambda _: True)
            self._committer.finish()

    def _recover(self) -> Recovered:
        prepare_path(self.path)
        found = Recovered()
        recover(self.path, self._recorder, self._disk, self._clock.wall_us(), found)
        for name in found.left:
            self._committer.leftovers.add(name)
        names = list_names(self.path)
        self._created = max([self._created, *(name.created_us for name in names)])
        return found

    # -- the writing thread: P1 --------------------------------------------------------------

    def _round(self) -> bool:
        """Gather, then write; False when it was the last time."""
        self.ring.filled.wait(1.0)
        self._hurry.wait(self._options.gather_us / 1e6)
        self._hurry.clear()
        stopping = self._stopping.is_set()
        try:
            broken = self._committer.broken
            if broken is not None:
                self._committer.lose()
                self._stumble(broken)
            elif self.ring.closed:
                self._probe()
            else:
                self._store_ring()
                self._committer.retire(self._is_old)
        except Exception as error:  # noqa: BLE001 - logged; the thread goes on whatever it was
            self._stumble(error)
        # At a stop: what a disk does not take was announced as lost by the ring, or handed over.
        done = self.failed or self.ring.closed or self.error or not len(self.ring)
        return not (stopping and done)

    def _store_ring(self) -> None:
        mark = self.ring.take()
        some = bool(self.ring.flight)
        try:
            self._store()
        finally:
            self.busy_since = None
        self._committer.written = mark
        if self.error and some and not self.ring.closed and not self._sync_hangs():
            _log.warning("storage path %s works again", self.path)
            self.error, self.failed, self.ring.cause = "", False, GapCause.DISK_SLOW

    def _sync_hangs(self) -> bool:
        since = self._committer.since
        return since is not None and time.monotonic() - since > self._options.hang_us / 1e6

    def _store(self) -> None:
        ring = self.ring
        while ring.flight and not ring.closed:
            self.busy_since = time.monotonic()  # each time: a whole ring may take long
            flight = ring.flight
            rest = flight[_SLICE:]
            classes: defaultdict[int, list[Item]] = defaultdict(list)
            for item in flight[:_SLICE]:
                classes[item.source.keep_us].append(item)
            while classes:
                keep_us = next(iter(classes))
                self._append(keep_us, classes[keep_us])
                del classes[keep_us]
                ring.flight = [*chain.from_iterable(classes.values()), *rest]

    def _append(self, keep_us: int, items: list[Item]) -> None:
        file = self._files.get(keep_us) or self._open(keep_us)
        before = file.size
        file.append(items)
        self.stored_bytes += file.size - before
        if self._is_large(file):
            self._committer.retire(self._is_large)

    def _open(self, keep_us: int) -> ActiveFile:
        # Names grow even when the clock steps back: order and identity of files hang on them.
        self._created = max(self._clock.wall_us(), self._created + 1)
        name = FileName(
            created_us=self._created, recorder=self._recorder, keep_s=keep_us // 1_000_000
        )
        file = ActiveFile(self._disk, self.path, name, self._epoch)
        file.opened_us = self._clock.monotonic_us()
        try:
            file.open(self._roll())
        except OSError:
            with contextlib.suppress(OSError):
                file.discard()
            raise
        self._files[keep_us] = file
        return file

    def _is_old(self, file: ActiveFile) -> bool:
        return self._clock.monotonic_us() - file.opened_us >= self._options.seal_age_us

    def _is_large(self, file: ActiveFile) -> bool:
        return file.size >= self._options.seal_size

    # -- trouble -----------------------------------------------------------------------------

    def _stumble(self, error: Exception) -> None:
        """A write failed: keep what is in flight, say why later pieces may be dropped, wait.

        A fault of ours is met as one of the disk: with other files, or another disk, it may not
        happen again, and nothing of what waits is lost by it.
        """
        reason, ours = _reason(error), not isinstance(error, OSError)
        if reason != self.error:
            text = "storage path %s: %s; recording goes on in memory"
            _log.warning(text, self.path, reason, exc_info=error if ours else None)
        if isinstance(error, OSError) and error.errno in FULL:
            self.error = reason
            self.ring.cause = GapCause.DISK_FULL
            self._on_pressed(self.path)
        else:
            self._give_up(reason)
        self.ring.give_back()
        self._stopping.wait(_RETRY_S)

    def _give_up(self, reason: str) -> None:
        """The disk failed: another lane takes over, or this one goes on trying with new files."""
        self.error, self.failed = reason, True
        self.ring.cause = GapCause.DISK_FAILED
        self._committer.lose()
        self._on_failed(self)

    def _probe(self) -> None:
        """This lane was abandoned: see whether its disk works again, then recover and reopen."""
        if self._stopping.wait(self._options.hang_us / 2e6):
            return
        self._committer.lose()
        probe = self.path / f".probe-{self._recorder}"
        try:
            prepare_path(self.path)
            probe.unlink(missing_ok=True)
            fd = self._disk.create(probe)
            try:
                self._disk.write(fd, [b"probe"], 0)
                self._disk.sync(fd)
            finally:
                self._disk.close(fd)
            self._disk.unlink(probe)
            self._recover()
        except (OSError, ConfigError) as error:
            self.error = _reason(error)
            return
        _log.warning("storage path %s works again", self.path)
        self.error, self.failed = "", False
        self.ring.reopen()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, KilocamError) else repr(error)
