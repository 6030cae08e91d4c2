"""One disk: its ring, its open files, the thread that writes and the thread that commits.

Owns: P1 (append), P2 (commit), P3 (seal) of one data path, and what happens when the disk is slow,
full or gone. The two threads are apart because an fdatasync takes 20-230 ms and a seal longer;
while they last the writer goes on, so what a `kill -9` loses stays under one gather time.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from kilocam.core import Clock, GapCause
from kilocam.record.active import ActiveFile
from kilocam.record.disk import Disk
from kilocam.record.names import FULL, FileName, list_names
from kilocam.record.options import LogOptions
from kilocam.record.recovery import Recovered, recover
from kilocam.record.ring import Item, Ring

_SLICE = 512
"""Items packed at once: two buffers each make one writev of IOV_MAX."""
_RETRY_S = 1.0
_PROBE_S = 5.0
_log = logging.getLogger(__name__)


class Lane:
    """Stores what its ring holds; never raises to those who push."""

    def __init__(
        self,
        path: Path,
        *,
        recorder: str,
        epoch: int,
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
        self.written = 0
        """Everything pushed up to this sequence is in files."""
        self.synced = 0
        """Everything pushed up to this sequence is on stable storage."""
        self.stored_bytes = 0
        self.busy_since: float | None = None
        self.sync_since: float | None = None
        self.flight: list[Item] = []
        """Taken from the ring, not yet known to be written."""
        self._recorder = recorder
        self._epoch = epoch
        self._options = options
        self._disk = disk
        self._clock = clock
        self._roll = roll
        self._on_failed = failed
        self._on_pressed = pressed
        self._files: dict[int, ActiveFile] = {}
        self._retired: list[ActiveFile] = []
        self._hurry = threading.Event()
        self._kick = threading.Event()
        self._stopping = threading.Event()
        self._drained = threading.Event()
        self._broken = False
        self._created = 0
        self._cached: Path | None = None
        self._writer = threading.Thread(target=self._write_loop, name="log-writer", daemon=True)
        self._committer = threading.Thread(target=self._sync_loop, name="log-commit", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._created = max((name.created_us for name in list_names(self.path)), default=0)
        self._writer.start()
        self._committer.start()

    def stop(self, timeout_s: float) -> bool:
        """Write everything, seal every file; False when the disk did not let us in time."""
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        self.hurry()
        self._writer.join(timeout_s)
        self._kick.set()
        self._committer.join(max(0.0, deadline - time.monotonic()))
        return not (self._writer.is_alive() or self._committer.is_alive() or self._files)

    def hurry(self) -> None:
        """Write and commit now instead of gathering."""
        self._hurry.set()
        self.ring.filled.set()
        self._kick.set()

    def files(self) -> list[ActiveFile]:
        """Files not yet sealed; any thread may look at their tallies."""
        return [file for file in (*self._retired, *self._files.values()) if not file.lost]

    # -- the writer thread: P1 ---------------------------------------------------------------

    def _write_loop(self) -> None:
        while True:
            self.ring.filled.wait(1.0)
            self._hurry.wait(self._options.gather_us / 1e6)
            self._hurry.clear()
            if self._broken:
                self._give_up("sync failed")
            if self.ring.closed:
                self._probe()
            elif self._store_ring() and self._stopping.is_set() and not len(self.ring):
                break
            if self._stopping.is_set() and (self.failed or self.ring.closed or self.error):
                break  # what is left was announced as lost by the ring or is handed over
            self._retire(self._is_old)
        self._retire(lambda _: True)
        self._drained.set()
        self._kick.set()

    def _store_ring(self) -> bool:
        items, upto = self.ring.take()
        self.flight = items
        self.busy_since = time.monotonic()
        try:
            self._store()
        except OSError as error:
            self._stumble(error)
            return False
        finally:
            self.busy_since = None
        self.written = upto
        if self.error and items:
            _log.warning("storage path %s works again", self.path)
            self.error, self.failed, self.ring.cause = "", False, GapCause.DISK_SLOW
        return True

    def _store(self) -> None:
        while self.flight and not self.ring.closed:
            rest = self.flight[_SLICE:]
            classes: dict[int, list[Item]] = {}
            for item in self.flight[:_SLICE]:
                classes.setdefault(item.source.keep_us, []).append(item)
            while classes:
                keep_us = next(iter(classes))
                self._append(keep_us, classes[keep_us])
                del classes[keep_us]
                self.flight = [*chain.from_iterable(classes.values()), *rest]

    def _append(self, keep_us: int, items: list[Item]) -> None:
        file = self._files.get(keep_us) or self._open(keep_us)
        before = file.size
        file.append(items)
        self.stored_bytes += file.size - before
        if self._is_large(file):
            self._retire(self._is_large)

    def _open(self, keep_us: int) -> ActiveFile:
        # Names grow even when the clock steps back: order and identity of files hang on them.
        self._created = max(self._clock.wall_us(), self._created + 1)
        name = FileName(
            created_us=self._created, recorder=self._recorder, keep_s=keep_us // 1_000_000
        )
        file = ActiveFile(self._disk, self.path, name, self._epoch)
        try:
            file.open(self._roll())
        except OSError:
            with contextlib.suppress(OSError):
                file.discard()
            raise
        self._files[keep_us] = file
        return file

    def _is_old(self, file: ActiveFile) -> bool:
        age = self._clock.wall_us() - file.name.created_us
        return not 0 <= age < self._options.seal_age_us

    def _is_large(self, file: ActiveFile) -> bool:
        return file.size >= self._options.seal_size

    def _retire(self, due: Callable[[ActiveFile], bool]) -> None:
        for keep, file in list(self._files.items()):
            if due(file):
                self._retired.append(file)
                del self._files[keep]
                self._kick.set()

    # -- trouble -----------------------------------------------------------------------------

    def _stumble(self, error: OSError) -> None:
        """A write failed: keep what is in flight, say why later pieces may be dropped, wait."""
        if not self.error:
            _log.warning("storage path %s: %s; recording goes on in memory", self.path, error)
        reason = error.strerror or str(error)
        if error.errno in FULL:
            self.error = reason
            self.ring.cause = GapCause.DISK_FULL
            self._on_pressed(self.path)
        else:
            self._give_up(reason)
        self.ring.put_back(self.flight)
        self.flight = []
        self._stopping.wait(_RETRY_S)

    def _give_up(self, reason: str) -> None:
        """The disk failed: another lane takes over, or this one goes on trying with new files."""
        self.error, self.failed = reason, True
        self.ring.cause = GapCause.DISK_FAILED
        self._lose_files()
        self._on_failed(self)

    def _lose_files(self) -> None:
        """Never write again to files the disk failed under; recovery seals them later."""
        self._broken = False
        for keep, file in list(self._files.items()):
            file.lost = True
            self._retired.append(file)
            del self._files[keep]
        self._kick.set()

    def _probe(self) -> None:
        """This lane was abandoned: see whether its disk works again, then recover and reopen."""
        self._stopping.wait(_PROBE_S)
        self.flight = []
        probe = self.path / f".probe-{self._recorder}"
        try:
            probe.unlink(missing_ok=True)
            fd = self._disk.create(probe)
            try:
                self._disk.write(fd, [b"probe"], 0)
                self._disk.sync(fd)
            finally:
                self._disk.close(fd)
            self._disk.unlink(probe)
            recover(self.path, self._recorder, self._disk, self._clock.wall_us(), Recovered())
        except OSError as error:
            self.error = error.strerror or str(error)
            return
        _log.warning("storage path %s works again", self.path)
        self.error, self.failed = "", False
        self.ring.cause, self.ring.closed = GapCause.DISK_SLOW, False

    # -- the committing thread: P2, P3 -------------------------------------------------------

    def _sync_loop(self) -> None:
        while True:
            self._kick.wait(self._options.sync_us / 1e6)
            self._kick.clear()
            last = self._drained.is_set()
            self.sync_since = time.monotonic()
            try:
                self._commit()
            finally:
                self.sync_since = None
            if last:
                break

    def _commit(self) -> None:
        upto, clean = self.written, True
        for file in list(self._files.values()):
            clean = self._sync(file) and clean
        for file in list(self._retired):
            clean = self._settle(file) and clean
        if clean:
            self.synced = max(self.synced, upto)

    def _sync(self, file: ActiveFile) -> bool:
        size = file.size
        if size == file.durable:
            return True
        try:
            self._disk.sync(file.fd)
            if not file.durable:
                self._disk.sync_directory(self.path)
        except OSError as error:
            # After a failed fdatasync the kernel has forgotten which pages were dirty: what it
            # says next time proves nothing, so the file is given up.
            _log.warning("storage path %s: sync failed: %s", self.path, error)
            if error.errno not in FULL:
                self._broken = True
            return False
        file.durable = size
        return True

    def _settle(self, file: ActiveFile) -> bool:
        """Seal a retired file, or let go of a lost one; False to be tried again."""
        if not file.lost:
            try:
                self._cool(file.seal(self._clock.wall_us()))
            except OSError as error:
                if error.errno in FULL:
                    self._on_pressed(self.path)
                    return False
                _log.warning("log file %s: cannot be sealed: %s", file.path, error)
        file.close()
        self._retired.remove(file)
        return True

    def _cool(self, sealed: Path) -> None:
        """Keep the newest sealed file cached, for those who look at what was just recorded.

        Footage is written once and seldom read: it must not push all else out of memory.
        """
        before, self._cached = self._cached, sealed
        if before is not None:
            with contextlib.suppress(OSError):  # retention may have deleted it
                self._disk.forget(before)
