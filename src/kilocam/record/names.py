"""Names of files, and the directory that holds them.

Owns: the name scheme, the version of a data path, listing.

    1774550000000000_r0_604800.kcw.open                                  being written
    1774550000000000_r0_604800_1774549999000000_1774550060000000.kcw     sealed

The parts: microseconds of creation, recorder, retention class in seconds, and once sealed the
first and last moment in the file, so that a listing alone says which files a question needs.
"""

import errno
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kilocam.core import ConfigError
from kilocam.record.hand import in_thread

LOG_VERSION = 1
VERSION_FILE = "log-version"
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
"""Errors that retention or an operator mends by making room."""
OPEN, SEALED = ".kcw.open", ".kcw"
_NAME = re.compile(
    r"(\d{16})_([a-z0-9][a-z0-9-]{0,31})_(\d{1,12})(?:_(-?\d+)_(-?\d+)\.kcw|\.kcw\.open)"
)
_RECORDER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FileName:
    """What a file's name says."""

    created_us: int
    recorder: str
    keep_s: int
    first_us: int = 0
    last_us: int = 0
    sealed: bool = False

    def __str__(self) -> str:
        stem = f"{self.created_us:016d}_{self.recorder}_{self.keep_s}"
        return f"{stem}_{self.first_us}_{self.last_us}{SEALED}" if self.sealed else stem + OPEN

    @property
    def identity(self) -> tuple[int, str, int]:
        """The same before and after sealing."""
        return self.created_us, self.recorder, self.keep_s


def parse_name(name: str) -> FileName | None:
    """What a file's name says; None for files that are not the log's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    created, recorder, keep, first, last = match.groups()
    return FileName(
        created_us=int(created),
        recorder=recorder,
        keep_s=int(keep),
        first_us=int(first or 0),
        last_us=int(last or 0),
        sealed=first is not None,
    )


def raw_names(path: Path) -> list[str]:
    """What is in a directory, in no order; nothing when it does not exist."""
    try:
        return os.listdir(path)  # noqa: PTH208 - 75,000 names, no Path object for each
    except FileNotFoundError:
        return []


def list_names(path: Path) -> list[FileName]:
    """The log's files in a directory, oldest first; none when it does not exist."""
    return sorted(found for name in raw_names(path) if (found := parse_name(name)))


def log_files(paths: Sequence[Path]) -> list[Path]:
    """Every file of these data paths, oldest first."""
    found = [(name, path / str(name)) for path in paths for name in list_names(path)]
    return [file for _, file in sorted(found)]


def check_recorder(name: str) -> str:
    """A recorder's name if it is well-formed.

    Raises:
        ConfigError: it is not.
    """
    if not _RECORDER.fullmatch(name):
        raise ConfigError(
            f"recorder name {name!r} is not valid: use 1 to 32 of a-z, 0-9 and '-', "
            "starting with a letter or digit"
        )
    return name


def prepare_path(path: Path) -> None:
    """Make a data path ready for writing, or say in one line why it cannot be used.

    Raises:
        ConfigError: it is a file, cannot be made or written, or is of a newer version.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        version = path / VERSION_FILE
        try:
            found = version.read_text().strip()
        except FileNotFoundError:
            found = ""
        _check_version(path, found)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        if not found:
            version.write_text(f"{LOG_VERSION}\n")
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(
            f"storage path {path}: it or a parent is a file, not a directory; "
            "move the file away or set storage.path to a directory"
        ) from None
    except PermissionError:
        raise ConfigError(
            f"storage path {path}: no permission to write there as user {os.geteuid()}; "
            "change its owner or mode, or set storage.path to another directory"
        ) from None
    except OSError as error:
        # A disk that is full now may have space later; the writer says so by a gap.
        if error.errno not in FULL:
            raise unusable(path, error) from None


def unusable(path: Path, error: Exception | None) -> Exception:
    """The one line about a path that failed, or with None did not answer."""
    if error is not None and not isinstance(error, OSError):
        return error
    reason = (error.strerror or str(error)) if error else "it does not answer"
    return ConfigError(
        f"storage path {path}: {reason}; "
        "mount it for writing or set storage.path to another directory"
    )


def prepare_paths(paths: Sequence[Path], limit_s: float = 10.0) -> None:
    """See that a data path is ready for writing; of the others the recorder makes what it can.

    Raises:
        ConfigError: none can be used; what is wrong with the first that said so.
    """
    asked = [in_thread(partial(prepare_path, path), "log-path") for path in paths]
    waiting, until = set(asked), time.monotonic() + limit_s
    while waiting and (left := until - time.monotonic()) > 0:
        done, waiting = wait(waiting, left, FIRST_COMPLETED)
        if any(found.exception() is None for found in done):
            return
    for found in asked:
        if found.done() and (error := found.exception()) is not None:
            raise error
    if paths:
        raise unusable(paths[0], None)


def _check_version(path: Path, found: str) -> None:
    if found and not found.isdigit():
        raise ConfigError(
            f"storage path {path}: {VERSION_FILE} holds {found!r}, not a version; "
            "restore it or set storage.path to another directory"
        )
    if found and int(found) > LOG_VERSION:
        raise ConfigError(
            f"storage path {path}: written by a newer Kilocam (log version {found}, this one knows "
            f"{LOG_VERSION}); run that Kilocam or set storage.path to another directory"
        )
