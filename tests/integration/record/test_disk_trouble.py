"""A disk that is full, slow, broken or hangs: a typed gap, never an exception, back by itself."""

import contextlib
import ctypes
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.disk import FaultyDisk
from tests.fakes.pieces import GATE, START_US, piece, session, stretch
from tests.integration.record.conftest import OpenLog

from kilocam.core import ConfigError, Gap, GapCause, Piece
from kilocam.record import (
    Archive,
    FileOk,
    LogOptions,
    LogWriter,
    Position,
    log_files,
    replay,
    verify_files,
)

S = 1_000_000
OPTIONS = LogOptions(reserve=0, gather_us=1000, sync_us=20_000, ring_bytes=4000, hang_us=200_000)


def eventually(happens: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def record(writer: LogWriter, pieces: list[Piece]) -> None:
    for made in pieces:
        writer.append(made)


def opened(writer: LogWriter) -> LogWriter:
    writer.open_session(session(GATE, 1, writer.epoch))
    return writer


def stored(*logs: Path) -> list[Piece]:
    got = Archive(logs).pieces(GATE, START_US, START_US + 1000 * S)
    return [made for _, made in got]


def gaps(*logs: Path) -> list[Gap]:
    return Archive(logs).gaps(GATE, START_US, START_US + 1000 * S)


def _names(path: Path) -> list[str]:
    return [file.name for file in path.iterdir()]


def whole(*logs: Path) -> bool:
    return all(isinstance(found, FileOk) for found in verify_files(log_files(logs)))


def test_short_writes_are_finished(tmp_path: Path, open_log: OpenLog) -> None:
    disk = FaultyDisk()
    disk.largest_write = 7
    writer, made = opened(open_log(disk=disk)), stretch(pieces=6)
    record(writer, made)
    writer.close()
    assert stored(tmp_path / "log") == made
    assert whole(tmp_path / "log")


@pytest.mark.parametrize("room", [0, 100, 500, 900, 1500])
def test_a_full_disk_leaves_a_typed_gap_and_recording_resumes(
    tmp_path: Path, open_log: OpenLog, room: int
) -> None:
    disk = FaultyDisk()
    writer = opened(open_log(disk=disk, options=OPTIONS))
    made = stretch(pieces=60)
    record(writer, made[:4])
    assert writer.flush()
    disk.room = room
    sent = 4
    while not writer.status().disks[0].error:
        record(writer, made[sent : sent + 1])
        sent += 1
        eventually(lambda: bool(writer.status().disks[0].error) or writer.flush(0.1))
    record(writer, made[sent:56])
    assert writer.status().disks[0].error == "No space left on device"
    disk.room = None
    eventually(writer.flush)
    record(writer, made[56:])
    assert writer.flush()
    got, missing = stored(tmp_path / "log"), gaps(tmp_path / "log")
    assert got[:4] == made[:4]
    assert got[-8:] == made[-8:]
    assert [gap.cause for gap in missing] == [GapCause.DISK_FULL]
    length = sum(gap.end_us - gap.start_us for gap in missing)
    assert length == (len(made) - len(got)) * 500_000
    assert whole(tmp_path / "log")


def test_a_broken_disk_is_abandoned_for_the_next_and_nothing_is_lost(
    tmp_path: Path, open_log: OpenLog
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    disk = FaultyDisk()
    writer = opened(open_log(one, two, disk=disk, options=LogOptions(reserve=0, gather_us=1000)))
    made = stretch(pieces=30)
    record(writer, made[:10])
    writer.flush()
    first = one if any(name.endswith(".open") for name in _names(one)) else two
    disk.broken.add(first)
    record(writer, made[10:20])
    assert writer.flush()
    record(writer, made[20:])
    assert writer.flush()
    assert stored(one, two) == made
    assert gaps(one, two) == []


def test_a_disk_that_hangs_is_abandoned_and_nothing_is_lost_or_given_twice(
    tmp_path: Path, open_log: OpenLog
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    disk = FaultyDisk()
    options = LogOptions(reserve=0, gather_us=1000, hang_us=200_000)
    writer = opened(open_log(one, two, disk=disk, options=options))
    made = stretch(pieces=30)
    record(writer, made[:10])
    writer.flush()
    first = one if any(name.endswith(".open") for name in _names(one)) else two
    disk.hanging.add(first)
    record(writer, made[10:20])
    eventually(lambda: any(found.error == "hangs" for found in writer.status().disks))
    record(writer, made[20:])
    assert writer.flush()
    assert stored(one, two) == made
    disk.hanging.clear()
    disk.released.set()
    writer.close()
    assert stored(one, two) == made
    assert gaps(one, two) == []


def test_the_only_disk_broken_leaves_a_typed_gap_and_recording_resumes(
    tmp_path: Path, open_log: OpenLog
) -> None:
    disk = FaultyDisk()
    writer = opened(open_log(disk=disk, options=OPTIONS))
    made = stretch(pieces=60)
    record(writer, made[:4])
    assert writer.flush()
    disk.broken.add(tmp_path / "log")
    record(writer, made[4:5])
    eventually(lambda: writer.status().disks[0].error == "Input/output error")
    record(writer, made[5:56])
    disk.broken.clear()
    eventually(writer.flush)
    record(writer, made[56:])
    assert writer.flush()
    got, missing = stored(tmp_path / "log"), gaps(tmp_path / "log")
    assert got[:4] == made[:4]
    assert got[-8:] == made[-8:]
    assert {gap.cause for gap in missing} == {GapCause.DISK_FAILED}
    writer.close()
    assert len(opened(open_log())._sources) == 1
    assert whole(tmp_path / "log")


def test_a_disk_that_is_slow_leaves_a_typed_gap(tmp_path: Path, open_log: OpenLog) -> None:
    disk = FaultyDisk()
    slow = LogOptions(reserve=0, gather_us=1000, ring_bytes=4000)
    writer = opened(open_log(disk=disk, options=slow))
    made = stretch(pieces=40)
    record(writer, made[:2])
    writer.flush()
    disk.hanging.add(tmp_path / "log")
    record(writer, made[2:3])
    eventually(lambda: writer.status().disks[0].ring_bytes == 0)
    record(writer, made[3:])
    disk.released.set()
    assert writer.flush()
    assert [gap.cause for gap in gaps(tmp_path / "log")] == [GapCause.DISK_SLOW]
    assert stored(tmp_path / "log")[-5:] == made[-5:]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    options = b"size=1m"
    if libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, options) != 0:
        pytest.skip(f"mount refused: {os.strerror(ctypes.get_errno())}")
    yield path
    libc.umount2(bytes(path), 2)  # MNT_DETACH


def test_a_real_full_file_system_is_freed_by_retention_and_recording_goes_on(
    small_disk: Path, open_log: OpenLog
) -> None:
    options = LogOptions(gather_us=1000, sync_us=20_000, seal_size=100_000, ring_bytes=200_000)
    writer = opened(open_log(small_disk, options=options))
    made = [
        piece(wall_us=START_US + number * 500_000, keyed=True, payload=os.urandom(20_000))
        for number in range(120)
    ]
    for found in made:
        writer.append(found)
        writer.flush(1.0)
    assert eventually_flushed(writer)
    got = stored(small_disk)
    assert got[-1] == made[-1]
    assert got[0] != made[0]
    writer.close()
    assert whole(small_disk)


def eventually_flushed(writer: LogWriter) -> bool:
    eventually(writer.flush)
    return True


# -- trouble that is there at the start --------------------------------------------------------


def disks(writer: LogWriter) -> list[str]:
    return [disk.error for disk in writer.status().disks]


@pytest.mark.parametrize("bad", [0, 1])
def test_of_two_paths_a_bad_one_does_not_stop_the_other_and_joins_when_it_is_mended(
    tmp_path: Path, open_log: OpenLog, bad: int
) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    paths[bad].touch()  # a file where a directory should be
    options = LogOptions(reserve=0, gather_us=1000, hang_us=200_000)
    writer = opened(open_log(*paths, options=options))
    made = stretch(pieces=20)
    record(writer, made[:10])
    assert writer.flush()
    assert "it or a parent is a file" in disks(writer)[bad]
    assert disks(writer)[1 - bad] == ""
    assert stored(*paths) == made[:10]
    assert list(replay(paths, Position(recorder="r0", sequence=0)))
    paths[bad].unlink()
    eventually(lambda: disks(writer) == ["", ""])
    writer.open_session(session(GATE, 1, writer.epoch))  # new sessions return to it
    record(writer, made[10:])
    assert writer.flush()
    assert stored(*paths) == made
    assert gaps(*paths) == []
    assert (paths[bad] / "log-version").exists()


def test_all_paths_bad_are_one_line(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.touch()
    writer = LogWriter(paths, "r0", OPTIONS)
    with pytest.raises(ConfigError) as refused:
        writer.start()
    assert str(refused.value).startswith(f"storage path {paths[0]}: it or a parent is a file")
    assert "\n" not in str(refused.value)
    writer.close()


@contextlib.contextmanager
def hanging(path: Path) -> Iterator[None]:
    """A path that hangs until the end: reading its version waits for a pipe."""
    path.mkdir()
    version = path / "log-version"
    os.mkfifo(version)
    try:
        yield
    finally:
        pipe = os.open(version, os.O_RDWR | os.O_NONBLOCK)
        version.unlink()
        version.write_text("1\n")
        os.write(pipe, b"1\n")
        os.close(pipe)


@pytest.mark.parametrize("bad", [0, 1])
def test_of_two_paths_one_that_hangs_does_not_stop_the_other_and_joins_when_it_answers(
    tmp_path: Path, open_log: OpenLog, bad: int
) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    made = stretch(pieces=20)
    with hanging(paths[bad]):
        options = LogOptions(reserve=0, gather_us=1000, hang_us=200_000)
        writer = opened(open_log(*paths, options=options))
        record(writer, made[:10])
        assert writer.flush()
        assert disks(writer)[bad] == "hangs"
        assert disks(writer)[1 - bad] == ""
    eventually(lambda: disks(writer) == ["", ""])
    writer.open_session(session(GATE, 1, writer.epoch))
    record(writer, made[10:])
    assert writer.flush()
    assert stored(*paths) == made


def test_a_stop_beside_a_path_that_hangs_is_a_clean_one(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    with hanging(paths[0]):
        writer = LogWriter(paths, "r0", OPTIONS, clock=FakeClock(START_US))
        writer.start()
        record(opened(writer), stretch(pieces=4))
        writer.close()
    again = LogWriter(paths, "r0", OPTIONS, clock=FakeClock(START_US))
    again.start()
    again.account(GATE, START_US + 60 * S)
    assert again.flush()
    assert [gap.cause for gap in gaps(*paths)] == [GapCause.RECORDER_STOPPED]
    again.close()


# -- what is not the disk's fault, and what counts as stored -----------------------------------


def test_a_fault_that_is_no_disks_is_noticed_and_recording_goes_on(
    tmp_path: Path, open_log: OpenLog
) -> None:
    disk = FaultyDisk()
    options = LogOptions(reserve=0, gather_us=1000, sync_us=20_000)
    writer, made = opened(open_log(disk=disk, options=options)), stretch(pieces=12)
    record(writer, made[:4])
    assert writer.flush()
    disk.fault = RuntimeError("a fault of ours")
    record(writer, made[4:8])
    eventually(lambda: "a fault of ours" in disks(writer)[0])
    disk.fault = None
    record(writer, made[8:])
    eventually(writer.flush)
    assert disks(writer) == [""]
    assert stored(tmp_path / "log") == made
    assert gaps(tmp_path / "log") == []


def test_a_fault_while_committing_gives_the_disk_to_the_next(
    tmp_path: Path, open_log: OpenLog
) -> None:
    class Faulty(FaultyDisk):
        def sync(self, fd: int) -> None:
            if self.fault is not None:
                raise self.fault
            super().sync(fd)

        def write(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
            fault, self.fault = self.fault, None
            try:
                return super().write(fd, buffers, offset)
            finally:
                self.fault = fault

    disk = Faulty()
    options = LogOptions(reserve=0, gather_us=1000, sync_us=20_000)
    writer, made = opened(open_log(disk=disk, options=options)), stretch(pieces=12)
    record(writer, made[:4])
    assert writer.flush()
    disk.fault = RuntimeError("a fault of ours")
    record(writer, made[4:8])
    eventually(lambda: "a fault of ours" in disks(writer)[0])
    assert not writer.flush(0.2)
    disk.fault = None
    record(writer, made[8:])
    eventually(writer.flush)
    assert stored(tmp_path / "log") == made


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_what_was_not_synced_does_not_count_as_durable(
    tmp_path: Path, open_log: OpenLog, number: int
) -> None:
    disk = FaultyDisk()
    options = LogOptions(reserve=0, gather_us=1000, sync_us=20_000)
    writer, made = opened(open_log(disk=disk, options=options)), stretch(pieces=8)
    record(writer, made[:4])
    assert writer.flush()
    before = writer.durable()
    disk.sync_errno = number
    record(writer, made[4:])
    assert not writer.flush(2.5)
    assert writer.durable() == before
    disk.sync_errno = None
    eventually(writer.flush)
    assert writer.durable() == writer.status().accepted
    assert stored(tmp_path / "log") == made


@pytest.mark.parametrize("fails_at_seal", [False, True])
def test_a_sync_that_failed_once_is_not_healed_by_the_next(
    tmp_path: Path, open_log: OpenLog, fails_at_seal: bool
) -> None:
    class Forgetful(FaultyDisk):
        """Like the kernel: it tells of the lost pages once, the next sync succeeds."""

        fails = 0
        failed = False

        def sync(self, fd: int) -> None:
            if self.fails:
                self.fails -= 1
                self.failed = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().sync(fd)

    disk = Forgetful()
    size = 1 if fails_at_seal else 1 << 20
    options = LogOptions(reserve=0, gather_us=1000, sync_us=20_000, seal_size=size)
    writer, made = opened(open_log(disk=disk, options=options)), stretch(pieces=8)
    record(writer, made[:4])
    assert writer.flush()
    before = writer.durable()
    disk.fails = 1
    record(writer, made[4:])
    eventually(lambda: disk.failed)
    time.sleep(0.3)
    assert writer.durable() == before
    eventually(writer.flush)
    assert stored(tmp_path / "log") == made


def test_what_a_hanging_disk_had_is_durable_only_once_the_next_has_it(
    tmp_path: Path, open_log: OpenLog
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    disk = FaultyDisk()
    options = LogOptions(reserve=0, gather_us=1000, sync_us=20_000, hang_us=200_000)
    writer, made = opened(open_log(one, two, disk=disk, options=options)), stretch(pieces=8)
    record(writer, made[:4])
    assert writer.flush()
    before = writer.durable()
    first = one if any(name.endswith(".open") for name in _names(one)) else two
    disk.hanging.add(first)
    disk.sync_errno = errno.EIO
    record(writer, made[4:])
    eventually(lambda: "hangs" in disks(writer))
    assert not writer.flush(0.5)
    assert writer.durable() == before
    disk.sync_errno = None
    disk.released.set()
    eventually(writer.flush)
    assert stored(one, two) == made


def test_a_file_the_only_disk_failed_under_is_sealed_without_a_restart(
    tmp_path: Path, open_log: OpenLog
) -> None:
    disk = FaultyDisk()
    log = tmp_path / "log"
    writer, made = opened(open_log(disk=disk, options=OPTIONS)), stretch(pieces=12)
    record(writer, made[:4])
    assert writer.flush()
    failed = next(log.glob("*.open"))
    disk.broken.add(log)
    record(writer, made[4:5])
    eventually(lambda: disks(writer) == ["Input/output error"])
    disk.broken.clear()
    eventually(lambda: not failed.exists())
    eventually(writer.flush)
    assert stored(log) == made[:5]
    assert all(isinstance(found, FileOk) for found in verify_files(list(log.glob("*.kcw"))))


def test_a_file_a_full_disk_left_open_at_the_start_is_sealed_when_there_is_room(
    tmp_path: Path, open_log: OpenLog
) -> None:
    log = tmp_path / "log"
    writer, made = opened(open_log(options=OPTIONS)), stretch(pieces=4)
    record(writer, made)
    assert writer.flush()
    copy = tmp_path / "copy"
    shutil.copytree(log, copy)  # as after a crash
    left = next(copy.glob("*.open"))
    disk = FaultyDisk()
    disk.room = 0
    again = open_log(copy, disk=disk, options=OPTIONS)
    assert left.exists()
    assert stored(copy) == made
    disk.room = None
    eventually(lambda: not left.exists())
    assert stored(copy) == made
    assert whole(copy)
    assert again.status().disks[0].error == ""
