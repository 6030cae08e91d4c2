"""Files whose own records are damaged, and files that lie about their sizes."""

import logging
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.pieces import GATE, START_US, YARD, piece, session, stretch
from tests.integration.record.conftest import OpenLog

from kilocam.core import Gap, GapCause, Piece
from kilocam.record import Archive, Damage, LogOptions, list_records, log_files, verify_files
from kilocam.record.disk import Disk
from kilocam.record.errors import FormatError
from kilocam.record.format import Kind, Origin, pack_piece, pack_record, session_payload
from kilocam.record.index import FOOTER_LENGTH
from kilocam.record.recovery import Recovered, recover
from kilocam.record.scan import read_at
from kilocam.record.stored import SealedFile, file_record
from kilocam.record.verify import RecordLine

S = 1_000_000


def stored(log: Path) -> list[Piece]:
    return [made for _, made in Archive([log]).pieces(GATE, START_US, START_US + 100 * S)]


@pytest.fixture
def file(tmp_path: Path, open_log: OpenLog) -> Path:
    writer = open_log()
    for key in (GATE, YARD):
        writer.open_session(session(key, 1, writer.epoch))
        for made in stretch(key):
            writer.append(made)
    writer.close()
    return log_files([tmp_path / "log"])[0]


def line_of(file: Path, kind: str) -> RecordLine:
    return next(line for line in list_records(file) if line.kind == kind)


def alter(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 0x80
    file.write_bytes(content)


@pytest.mark.parametrize("kind", ["index", "footer"])
@pytest.mark.parametrize("place", [10, 160, 175, 190])
def test_a_file_without_its_index_is_read_by_its_records(
    file: Path, caplog: pytest.LogCaptureFixture, kind: str, place: int
) -> None:
    line = line_of(file, kind)
    alter(file, line.offset + place)
    archive = Archive([file.parent])
    with caplog.at_level(logging.WARNING):
        for key in (GATE, YARD):
            got = list(archive.pieces(key, START_US, START_US + 100 * S))
            assert [made for _, made in got] == stretch(key)
    assert archive.keys() == [GATE, YARD]
    [told] = caplog.messages
    assert str(file) in told
    assert "`kilocam verify`" in told
    [found] = verify_files([file])
    assert isinstance(found, Damage)
    assert (found.offset, found.key) == (line.offset, None)


def test_a_damaged_session_is_found_in_a_file_beside_it(tmp_path: Path, open_log: OpenLog) -> None:
    writer, made = open_log(options=LogOptions(reserve=0, gather_us=1000, seal_size=3000)), []
    writer.open_session(session(GATE, 1, writer.epoch))
    for number in range(3):
        part = stretch(start_us=START_US + number * 4 * S)
        made += part
        for one in part:
            writer.append(one)
        writer.flush()
    writer.close()
    log = tmp_path / "log"
    assert len(log_files([log])) == 3
    damaged = log_files([log])[1]
    line = line_of(damaged, "session")
    for place in (30, line.header.header_length + 20):
        before = damaged.read_bytes()
        alter(damaged, line.offset + place)
        assert stored(log) == made
        assert len(list(Archive([log]).records(GATE, START_US, START_US + 100 * S))) == 25
        damaged.write_bytes(before)
    alter(damaged, line.offset + line.header.header_length + 20)
    [found] = verify_files([damaged])
    assert isinstance(found, Damage)
    assert found.reason == "the record of session 1 was altered"
    assert (found.from_us, found.to_us) == (START_US + 4 * S, START_US + 8 * S)


def test_a_damaged_gap_stays_a_gap_at_its_times(tmp_path: Path, open_log: OpenLog) -> None:
    writer = open_log()
    writer.open_session(session(GATE, 1, writer.epoch))
    writer.append(stretch()[0])
    gap = Gap(start_us=START_US + S // 2, end_us=START_US + 9 * S, cause=GapCause.REFUSED)
    writer.gap(GATE.tenant, GATE.camera, gap)
    writer.close()
    file = log_files([tmp_path / "log"])[0]
    line = line_of(file, "gap")
    alter(file, line.offset + line.length - 20)
    [found] = Archive([file.parent]).gaps(GATE, START_US, START_US + 9 * S)
    assert (found.start_us, found.end_us, found.cause) == (
        START_US + S // 2,
        START_US + 9 * S,
        GapCause.UNKNOWN,
    )


def test_records_with_a_damaged_header_are_not_sent_to_others(file: Path) -> None:
    line = [x for x in list_records(file) if x.kind == "piece"][2]
    alter(file, line.offset + 50)
    records = list(Archive([file.parent]).records(GATE, START_US, START_US + 100 * S))
    assert len(records) == 8


def forged(file: Path, change: Callable[[bytearray], None]) -> None:
    """The same file with another index, hashed and signed as a writer would."""
    index, footer = line_of(file, "index"), line_of(file, "footer")
    content = file.read_bytes()
    payload = bytearray(content[index.offset + index.header.header_length : footer.offset])
    change(payload)
    own = Origin(None, index.header.epoch, 0)
    made = pack_record(own, Kind.INDEX, 0, bytes(payload)) + payload
    end = content[footer.offset + footer.header.header_length :]
    end = end[:8] + struct.pack("<Q", len(made)) + end[16:]
    file.write_bytes(content[: index.offset] + made + pack_record(own, Kind.FOOTER, 0, end) + end)


def many_rows(payload: bytearray) -> None:
    struct.pack_into("<I", payload, 0, 0xFFFFFFFF)


def many_names(payload: bytearray) -> None:
    struct.pack_into("<I", payload, 4, 0xFFFFFFFF)


def many_entries(payload: bytearray) -> None:
    for row in range(2):
        struct.pack_into("<I", payload, 12 + row * 40 + 28, 0xFFFFFFFF)


def long_records(payload: bytearray) -> None:
    for at in range(len(payload) - 18 * 56, len(payload), 56):
        struct.pack_into("<I", payload, at + 48, 0xFFFFFFFF)


def nothing(payload: bytearray) -> None:
    del payload[5:]


@pytest.mark.parametrize("change", [many_rows, many_names, many_entries, long_records, nothing])
def test_an_index_that_lies_about_sizes_costs_neither_memory_nor_footage(
    file: Path, change: Callable[[bytearray], None]
) -> None:
    forged(file, change)
    assert stored(file.parent) == stretch()


def test_a_footer_that_points_outside_its_file_is_refused(file: Path) -> None:
    footer = line_of(file, "footer")
    content = file.read_bytes()
    end = b"\xff" * 16 + content[footer.offset + footer.header.header_length + 16 :]
    own = Origin(None, footer.header.epoch, 0)
    file.write_bytes(content[: footer.offset] + pack_record(own, Kind.FOOTER, 0, end) + end)
    assert file.stat().st_size == footer.offset + FOOTER_LENGTH
    with file.open("rb") as opened, pytest.raises(FormatError, match="the index is damaged"):
        SealedFile(opened.fileno(), file)
    assert stored(file.parent) == stretch()


@pytest.mark.parametrize("payload", [b"[]", b"{", b'{"last": {"gate": 1}}', b'{"last": [1]}'])
def test_a_first_record_that_says_nonsense_is_a_format_error(
    tmp_path: Path, payload: bytes
) -> None:
    file = tmp_path / "x.kcw"
    file.write_bytes(pack_record(Origin(None, 1, 0), Kind.FILE, 0, payload) + payload)
    with file.open("rb") as opened, pytest.raises(FormatError, match="cannot be read"):
        file_record(opened.fileno())


def test_a_sector_that_cannot_be_read_is_a_format_error() -> None:
    with (
        Path("/proc/self/mem").open("rb", buffering=0) as unreadable,
        pytest.raises(FormatError, match="the disk cannot read it any more"),
    ):
        read_at(unreadable.fileno(), 8, 0)


@pytest.mark.parametrize("ending", [".kcw", ".kcw.open"])
def test_what_a_camera_sends_is_never_taken_for_a_record(
    tmp_path: Path, open_log: OpenLog, ending: str
) -> None:
    writer = open_log()
    writer.open_session(session(GATE, 1, writer.epoch))
    origin = Origin(YARD, writer.epoch, 1)
    lie = [session_payload(session(YARD, 1, writer.epoch)), b"$\0\0\4evil"]
    sent = pack_record(origin, Kind.SESSION, 1, lie[0]) + lie[0]
    sent += pack_piece(origin, 2, piece(YARD, payload=lie[1])) + lie[1]
    writer.append(piece(payload=sent + bytes(2000)))
    writer.close()
    file = log_files([tmp_path / "log"])[0]
    line = line_of(file, "piece")
    cut = tmp_path / "cut"
    cut.mkdir()
    name = file.name if ending == ".kcw" else "_".join(file.name.split("_")[:3]) + ending
    (cut / name).write_bytes(file.read_bytes()[: line.offset + line.length - 100])
    assert Archive([cut]).keys() == [GATE]
    assert list(Archive([cut]).pieces(YARD, START_US, START_US + 100 * S)) == []
    recover(cut, "r0", Disk(), START_US, Recovered())
    assert list(Archive([cut]).pieces(YARD, START_US, START_US + 100 * S)) == []
