"""Sign-ins that are over before they expire: links that were used, sessions that were ended.

Asked with every request, so it is answered from memory. A small file beside the keys keeps it, so
that a restart brings none of them back; each is forgotten when it would have expired anyway.
"""

import json
import logging
import os
import threading
from pathlib import Path

from kilocam.core import Clock, SystemClock

_VERSION = 1
_log = logging.getLogger(__name__)


class Spent:
    """Names of what is over, each until when it has to be remembered.

    Args:
        file: where they are kept; None: in memory only.
        clock: tells what may be forgotten.
    """

    def __init__(self, file: Path | None = None, clock: Clock | None = None) -> None:
        self._file = file
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._until = {} if file is None else _read(file)

    def __contains__(self, name: str) -> bool:
        return name in self._until

    def add(self, name: str, until_us: int) -> bool:
        """Remember `name`; whether it was not there yet. Writes the file, so it may block.

        It holds at once, also where the file cannot be written; then until a restart.
        """
        with self._lock:
            if name in self._until:
                return False
            now = self._clock.wall_us()
            kept = {each: until for each, until in self._until.items() if until > now}
            self._until = {**kept, name: until_us}  # replaced, never changed: readers take no lock
            if self._file is not None:
                self._write(self._file)
        return True

    def _write(self, file: Path) -> None:
        fresh = file.with_name(file.name + ".new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as to:
                json.dump({"version": _VERSION, "until_us": self._until}, to)
                to.flush()
                os.fsync(to.fileno())
            fresh.replace(file)
        except OSError as error:
            _log.error(
                "%s: %s; who signed out stays so only until the next start: make room or mend the "
                "permissions", file, error.strerror,
            )  # fmt: skip


def _read(file: Path) -> dict[str, int]:
    """What was remembered. Nothing is better than no gateway where the file is damaged."""
    try:
        content = json.loads(file.read_text())
        return {str(name): int(until) for name, until in content["until_us"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.error(
            "%s cannot be read (%s): sessions that were ended may open again until they expire",
            file, error,
        )  # fmt: skip
        return {}
