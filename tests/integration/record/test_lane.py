"""A lane when clocks step and disks are slow: no file too many, no disk given up early."""

from pathlib import Path

from tests.fakes.clock import FakeClock
from tests.fakes.pieces import GATE, START_US, session, stretch
from tests.integration.record.conftest import OpenLog

from kilocam.core import Piece
from kilocam.record import LogOptions, LogWriter

S = 1_000_000
OPTIONS = LogOptions(reserve=0, gather_us=1000, sync_us=20_000, hang_us=400_000)


class SteppingClock(FakeClock):
    """Its wall clock may be set."""

    off = 0

    def wall_us(self) -> int:
        return self.now + self.off


def opened(writer: LogWriter) -> LogWriter:
    writer.open_session(session(GATE, 1, writer.epoch))
    return writer


def record(writer: LogWriter, pieces: list[Piece]) -> None:
    """One write each."""
    for made in pieces:
        writer.append(made)
        assert writer.flush()


def files(path: Path) -> int:
    return len(list(path.glob("*.kcw*")))


def test_a_clock_set_back_makes_no_file_of_each_write(tmp_path: Path, open_log: OpenLog) -> None:
    clock = SteppingClock(START_US)
    writer = opened(open_log(options=OPTIONS, clock=clock))
    record(writer, stretch(pieces=4))
    clock.off -= 3600 * S
    record(writer, stretch(pieces=4))
    assert files(tmp_path / "log") == 1
    clock.advance(LogOptions().seal_age_us)
    record(writer, stretch(pieces=4))
    assert files(tmp_path / "log") == 2


def test_a_start_over_files_named_ahead_makes_no_file_of_each_write(
    tmp_path: Path, open_log: OpenLog
) -> None:
    ahead = opened(open_log(options=OPTIONS, clock=FakeClock(START_US + 3600 * S)))
    record(ahead, stretch(pieces=2))
    ahead.close()
    record(opened(open_log(options=OPTIONS, clock=FakeClock(START_US))), stretch(pieces=6))
    assert files(tmp_path / "log") == 2
