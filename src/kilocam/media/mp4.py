"""Plain MP4 files, written as a stream: samples go to disk at once, only sizes stay in memory.

The media is spooled beside the target and moved behind the finished `moov`, so that players can
start before they have the whole file; the target appears only when it is complete.
"""

import secrets
import shutil
import struct
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from kilocam.media.boxes import (
    MOVIE_TIMESCALE,
    box,
    edit_list,
    file_type,
    full_box,
    movie_header,
    sample_description,
    track_box,
)
from kilocam.media.errors import MediaError
from kilocam.media.samples import Format, MediaTrack, Sample

_CHUNK_BYTES = 1 << 20
_CHUNK_SAMPLES = 64
_COPY = 1 << 20


class _Table:
    """Some 25 bytes per sample of one track."""

    def __init__(self, track: MediaTrack) -> None:
        self.id = track.id
        self.timescale = track.timescale
        self.formats: list[Format] = list(track.formats)
        self.durations = array("I")
        self.offsets = array("i")
        self.sizes = array("I")
        self.keys = array("I")
        self.first: tuple[int, int] | None = None
        """Decoding and presentation time of the first sample."""
        self.next_dts = 0
        self.chunks: list[tuple[int, int, int]] = []
        """Offset in the media, samples, format."""

    @property
    def duration(self) -> int:
        return 0 if self.first is None else self.next_dts - self.first[0]

    def track(self) -> MediaTrack:
        return MediaTrack(id=self.id, timescale=self.timescale, formats=tuple(self.formats))


class Mp4Writer:
    """Writes one MP4 file; use it as a context manager: left by an error, no file appears.

    Args:
        path: the file; replaced when it exists.
        tracks: what will be written; formats may be added while writing.
        starts: by track id, the media time that is presented when the file begins; none: the file
            begins with the first sample of all.
    """

    def __init__(
        self,
        path: Path,
        tracks: Sequence[MediaTrack],
        *,
        starts: Mapping[int, int] | None = None,
    ) -> None:
        self._path = path
        self._starts = starts
        self._tables = {track.id: _Table(track) for track in tracks}
        self._media: BinaryIO | None = None
        self._size = 0
        self._chunk: list[Sample] = []
        self._chunk_bytes = 0

    def __enter__(self) -> Self:
        try:
            self._media = tempfile.TemporaryFile(dir=self._path.parent)
        except OSError as error:
            raise _unwritable(self._path, error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._media is None:
            return
        try:
            if kind is None:
                self._finish(self._media)
        except OSError as failure:
            raise _unwritable(self._path, failure) from None
        finally:
            self._media.close()

    def add_format(self, track: int, entry: Format) -> int:
        """The index of a format of a track; a new one gets a sample entry of its own."""
        formats = self._tables[track].formats
        if entry not in formats:
            formats.append(entry)
        return formats.index(entry)

    def write(self, sample: Sample) -> None:
        """Append a sample; those of a track in decoding order.

        A sample lasts until the next one of its track, whatever its duration says; that of the
        last one counts.

        Raises:
            MediaError: it would be decoded before the sample in front of it, or the disk is full.
        """
        table = self._tables[sample.track]
        if table.first is None:
            table.first = (sample.dts, sample.pts)
        elif sample.dts < table.next_dts - table.durations[-1]:
            raise MediaError(f"sample at {sample.dts} of track {sample.track} comes too late")
        else:
            table.durations[-1] += sample.dts - table.next_dts
        table.durations.append(sample.duration)
        table.next_dts = sample.dts + sample.duration
        table.offsets.append(sample.pts - sample.dts)
        table.sizes.append(len(sample.data))
        if sample.key:
            table.keys.append(len(table.sizes))
        self._to_chunk(sample)

    def _to_chunk(self, sample: Sample) -> None:
        chunk = self._chunk
        if chunk and (
            (chunk[0].track, chunk[0].format) != (sample.track, sample.format)
            or self._chunk_bytes >= _CHUNK_BYTES
            or len(chunk) == _CHUNK_SAMPLES
        ):
            self._flush()
        self._chunk.append(sample)
        self._chunk_bytes += len(sample.data)

    def _flush(self) -> None:
        if not self._chunk or self._media is None:
            return
        first = self._chunk[0]
        self._tables[first.track].chunks.append((self._size, len(self._chunk), first.format))
        try:
            self._media.write(b"".join(sample.data for sample in self._chunk))
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._size += self._chunk_bytes
        self._chunk, self._chunk_bytes = [], 0

    def _finish(self, media: BinaryIO) -> None:
        self._flush()
        tables = [table for table in self._tables.values() if table.first is not None]
        if not tables:
            raise MediaError(f"file {self._path}: there is no sample to write")
        head = self._head(tables)
        part = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("xb") as file:
                file.write(head)
                media.seek(0)
                shutil.copyfileobj(media, file, _COPY)
            part.replace(self._path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _head(self, tables: list[_Table]) -> bytes:
        """Everything before the media; its length does not depend on the offsets in it."""
        start = file_type(b"isom", b"iso6", b"avc1", b"mp41")
        length = len(start) + len(_movie(tables, 0, self._starts)) + 16
        size = struct.pack(">I4sQ", 1, b"mdat", 16 + self._size)
        return start + _movie(tables, length, self._starts) + size


def _movie(tables: list[_Table], media_at: int, begins: Mapping[int, int] | None) -> bytes:
    """`moov`; each track is shown as much later as it begins later."""
    starts = [
        _movie_ticks(_first(table)[1] - (begins or {}).get(table.id, 0), table) for table in tables
    ]
    zero = min(starts) if begins is None else 0
    traks = []
    longest = 0
    for table, start in zip(tables, starts, strict=True):
        shown, delay = _movie_ticks(table.duration, table), max(0, start - zero)
        longest = max(longest, delay + shown)
        dts, pts = _first(table)
        edit = edit_list(shown, pts - dts, delay) if delay or pts != dts else b""
        traks.append(
            track_box(
                table.track(),
                _sample_table(table, media_at),
                shown=delay + shown,
                duration=table.duration,
                edit=edit,
            )
        )
    return box(b"moov", movie_header(longest, max(t.id for t in tables) + 1), *traks)


def _first(table: _Table) -> tuple[int, int]:
    assert table.first is not None  # tables without a sample are left out
    return table.first


def _movie_ticks(ticks: int, table: _Table) -> int:
    return round(ticks * MOVIE_TIMESCALE / table.timescale)


def _sample_table(table: _Table, media_at: int) -> bytes:
    boxes = [
        sample_description(table.track()),
        full_box(b"stts", 0, 0, _runs(table.durations, "I")),
    ]
    if any(table.offsets):
        boxes.append(full_box(b"ctts", 1, 0, _runs(table.offsets, "i")))
    if len(table.keys) < len(table.sizes):
        boxes.append(full_box(b"stss", 0, 0, struct.pack(">I", len(table.keys)), _big(table.keys)))
    boxes.append(full_box(b"stsc", 0, 0, _chunk_runs(table.chunks)))
    boxes.append(
        full_box(b"stsz", 0, 0, struct.pack(">II", 0, len(table.sizes)), _big(table.sizes))
    )
    offsets = struct.pack(
        f">I{len(table.chunks)}Q", len(table.chunks), *(media_at + at for at, _, _ in table.chunks)
    )
    boxes.append(full_box(b"co64", 0, 0, offsets))
    return box(b"stbl", *boxes)


def _runs(values: "array[int]", kind: str) -> bytes:
    """Count of entries, then (count, value) for each run of equal values."""
    starts = [0, *(n for n, (a, b) in enumerate(pairwise(values), 1) if a != b), len(values)]
    runs = b"".join(
        struct.pack(f">I{kind}", end - start, values[start]) for start, end in pairwise(starts)
    )
    return struct.pack(">I", len(runs) // 8) + runs


def _chunk_runs(chunks: list[tuple[int, int, int]]) -> bytes:
    """`stsc`: an entry where samples per chunk or format change."""
    entries = list(_chunk_entries(chunks))
    return struct.pack(">I", len(entries)) + b"".join(entries)


def _chunk_entries(chunks: list[tuple[int, int, int]]) -> Iterator[bytes]:
    before = None
    for number, (_, samples, entry) in enumerate(chunks, 1):
        if (samples, entry) != before:
            yield struct.pack(">III", number, samples, entry + 1)
        before = (samples, entry)


def _big(values: "array[int]") -> bytes:
    """Big-endian bytes of an array; the array itself keeps the machine's order."""
    swapped = array(values.typecode, values)
    if struct.pack("=H", 1) != struct.pack(">H", 1):
        swapped.byteswap()
    return swapped.tobytes()


def _unwritable(path: Path, error: OSError) -> MediaError:
    return MediaError(
        f"file {path}: cannot be written ({error.strerror or error}); check the folder, its "
        "permissions and free space"
    )
