"""The files of some data paths as a reader meets them: listed cheaply, opened when needed.

Owns: the listing (anew only when a directory changed), a bounded cache of footers and directories,
the scans of active files nobody answers for, and of sealed ones whose index is damaged.
"""

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from kilocam.core import CameraKey
from kilocam.record.errors import FormatError
from kilocam.record.format import Kind
from kilocam.record.index import WHOLE, Entry
from kilocam.record.listing import Directory, Identity, Listed, Listing
from kilocam.record.live import LiveFile, LiveView
from kilocam.record.stored import (
    ActiveScan,
    FileRecord,
    ScannedFile,
    SealedFile,
    file_record,
)

_CACHED = 256
"""Footers kept: 40 kB each for 1000 cameras, so 10 MB."""
_SCANNED = 16
"""Scans of damaged files kept: up to 1 MB each."""
_NEIGHBOURS = 32
"""Files in which a damaged session is looked for; a long one has a record in each of them."""
_RACY_NS = 50_000_000
"""A directory changed this recently is listed again: its time stamp may hide a later change."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one file holds of one camera."""

    key: CameraKey
    path: Path
    identity: Identity
    epoch: int
    entries: list[Entry]


class Shelf:
    """Files of data paths; safe for several threads."""

    def __init__(self, paths: Sequence[Path], live: LiveView | None) -> None:
        self._directories = {path: Directory(path) for path in map(Path, paths)}
        self._live = live
        self._lock = threading.RLock()
        self._stamps: dict[Path, int] = {}
        self._listing = Listing()
        self._sealed: OrderedDict[Path, SealedFile] = OrderedDict()
        self._checked: set[Path] = set()
        """Files whose index matched its hash: that is looked at once."""
        self._damaged: OrderedDict[Path, ScannedFile] = OrderedDict()
        self._told: set[Path] = set()
        self._scans: dict[Path, ActiveScan] = {}
        self._records: OrderedDict[Identity, FileRecord] = OrderedDict()

    def files(self) -> Sequence[Listed]:
        """All files, oldest first."""
        return self._listed().files

    def _listed(self) -> Listing:
        with self._lock:
            changed = [self._refresh(*each) for each in self._directories.items()]
            if any(changed):
                self._listing = Listing(
                    chain.from_iterable(each.files for each in self._directories.values())
                )
                if len(self._checked) > 2 * len(self._listing.files) + 1000:
                    self._checked.clear()  # most are deleted by now; looking again costs little
            return self._listing

    def _refresh(self, path: Path, directory: Directory) -> bool:
        """List a directory anew if it changed; whether it was."""
        try:
            stamp = path.stat().st_mtime_ns
            if self._stamps.get(path) == stamp:
                return False
            directory.refresh()
        except OSError:
            directory.clear()
            self._stamps.pop(path, None)
            return True
        active = {listed.path for listed in directory.files if not listed.name.sealed}
        for gone in [p for p in self._scans if p.parent == path and p not in active]:
            del self._scans[gone]
        self._stamps[path] = stamp
        if time.time_ns() - stamp < _RACY_NS:
            self._stamps.pop(path)
        return True

    def holdings(
        self, key: CameraKey, from_us: int, to_us: int, *, outline: bool = False
    ) -> Iterator[Holding]:
        """What files hold of a camera in [from_us, to_us); whole files, sessions included.

        With `outline` a sealed file in which the camera has no hole is one entry, made of its row:
        a day of 10,000 files is then told without reading their entries.
        """
        listing = self._listed()
        for listed in listing.sealed(from_us, to_us):
            found = self._sealed_holding(listed, key, outline=outline)
            if found is not None:
                yield found
        if listing.active:
            yield from self._active_holdings(listing.active, key, from_us, to_us)

    def neighbours(self, holding: Holding) -> Iterator[Holding]:
        """What the files written before and after one hold of its camera, the nearest first."""
        _, created_us, recorder, _ = holding.identity
        others = [
            listed
            for listed in self.files()
            if listed.name.recorder == recorder and listed.identity != holding.identity
        ]
        others.sort(key=lambda listed: abs(listed.name.created_us - created_us))
        for listed in others[:_NEIGHBOURS]:
            epoch, entries = self.contents(listed, holding.key)
            if entries:
                yield Holding(
                    key=holding.key,
                    path=listed.path,
                    identity=listed.identity,
                    epoch=epoch,
                    entries=entries,
                )

    def contents(self, listed: Listed, key: CameraKey) -> tuple[int, list[Entry]]:
        """Epoch of a file and all its entries of a camera; none when it is gone."""
        listed = self._current(listed)
        if not listed.name.sealed:
            scanned = self.scan(listed)
            return (scanned.epoch, scanned.tally.entries(key)) if scanned else (0, [])
        with contextlib.suppress(FileNotFoundError):
            stored = self._stored(listed.path)
            if isinstance(stored, SealedFile):
                try:
                    return stored.epoch, self._entries(stored, key)
                except FormatError as error:
                    stored = self._scan_damaged(listed.path, error)
            return stored.epoch, stored.tally.entries(key)
        return 0, []

    @staticmethod
    def _entries(sealed: SealedFile, key: CameraKey) -> list[Entry]:
        row = sealed.row(key)
        if row is None:
            return []
        with sealed.path.open("rb") as opened:
            return sealed.entries(opened.fileno(), row)

    def _stored(self, path: Path) -> SealedFile | ScannedFile:
        """A sealed file by its index, once that was compared with its hash; else by its records.

        Raises:
            FileNotFoundError: deleted meanwhile.
        """
        with self._lock:
            if path in self._damaged:
                self._damaged.move_to_end(path)
                return self._damaged[path]
            checked = path in self._checked
        try:
            sealed = self._footed(path)
            if not checked:
                with path.open("rb") as opened:
                    sealed.check(opened.fileno())
                with self._lock:
                    self._checked.add(path)
        except FormatError as error:
            return self._scan_damaged(path, error)
        return sealed

    def _scan_damaged(self, path: Path, error: FormatError) -> ScannedFile:
        with path.open("rb") as opened:
            read = ScannedFile(opened.fileno(), path)
        with self._lock:
            if path not in self._told:
                self._told.add(path)
                _log.warning("%s; it is read by its records, `kilocam verify` says more", error)
            self._damaged[path] = read
            if len(self._damaged) > _SCANNED:
                self._damaged.popitem(last=False)
        return read

    def _footed(self, path: Path) -> SealedFile:
        """Footer and directory of a sealed file, cached; its index may be damaged.

        Raises:
            FormatError: no such file can be.
            FileNotFoundError: deleted meanwhile.
        """
        with self._lock:
            cached = self._sealed.get(path)
            if cached is not None:
                self._sealed.move_to_end(path)
                return cached
        with path.open("rb") as opened:
            read = SealedFile(opened.fileno(), path, check=False)
        with self._lock:
            self._sealed[path] = read
            if len(self._sealed) > _CACHED:
                self._sealed.popitem(last=False)
        return read

    def record(self, listed: Listed) -> FileRecord | None:
        """The first record of a file; None when it is damaged or gone."""
        identity = listed.identity
        with self._lock:
            if identity in self._records:
                return self._records[identity]
        try:
            with listed.path.open("rb") as opened:
                read = file_record(opened.fileno())
        except (OSError, FormatError):
            return None
        with self._lock:
            self._records[identity] = read
            if len(self._records) > 16:
                self._records.popitem(last=False)
        return read

    def find(self, identity: Identity) -> Path | None:
        """Where a file is now: it may have been sealed, and so renamed, since it was listed."""
        found = self._find(identity)
        return None if found is None else found.path

    def _find(self, identity: Identity) -> Listed | None:
        with self._lock:
            self._stamps.clear()
        return next((listed for listed in self.files() if listed.identity == identity), None)

    def _current(self, listed: Listed) -> Listed:
        """As a file is named now: one sealed since it was listed needs no scan, it has an index."""
        if listed.name.sealed or listed.path.exists():
            return listed
        return self._find(listed.identity) or listed

    def keys_of(self, listed: Listed) -> list[CameraKey]:
        """Cameras in a file."""
        listed = self._current(listed)
        if not listed.name.sealed:
            scanned = self.scan(listed)
            return scanned.tally.keys() if scanned else []
        with contextlib.suppress(FileNotFoundError):
            stored = self._stored(listed.path)
            if isinstance(stored, ScannedFile):
                return stored.tally.keys()
            return [key for key, _ in stored.directory.rows()]
        return []

    def _sealed_holding(self, listed: Listed, key: CameraKey, *, outline: bool) -> Holding | None:
        epoch, entries = (self._outline(listed.path, key) if outline else None) or self.contents(
            listed, key
        )
        if not entries:
            return None
        return Holding(
            key=key, path=listed.path, identity=listed.identity, epoch=epoch, entries=entries
        )

    def _outline(self, path: Path, key: CameraKey) -> tuple[int, list[Entry]] | None:
        """One entry made of a camera's row, if it has no hole and lies within its file's times.

        Such a row is believed although the index was not compared with its hash yet: a day's time
        line would otherwise read 1 MB a file. At worst it hides a hole within one file.
        """
        with self._lock:
            if path in self._told:
                return None
        with contextlib.suppress(FileNotFoundError, FormatError):
            sealed = self._footed(path)
            row, footer = sealed.row(key), sealed.footer
            if row is None or row.flags != WHOLE:
                return None
            if footer.first_us <= row.first_us <= row.last_us <= footer.last_us:
                length = row.last_us - row.first_us
                return sealed.epoch, [Entry(0, 0, row.first_us, length, 0, 0, 0, 0, Kind.PIECE)]
        return None

    def _active_holdings(
        self, active: Sequence[Listed], key: CameraKey, from_us: int, to_us: int
    ) -> Iterator[Holding]:
        answer = self._live.where(key, from_us, to_us) if self._live else None
        live = {file.path.name: file for file in answer.files} if answer else {}
        for listed in active:
            known: LiveFile | None = live.get(listed.path.name)
            if known is not None:
                epoch, entries = known.epoch, list(known.entries)
            else:
                epoch, entries = self.contents(listed, key)
            if entries:
                yield Holding(
                    key=key,
                    path=listed.path,
                    identity=listed.identity,
                    epoch=epoch,
                    entries=entries,
                )

    def scan(self, listed: Listed) -> ActiveScan | None:
        """The index of an active file by scanning what is new; None when it is gone."""
        with self._lock:
            found = self._scans.setdefault(listed.path, ActiveScan(listed.path))
            path = listed.path
            if not path.exists():
                renamed = self.find(listed.identity)
                if renamed is None:
                    return None
                path = renamed
            with contextlib.suppress(FileNotFoundError), path.open("rb") as opened:
                found.refresh(opened.fileno())
            return found
