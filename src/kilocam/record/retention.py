"""Deleting whole sealed files (P10): by age, by size over all, and to keep some space free.

Owns: which file goes when. Of several recorder processes on one path the one that holds the path's
`retention.lock` deletes for all, so files of a recorder that is no more go as well.
"""

import fcntl
import heapq
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from kilocam.core import Clock
from kilocam.record.disk import Disk
from kilocam.record.names import FileName, list_names
from kilocam.record.options import LogOptions

LOCK_FILE = "retention.lock"
_PASS_S = 5.0
_LIST_EVERY = 6
"""Passes between listings: files sealed in between, at most 1 GiB at full load, wait for it."""
_GIB = 1 << 30
_log = logging.getLogger(__name__)


class _Shelf:
    """The sealed files of one path, a heap per class; listing costs only new names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.total = 0
        self.lock = -1
        self.wanted = 0
        """Free bytes asked for by a writer that met a full disk; 0 when none did."""
        self._sizes: dict[str, int] = {}
        self._classes: dict[int, list[tuple[int, str, FileName]]] = {}

    def refresh(self) -> None:
        """Take in what was sealed or deleted by others since."""
        names = {str(name): name for name in list_names(self.path) if name.sealed}
        for gone in self._sizes.keys() - names.keys():
            self.total -= self._sizes.pop(gone)
        for text in names.keys() - self._sizes.keys():
            try:
                size = (self.path / text).stat().st_size
            except FileNotFoundError:
                continue
            self._sizes[text] = size
            self.total += size
            name = names[text]
            heapq.heappush(self._classes.setdefault(name.keep_s, []), (name.last_us, text, name))

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
        self.total -= self._sizes.pop(str(name), 0)


class Retention:
    """Keeps the log within its limits, in a thread of its own."""

    def __init__(
        self, paths: Sequence[Path], options: LogOptions, disk: Disk, clock: Clock
    ) -> None:
        self._options = options
        self._disk = disk
        self._clock = clock
        self._shelves = [_Shelf(path) for path in paths]
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
            except OSError as error:
                _log.warning("retention: %s", error)
            self._passes += 1
            self._pressed.wait(_PASS_S)
        self.release()

    def release(self) -> None:
        """Let another recorder delete."""
        for shelf in self._shelves:
            if shelf.lock >= 0:
                os.close(shelf.lock)
                shelf.lock = -1

    def run_once(self, *, list_anew: bool = True) -> list[Path]:
        """One pass; the files it deleted."""
        shelves = [shelf for shelf in self._shelves if _lock(shelf)]
        deleted: list[Path] = []
        now = self._clock.wall_us()
        for shelf in shelves:
            if list_anew:
                shelf.refresh()
            while (name := shelf.expired(now)) is not None:
                deleted.append(self._delete(shelf, name))
        deleted += self._shrink(shelves)
        for shelf in shelves:
            deleted += self._make_room(shelf)
        return deleted

    def _shrink(self, shelves: list[_Shelf]) -> list[Path]:
        deleted = []
        while sum(shelf.total for shelf in shelves) > self._options.max_size:
            heads = [(head.last_us, i) for i, s in enumerate(shelves) if (head := s.oldest())]
            if not heads:
                break
            shelf = shelves[min(heads)[1]]
            name = shelf.oldest()
            assert name is not None
            deleted.append(self._delete(shelf, name))
        return deleted

    def _make_room(self, shelf: _Shelf) -> list[Path]:
        deleted = []
        while (name := shelf.oldest()) is not None:
            free, total = self._disk.free(shelf.path)
            reserve = self._options.reserve
            if free >= max(shelf.wanted, min(total // 50, _GIB) if reserve is None else reserve):
                break
            deleted.append(self._delete(shelf, name))
        shelf.wanted = 0
        return deleted

    def _delete(self, shelf: _Shelf, name: FileName) -> Path:
        file = shelf.path / str(name)
        self._disk.unlink(file)
        shelf.forget(name)
        return file


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
