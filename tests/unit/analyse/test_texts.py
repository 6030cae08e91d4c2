from kilocam.analyse.lines import Line
from kilocam.analyse.results import ObjectSeen
from kilocam.analyse.texts import REMEMBERED_US, Texts
from kilocam.core import CameraKey

GATE = CameraKey("default", "gate")
S = 1_000_000
HERE, THERE = (0.1, 0.1, 0.2, 0.05), (0.6, 0.6, 0.2, 0.05)


def _line(text: str, box: tuple[float, float, float, float] = HERE, score: float = 0.9) -> Line:
    return Line(text=text, score=score, box=box)


def _step(texts: Texts, second: int, *lines: Line) -> tuple[ObjectSeen, ...]:
    return texts.step(second * S, second * S, lines)


def _ids(seen: tuple[ObjectSeen, ...]) -> list[str]:
    return [each.event_id for each in seen]


def test_a_text_that_is_misread_stays_the_same_event() -> None:
    texts = Texts(GATE)
    [first] = _step(texts, 0, _line("LOADING BAY 7"))
    [again] = _step(texts, 10, _line("L0ADING BAY 7", (0.12, 0.1, 0.2, 0.05)))
    assert first.opens
    assert not again.opens
    assert again.event_id == first.event_id
    assert (again.label, again.text) == ("text", "L0ADING BAY 7")


def test_another_text_in_the_same_place_is_another_event() -> None:
    texts = Texts(GATE)
    [first] = _step(texts, 0, _line("OPEN"))
    [second] = _step(texts, 10, _line("CLOSED"))
    assert second.opens
    assert second.event_id != first.event_id


def test_a_text_that_moves_stays_the_same_event_if_it_tells_enough() -> None:
    texts = Texts(GATE)
    van, short = _line("Miller & Sons"), _line("7B", THERE)
    before = _step(texts, 0, van, short)
    after = _step(texts, 2, _line("MILLER & SONS", THERE), _line("7B", (0.1, 0.8, 0.05, 0.05)))
    assert _ids(after)[0] == _ids(before)[0]
    assert [each.opens for each in after] == [False, True]


def test_two_lines_are_never_one_event() -> None:
    texts = Texts(GATE)
    _step(texts, 0, _line("STOP HERE"))
    seen = _step(texts, 5, _line("STOP HERE"), _line("STOP HERE", THERE))
    assert len(set(_ids(seen))) == 2


def test_what_comes_again_after_long_is_another_event() -> None:
    texts = Texts(GATE)
    [first] = _step(texts, 0, _line("EXIT"))
    [kept] = texts.step(REMEMBERED_US, REMEMBERED_US, [_line("EXIT")])
    assert kept.event_id == first.event_id
    [late] = texts.step(3 * REMEMBERED_US, 3 * REMEMBERED_US, [_line("EXIT")])
    assert late.opens


def test_what_came_with_a_change_goes_with_it() -> None:
    texts = Texts(GATE)
    [first] = texts.step(0, 0, [_line("EXIT")], changed=(0.0, 0.0, 0.5, 0.5))
    texts.looked(2 * S, (0.05, 0.0, 0.3, 0.3))
    texts.looked(4 * S, None)
    [same] = texts.step(6 * S, 6 * S, [_line("EXIT")], changed=(0.0, 0.0, 0.5, 0.5))
    assert same.event_id == first.event_id
    texts.looked(8 * S, (0.1, 0.1, 0.02, 0.05))  # a rest that fades
    texts.looked(10 * S, None)
    [other] = texts.step(12 * S, 12 * S, [_line("EXIT")], changed=(0.0, 0.0, 0.5, 0.5))
    assert other.opens


def test_what_was_not_found_where_it_was_twice_is_gone() -> None:
    texts = Texts(GATE)
    [first] = _step(texts, 0, _line("EXIT"))
    assert texts.step(4 * S, 4 * S, [], region=(0.6, 0.6, 0.3, 0.3)) == ()
    assert texts.step(6 * S, 6 * S, [], region=(0.0, 0.0, 0.5, 0.5)) == ()
    [same] = _step(texts, 8, _line("EXIT"))
    assert same.event_id == first.event_id
    for second in (12, 20):
        texts.step(second * S, second * S, [], region=(0.0, 0.0, 0.5, 0.5))
    [other] = _step(texts, 30, _line("EXIT"))
    assert other.opens


def test_what_was_always_there_stays_though_nothing_changes() -> None:
    texts = Texts(GATE)
    [first] = _step(texts, 0, _line("EXIT"))
    for second in range(2, 20, 2):
        texts.looked(second * S, None)
    [again] = _step(texts, 60, _line("EXIT"))
    assert again.event_id == first.event_id


def test_ids_differ_by_window_and_place_and_from_those_of_objects() -> None:
    one = _step(Texts(GATE), 0, _line("EXIT"), _line("WAY OUT", THERE))
    other = _step(Texts(GATE), 2, _line("EXIT"))
    yard = Texts(CameraKey("default", "yard")).step(0, 0, [_line("EXIT")])
    assert len({*_ids(one), *_ids(other), *_ids(yard)}) == 4
    assert _ids(one) == _ids(_step(Texts(GATE), 0, _line("EXIT"), _line("WAY OUT", THERE)))
