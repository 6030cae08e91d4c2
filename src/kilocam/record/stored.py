"""Stored files as a reader sees them: sealed by footer and index, active ones by scanning."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from kilocam.core import CameraKey
from kilocam.record.errors import FormatError
from kilocam.record.format import HEADER_MAX, Kind, leaf_matches, unpack_header
from kilocam.record.index import (
    FOOTER_LENGTH,
    Directory,
    Entry,
    Footer,
    Row,
    Tally,
    footer_of,
    unpack_entries,
)
from kilocam.record.scan import Found, read_record, scan


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What the first record of a file says."""

    recorder: str
    epoch: int
    last: dict[CameraKey, int]
    """The last moment of each camera its recorder had stored before this file."""


def file_record(fd: int) -> FileRecord:
    """The first record of a file.

    Raises:
        FormatError: it is damaged or not there.
    """
    header = unpack_header(os.pread(fd, HEADER_MAX, 0))
    payload = os.pread(fd, header.payload_length, header.header_length)
    if header.kind != Kind.FILE or not leaf_matches(header, payload):
        raise FormatError("the file's first record is damaged")
    values = json.loads(payload)
    last = {CameraKey(*name.split("/", 1)): moment for name, moment in values["last"].items()}
    return FileRecord(recorder=values["recorder"], epoch=values["epoch"], last=last)


class SealedFile:
    """Footer and directory of a sealed file; entries are read when asked for."""

    __slots__ = ("_entries_at", "directory", "epoch", "footer", "path")

    def __init__(self, fd: int, path: Path) -> None:
        """Read footer and directory; the caller keeps `fd`.

        Raises:
            FormatError: they are damaged.
        """
        self.path = path
        size = os.fstat(fd).st_size
        if size < FOOTER_LENGTH:
            raise FormatError("the file is too short to be sealed", path, 0)
        header, payload = read_record(fd, size - FOOTER_LENGTH, FOOTER_LENGTH, path)
        if header.kind != Kind.FOOTER or not leaf_matches(header, payload):
            raise FormatError("the footer is damaged", path, size - FOOTER_LENGTH)
        self.footer: Footer = footer_of(payload)
        self.epoch = header.epoch
        at = self.footer.index_offset
        head = os.pread(fd, HEADER_MAX, at)
        try:
            start = at + unpack_header(head).header_length
        except FormatError as error:
            raise FormatError(f"the index is damaged: {error}", path, at) from None
        length = Directory.length_of(os.pread(fd, Directory.HEAD_LENGTH, start))
        self.directory = Directory(os.pread(fd, length, start))
        self._entries_at = start + self.directory.entries_at

    def row(self, key: CameraKey) -> Row | None:
        """What the file has of a camera, roughly."""
        return self.directory.row(key)

    def entries(self, fd: int, row: Row) -> list[Entry]:
        """All entries of a row, in the order they were written."""
        at = self._entries_at + row.first_entry * Directory.ENTRY_LENGTH
        return unpack_entries(os.pread(fd, row.entries * Directory.ENTRY_LENGTH, at))


class ActiveScan:
    """The index of an active file, gathered by scanning what was added since the last look (P6)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epoch = 0
        self.tally = Tally()
        self._end = 0

    def refresh(self, fd: int) -> None:
        """Take in records written since; a record still being written is met next time."""
        for found in scan(fd, self._end, os.fstat(fd).st_size, resync=False):
            assert isinstance(found, Found)
            if found.header.kind in (Kind.INDEX, Kind.FOOTER):
                return
            self.tally.add_header(found.offset, found.header, found.raw)
            self.epoch = max(self.epoch, found.header.epoch)
            self._end = found.end
