"""A disk that fails when told, over a real directory."""

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from kilocam.record.disk import Disk


class FaultyDisk(Disk):
    """Real files; `room` bytes may still be written, paths in `broken` give EIO, others hang.

    `fault` is raised by each write, `sync_errno` by each sync, while they are set.
    """

    def __init__(self) -> None:
        self.room: int | None = None
        self.broken: set[Path] = set()
        self.hanging: set[Path] = set()
        self.released = threading.Event()
        self.largest_write: int | None = None
        self.fault: Exception | None = None
        self.sync_errno: int | None = None

    def create(self, file: Path) -> int:
        self._trouble(file.parent)
        return super().create(file)

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        self._trouble(_directory(fd))
        if self.fault is not None:
            raise self.fault
        data = b"".join(buffers)
        if self.largest_write is not None:
            data = data[: self.largest_write]
        if self.room is not None:
            data = data[: self.room]
            self.room -= len(data)
            if not data:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, [data], offset)

    def sync(self, fd: int) -> None:
        self._trouble(_directory(fd))
        if self.sync_errno is not None:
            raise OSError(self.sync_errno, os.strerror(self.sync_errno))
        super().sync(fd)

    def unlink(self, file: Path) -> None:
        self._trouble(file.parent)
        super().unlink(file)

    def free(self, directory: Path) -> tuple[int, int]:
        self._trouble(directory)
        return super().free(directory)

    def _trouble(self, path: Path) -> None:
        if path in self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if path in self.hanging:
            self.released.wait(30)


def _directory(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink().parent
