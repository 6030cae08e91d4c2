"""`verify` finds every altered, missing and re-ordered record and names its footage."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.pieces import GATE, START_US, YARD, session, stretch
from tests.integration.record.conftest import OpenLog

from kilocam.core import CameraKey
from kilocam.record import Damage, FileOk, list_records, log_files, verify_files
from kilocam.record.verify import RecordLine

S = 1_000_000


@pytest.fixture
def file(tmp_path: Path, open_log: OpenLog) -> Path:
    """A sealed file of two cameras, ten pieces each."""
    writer = open_log()
    for key in (GATE, YARD):
        writer.open_session(session(key, 1, writer.epoch))
        for made in stretch(key, pieces=10):
            writer.append(made)
    writer.close()
    return log_files([tmp_path / "log"])[0]


def pieces(file: Path, key: CameraKey = GATE) -> list[RecordLine]:
    return [line for line in list_records(file) if line.kind == "piece" and line.header.key == key]


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0x10
    file.write_bytes(data)


def damages(file: Path) -> list[Damage]:
    return [found for found in verify_files([file]) if isinstance(found, Damage)]


def test_a_whole_file_is_told_so(file: Path) -> None:
    size = file.stat().st_size
    assert list(verify_files([file])) == [
        FileOk(file=file, records=25, wanted=20, bytes=size, sealed=True)
    ]


def test_an_altered_byte_of_footage_names_camera_and_range(file: Path) -> None:
    line = pieces(file)[3]
    flip(file, line.offset + line.header.header_length + 10)
    assert damages(file) == [
        Damage(
            file=file,
            offset=line.offset,
            reason="the payload was altered",
            key=GATE,
            from_us=START_US + 3 * S // 2,
            to_us=START_US + 2 * S,
        )
    ]


def test_an_altered_header_names_camera_and_range_too(file: Path) -> None:
    line = pieces(file, YARD)[5]
    flip(file, line.offset + 41)
    found = damages(file)
    assert [(d.key, d.from_us, d.reason) for d in found] == [
        (YARD, START_US + 5 * S // 2, "the header's checksum is wrong")
    ]


@pytest.mark.parametrize("kind", ["file", "session", "index", "footer"])
def test_an_altered_byte_anywhere_else_is_found(file: Path, kind: str) -> None:
    line = next(line for line in list_records(file) if line.kind == kind)
    flip(file, line.offset + line.length - 5)
    assert damages(file)


def test_every_single_byte_is_watched(file: Path) -> None:
    whole = file.read_bytes()
    for at in range(0, len(whole), 37):
        flip(file, at)
        assert damages(file), at
        file.write_bytes(whole)


def rewritten(change: Callable[[list[bytes]], list[bytes]], file: Path) -> None:
    lines = list(list_records(file))
    data = file.read_bytes()
    records = [data[line.offset : line.offset + line.length] for line in lines]
    file.write_bytes(b"".join(change(records)))


def test_a_removed_record_is_found(file: Path) -> None:
    rewritten(lambda records: records[:6] + records[7:], file)
    assert damages(file)


def test_records_in_another_order_are_found(file: Path) -> None:
    rewritten(lambda r: [*r[:5], r[6], r[5], *r[7:]], file)
    assert "the record is out of order" in [found.reason for found in damages(file)]


def test_a_record_slipped_in_is_found(file: Path) -> None:
    rewritten(lambda r: [*r[:5], r[5], *r[5:]], file)
    assert any("headers were altered" in found.reason for found in damages(file))


def test_a_file_cut_short_is_found(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    assert damages(file)


def test_a_renamed_file_is_found(file: Path) -> None:
    parts = file.name.split("_")
    parts[3] = str(int(parts[3]) + 1)
    other = file.rename(file.with_name("_".join(parts)))
    assert [found.reason for found in damages(other)] == [
        "the file's name tells another time than its footer; rename it back"
    ]


def test_only_the_footage_asked_for_is_read(file: Path) -> None:
    line = pieces(file)[3]
    flip(file, line.offset + line.header.header_length + 10)
    assert not isinstance(next(verify_files([file], YARD)), Damage)
    assert not isinstance(next(verify_files([file], GATE, START_US, START_US + S)), Damage)
    assert isinstance(next(verify_files([file], GATE, START_US, START_US + 2 * S)), Damage)
    assert list(verify_files([file], GATE, START_US + 99 * S)) == []


def test_a_file_that_cannot_be_opened_is_a_damage(tmp_path: Path) -> None:
    gone = tmp_path / "gone.kcw"
    assert damages(gone) == [
        Damage(file=gone, offset=0, reason="cannot be read: No such file or directory")
    ]


def test_a_file_being_written_is_whole_up_to_its_torn_end(
    tmp_path: Path, open_log: OpenLog
) -> None:
    writer = open_log()
    writer.open_session(session(GATE, 1, writer.epoch))
    for made in stretch(pieces=3):
        writer.append(made)
    writer.flush()
    file = log_files([tmp_path / "log"])[0]
    copy = tmp_path / file.name
    copy.write_bytes(file.read_bytes()[:-50])
    assert not damages(copy)
    flip(copy, 400)
    assert damages(copy)
