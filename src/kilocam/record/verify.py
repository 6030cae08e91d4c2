"""Finding altered, missing and re-ordered records (P7), and listing them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from kilocam.core import CameraKey
from kilocam.record.errors import FormatError
from kilocam.record.format import Header, Kind, leaf_matches
from kilocam.record.index import Entry, Row, entry_of, footer_of
from kilocam.record.names import FileName, parse_name
from kilocam.record.scan import Found, Hole, scan
from kilocam.record.stored import SealedFile

_ALTERED: dict[int, str] = {
    Kind.INDEX: "the index was altered; footage is found by its records",
    Kind.FOOTER: "the footer was altered; footage is found by its records",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOk:
    """Every record looked at is as it was written."""

    file: Path
    records: int
    wanted: int
    """Pieces and gaps among them that were asked for."""
    bytes: int
    sealed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something differs: where, what, and which footage it concerns as far as that is known."""

    file: Path
    offset: int
    reason: str
    key: CameraKey | None = None
    from_us: int | None = None
    to_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLine:
    """One record as `kilocam reader` shows it."""

    offset: int
    length: int
    kind: str
    header: Header


def list_records(file: Path) -> Iterator[RecordLine]:
    """The records of a file in order; a line of kind `damaged` has no place, it is passed over."""
    with file.open("rb") as opened:
        fd = opened.fileno()
        for found in scan(fd, 0, os.fstat(fd).st_size, resync=True):
            if isinstance(found, Found):
                kind = found.header.kind
                name = Kind(kind).name.lower() if kind in set(Kind) else f"kind {kind}"
                yield RecordLine(
                    offset=found.offset, length=found.header.length, kind=name, header=found.header
                )


def verify_files(
    files: Sequence[Path],
    key: CameraKey | None = None,
    from_us: int | None = None,
    to_us: int | None = None,
) -> Iterator[FileOk | Damage]:
    """Re-hash what is stored; each file gives its damages, or one `FileOk`.

    With a camera or a range only payloads that touch it are read; headers, index and footer are
    checked all the same.
    """
    wanted = _Wanted(key, from_us, to_us)
    for file in files:
        name = parse_name(file.name)
        if name is not None and name.sealed and not wanted.span(name.first_us, name.last_us):
            continue
        try:
            with file.open("rb") as opened:
                checked = _Check(opened.fileno(), file, wanted)
                damages = list(checked.run())
        except OSError as error:
            damages = [Damage(file=file, offset=0, reason=f"cannot be read: {error.strerror}")]
            yield from damages
            continue
        yield from damages
        if not damages:
            yield FileOk(
                file=file,
                records=checked.records,
                wanted=checked.wanted,
                bytes=checked.size,
                sealed=checked.sealed,
            )


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: CameraKey | None
    from_us: int | None
    to_us: int | None

    def span(self, first_us: int, last_us: int) -> bool:
        after = self.from_us is None or last_us >= self.from_us
        return after and (self.to_us is None or first_us < self.to_us)

    def header(self, header: Header) -> bool:
        if header.kind not in (Kind.PIECE, Kind.GAP):
            return True
        if self.key is not None and header.key != self.key:
            return False
        return self.span(header.wall_us, header.wall_us + header.duration_us)


class _Check:
    """One file's check."""

    def __init__(self, fd: int, file: Path, wanted: _Wanted) -> None:
        self.records = 0
        self.wanted = 0
        self.size = os.fstat(fd).st_size
        name = parse_name(file.name)
        self.sealed = name.sealed if name else not file.name.endswith(".open")
        self._name: FileName | None = name
        self._fd = fd
        self._file = file
        self._asked = wanted
        self._hash = blake3()
        self._entries: dict[CameraKey, list[Entry]] = {}
        self._sessions: set[tuple[CameraKey, int]] = set()
        self._holes: list[Hole] = []
        self._lost: list[Found] = []
        """Session records whose payload was altered."""
        self._last_kind = -1

    def run(self) -> Iterator[Damage]:
        """What differs; of the file's own records the first thing that does."""
        told: set[int] = set()
        for damage in self._damages():
            if damage.key is None:
                if damage.offset in told:
                    continue
                told.add(damage.offset)
            yield damage

    def _damages(self) -> Iterator[Damage]:
        for found in scan(self._fd, 0, self.size, resync=True):
            if isinstance(found, Hole):
                self._holes.append(found)
            else:
                yield from self._record(found)
        yield from map(self._lost_session, self._lost)
        sealed = self._sealed_file() if self.sealed else None
        if isinstance(sealed, Damage):
            yield sealed
            sealed = None
        yield from self._named_holes(sealed)
        if sealed is not None:
            yield from self._against_index(sealed)

    def _record(self, found: Found) -> Iterator[Damage]:
        header = found.header
        if self.records == 0 and header.kind != Kind.FILE:
            yield self._damage(found, "the file does not begin with its own record")
        self.records += 1
        self._last_kind = header.kind
        asked = self._asked.header(header)
        self.wanted += asked and header.kind in (Kind.PIECE, Kind.GAP)
        whole = not asked or leaf_matches(header, found.payload(self._fd))
        if header.kind == Kind.FOOTER:
            if whole:
                yield from self._file_hash(found)
        else:
            self._hash.update(found.raw)
        if header.kind in (Kind.PIECE, Kind.SESSION, Kind.GAP):
            yield from self._order(found)
        if not whole and header.kind == Kind.SESSION:
            self._lost.append(found)
        elif not whole:
            yield self._damage(found, _ALTERED.get(header.kind, "the payload was altered"))

    def _file_hash(self, found: Found) -> Iterator[Damage]:
        """The footer's hash over the headers before it (I8); a hole was told of already."""
        try:
            expected = footer_of(found.payload(self._fd)).file_hash
        except FormatError as error:
            yield self._damage(found, error.reason)
            return
        if not self._holes and expected != self._hash.digest():
            reason = "headers were altered, removed, added or re-ordered since the file was sealed"
            yield self._damage(found, reason)

    def _order(self, found: Found) -> Iterator[Damage]:
        header = found.header
        entries = self._entries.setdefault(header.key, [])
        if entries and header.sequence < entries[-1].sequence:
            yield self._damage(found, "the record is out of order")
        entries.append(entry_of(found.offset, header))
        if header.kind == Kind.SESSION:
            self._sessions.add((header.key, header.session))
        elif header.kind == Kind.PIECE and (header.key, header.session) not in self._sessions:
            yield self._damage(found, f"session {header.session} has no record before this piece")

    def _sealed_file(self) -> SealedFile | Damage:
        try:
            return SealedFile(self._fd, self._file)
        except FormatError as error:
            return Damage(file=self._file, offset=error.offset, reason=error.reason)

    def _named_holes(self, sealed: SealedFile | None) -> Iterator[Damage]:
        """Bytes that are no record; the index knows whose they were."""
        for hole in self._holes:
            touched = list(self._indexed(sealed, hole)) if sealed else []
            for key, entry in touched:
                yield Damage(
                    file=self._file,
                    offset=entry.offset,
                    reason=hole.reason,
                    key=key,
                    from_us=entry.wall_us,
                    to_us=entry.end_us,
                )
            # An open file may be torn at its end: that is a crash or a write going on, no damage.
            if not touched and (self.sealed or hole.end < self.size):
                yield Damage(file=self._file, offset=hole.offset, reason=hole.reason)

    def _indexed(self, sealed: SealedFile, hole: Hole) -> Iterator[tuple[CameraKey, Entry]]:
        for key, row in sealed.directory.rows():
            for entry in sealed.entries(self._fd, row):
                if hole.offset <= entry.offset < hole.end:
                    yield key, entry

    def _against_index(self, sealed: SealedFile) -> Iterator[Damage]:
        footer = sealed.footer
        holes = bool(self._holes)
        at = footer.index_offset
        if self._last_kind != Kind.FOOTER:
            yield Damage(file=self._file, offset=at, reason="records follow the footer")
        if self._name and (self._name.first_us, self._name.last_us) != footer[4:6]:
            reason = "the file's name tells another time than its footer; rename it back"
            yield Damage(file=self._file, offset=at, reason=reason)
        rows = dict(sealed.directory.rows())
        for key in sorted(rows.keys() | self._entries.keys()):
            if not holes and self._indexed_entries(sealed, rows.get(key)) != self._entries.get(key):
                reason = "the index does not match the records"
                yield Damage(file=self._file, offset=at, reason=reason, key=key)

    def _indexed_entries(self, sealed: SealedFile, row: Row | None) -> list[Entry] | None:
        return None if row is None else sealed.entries(self._fd, row)

    def _lost_session(self, found: Found) -> Damage:
        """Without its session footage cannot be read, unless a file beside has it, too (I5)."""
        header = found.header
        pieces = [
            entry
            for entry in self._entries.get(header.key, [])
            if entry.kind == Kind.PIECE and entry.session == header.session
        ]
        return Damage(
            file=self._file,
            offset=found.offset,
            reason=f"the record of session {header.session} was altered",
            key=header.key,
            from_us=min((entry.wall_us for entry in pieces), default=header.wall_us),
            to_us=max((entry.end_us for entry in pieces), default=header.wall_us),
        )

    def _damage(self, found: Found, reason: str) -> Damage:
        header = found.header
        own = header.tenant == ""
        return Damage(
            file=self._file,
            offset=found.offset,
            reason=reason,
            key=None if own else header.key,
            from_us=None if own else header.wall_us,
            to_us=None if own else header.wall_us + header.duration_us,
        )
