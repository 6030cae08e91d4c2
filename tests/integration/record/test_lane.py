"""A lane when clocks step and disks are slow: no file too many, no disk given up early."""

import errno
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.disk import FaultyDisk
from tests.fakes.pieces import GATE, START_US, piece, session, stretch
from tests.integration.record.conftest import OpenLog

from kilocam.core import CameraKey, Piece
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


class Slow(FaultyDisk):
    """Each large write and each sync takes a third of a hang."""

    def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        if len(buffers) > 500:
            time.sleep(0.4)
        return super().write(fd, buffers, offset)

    def sync(self, fd: int) -> None:
        time.sleep(0.4)
        super().sync(fd)


def never_in_error(writer: LogWriter) -> bool:
    while not writer.flush(0.05):
        if writer.status().disks[0].error:
            return False
    return True


def test_a_disk_that_is_slow_at_each_write_is_not_taken_for_one_that_hangs(
    open_log: OpenLog,
) -> None:
    options = replace(OPTIONS, gather_us=500_000, hang_us=1_200_000)
    writer = opened(open_log(disk=Slow(), options=options))
    for made in stretch(pieces=2500):
        writer.append(made)
    assert never_in_error(writer)


def test_a_disk_that_is_slow_at_each_sync_is_not_taken_for_one_that_hangs(
    open_log: OpenLog,
) -> None:
    writer = open_log(disk=Slow(), options=replace(OPTIONS, hang_us=1_200_000))
    cameras = [CameraKey("default", f"c{number}") for number in range(6)]
    for number, key in enumerate(cameras, 1):
        writer.set_keep(key, number * 86_400 * S)
        writer.open_session(session(key, 1, writer.epoch))
    for key in cameras:
        writer.append(piece(key))
    assert never_in_error(writer)


def test_the_only_disk_does_not_work_again_while_its_sync_hangs(
    open_log: OpenLog, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(FaultyDisk):
        stuck = False

        def sync(self, fd: int) -> None:
            if self.stuck:
                self.released.wait(30)
            super().sync(fd)

    disk = Stuck()
    writer, made = opened(open_log(disk=disk, options=OPTIONS)), stretch(pieces=30)
    record(writer, made[:2])
    disk.stuck = True
    for each in made[2:28]:
        writer.append(each)
        time.sleep(0.1)
    assert writer.status().disks[0].error == "hangs"
    assert "works again" not in caplog.text
    disk.released.set()
    record(writer, made[28:])
    assert writer.status().disks[0].error == ""
    assert caplog.text.count("works again") == 1


def test_a_disk_that_fails_at_the_stop_hands_nothing_to_one_that_has_stopped(
    tmp_path: Path,
) -> None:
    two = tmp_path / "two"

    class Failing(FaultyDisk):
        def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
            if Path(f"/proc/self/fd/{fd}").readlink().parent == two:
                self.released.wait(30)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().write(fd, buffers, offset)

    def writing() -> int:
        return sum(thread.name == "log-writer" for thread in threading.enumerate())

    before = writing()
    disk = Failing()
    options = LogOptions(reserve=0, gather_us=1000)
    writer = LogWriter([tmp_path / "one", two], "r0", options, disk=disk)
    writer.start()
    key = next(
        key
        for key in (CameraKey("default", f"c{number}") for number in range(99))
        if key.partition % 2
    )
    writer.open_session(session(key, 1, writer.epoch))
    writer.append(piece(key))
    closing = threading.Thread(target=writer.close)
    closing.start()
    while writing() > before + 1:
        time.sleep(0.01)
    disk.released.set()
    closing.join(30)
    assert not closing.is_alive()
    assert not list(tmp_path.glob("*/r0.stopped"))
