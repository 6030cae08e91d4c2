"""The files of some data paths as a reader meets them: listed cheaply, opened when needed.

Owns: the listing (anew only when a directory changed), a bounded cache of footers and directories,
the scans of active files nobody answers for.
"""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kilocam.core import CameraKey
from kilocam.record.errors import FormatError
from kilocam.record.format import Kind
from kilocam.record.index import WHOLE, Entry
from kilocam.record.live import LiveFile, LiveView
from kilocam.record.names import FileName, list_names
from kilocam.record.stored import ActiveScan, FileRecord, SealedFile, file_record

_CACHED = 256
"""Footers kept: 40 kB each for 1000 cameras, so 10 MB."""
_RACY_NS = 50_000_000
"""A directory changed this recently is listed again: its time stamp may hide a later change."""


Identity = tuple[str, int, str, int]
"""Directory, creation, recorder, class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One file and where it is."""

    name: FileName
    path: Path

    @property
    def identity(self) -> Identity:
        """The same before and after sealing."""
        return str(self.path.parent), *self.name.identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one file holds of one camera."""

    path: Path
    identity: Identity
    epoch: int
    entries: list[Entry]


class Shelf:
    """Files of data paths; safe for several threads."""

    def __init__(self, paths: Sequence[Path], live: LiveView | None) -> None:
        self._paths = [Path(path) for path in paths]
        self._live = live
        self._lock = threading.RLock()
        self._stamps: dict[Path, int] = {}
        self._all: list[Listed] = []
        self._listed: dict[Path, list[Listed]] = {}
        self._sealed: OrderedDict[Path, SealedFile] = OrderedDict()
        self._scans: dict[Path, ActiveScan] = {}
        self._records: OrderedDict[Identity, FileRecord] = OrderedDict()

    def files(self) -> list[Listed]:
        """All files, oldest first."""
        with self._lock:
            changed = [self._refresh(path) for path in self._paths]
            if any(changed):
                found = [listed for path in self._paths for listed in self._listed[path]]
                self._all = sorted(found, key=lambda listed: listed.name)
            return self._all

    def _refresh(self, path: Path) -> bool:
        """List a directory anew if it changed; whether it was."""
        try:
            stamp = path.stat().st_mtime_ns
            if self._stamps.get(path) == stamp:
                return False
            names = list_names(path)
        except OSError:
            self._listed[path] = []
            self._stamps.pop(path, None)
            return True
        self._listed[path] = [Listed(name=name, path=path / str(name)) for name in names]
        active = {listed.path for listed in self._listed[path] if not listed.name.sealed}
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
        files = self.files()
        for listed in files:
            name = listed.name
            if name.sealed and name.first_us < to_us and name.last_us >= from_us:
                found = self._sealed_holding(listed, key, outline=outline)
                if found is not None:
                    yield found
        active = [listed for listed in files if not listed.name.sealed]
        if active:
            yield from self._active_holdings(active, key, from_us, to_us)

    def sealed(self, path: Path) -> SealedFile:
        """Footer and directory of a sealed file, cached.

        Raises:
            FormatError: damaged.
            FileNotFoundError: deleted meanwhile.
        """
        with self._lock:
            cached = self._sealed.get(path)
            if cached is not None:
                self._sealed.move_to_end(path)
                return cached
        with path.open("rb") as opened:
            read = SealedFile(opened.fileno(), path)
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
        except (OSError, ValueError, KeyError, FormatError):
            return None
        with self._lock:
            self._records[identity] = read
            if len(self._records) > 16:
                self._records.popitem(last=False)
        return read

    def find(self, identity: Identity) -> Path | None:
        """Where a file is now: it may have been sealed, and so renamed, since it was listed."""
        with self._lock:
            self._stamps.clear()
        for listed in self.files():
            if listed.identity == identity:
                return listed.path
        return None

    def keys_of(self, listed: Listed) -> list[CameraKey]:
        """Cameras in a file."""
        if not listed.name.sealed:
            scanned = self.scan(listed)
            return scanned.tally.keys() if scanned else []
        with contextlib.suppress(FileNotFoundError, FormatError):
            return [key for key, _ in self.sealed(listed.path).directory.rows()]
        return []

    def _sealed_holding(self, listed: Listed, key: CameraKey, *, outline: bool) -> Holding | None:
        with contextlib.suppress(FileNotFoundError, FormatError):
            sealed = self.sealed(listed.path)
            row = sealed.row(key)
            if row is None:
                return None
            if outline and row.flags & WHOLE:
                length = row.last_us - row.first_us
                entries = [Entry(0, 0, row.first_us, length, 0, 0, 0, 0, Kind.PIECE)]
            else:
                with listed.path.open("rb") as opened:
                    entries = sealed.entries(opened.fileno(), row)
            return Holding(
                path=listed.path,
                identity=listed.identity,
                epoch=sealed.epoch,
                entries=entries,
            )
        return None

    def _active_holdings(
        self, active: list[Listed], key: CameraKey, from_us: int, to_us: int
    ) -> Iterator[Holding]:
        answer = self._live.where(key, from_us, to_us) if self._live else None
        live = {file.path.name: file for file in answer.files} if answer else {}
        for listed in active:
            known: LiveFile | None = live.get(listed.path.name)
            if known is not None:
                epoch, entries = known.epoch, list(known.entries)
            else:
                scanned = self.scan(listed)
                if scanned is None:
                    continue
                epoch, entries = scanned.epoch, scanned.tally.entries(key)
            if entries:
                identity = listed.identity
                yield Holding(path=listed.path, identity=identity, epoch=epoch, entries=entries)

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
