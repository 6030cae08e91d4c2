from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.analyse.progress import Progress
from kilocam.bus import Position


def _at(sequence: int) -> Position:
    return Position(1, sequence)


def test_nothing_is_told_before_anything_is_settled() -> None:
    progress = Progress(None)
    progress.read(_at(7))
    assert progress.news() is None


def test_a_partition_is_settled_up_to_the_first_open_window() -> None:
    progress = Progress(_at(5))
    for sequence in (7, 9, 12):
        progress.read(_at(sequence))
    progress.settle(_at(9))
    assert progress.news() == _at(6)

    progress.settle(_at(7))
    assert progress.news() == _at(11)

    progress.settle(_at(12))
    assert progress.news() == _at(12)
    progress.told(_at(12))
    assert progress.news() is None


def test_a_position_is_settled_with_the_last_of_its_windows() -> None:
    progress = Progress(_at(5))
    progress.read(_at(7), 3)
    progress.read(_at(9), 0)
    for _ in range(2):
        progress.settle(_at(7))
        assert progress.news() == _at(6)
    progress.settle(_at(7))
    assert progress.news() == _at(9)


def test_what_comes_is_not_settled_before_what_lies_behind() -> None:
    progress = Progress(_at(5))
    progress.split(_at(20))
    progress.read(_at(23))
    progress.settle(_at(23))
    assert progress.news() is None
    progress.read(_at(7))
    progress.read(_at(18))
    progress.settle(_at(18))
    assert progress.news() == _at(6)
    progress.settle(_at(7))
    assert progress.news() == _at(18)  # more may lie behind

    progress.read(_at(20))
    progress.read_up()
    assert progress.news() == _at(18)
    progress.read(_at(25))
    progress.settle(_at(20))
    assert progress.news() == _at(23)
    progress.settle(_at(25))
    assert progress.news() == _at(25)


def test_where_nothing_lies_behind_any_more_what_came_is_settled() -> None:
    progress = Progress(None)
    progress.split(_at(20))
    assert progress.news() is None
    progress.read_up()
    assert progress.news() == _at(20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=30))
def test_no_open_window_is_ever_behind_the_position(steps: list[int]) -> None:
    progress = Progress(None)
    positions = [sum(steps[: i + 1]) for i in range(len(steps))]
    opened: set[int] = set()
    waiting = positions[::-1]
    while waiting or opened:
        if waiting and (not opened or len(waiting) % 2):
            position = waiting.pop()
            progress.read(_at(position))
            opened.add(position)
        else:
            position = min(opened, key=lambda each: each * 7919 % 31)
            opened.discard(position)
            progress.settle(_at(position))
        news = progress.news()
        assert news is None or all(news.sequence < each for each in opened)
    assert progress.news() == _at(positions[-1])
