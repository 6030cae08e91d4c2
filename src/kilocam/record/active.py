"""A file that is being written (P1) and becomes sealed (P3)."""

import json
import logging
import struct
from pathlib import Path

from kilocam.core import Gap, GapCause
from kilocam.record.disk import Disk, write_all
from kilocam.record.format import Kind, Origin, gap_payload, pack_piece, pack_record
from kilocam.record.index import MARK, EntryFields, Tally
from kilocam.record.names import FileName
from kilocam.record.ring import Item
from kilocam.record.source import Opened, Source

_PIECE, _SESSION, _GAP = int(Kind.PIECE), int(Kind.SESSION), int(Kind.GAP)
_log = logging.getLogger(__name__)


class Batch:
    """Records packed for one write; they count only once it succeeded (I6)."""

    def __init__(self) -> None:
        self.buffers: list[bytes] = []
        """Header and payload by turns."""
        self.entries: list[tuple[Source, EntryFields]] = []
        self.sessions: dict[Source, int] = {}


class ActiveFile:
    """One open file of one retention class; `append` from one thread, `seal` from one other."""

    def __init__(self, disk: Disk, directory: Path, name: FileName, epoch: int) -> None:
        self.name = name
        self.path = directory / str(name)
        self.size = 0
        """Bytes that count: everything before is whole records."""
        self.durable = 0
        """Bytes known to be on stable storage; set by the committing thread."""
        self.lost = False
        """The disk failed under it: closed as it is, recovery will seal it."""
        self.epoch = epoch
        self.opened_us = 0
        """Monotonic: its name may be far from the wall clock, which steps."""
        self.fd = -1
        self.tally = Tally()
        self._disk = disk
        self._own = Origin(None, epoch, 0)
        self._marked = 0
        self._sessions: dict[Source, int] = {}

    def open(self, roll: dict[str, int]) -> None:
        """Create the file with its first record: who writes it and what was stored before (I4)."""
        self.fd = self._disk.create(self.path)
        payload = json.dumps(
            {
                "created_us": self.name.created_us,
                "recorder": self.name.recorder,
                "keep_s": self.name.keep_s,
                "epoch": self.epoch,
                "last": roll,
            }
        ).encode()
        batch = Batch()
        self._add_own(batch, Kind.FILE, payload)
        self._write(batch)

    def append(self, items: list[Item]) -> None:
        """Write items (P1); on OSError none of them counts and the file is as before."""
        batch = Batch()
        if self.durable > self._marked:
            self._add_own(batch, Kind.MARK, MARK.pack(self.durable))
            self._marked = self.durable
        offset = self.size + sum(map(len, batch.buffers))
        for item in items:
            try:
                offset = self._add(batch, item, offset)
            except (struct.error, TypeError, ValueError, OverflowError) as error:
                offset = self._refuse(batch, item, offset, error)
        self._write(batch)
        self._sessions.update(batch.sessions)
        add = self.tally.add
        for source, entry in batch.entries:
            end, stored = add(source.key, entry), source.stored_us
            if stored is None or end > stored:
                source.stored_us = end

    def _add_own(self, batch: Batch, kind: Kind, payload: bytes) -> None:
        header = pack_record(self._own, kind, self.tally.last_sequence, payload)
        batch.buffers += (header, payload)

    def _add(self, batch: Batch, item: Item, offset: int) -> int:
        # Packed before the batch is touched: what cannot be packed leaves it as it was.
        source, opened, sequence, value = item
        if isinstance(value, Gap):
            payload = gap_payload(value)
            wall, duration = value.start_us, value.end_us - value.start_us
            origin = opened.origin if opened else source.origin
            number = opened.session.session if opened else 0
            header = pack_record(
                origin, Kind.GAP, sequence, payload, wall_us=wall, duration_us=duration
            )
            length = len(header) + len(payload)
            entry = (offset, sequence, wall, duration, 0, number, length, 0, _GAP)
        else:
            assert opened is not None
            header = pack_piece(opened.origin, sequence, value)
            if batch.sessions.get(source, self._sessions.get(source)) != value.session:
                offset = self._add_session(batch, source, opened, sequence, offset)
            (_, _, number, wall, duration, _, _, key_us, flags, _, _, _, _, payload) = value
            length = len(header) + len(payload)
            entry = (offset, sequence, wall, duration, key_us, number, length, flags, _PIECE)
        batch.buffers += (header, payload)
        batch.entries.append((source, entry))
        return offset + length

    def _refuse(self, batch: Batch, item: Item, offset: int, error: Exception) -> int:
        """One camera's piece that no record can hold must not cost the others theirs."""
        _log.error("camera %s: what it sent cannot be stored: %r", item.source.key, error)
        if isinstance(item.value, Gap):
            return offset
        start = item.value.wall_us
        end = start + max(0, item.value.duration_us)
        gap = Gap(start_us=start, end_us=end, cause=GapCause.DAMAGED, detail="cannot be stored")
        try:
            return self._add(batch, item._replace(value=gap), offset)
        except struct.error:
            return offset  # not even its time can be told

    def _add_session(
        self, batch: Batch, source: Source, opened: Opened, sequence: int, offset: int
    ) -> int:
        """The session record precedes its camera's first piece in this file (I5)."""
        started = opened.session.started_us
        header = pack_record(opened.origin, Kind.SESSION, sequence, opened.payload, wall_us=started)
        length = len(header) + len(opened.payload)
        number = opened.session.session
        batch.buffers += (header, opened.payload)
        entry = (offset, sequence, started, 0, 0, number, length, 0, _SESSION)
        batch.entries.append((source, entry))
        batch.sessions[source] = number
        return offset + length

    def _write(self, batch: Batch) -> None:
        try:
            self.size = write_all(self._disk, self.fd, batch.buffers, self.size)
        except BaseException:
            self._disk.truncate(self.fd, self.size)
            raise
        self.tally.hash_headers(batch.buffers[::2])

    def seal(self, now_us: int, flags: int = 0) -> Path:
        """Write index and footer, sync, rename (P3); its name when sealed.

        On OSError the file is as before and can be sealed later, unless it is lost by then.
        """
        tail = seal_tail(self.tally, self.size, self.epoch, now_us, flags)
        try:
            write_all(self._disk, self.fd, tail, self.size)
            self._sync()
        except OSError:
            self._disk.truncate(self.fd, self.size)
            raise
        sealed = self.path.with_name(str(sealed_name(self.name, self.tally)))
        self._disk.rename(self.path, sealed)
        return sealed

    def _sync(self) -> None:
        try:
            self._disk.sync(self.fd)
        except OSError:
            self.lost = True  # the kernel has forgotten what was dirty: a second one proves nothing
            raise

    def discard(self) -> None:
        """Remove a file that could not even be begun."""
        self.close()
        self._disk.unlink(self.path)

    def close(self) -> None:
        """Give up the file and its lock."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            self._disk.close(fd)


def seal_tail(tally: Tally, size: int, epoch: int, now_us: int, flags: int) -> list[bytes]:
    """Index and footer of a file of `size` bytes."""
    own = Origin(None, epoch, 0)
    index = tally.index_payload()
    index_header = pack_record(own, Kind.INDEX, tally.last_sequence, index)
    length = len(index_header) + len(index)
    footer = tally.footer_payload(size, index_header, length, now_us, flags)
    footer_header = pack_record(own, Kind.FOOTER, tally.last_sequence, footer)
    return [index_header, index, footer_header, footer]


def sealed_name(name: FileName, tally: Tally) -> FileName:
    """The name a file gets once sealed."""
    return FileName(
        created_us=name.created_us,
        recorder=name.recorder,
        keep_s=name.keep_s,
        first_us=tally.first_us,
        last_us=tally.last_us,
        sealed=True,
    )
