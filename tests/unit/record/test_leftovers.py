"""Files a disk failed under: which hold back what counts as durable, and how soon they go."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import START_US

from kilocam.record.disk import Disk
from kilocam.record.leftovers import Leftovers
from kilocam.record.names import FileName


class Stubborn(Disk):
    """Files in `kept` cannot be read back."""

    def __init__(self) -> None:
        self.kept: set[str] = set()
        self.tries = 0

    def forget(self, file: Path) -> None:
        if file.name in self.kept:
            self.tries += 1
            raise OSError(5, "bad sector")


def name(number: int) -> FileName:
    return FileName(created_us=START_US + number, recorder="r0", keep_s=60)


@pytest.fixture
def disk() -> Stubborn:
    return Stubborn()


@pytest.fixture
def leftovers(tmp_path: Path, disk: Stubborn) -> Iterator[Leftovers]:
    leftovers = Leftovers(tmp_path, disk, FakeClock(START_US))
    yield leftovers
    leftovers.stop()


def test_a_file_without_doubt_holds_nothing_back_once_the_doubtful_one_is_sealed(
    leftovers: Leftovers, disk: Stubborn
) -> None:
    disk.kept.add(str(name(1)))
    leftovers.add(name(1))
    assert not leftovers.holding
    leftovers.add(name(2), hold=True)
    assert leftovers.holding
    until = time.monotonic() + 5
    while leftovers.holding:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_new_file_does_not_wait_for_what_an_old_one_has_come_to(
    leftovers: Leftovers, disk: Stubborn
) -> None:
    disk.kept.add(str(name(1)))
    leftovers.add(name(1))
    while disk.tries < 3:  # the fourth is 4 s away
        time.sleep(0.02)
    leftovers.add(name(2), hold=True)
    time.sleep(2)
    assert not leftovers.holding
