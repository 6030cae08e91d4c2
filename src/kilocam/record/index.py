"""The index and the footer of a file: what is in it, found without reading it (I7, I8).

Owns: the index while a file grows (a few bytearrays, no object per piece), the payloads of index
and footer records, and the look-up of one camera in stored index bytes.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from blake3 import blake3

from kilocam.core import CameraKey
from kilocam.record.errors import FormatError
from kilocam.record.format import HEADER_MIN, Header, Kind

TOLERANCE_US = 2_000_000
"""A hole of at most this length without a typed gap is jitter, not loss (log.md, "Coverage")."""

_ENTRY = struct.Struct("<QQqQqQIHBx")
_PIECE, _SESSION = int(Kind.PIECE), int(Kind.SESSION)  # members of an enum are slow to reach
_HEAD = struct.Struct("<III")
_ROW = struct.Struct("<8sqqIIIBBH")
_FOOTER = struct.Struct("<QQQ32sqqQQqI")
MARK = struct.Struct("<Q")
"""Payload of a mark: all bytes before this offset are on stable storage."""

FOOTER_LENGTH = HEADER_MIN + _FOOTER.size
WHOLE = 1
"""Row flag: only pieces, without a hole over the tolerance."""
RECOVERED = 1
"""Footer flag: sealed by a recovery, not by its writer."""


class Entry(NamedTuple):
    """One record of a camera in a file's index."""

    offset: int
    sequence: int
    wall_us: int
    duration_us: int
    key_us: int
    session: int
    length: int
    flags: int
    kind: int

    @property
    def end_us(self) -> int:
        """End of the stretch this record covers."""
        return self.wall_us + self.duration_us

    def touches(self, from_us: int, to_us: int) -> bool:
        """Whether it covers a moment of [from_us, to_us); a session touches everything."""
        if self.kind == Kind.SESSION:
            return True
        return self.wall_us < to_us and (self.end_us > from_us or self.wall_us >= from_us)


class Row(NamedTuple):
    """One camera in a file's index: where its entries are and what they span."""

    digest: bytes
    first_us: int
    last_us: int
    first_entry: int
    entries: int
    name_at: int
    tenant_length: int
    camera_length: int
    flags: int


class Footer(NamedTuple):
    """The last record of a sealed file."""

    index_offset: int
    index_length: int
    records: int
    file_hash: bytes
    first_us: int
    last_us: int
    first_sequence: int
    last_sequence: int
    sealed_us: int
    flags: int


EntryFields = tuple[int, int, int, int, int, int, int, int, int]
"""An `Entry`, or its fields alone: a writer makes 2000 a second and reads none by name."""


def unpack_entries(data: bytes) -> list[Entry]:
    """Entries from their stored bytes."""
    return [Entry._make(fields) for fields in _ENTRY.iter_unpack(data)]


def digest_of(key: CameraKey) -> bytes:
    """The name by which rows are sorted and found."""
    return blake3(str(key).encode()).digest(8)


class Tally:
    """The index of one file while it grows (P1 adds, P3 writes it out)."""

    def __init__(self) -> None:
        self.records = 0
        self.first_us = 0
        self.last_us = 0
        self.first_sequence = 0
        self.last_sequence = 0
        self._entries: dict[CameraKey, bytearray] = {}
        self._headers = blake3()

    def add(self, key: CameraKey, entry: EntryFields) -> int:
        """Count one record of a camera; the end of its stretch."""
        data = self._entries.get(key)
        if data is None:
            data = self._entries[key] = bytearray()
        data += _ENTRY.pack(*entry)
        _, sequence, wall_us, duration_us, _, _, _, _, kind = entry
        end = wall_us + duration_us
        if sequence > self.last_sequence:  # noqa: PLR1730 - cheaper than `max`, for every piece
            self.last_sequence = sequence
        if self.first_sequence == 0 or sequence < self.first_sequence:
            self.first_sequence = sequence
        if kind == _SESSION:
            return end  # one that began days ago says nothing of what this file covers
        if end > self.last_us:  # noqa: PLR1730
            self.last_us = end
        if self.first_us == 0 or wall_us < self.first_us:
            self.first_us = wall_us
        return end

    def hash_headers(self, headers: list[bytes]) -> None:
        """Take the headers of records, in file order, into the file's hash (I8)."""
        self.records += len(headers)
        self._headers.update(b"".join(headers))

    def add_header(self, offset: int, header: Header, raw: bytes) -> None:
        """Count a record found by a scan."""
        self.hash_headers([raw])
        if header.kind in (Kind.PIECE, Kind.SESSION, Kind.GAP):
            self.add(header.key, entry_of(offset, header))

    def entries(self, key: CameraKey) -> list[Entry]:
        """A camera's entries so far; safe while another thread adds."""
        data = bytes(self._entries.get(key, b""))
        return unpack_entries(data)

    def touching(self, key: CameraKey, from_us: int, to_us: int) -> list[Entry]:
        """Those of a camera that `Entry.touches` [from_us, to_us); likewise safe.

        Asked for each window that is looked at, so an entry is made of what is wanted only.
        """
        data = bytes(self._entries.get(key, b""))
        return [
            Entry._make(e)
            for e in _ENTRY.iter_unpack(data)
            if e[8] == _SESSION or (e[2] < to_us and (e[2] + e[3] > from_us or e[2] >= from_us))
        ]

    def count(self, key: CameraKey) -> int:
        """How many entries there are of a camera."""
        return len(self._entries.get(key, b"")) // _ENTRY.size

    def keys(self) -> list[CameraKey]:
        """Cameras seen so far; safe while another thread adds."""
        return list(self._entries)

    def index_payload(self) -> bytes:
        """The payload of the index record."""
        rows, names, blocks = [], bytearray(), []
        position = 0
        for digest, key in sorted((digest_of(key), key) for key in self._entries):
            data = bytes(self._entries[key])
            count = len(data) // _ENTRY.size
            rows.append(_row(digest, key, position, len(names), data))
            names += key.tenant.encode() + key.camera.encode()
            blocks.append(data)
            position += count
        head = _HEAD.pack(len(rows), len(names), position)
        return b"".join((head, *rows, bytes(names), *blocks))

    def footer_payload(
        self, index_offset: int, index_header: bytes, index_length: int, sealed_us: int, flags: int
    ) -> bytes:
        """The payload of the footer; the tally itself stays as it is: P3 may be repeated."""
        headers = self._headers.copy()
        headers.update(index_header)
        return _FOOTER.pack(
            index_offset,
            index_length,
            self.records + 1,
            headers.digest(),
            self.first_us,
            self.last_us,
            self.first_sequence,
            self.last_sequence,
            sealed_us,
            flags,
        )


def entry_of(offset: int, header: Header) -> Entry:
    """The index entry of a record."""
    return Entry(
        offset,
        header.sequence,
        header.wall_us,
        header.duration_us,
        header.key_us,
        header.session,
        header.length,
        header.flags & 0xFFFF,
        header.kind,
    )


def _row(digest: bytes, key: CameraKey, start: int, name_at: int, data: bytes) -> bytes:
    """The row of a camera whose entries are `data`.

    Plain tuples: a file of 20,000 entries is sealed while others are written.
    """
    spans = [(e[2], e[2] + e[3], e[8]) for e in _ENTRY.iter_unpack(data)]
    timed = [span for span in spans if span[2] != _SESSION] or spans
    return _ROW.pack(
        digest,
        min(span[0] for span in timed),
        max(span[1] for span in timed),
        start,
        len(spans),
        name_at,
        len(key.tenant),
        len(key.camera),
        WHOLE if _is_whole(timed) else 0,
    )


def _is_whole(spans: Iterable[tuple[int, int, int]]) -> bool:
    """Whether (start, end, kind) are pieces alone, without a hole over the tolerance."""
    last: int | None = None
    for start, end, kind in spans:
        if kind != _PIECE or (last is not None and start - last > TOLERANCE_US):
            return False
        if last is None or end > last:
            last = end
    return True


def footer_of(payload: bytes) -> Footer:
    """The footer from its payload.

    Raises:
        FormatError: it is not one.
    """
    if len(payload) != _FOOTER.size:
        raise FormatError("the footer has a wrong length")
    return Footer._make(_FOOTER.unpack(payload))


class Directory:
    """The head of a stored index: finds a camera's row by bisection, without parsing the rest.

    A file of 1000 cameras has 40 kB of rows; a bisection touches ten of them.
    """

    __slots__ = ("_data", "_names", "count", "entries", "entries_at")

    HEAD_LENGTH = _HEAD.size
    ENTRY_LENGTH = _ENTRY.size

    def __init__(self, head: bytes) -> None:
        """`head` is the index payload's beginning, at least `Directory.length_of` bytes of it.

        Raises:
            FormatError: it is shorter.
        """
        if len(head) < _HEAD.size:
            raise FormatError("it is cut off")
        self.count, names, self.entries = _HEAD.unpack_from(head)
        self._data = head
        self._names = _HEAD.size + self.count * _ROW.size
        self.entries_at = self._names + names
        if len(head) < self.entries_at:
            raise FormatError("it is cut off")

    @staticmethod
    def length_of(head: bytes, payload_length: int) -> int:
        """Bytes of rows and names, told by the first `HEAD_LENGTH` bytes.

        Raises:
            FormatError: with the entries they do not fill a payload of that length.
        """
        if len(head) < _HEAD.size:
            raise FormatError("it is cut off")
        count, names, entries = _HEAD.unpack_from(head)
        length = int(_HEAD.size + count * _ROW.size + names)
        if length + entries * _ENTRY.size != payload_length:
            raise FormatError("it has another length than its head says")
        return length

    def row(self, key: CameraKey) -> Row | None:
        """The row of a camera, or None when the file has nothing of it."""
        digest, low, high = digest_of(key), 0, self.count
        while low < high:
            middle = (low + high) // 2
            at = _HEAD.size + middle * _ROW.size
            if self._data[at : at + 8] < digest:
                low = middle + 1
            else:
                high = middle
        while low < self.count and (row := self._row_at(low)).digest == digest:
            if self.name(row) == key:
                return row
            low += 1
        return None

    def rows(self) -> Iterator[tuple[CameraKey, Row]]:
        """All rows."""
        for number in range(self.count):
            row = self._row_at(number)
            yield self.name(row), row

    def name(self, row: Row) -> CameraKey:
        """The camera of a row."""
        start = self._names + row.name_at
        middle = start + row.tenant_length
        tenant = self._data[start:middle].decode("ascii", "replace")
        camera = self._data[middle : middle + row.camera_length].decode("ascii", "replace")
        return CameraKey(tenant, camera)

    def _row_at(self, number: int) -> Row:
        return Row._make(_ROW.unpack_from(self._data, _HEAD.size + number * _ROW.size))
