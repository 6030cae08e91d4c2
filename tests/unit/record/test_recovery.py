"""What a start learns from its paths, and which files it leaves alone."""

import os
from pathlib import Path

import pytest

from kilocam.record.disk import lock_if_free
from kilocam.record.recovery import Recovered


@pytest.mark.parametrize("newer_stopped", [False, True])
@pytest.mark.parametrize("newer_first", [False, True])
def test_the_mark_of_a_path_that_missed_a_run_says_nothing_of_that_run(
    newer_first: bool, newer_stopped: bool
) -> None:
    paths = [
        Recovered(sequence=5, stopped=newer_stopped),
        Recovered(sequence=3, stopped=not newer_stopped),
    ]
    found = Recovered()
    for path in paths if newer_first else paths[::-1]:
        found.merge(path)
    assert found.stopped is newer_stopped


def test_of_paths_of_the_same_run_one_mark_is_enough() -> None:
    found = Recovered()
    for stopped in (False, True, False):
        found.merge(Recovered(stopped=stopped))
    assert found.stopped


@pytest.mark.parametrize("goes", [False, True])
def test_a_file_that_was_sealed_as_its_lock_came_free_is_left_alone(
    tmp_path: Path, goes: bool
) -> None:
    file = tmp_path / "one.kcw.open"
    file.write_bytes(b"footage")
    fd = os.open(file, os.O_RDWR)
    try:
        assert lock_if_free(fd, file)
        file.rename(tmp_path / "one.kcw")
        if not goes:
            file.write_bytes(b"another of that name")
        assert not lock_if_free(fd, file)
    finally:
        os.close(fd)
