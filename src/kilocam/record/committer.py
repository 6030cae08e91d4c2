"""The thread of one lane that syncs and seals (P2, P3), and lets go of files its disk failed under.

Apart from the writing thread because an fdatasync takes 20-230 ms and a seal longer; while they
last the writer goes on, so what a `kill -9` loses stays under one gather time.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from kilocam.core import Clock
from kilocam.record.active import ActiveFile
from kilocam.record.disk import Disk
from kilocam.record.leftovers import Leftovers
from kilocam.record.names import FULL
from kilocam.record.options import LogOptions
from kilocam.record.ring import Mark, Ring

_log = logging.getLogger(__name__)


class Committer:
    """The files of one lane that are not sealed yet.

    `files`, `written`, `retire`, `lose` and `finish` are the writing thread's.
    """

    def __init__(
        self,
        path: Path,
        ring: Ring,
        *,
        options: LogOptions,
        disk: Disk,
        clock: Clock,
        pressed: Callable[[Path], None],
    ) -> None:
        self.files: dict[int, ActiveFile] = {}
        """By class, being written."""
        self.written = Mark(0, 0)
        """What is in files."""
        self.broken: Exception | None = None
        """What a sync or a seal met; the writing thread takes it up."""
        self.since: float | None = None
        self.leftovers = Leftovers(path, disk, clock)
        self._path = path
        self._ring = ring
        self._options = options
        self._disk = disk
        self._clock = clock
        self._on_pressed = pressed
        self._retired: list[ActiveFile] = []
        self._cached: Path | None = None
        self._kick = threading.Event()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="log-commit", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the last commit, after `finish`; False when the disk did not let it end."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self.leftovers.stop()
        return not self._thread.is_alive() and not self.files

    def hurry(self) -> None:
        """Commit now."""
        self._kick.set()

    def unsealed(self) -> list[ActiveFile]:
        """Files that are readable and not sealed; for any thread."""
        return [file for file in (*self._retired, *self.files.values()) if not file.lost]

    # -- called by the writing thread --------------------------------------------------------

    def retire(self, due: Callable[[ActiveFile], bool]) -> None:
        """Have the files that are due sealed."""
        for keep, file in list(self.files.items()):
            if due(file):
                self._retired.append(file)
                del self.files[keep]
                self._kick.set()

    def lose(self) -> None:
        """Never write again to files the disk failed under; `Leftovers` seals them."""
        self.broken = None
        for file in list(self.files.values()):
            file.lost = True
        self.retire(lambda _: True)

    def finish(self) -> None:
        """All is written: commit once more, then end."""
        self._finished.set()
        self._kick.set()

    # -- P2, P3 ------------------------------------------------------------------------------

    def _loop(self) -> None:
        last = False
        while not last:
            self._kick.wait(self._options.sync_us / 1e6)
            self._kick.clear()
            last = self._finished.is_set()
            try:
                self._commit()
            except Exception as error:  # noqa: BLE001 - edge; the writing thread takes it up
                self.broken = error
            finally:
                self.since = None

    def _commit(self) -> None:
        mark, clean = self.written, True
        for file in list(self.files.values()):
            self.since = time.monotonic()  # each time: many files may take long
            clean = self._sync(file) and clean
        for file in list(self._retired):
            self.since = time.monotonic()
            clean = self._settle(file) and clean
        if clean and not self.leftovers.holding:
            self._ring.settle(mark)

    def _sync(self, file: ActiveFile) -> bool:
        if file.lost:
            return False
        size = file.size
        if size == file.durable:
            return True
        try:
            self._disk.sync(file.fd)
            if not file.durable:
                self._disk.sync_directory(self._path)
        except OSError as error:
            # After a failed fdatasync the kernel has forgotten which pages were dirty: what it
            # says next time proves nothing, so the file is given up.
            _log.warning("storage path %s: sync failed: %s", self._path, error)
            file.lost, self.broken = True, error
            return False
        file.durable = size
        return True

    def _settle(self, file: ActiveFile) -> bool:
        """Seal a retired file, or let go of a lost one; False when its bytes are not yet safe."""
        if not file.lost:
            try:
                self._cool(file.seal(self._clock.wall_us()))
            except Exception as error:  # noqa: BLE001 - whatever it was, its records are there
                if isinstance(error, OSError) and error.errno in FULL and not file.lost:
                    self._on_pressed(self._path)
                    return False
                _log.warning("log file %s: cannot be sealed: %r", file.path, error)
                file.lost, self.broken = True, error
        self._retired.remove(file)
        try:
            file.close()
        except OSError as error:
            _log.warning("log file %s: closed with: %s", file.path, error)
        if file.lost:
            self.leftovers.add(file.name, hold=file.durable < file.size)
        return not file.lost

    def _cool(self, sealed: Path) -> None:
        """Keep the newest sealed file cached, for those who look at what was just recorded.

        Footage is written once and seldom read: it must not push all else out of memory.
        """
        before, self._cached = self._cached, sealed
        if before is not None:
            with contextlib.suppress(OSError):  # retention may have deleted it
                self._disk.forget(before)
