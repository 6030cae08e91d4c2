"""A disk that fails when told, over a real directory."""

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from kilocam.record.disk import Disk


class FaultyDisk(Disk):
    """Real files; `room` bytes may still be written, paths in `broken` give EIO, others hang."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.broken: set[Path] = set()
        self.hanging: set[Path] = set()
        self.released = threading.Event()
        self.largest_write: int | None = None
        self._paths: dict[int, Path] = {}

    def create(self, file: Path) -> int:
        self._trouble(file.parent)
        fd = super().create(file)
        self._paths[fd] = file.parent
        return fd

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        self._trouble(self._paths[fd])
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
        self._trouble(self._paths.get(fd, Path()))
        super().sync(fd)

    def _trouble(self, path: Path) -> None:
        if path in self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if path in self.hanging:
            self.released.wait(30)
