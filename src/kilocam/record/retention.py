"""Deleting whole sealed files (P10): by age, by size over all, and to keep some space free.

Owns: which file goes when. Of several recorder processes on one path the one that holds the path's
`retention.lock` deletes for all, so files of a recorder that is no more go as well; the time by
which it reckons is remembered in that file. One thread decides; what it does on a disk is done by
a hand of that disk, so a path that hangs or fails is passed over and counts for nothing meanwhile.
"""

import contextlib
import fcntl
import heapq
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from kilocam.core import Clock
from kilocam.record.age_clock import AgeClock
from kilocam.record.disk import Disk
from kilocam.record.hand import Hand
from kilocam.record.names import FileName, list_names
from kilocam.record.options import LogOptions

LOCK_FILE = "retention.lock"
_PASS_S = 5.0
_LIST_EVERY = 6
"""Passes between listings: files sealed in between, at most 1 GiB at full load, wait for it."""
_GIB = 1 << 30
_MEMORY = 64
"""Bytes read of what `AgeClock` remembers."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


class _Shelf:
    """The files of one path, the sealed ones in a heap per class; listing costs only new names."""

    def __init__(self, path: Path, hang_s: float) -> None:
        self.path = path
        self.hand = Hand(hang_s, "log-retention-disk")
        self.lock = -1
        self.wanted = 0
        """Free bytes asked for by a writer that met a full disk; 0 when none did."""
        self.failing = ""
        """Why this pass does nothing more here."""
        self.said = ""
        self.memory = b""
        """What was remembered of the time, to be taken up."""
        self.newest_us: int | None = None
        self._sealed = 0
        self._sizes: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._classes: dict[int, list[tuple[int, str, FileName]]] = {}

    def refresh(self) -> None:
        """Take in what was sealed or deleted by others since."""
        listed = list_names(self.path)
        names = {str(name): name for name in listed if name.sealed}
        self._open = {str(name): 0 for name in listed if not name.sealed}
        for gone in self._sizes.keys() - names.keys():
            self._sealed -= self._sizes.pop(gone)
        for text in names.keys() - self._sizes.keys():
            try:
                size = (self.path / text).stat().st_size
            except FileNotFoundError:
                continue
            self._sizes[text] = size
            self._sealed += size
            name = names[text]
            self.newest_us = max(self.newest_us or name.last_us, name.last_us)
            heapq.heappush(self._classes.setdefault(name.keep_s, []), (name.last_us, text, name))

    def measure(self) -> None:
        """See how far the files being written have grown; one sealed since counts as it was."""
        for text in self._open:
            with contextlib.suppress(FileNotFoundError):
                self._open[text] = (self.path / text).stat().st_size

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return self._sealed + sum(self._open.values())

    def oldest(self) -> FileName | None:
        """The file whose newest moment is the oldest."""
        heads = [head for heap in self._classes.values() if (head := self._head(heap))]
        return min(heads)[2] if heads else None

    def expired(self, now_us: int) -> FileName | None:
        """A file all of whose footage is older than its class keeps."""
        for keep_s, heap in self._classes.items():
            head = self._head(heap)
            if head is not None and head[0] < now_us - keep_s * 1_000_000:
                return head[2]
        return None

    def _head(self, heap: list[tuple[int, str, FileName]]) -> tuple[int, str, FileName] | None:
        while heap and heap[0][1] not in self._sizes:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def forget(self, name: FileName) -> None:
        """A file was deleted."""
        self._sealed -= self._sizes.pop(str(name), 0)


class Retention:
    """Keeps the log within its limits, in a thread of its own."""

    def __init__(
        self, paths: Sequence[Path], options: LogOptions, disk: Disk, clock: Clock
    ) -> None:
        self._options = options
        self._disk = disk
        self._time = AgeClock(clock)
        self._shelves = [_Shelf(path, options.hang_us / 1e6) for path in paths]
        self._pressed = threading.Event()
        self._stopping = threading.Event()
        self._passes = 0
        self._thread = threading.Thread(target=self._loop, name="log-retention", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a deletion on a disk that hangs is not waited for."""
        self._stopping.set()
        self._pressed.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def press(self, path: Path) -> None:
        """A disk is full: make room for what waits in its ring, now."""
        for shelf in self._shelves:
            if shelf.path == path:
                shelf.wanted = 2 * self._options.ring_bytes
        self._pressed.set()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            pressed = self._pressed.is_set()
            self._pressed.clear()
            try:
                self.run_once(list_anew=pressed or self._passes % _LIST_EVERY == 0)
            except Exception:  # noqa: BLE001 - edge of the thread; a disk must not fill up
                _log.exception("retention failed and is tried again")
            self._passes += 1
            self._pressed.wait(_PASS_S)
        self.release()

    def release(self) -> None:
        """Let another recorder delete."""
        for shelf in self._shelves:
            if shelf.lock >= 0 and not shelf.hand.hangs:
                os.close(shelf.lock)
                shelf.lock = -1

    def run_once(self, *, list_anew: bool = True) -> list[Path]:
        """One pass; the files it deleted."""
        for shelf in self._shelves:
            shelf.failing = ""
        shelves = [shelf for shelf in self._shelves if self._look(shelf, list_anew)]
        deleted: list[Path] = []
        if shelves:
            newest = [shelf.newest_us for shelf in shelves if shelf.newest_us is not None]
            now = self._time.tick(max(newest, default=None))
            for shelf in shelves:
                deleted += self._expire(shelf, now)
            deleted += self._shrink(shelves)
            for shelf in shelves:
                deleted += self._make_room(shelf)
                self._remember(shelf)
        for shelf in self._shelves:
            shelf.said = shelf.failing
        return deleted

    def _at(self, shelf: _Shelf, work: Callable[[], T]) -> T | None:
        """Do something on a disk; None when it failed, and then nothing more in this pass."""
        if shelf.failing:
            return None
        try:
            return shelf.hand.do(work)
        except OSError as error:
            shelf.failing = error.strerror or str(error)
            if shelf.failing != shelf.said:
                _log.warning("storage path %s: retention waits: %s", shelf.path, shelf.failing)
            return None

    def _look(self, shelf: _Shelf, list_anew: bool) -> bool:
        """Whether the files of a path are ours to delete, and can be."""

        def look() -> bool:
            if shelf.lock < 0:
                if not _lock(shelf):
                    return False
                shelf.memory = os.pread(shelf.lock, _MEMORY, 0)
                shelf.refresh()
            elif list_anew:
                shelf.refresh()
            shelf.measure()
            return True

        if not self._at(shelf, look):
            return False
        self._time.resume(shelf.memory)
        shelf.memory = b""
        return True

    def _expire(self, shelf: _Shelf, now: int) -> list[Path]:
        deleted: list[Path] = []
        while (name := shelf.expired(now)) is not None and self._delete(shelf, name, deleted):
            pass
        return deleted

    def _shrink(self, shelves: list[_Shelf]) -> list[Path]:
        deleted: list[Path] = []
        while True:
            able = [shelf for shelf in shelves if not shelf.failing]
            heads = [(head.last_us, i) for i, s in enumerate(able) if (head := s.oldest())]
            if not heads or sum(shelf.total for shelf in able) <= self._options.max_size:
                return deleted
            shelf = able[min(heads)[1]]
            name = shelf.oldest()
            assert name is not None
            self._delete(shelf, name, deleted)

    def _make_room(self, shelf: _Shelf) -> list[Path]:
        deleted: list[Path] = []
        reserve = self._options.reserve
        while (name := shelf.oldest()) is not None:
            room = self._at(shelf, lambda: self._disk.free(shelf.path))
            if room is None:
                return deleted  # what is wanted is wanted still
            free, total = room
            if free >= max(shelf.wanted, min(total // 50, _GIB) if reserve is None else reserve):
                break
            if not self._delete(shelf, name, deleted):
                return deleted
        shelf.wanted = 0
        return deleted

    def _delete(self, shelf: _Shelf, name: FileName, deleted: list[Path]) -> bool:
        file = shelf.path / str(name)

        def unlink() -> bool:
            self._disk.unlink(file)
            return True

        if not self._at(shelf, unlink):
            return False
        shelf.forget(name)
        deleted.append(file)
        return True

    def _remember(self, shelf: _Shelf) -> None:
        self._at(shelf, lambda: os.pwrite(shelf.lock, self._time.memory(), 0))


def _lock(shelf: _Shelf) -> bool:
    if shelf.lock >= 0:
        return True
    fd = os.open(shelf.path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return False
    shelf.lock = fd
    return True
