import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import START_US

from kilocam.record.disk import Disk
from kilocam.record.names import FileName
from kilocam.record.options import LogOptions
from kilocam.record.retention import Retention

S = 1_000_000
DAY_S = 86_400
Put = Callable[..., Path]


class SmallDisk(Disk):
    """A disk of a stated size, used by the files in it."""

    def __init__(self, size: int) -> None:
        self._size = size

    def free(self, directory: Path) -> tuple[int, int]:
        used = sum(file.stat().st_size for file in directory.glob("*.kcw*"))
        return self._size - used, self._size


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def put(start_s: int, end_s: int, *, keep_s: int = 100, size: int = 10, disk: str = "") -> Path:
        name = FileName(
            created_us=START_US + start_s * S,
            recorder="r0",
            keep_s=keep_s,
            first_us=START_US + start_s * S,
            last_us=START_US + end_s * S,
            sealed=True,
        )
        file = tmp_path / disk / str(name)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(size))
        return file

    return put


def run(
    *paths: Path, at_s: int = 0, options: LogOptions | None = None, disk: Disk | None = None
) -> list[Path]:
    clock = FakeClock(START_US + at_s * S)
    retention = Retention(paths, options or LogOptions(reserve=0), disk or Disk(), clock)
    try:
        return retention.run_once()
    finally:
        retention.release()


def test_a_file_goes_when_its_newest_moment_is_older_than_its_class_keeps(
    tmp_path: Path, put: Put
) -> None:
    old = put(0, 50)
    put(0, 60)
    put(0, 50, keep_s=200)
    assert run(tmp_path, at_s=155) == [old]
    assert not old.exists()


def test_over_the_size_limit_the_oldest_of_all_paths_and_classes_go_first(
    tmp_path: Path, put: Put
) -> None:
    second = put(10, 20, disk="a")
    first = put(0, 10, disk="b", keep_s=10_000)
    third = put(20, 30, disk="b")
    put(30, 40, disk="a")
    limit = LogOptions(reserve=0, max_size=10)
    assert run(tmp_path / "a", tmp_path / "b", options=limit) == [first, second, third]


def test_below_the_reserve_the_oldest_of_that_disk_go(tmp_path: Path, put: Put) -> None:
    first, second = put(0, 10, size=400), put(10, 20, size=400)
    put(20, 30, size=400)
    options = LogOptions(reserve=500)
    assert run(tmp_path, options=options, disk=SmallDisk(1000)) == [first, second]


def test_files_being_written_and_files_of_others_never_go(tmp_path: Path) -> None:
    name = FileName(created_us=START_US, recorder="r0", keep_s=1)
    for kept in (str(name), "holiday.kcw", "log-version"):
        (tmp_path / kept).write_bytes(bytes(100))
    options = LogOptions(reserve=10_000, max_size=1)
    assert run(tmp_path, at_s=10_000, options=options, disk=SmallDisk(1000)) == []


def test_a_writer_that_met_a_full_disk_gets_room_for_its_ring(tmp_path: Path, put: Put) -> None:
    first = put(0, 10, size=500)
    put(10, 20, size=300)
    options = LogOptions(reserve=0, ring_bytes=200)
    retention = Retention([tmp_path], options, SmallDisk(1000), FakeClock(START_US))
    assert retention.run_once() == []
    retention.press(tmp_path)
    assert retention.run_once() == [first]
    retention.release()


def test_one_of_two_recorders_deletes_for_both(tmp_path: Path, put: Put) -> None:
    put(0, 10)
    clock = FakeClock(START_US + 500 * S)
    first = Retention([tmp_path], LogOptions(reserve=0), Disk(), clock)
    assert len(first.run_once()) == 1
    late = put(10, 20)
    second = Retention([tmp_path], LogOptions(reserve=0), Disk(), clock)
    assert second.run_once() == []
    first.release()
    assert second.run_once() == [late]
    second.release()


def test_files_being_written_count_as_they_grow_and_stay(tmp_path: Path, put: Put) -> None:
    first, second = put(0, 10, size=10), put(10, 20, size=10)
    written = tmp_path / str(FileName(created_us=START_US + 20 * S, recorder="r0", keep_s=100))
    written.write_bytes(bytes(75))
    options = LogOptions(reserve=0, max_size=100)
    retention = Retention([tmp_path], options, Disk(), FakeClock(START_US))
    assert retention.run_once() == []
    written.write_bytes(bytes(85))
    assert retention.run_once(list_anew=False) == [first]
    written.write_bytes(bytes(200))
    assert retention.run_once(list_anew=False) == [second]
    retention.release()
    assert written.exists()


class SteppingClock(FakeClock):
    """Its wall clock may be set."""

    off = 0

    def wall_us(self) -> int:
        return self.now + self.off


def test_a_clock_that_steps_a_week_ahead_deletes_nothing(tmp_path: Path, put: Put) -> None:
    old, new = put(0, 50, keep_s=7 * DAY_S), put(50, 100, keep_s=7 * DAY_S)
    clock = SteppingClock(START_US + 100 * S)
    retention = Retention([tmp_path], LogOptions(reserve=0), Disk(), clock)
    assert retention.run_once() == []
    clock.off = 8 * DAY_S * S
    for _ in range(20):
        clock.advance(3600 * S)
        assert retention.run_once() == []
    retention.release()
    # Nor after a restart, although footage of that clock is stored by now.
    put(8 * DAY_S, 8 * DAY_S + 100, keep_s=7 * DAY_S)
    retention = Retention([tmp_path], LogOptions(reserve=0), Disk(), clock)
    assert retention.run_once() == []
    clock.advance(3600 * S)
    assert retention.run_once() == []
    clock.advance(4 * 3600 * S)  # a day of running in all: it is the time, then
    assert retention.run_once() == [old, new]
    retention.release()


def test_a_clock_far_ahead_at_the_first_start_deletes_nothing(tmp_path: Path, put: Put) -> None:
    put(0, 50)
    assert run(tmp_path, at_s=8 * DAY_S) == []


class HangingDisk(Disk):
    """One path hangs, another fails, whatever is asked of them."""

    def __init__(self, hangs: Path, fails: Path) -> None:
        self._hangs, self._fails = hangs, fails
        self.released = threading.Event()

    def unlink(self, file: Path) -> None:
        self._meet(file.parent)
        super().unlink(file)

    def free(self, directory: Path) -> tuple[int, int]:
        self._meet(directory)
        return super().free(directory)

    def _meet(self, directory: Path) -> None:
        if directory == self._hangs and not self.released.wait(20):
            raise AssertionError("never released")
        if directory == self._fails and not self.released.is_set():
            raise OSError(5, "Input/output error")


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[HangingDisk]:
    disk = HangingDisk(tmp_path / "a", tmp_path / "b")
    yield disk
    disk.released.set()


def test_a_path_that_hangs_and_one_that_fails_stop_nobody_elses_retention(
    tmp_path: Path, put: Put, hanging: HangingDisk
) -> None:
    stuck = [put(0, 50, disk="a"), put(0, 50, disk="b")]
    gone = [put(0, 40, disk="c")]
    clock = FakeClock(START_US + 155 * S)
    options = LogOptions(reserve=0, hang_us=50_000, max_size=25)
    paths = [tmp_path / name for name in "abc"]
    retention = Retention(paths, options, hanging, clock)
    assert retention.run_once() == gone
    # What they hold is out of reach: it costs the others nothing of what may be kept.
    kept = [put(60, 70, disk="c"), put(70, 80, disk="c")]
    assert retention.run_once() == []
    gone = [put(50, 60, disk="c")]
    clock.advance(3 * S)
    assert retention.run_once() == gone
    assert all(file.exists() for file in (*stuck, *kept))
    hanging.released.set()
    while any(file.exists() for file in stuck):
        retention.run_once()
    assert all(file.exists() for file in kept)
    retention.release()
