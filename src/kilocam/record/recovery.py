"""Recovery is the normal start (P4): torn tails are cut, left files sealed, last moments read.

Owns: everything a writer learns from a data path before it writes. Files of a writer that lives
(it holds the file's lock) are left alone.
"""

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from kilocam.core import CameraKey
from kilocam.record.active import seal_tail, sealed_name
from kilocam.record.disk import Disk, lock_if_free, write_all
from kilocam.record.errors import FormatError
from kilocam.record.format import Kind, leaf_matches
from kilocam.record.index import MARK, RECOVERED, Tally
from kilocam.record.names import FileName, list_names
from kilocam.record.scan import Found, Hole, scan
from kilocam.record.stored import SealedFile, file_record

STOPPED_SUFFIX = ".stopped"
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Recovered:
    """What was stored before this start."""

    last: dict[CameraKey, int] = field(default_factory=dict)
    """The last stored moment of each camera."""
    sequence: int = 0
    epoch: int = 0
    stopped: bool = False
    """The recorder stopped cleanly."""
    sealed: list[Path] = field(default_factory=list)
    """Files this recovery sealed."""
    left: list[FileName] = field(default_factory=list)
    """Files that could not be sealed now: no room for an index, or a bad sector."""
    cut_bytes: int = 0

    def saw(self, key: CameraKey, last_us: int) -> None:
        """Take note of a stored moment."""
        self.last[key] = max(self.last.get(key, last_us), last_us)

    def merge(self, other: "Recovered") -> None:
        """Take in what another path holds."""
        for key, last_us in other.last.items():
            self.saw(key, last_us)
        # A path that missed the last run may still hold the mark of a stop before it.
        if other.sequence > self.sequence:
            self.stopped = other.stopped
        elif other.sequence == self.sequence:
            self.stopped = self.stopped or other.stopped
        self.sequence = max(self.sequence, other.sequence)
        self.epoch = max(self.epoch, other.epoch)


def recover(path: Path, recorder: str, disk: Disk, now_us: int, into: Recovered) -> None:
    """Recover one data path into `into`.

    Raises:
        OSError: the path cannot be listed. A file that cannot be sealed is in `into.left`.
    """
    for name in list_names(path):
        if not name.sealed:
            try:
                recover_file(path, name, disk, now_us, into)
            except OSError as error:
                _log.warning("log file %s: stays open for now: %s", path / str(name), error)
                into.left.append(name)
    newest = {(name.recorder, name.keep_s): name for name in list_names(path) if name.sealed}
    for name in newest.values():
        _read_newest(path / str(name), name.recorder == recorder, into)
    marker = path / f"{recorder}{STOPPED_SUFFIX}"
    if marker.exists():
        into.stopped = True
        marker.unlink()


def mark_stopped(path: Path, recorder: str) -> None:
    """Leave word that the recorder stopped cleanly (P5)."""
    (path / f"{recorder}{STOPPED_SUFFIX}").touch()


def recover_file(
    path: Path, name: FileName, disk: Disk, now_us: int, into: Recovered
) -> Path | None:
    """Cut and seal one file left open; None when its writer lives or nothing was in it."""
    file = path / str(name)
    try:
        fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None  # another recovery was faster
    try:
        if not lock_if_free(fd, file):
            return None
        size = os.fstat(fd).st_size
        end = find_cut(fd, size)
        into.cut_bytes += size - end
        tally, epoch = _tally(fd, end)
        if not tally.last_sequence:
            disk.unlink(file)
            return None
        disk.truncate(fd, end)
        write_all(disk, fd, seal_tail(tally, end, epoch, now_us, RECOVERED), end)
        disk.sync(fd)
        sealed = path / str(sealed_name(name, tally))
        disk.rename(file, sealed)
        into.sealed.append(sealed)
        return sealed
    finally:
        os.close(fd)


def find_cut(fd: int, size: int) -> int:
    """Where the torn tail of a file begins.

    Bytes before the newest mark's offset were on stable storage: damage there is not a tear and
    stays for `verify` to name. After it the first bad header or payload is the tear. A tail that
    an interrupted seal wrote (index, footer) is cut as well.
    """
    durable, ends = 0, []
    for found in scan(fd, 0, size, resync=True):
        if isinstance(found, Found) and found.header.kind == Kind.MARK:
            payload = found.payload(fd)
            if leaf_matches(found.header, payload):
                durable = max(durable, MARK.unpack(payload)[0])
        ends.append(found)
    end = 0
    for found in ends:
        if isinstance(found, Found):
            if found.header.kind in (Kind.INDEX, Kind.FOOTER):
                break
            if found.offset >= durable and not leaf_matches(found.header, found.payload(fd)):
                break
            end = found.end
        elif found.offset >= durable:
            break
    return end


def _tally(fd: int, end: int) -> tuple[Tally, int]:
    tally, epoch = Tally(), 0
    for found in scan(fd, 0, end, resync=True):
        if isinstance(found, Hole):
            continue
        tally.add_header(found.offset, found.header, found.raw)
        epoch = max(epoch, found.header.epoch)
    return tally, epoch


def _read_newest(file: Path, own: bool, into: Recovered) -> None:
    try:
        with file.open("rb") as opened:
            stored = SealedFile(opened.fileno(), file)
            first = file_record(opened.fileno())
    except (OSError, FormatError, json.JSONDecodeError):
        return  # damaged or deleted meanwhile: its cameras get no gap of ours, readers say unknown
    for key, last_us in first.last.items():
        into.saw(key, last_us)
    for key, row in stored.directory.rows():
        into.saw(key, row.last_us)
    into.epoch = max(into.epoch, first.epoch)
    if own:
        into.sequence = max(into.sequence, stored.footer.last_sequence)
