"""Stored files as a reader sees them: sealed by footer and index, active ones by scanning."""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from kilocam.core import CameraKey
from kilocam.record.errors import FormatError
from kilocam.record.format import HEADER_MAX, Header, Kind, leaf_matches, unpack_header
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
from kilocam.record.scan import Found, read_at, read_record, scan

_log = logging.getLogger(__name__)


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
    header = unpack_header(read_at(fd, HEADER_MAX, 0))
    if header.kind != Kind.FILE or header.length > os.fstat(fd).st_size:
        raise FormatError("the file does not begin with its own record")
    payload = read_at(fd, header.payload_length, header.header_length)
    if not leaf_matches(header, payload):
        raise FormatError("the file's first record is damaged")
    try:
        values = json.loads(payload)
        last = {CameraKey(*name.split("/", 1)): moment for name, moment in values["last"].items()}
        return FileRecord(recorder=values["recorder"], epoch=values["epoch"], last=last)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"the file's first record cannot be read: {error!r}") from None


class SealedFile:
    """Footer and directory of a sealed file; entries are read when asked for.

    Nothing is read by a length that the file has no room for: what is damaged costs no memory.
    """

    __slots__ = ("_entries_at", "_index", "directory", "epoch", "footer", "path")

    def __init__(self, fd: int, path: Path, *, check: bool = True) -> None:
        """Read footer and directory; the caller keeps `fd`.

        Args:
            fd: the file, opened.
            path: its name.
            check: compare the index with its hash, too, which means to read all of it.

        Raises:
            FormatError: they are damaged.
        """
        self.path = path
        size = os.fstat(fd).st_size
        if size < FOOTER_LENGTH:
            raise FormatError("the file is too short to be sealed", path, 0)
        end = size - FOOTER_LENGTH
        header, payload = read_record(fd, end, FOOTER_LENGTH, path)
        if header.kind != Kind.FOOTER or not leaf_matches(header, payload):
            raise FormatError("the footer is damaged", path, end)
        self.footer: Footer = footer_of(payload)
        self.epoch = header.epoch
        self._index = self._index_header(fd, end)
        start = self.footer.index_offset + self._index.header_length
        self.directory = self._directory(fd, start)
        self._entries_at = start + self.directory.entries_at
        if check:
            self.check(fd)

    def _index_header(self, fd: int, end: int) -> Header:
        at = self.footer.index_offset
        try:
            header = unpack_header(read_at(fd, HEADER_MAX, at) if at < end else b"")
        except FormatError as error:
            raise self._damaged(str(error)) from None
        if header.kind != Kind.INDEX or at + header.length != end:
            raise self._damaged("it does not lie before the footer")
        return header

    def _directory(self, fd: int, start: int) -> Directory:
        room = self._index.payload_length
        try:
            head = read_at(fd, min(room, Directory.HEAD_LENGTH), start)
            length = Directory.length_of(head, room)
            return Directory(read_at(fd, length, start))
        except FormatError as error:
            raise self._damaged(str(error)) from None

    def check(self, fd: int) -> None:
        """Compare the index with its hash (I3).

        Raises:
            FormatError: it is damaged.
        """
        start = self.footer.index_offset + self._index.header_length
        try:
            payload = read_at(fd, self._index.payload_length, start)
        except FormatError as error:
            raise self._damaged(str(error)) from None
        if not leaf_matches(self._index, payload):
            raise self._damaged("its bytes were altered")

    def row(self, key: CameraKey) -> Row | None:
        """What the file has of a camera, roughly."""
        return self.directory.row(key)

    def entries(self, fd: int, row: Row) -> list[Entry]:
        """All entries of a row, in the order they were written.

        Raises:
            FormatError: the row or one of them points to where no record can be.
        """
        if row.first_entry + row.entries > self.directory.entries:
            raise self._damaged("a row names more entries than there are")
        at = self._entries_at + row.first_entry * Directory.ENTRY_LENGTH
        data = read_at(fd, row.entries * Directory.ENTRY_LENGTH, at)
        if len(data) < row.entries * Directory.ENTRY_LENGTH:
            raise self._damaged("it is cut off")
        entries = unpack_entries(data)
        end = self.footer.index_offset
        if any(entry.offset + entry.length > end for entry in entries):
            raise self._damaged("an entry points behind the records")
        return entries

    def _damaged(self, reason: str) -> FormatError:
        return FormatError(f"the index is damaged: {reason}", self.path, self.footer.index_offset)


class ScannedFile:
    """What the records of a sealed file say, where its footer or index is damaged (P6)."""

    def __init__(self, fd: int, path: Path) -> None:
        """Read all headers; bytes that are no record are passed over."""
        self.path = path
        self.epoch = 0
        self.tally = Tally()
        try:
            for found in scan(fd, 0, os.fstat(fd).st_size, resync=True):
                if isinstance(found, Found):
                    self.tally.add_header(found.offset, found.header, found.raw)
                    self.epoch = max(self.epoch, found.header.epoch)
        except OSError as error:
            # A bad sector under the index lies behind all records.
            _log.warning("log file %s: read in part: %s", path, error.strerror)


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
