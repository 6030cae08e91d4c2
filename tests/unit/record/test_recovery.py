"""What a start learns from its paths."""

import pytest

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
