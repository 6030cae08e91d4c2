import os
import time
from pathlib import Path

from tests.fakes.pieces import START_US

from kilocam.record.names import FileName
from kilocam.record.shelf import Shelf


def put(path: Path, number: int) -> None:
    (path / str(FileName(created_us=START_US + number, recorder="r0", keep_s=1))).touch()


def test_a_file_made_within_the_same_tick_of_the_directory_is_seen(tmp_path: Path) -> None:
    """A time stamp is as coarse as the kernel's tick: a second change may not move it."""
    for attempt in range(50):
        path = tmp_path / str(attempt)
        path.mkdir()
        shelf = Shelf([path], None)
        put(path, 1)
        stamp = time.time_ns()
        os.utime(path, ns=(stamp, stamp))
        assert len(shelf.files()) == 1
        if time.time_ns() - stamp > 40_000_000:
            continue  # the machine was busy: by now the stamp rightly counts as old
        put(path, 2)
        os.utime(path, ns=(stamp, stamp))
        assert len(shelf.files()) == 2
        return
    raise AssertionError("no listing in 40 ms")


def test_a_directory_that_did_not_change_for_a_while_is_not_listed_again(tmp_path: Path) -> None:
    put(tmp_path, 1)
    stamp = time.time_ns() - 60_000_000_000
    os.utime(tmp_path, ns=(stamp, stamp))
    shelf = Shelf([tmp_path], None)
    first = shelf.files()
    assert shelf.files() is first
