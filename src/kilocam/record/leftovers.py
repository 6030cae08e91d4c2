"""Files a disk failed under, sealed as soon as it lets us (P4) and not only at the next start.

Owns: the files of one path that nobody writes any more and that are still open, and a thread of
its own while there are some: reading one back may take seconds, or hang, and nobody waits for it.
"""

import contextlib
import logging
import threading
import time
from pathlib import Path

from kilocam.core import Clock
from kilocam.record.disk import Disk
from kilocam.record.names import FileName
from kilocam.record.recovery import Recovered, recover_file

_FIRST_S, _MOST_S = 0.5, 60.0
_HOLD_S = 60.0
_log = logging.getLogger(__name__)


class Leftovers:
    """Tried again and again, less and less often; what is left at a stop waits for the start."""

    def __init__(self, path: Path, disk: Disk, clock: Clock) -> None:
        self._path = path
        self._disk = disk
        self._clock = clock
        self._lock = threading.Lock()
        self._holds: dict[FileName, float] = {}
        """Until when each holds back what counts as durable."""
        self._added = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, name: FileName, *, hold: bool = False) -> None:
        """A file to be sealed; with `hold` it has bytes of which nobody knows if they are safe."""
        with self._lock:
            until = time.monotonic() + _HOLD_S if hold else 0.0
            self._holds[name] = max(until, self._holds.get(name, 0.0))
            self._added.set()
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(
                    target=self._loop, name="log-leftovers", daemon=True
                )
                self._thread.start()

    @property
    def holding(self) -> bool:
        """What a failed sync left behind may yet be lost: nothing later counts as durable.

        For a minute at most: a bad sector must not stop for ever those who wait for `durable`.
        """
        with self._lock:
            return any(time.monotonic() < until for until in self._holds.values())

    def stop(self) -> None:
        """End; a disk that hangs is not waited for."""
        self._stopping.set()
        self._added.set()
        thread = self._thread
        if thread is not None:
            thread.join(1.0)

    def _loop(self) -> None:
        wait_s = _FIRST_S
        while True:
            if self._added.wait(wait_s):  # a new one does not wait for what old ones have come to
                self._added.clear()
                wait_s = _FIRST_S
                self._stopping.wait(wait_s)
            if self._stopping.is_set():
                return
            wait_s = min(2 * wait_s, _MOST_S)
            for name in list(self._holds):
                if self._seal(name):
                    with self._lock:
                        del self._holds[name]
            with self._lock:
                if not self._holds:
                    self._thread = None
                    return

    def _seal(self, name: FileName) -> bool:
        file = self._path / str(name)
        try:
            with contextlib.suppress(FileNotFoundError):
                # What the kernel still holds proves nothing after a failed sync: read the disk.
                self._disk.forget(file)
            sealed = recover_file(self._path, name, self._disk, self._clock.wall_us(), Recovered())
        except OSError as error:
            _log.info("log file %s: cannot be sealed yet: %s", file, error)
            return False
        except Exception:  # noqa: BLE001 - edge of the thread; the next start tries again
            _log.exception("log file %s: stays open until the next start", file)
        else:
            if sealed is not None:
                _log.info("log file %s: sealed as %s", file, sealed.name)
        return True
