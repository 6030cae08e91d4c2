"""A file that is written and sealed: what is on the disk when, and what cannot be stored."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fakes.pieces import GATE, START_US, YARD, piece, session, stretch

from kilocam.core import CameraKey, GapCause, Piece
from kilocam.record import Archive, FileOk, list_records, verify_files
from kilocam.record.active import ActiveFile
from kilocam.record.disk import Disk
from kilocam.record.names import FileName
from kilocam.record.ring import Item
from kilocam.record.source import Opened, Source

END = START_US + 100_000_000


class Noting(Disk):
    """Notes the order of what changes the disk."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fault: Exception | None = None

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        self.done.append("write")
        written = super().write(fd, buffers, offset)
        if self.fault is not None:
            raise self.fault
        return written

    def sync(self, fd: int) -> None:
        self.done.append("sync")
        super().sync(fd)

    def rename(self, old: Path, new: Path) -> None:
        self.done.append("rename")
        super().rename(old, new)

    def sync_directory(self, directory: Path) -> None:
        self.done.append("sync directory")
        super().sync_directory(directory)


def items(key: CameraKey, pieces: list[Piece]) -> list[Item]:
    source = Source(key, None, 1, 1)  # type: ignore[arg-type]  # a file never looks at the lane
    opened = Opened(session(key))
    return [Item(source, opened, number, made) for number, made in enumerate(pieces, 1)]


def opened_file(directory: Path, disk: Disk) -> ActiveFile:
    name = FileName(created_us=START_US, recorder="r0", keep_s=604_800)
    file = ActiveFile(disk, directory, name, 1)
    file.open({})
    return file


def test_a_file_is_on_stable_storage_before_its_name_says_that_it_is_sealed(
    tmp_path: Path,
) -> None:
    disk = Noting()
    file = opened_file(tmp_path, disk)
    file.append(items(GATE, stretch(pieces=2)))
    disk.done.clear()
    file.seal(START_US)
    file.close()
    assert disk.done == ["write", "sync", "rename", "sync directory"]


def test_a_piece_no_record_can_hold_is_told_as_a_gap_and_costs_no_other(tmp_path: Path) -> None:
    disk = Disk()
    file = opened_file(tmp_path, disk)
    bad = piece(GATE)._replace(packets=-1)
    worse = piece(GATE)._replace(wall_us=1 << 80)
    file.append([*items(GATE, [bad, worse]), *items(YARD, stretch(YARD, pieces=2))])
    sealed = file.seal(START_US)
    file.close()
    archive = Archive([tmp_path])
    assert [made for _, made in archive.pieces(YARD, START_US, END)] == stretch(YARD, pieces=2)
    [gap] = archive.gaps(GATE, START_US, END)
    assert gap.cause is GapCause.DAMAGED
    assert gap.end_us - gap.start_us == bad.duration_us
    [result] = verify_files([sealed])
    assert isinstance(result, FileOk)


def test_whatever_ends_a_write_none_of_it_stays(tmp_path: Path) -> None:
    disk = Noting()
    file = opened_file(tmp_path, disk)
    size = os.fstat(file.fd).st_size
    disk.fault = MemoryError()
    with pytest.raises(MemoryError):
        file.append(items(GATE, stretch(pieces=2)))
    assert os.fstat(file.fd).st_size == size
    disk.fault = None
    file.append(items(GATE, stretch(pieces=2)))
    sealed = file.seal(START_US)
    file.close()
    assert [line.kind for line in list_records(sealed)] == [
        "file", "session", "piece", "piece", "index", "footer",
    ]  # fmt: skip
