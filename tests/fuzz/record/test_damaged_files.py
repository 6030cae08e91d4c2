"""Any byte of a sealed file altered: reading fails by our own errors only, and loses no more."""

import contextlib
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import GATE, START_US, YARD, session, stretch

from kilocam.core import CameraKey, Gap, GapCause, KilocamError, Piece, PieceFlag
from kilocam.record import (
    Archive,
    Damage,
    LogOptions,
    LogWriter,
    Position,
    list_records,
    log_files,
    replay,
    verify_files,
)
from kilocam.record.verify import RecordLine

S = 1_000_000
END = START_US + 60 * S
SILENT = Gap(start_us=START_US + 2 * S, end_us=START_US + 12 * S, cause=GapCause.SILENT, detail="x")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras, one with a gap between two stretches."""
    log = tmp_path_factory.mktemp("log")
    options = LogOptions(reserve=0, gather_us=1000)
    writer = LogWriter([log], "r0", options, clock=FakeClock(START_US))
    writer.start()
    for key in (GATE, YARD):
        writer.open_session(session(key, 1, writer.epoch))
        for made in stretch(key, pieces=4, size=20):
            writer.append(made)
    writer.gap(GATE.tenant, GATE.camera, SILENT)
    for made in stretch(start_us=START_US + 12 * S, pieces=2, size=20):
        writer.append(made)
    writer.close()
    return log_files([log])[0]


def record_at(lines: list[RecordLine], at: int) -> RecordLine:
    return next(line for line in lines if line.offset <= at < line.offset + line.length)


def stored(archive: Archive, key: CameraKey) -> list[Piece]:
    return [made for _, made in archive.pieces(key, START_US, END)]


def whole(pieces: list[Piece]) -> list[Piece]:
    return [made for made in pieces if not made.flags & PieceFlag.DAMAGED]


def read_all(path: Path) -> None:
    """Every way of reading, only for what it raises."""
    archive = Archive([path])
    for key in (GATE, YARD):
        with contextlib.suppress(KilocamError):
            list(archive.records(key, START_US, END))
            list(archive.read(archive.marks(key, START_US, END)))
            archive.sessions(key, START_US, END)
    archive.keys()
    list(replay([path], Position(recorder="r0", sequence=0)))
    for found in log_files([path]):
        list(list_records(found))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pattern", [0xFF, pytest.param(0x01, marks=pytest.mark.full)])
def test_an_altered_byte_costs_its_own_record_and_nothing_else(
    file: Path, tmp_path: Path, pattern: int
) -> None:
    lines = list(list_records(file))
    before = {key: stored(Archive([file.parent]), key) for key in (GATE, YARD)}
    spans, gaps = Archive([file.parent]).coverage(GATE, START_US, END)
    altered = tmp_path / file.name
    content = bytearray(file.read_bytes())
    for at in range(len(content)):
        hit = record_at(lines, at)
        content[at] ^= pattern
        altered.write_bytes(content)
        content[at] ^= pattern
        archive = Archive([tmp_path])
        for key, made in before.items():
            of_key = hit.header.key == key
            if of_key and hit.kind == "session":
                continue  # no other file has it: without their session its pieces mean nothing
            lost = hit.header.wall_us if of_key and hit.kind == "piece" else 0
            kept = [one for one in made if one.wall_us != lost]
            assert whole(stored(archive, key)) == kept, at
        # A row that was never compared with its hash may hide a hole; by now this one was.
        told, missing = archive.coverage(GATE, START_US, END)
        assert told == spans, at
        assert [(gap.start_us, gap.end_us) for gap in missing] == [
            (gap.start_us, gap.end_us) for gap in gaps
        ], at
        if at % 7 == 0:
            assert any(isinstance(found, Damage) for found in verify_files([altered])), at
            read_all(tmp_path)


def test_a_file_cut_anywhere_gives_all_that_lies_before(file: Path, tmp_path: Path) -> None:
    lines = [line for line in list_records(file) if line.kind == "piece"]
    altered = tmp_path / file.name
    content = file.read_bytes()
    for size in range(0, len(content), 17):
        altered.write_bytes(content[:size])
        archive = Archive([tmp_path])
        kept = [line.header.key for line in lines if line.offset + line.length <= size]
        for key in (GATE, YARD):
            assert len(whole(stored(archive, key))) == kept.count(key), size
        read_all(tmp_path)
