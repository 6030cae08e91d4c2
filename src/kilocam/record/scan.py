"""Walking a file header by header (P4, P6, P7); payloads are read only where asked for."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kilocam.record.errors import FormatError
from kilocam.record.format import CUT_OFF, HEADER_MAX, MAGIC, Header, unpack_header

_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """A record whose header is whole; its payload lies within the scanned bytes."""

    offset: int
    header: Header
    raw: bytes
    """The header's bytes."""

    @property
    def end(self) -> int:
        """Offset after the record."""
        return self.offset + self.header.length

    def payload(self, fd: int) -> bytes:
        """The payload's bytes; shorter than they should be when the file is."""
        return os.pread(fd, self.header.payload_length, self.offset + self.header.header_length)


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes that are no record."""

    offset: int
    end: int
    reason: str


def scan(fd: int, start: int, end: int, *, resync: bool) -> Iterator[Found | Hole]:
    """Records of `fd` in [start, end).

    With `resync` bytes that are no record are passed over to the next header; without, the scan
    stops before them. A record that ends after `end` counts as no record, and nothing follows it:
    the rest is its own payload, in which a camera may have sent what looks like a record.
    """
    position = start
    while position < end:
        found = _record_at(fd, position, end)
        if isinstance(found, Found):
            yield found
            position = found.end
            continue
        if not resync:
            return
        following = end if found == CUT_OFF else _next_record(fd, position + 1, end)
        yield Hole(position, following, found)
        position = following


def read_at(fd: int, length: int, offset: int) -> bytes:
    """Bytes of a file; a bad sector costs what lies on it and nothing else.

    Raises:
        FormatError: the disk cannot read them any more.
    """
    try:
        return os.pread(fd, length, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise FormatError("the disk cannot read it any more") from None


def read_record(fd: int, offset: int, length: int, file: Path) -> tuple[Header, bytes]:
    """Header and payload of the record of `length` bytes at `offset`, in one read.

    Raises:
        FormatError: it is not there.
    """
    header, data = read_whole(fd, offset, length, file)
    return header, data[header.header_length :]


def read_whole(fd: int, offset: int, length: int, file: Path) -> tuple[Header, bytes]:
    """The same, with the record as it is stored in place of its payload."""
    try:
        data = read_at(fd, length, offset)
        header = unpack_header(data)
    except FormatError as error:
        raise FormatError(str(error), file, offset) from None
    if header.length != length or len(data) != length:
        raise FormatError("the record has another length than its index says", file, offset)
    return header, data


def _record_at(fd: int, offset: int, end: int) -> Found | str:
    data = os.pread(fd, min(HEADER_MAX, end - offset), offset)
    try:
        header = unpack_header(data)
    except FormatError as error:
        return str(error)
    if offset + header.length > end:
        return CUT_OFF
    return Found(offset, header, data[: header.header_length])


def _next_record(fd: int, start: int, end: int) -> int:
    position = start
    while position < end:
        data = os.pread(fd, _STEP + len(MAGIC), position)
        at = data.find(MAGIC)
        while at >= 0:
            if isinstance(_record_at(fd, position + at, end), Found):
                return position + at
            at = data.find(MAGIC, at + 1)
        position += _STEP
    return end
