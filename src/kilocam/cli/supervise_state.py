"""The supervisor's mark in `DATA/run`: the lock that keeps a second one out, and status.json."""

import fcntl
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from kilocam.cli.data import unusable
from kilocam.cli.supervise_spec import ChildStatus
from kilocam.core import ConfigError, now_us

STATUS_VERSION = 1
_FRESH_US = 10_000_000
"""The status is written each second."""


class DataLock:
    """Held by the one supervisor of a data directory; the kernel frees it however we end."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "lock"
        self._fd = -1

    def __enter__(self) -> "DataLock":
        """Take it.

        Raises:
            ConfigError: another process holds it, or the directory cannot be written.
        """
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(self._path.parent.parent, error) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise ConfigError(
                f"data directory {self._path.parent.parent} is in use by kilocam, process "
                f"{holder}; stop that one or choose another with --data"
            ) from None
        os.ftruncate(self._fd, 0)
        with suppress(OSError):  # a full disk: the lock holds all the same, it only names nobody
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def living(run_dir: Path) -> int | None:
    """The process of the supervisor that has this data directory; None: none runs."""
    try:
        status = json.loads((run_dir / "status.json").read_text())
        fresh = now_us() - status["updated_us"] < _FRESH_US
        return int(status["pid"]) if fresh and status["state"] != "stopped" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_status(run_dir: Path, state: str, children: Sequence[ChildStatus]) -> None:
    """Replace status.json in one step."""
    write_whole(
        run_dir / "status.json",
        json.dumps(
            {
                "version": STATUS_VERSION,
                "pid": os.getpid(),
                "state": state,
                "updated_us": now_us(),
                "children": [asdict(child) for child in children],
            },
            indent=1,
        ),
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file of mode 600 that readers see whole or not at all; lost at a power cut."""
    temporary = path.with_name(path.name + ".new")
    with os.fdopen(
        os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w"
    ) as file:
        file.write(text)
    try:
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
