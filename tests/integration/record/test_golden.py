"""Files of released versions stay readable. `golden/v1.kcw` was made once by `make` below."""

from pathlib import Path

from tests.fakes.clock import FakeClock
from tests.fakes.pieces import GATE, START_US, YARD, session, stretch

from kilocam.core import CameraKey, Gap, GapCause, Span
from kilocam.record import Archive, FileOk, LogOptions, LogWriter, list_records, verify_files
from kilocam.record.index import MARK

GOLDEN = Path(__file__).parent / "golden"
S = 1_000_000
SILENT = Gap(start_us=START_US + 2 * S, end_us=START_US + 12 * S, cause=GapCause.SILENT, detail="x")


def make(path: Path) -> None:
    """Write the golden file anew; only for a new version, beside the old ones."""
    options = LogOptions(reserve=0, keep_us=10 * 365 * 86_400 * S)
    writer = LogWriter([path], "golden", options, clock=FakeClock(START_US))
    writer.start()
    for key in (GATE, YARD):
        writer.open_session(session(key, 1, writer.epoch))
        for made in stretch(key, pieces=4, size=40):
            writer.append(made)
    writer.flush()
    writer.gap(GATE.tenant, GATE.camera, SILENT)
    writer.close()


def file() -> Path:
    return next(GOLDEN.glob("*.kcw"))


def test_version_1_is_read() -> None:
    archive = Archive([GOLDEN])
    assert archive.keys() == [GATE, YARD]
    for key in (GATE, YARD):
        got = list(archive.pieces(key, START_US, START_US + 60 * S))
        assert [made for _, made in got] == stretch(key, pieces=4, size=40)
        assert {found for found, _ in got} == {session(key, 1, START_US)}
    assert archive.coverage(GATE, START_US, START_US + 60 * S) == (
        [Span(start_us=START_US, end_us=START_US + 2 * S)],
        [SILENT],
    )
    assert archive.spans(CameraKey("other", "gate"), START_US, START_US + 60 * S) == []


def test_version_1_is_verified_and_listed() -> None:
    [result] = verify_files([file()])
    assert isinstance(result, FileOk)
    kinds = [line.kind for line in list_records(file())]
    assert kinds == ["file", *["session", *["piece"] * 4] * 2, "mark", "gap", "index", "footer"]
    mark = next(line for line in list_records(file()) if line.kind == "mark")
    data = file().read_bytes()[mark.offset : mark.offset + mark.length]
    assert MARK.unpack(data[-8:])[0] == mark.offset
