"""What words find and what looks like them, as one list."""

import pytest

from kilocam.insight import Alike, Answer, Cursor, Event, EventFilter, Found
from kilocam.insight.meaning import fused

NOBODY = "00000000-0000-0000-0000-00000000000"


def _event(number: int) -> Event:
    id_ = f"{NOBODY}{number}"
    return Event(
        id=id_, camera="gate", label="person", score=0.8, start_us=number, end_us=number + 1,
        best_us=number, box=(0.1, 0.1, 0.1, 0.1), colours=(), text="", description="",
        described_by="", still=False, zones=(), changed=Cursor(1, id_),
    )  # fmt: skip


def _answer(*numbers: int, holds: tuple[str, ...] = ("red",)) -> Answer:
    found = tuple(
        Found(event=_event(number), score=0.9, matched=frozenset(holds)) for number in numbers
    )
    return Answer(found=found, unmatched=("hat",), words=("red", "hat"), wanted=EventFilter())


def _fused(answer: Answer, alike: list[int], limit: int = 10) -> list[tuple[int, float]]:
    looks = [Alike(event=_event(number), likeness=0.3) for number in alike]
    return [(each.event.start_us, each.score) for each in fused(answer, looks, limit).found]


def test_what_both_find_comes_first() -> None:
    halves = [0.5, 1 / 4, 1 / 6]
    assert _fused(_answer(1, 2, 3), [2, 4]) == [
        (2, pytest.approx(halves[1] + halves[0])), (1, halves[0]), (4, halves[1]),
        (3, pytest.approx(halves[2])),
    ]  # fmt: skip


def test_one_list_alone_keeps_its_order() -> None:
    assert [number for number, _ in _fused(_answer(3, 1, 2), [])] == [3, 1, 2]
    assert [number for number, _ in _fused(_answer(), [3, 1, 2])] == [3, 1, 2]
    assert _fused(_answer(1), [1]) == [(1, 1.0)]


def test_what_holds_none_of_the_words_comes_last() -> None:
    assert _fused(_answer(1, 2, holds=()), [1, 3]) == [(1, 0.5), (3, 0.25), (2, 0.0)]


def test_no_more_come_than_were_asked_for() -> None:
    assert [number for number, _ in _fused(_answer(2, 1), [2, 3], 2)] == [2, 3]


def test_which_words_were_found_stays_told() -> None:
    both = fused(_answer(1), [Alike(event=_event(n), likeness=0.3) for n in (1, 2)], 10)
    assert [sorted(each.matched) for each in both.found] == [["red"], []]
    assert (both.unmatched, both.words) == (("hat",), ("red", "hat"))
