from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import START_US

from kilocam.record.disk import Disk
from kilocam.record.names import FileName
from kilocam.record.options import LogOptions
from kilocam.record.retention import Retention

S = 1_000_000
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
    clock = FakeClock(START_US + 1000 * S)
    first = Retention([tmp_path], LogOptions(reserve=0), Disk(), clock)
    assert len(first.run_once()) == 1
    late = put(10, 20)
    second = Retention([tmp_path], LogOptions(reserve=0), Disk(), clock)
    assert second.run_once() == []
    first.release()
    assert second.run_once() == [late]
    second.release()
