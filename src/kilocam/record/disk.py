"""The few calls through which the log touches a disk; tests hand in one that fails."""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

_IOV_MAX = 1024


class Disk:
    """The machine's own disks."""

    def create(self, file: Path) -> int:
        """Make a new file, locked by this process until it is closed (I10)."""
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a recovery was at it first and takes it for one left over
            os.close(fd)
            raise
        return fd

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        """Write what can be written at once; how many bytes it was."""
        return os.pwritev(fd, buffers, offset)

    def sync(self, fd: int) -> None:
        """Put all written bytes onto stable storage."""
        os.fdatasync(fd)

    def truncate(self, fd: int, length: int) -> None:
        """Cut a file."""
        os.ftruncate(fd, length)

    def close(self, fd: int) -> None:
        """Close a file, and give up its lock."""
        os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its new name, durably."""
        old.rename(new)
        self.sync_directory(new.parent)

    def sync_directory(self, directory: Path) -> None:
        """Make names in a directory durable."""
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def forget(self, file: Path) -> None:
        """Let the kernel drop what it caches of a file; what is on stable storage stays there."""
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)

    def unlink(self, file: Path) -> None:
        """Delete a file."""
        file.unlink(missing_ok=True)

    def free(self, directory: Path) -> tuple[int, int]:
        """Bytes free for us, bytes in all."""
        found = os.statvfs(directory)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def lock_if_free(fd: int, file: Path) -> bool:
    """Take a file's lock unless its writer lives (P4), or sealed it since it was opened here."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), file.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def write_all(disk: Disk, fd: int, buffers: list[bytes], offset: int) -> int:
    """Write all buffers at `offset`; the offset after them. Raises OSError as the disk does."""
    for start in range(0, len(buffers), _IOV_MAX):
        chunk = buffers[start : start + _IOV_MAX]
        left = sum(map(len, chunk))
        while left:
            written = disk.write(fd, chunk, offset)
            offset += written
            left -= written
            if left:
                chunk = _after(chunk, written)
    return offset


def _after(chunk: list[bytes], written: int) -> list[bytes]:
    """What is left of buffers after a short write."""
    for number, buffer in enumerate(chunk):
        if written < len(buffer):
            return [buffer[written:], *chunk[number + 1 :]]
        written -= len(buffer)
    return []
