"""Among many events the best are found wherever they lie; many windows are kept at once."""

from dataclasses import replace

import pytest
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, NOW_US, T0, S, looked, seen, window_at
from tests.integration.insight.test_windows import outbox, state

from kilocam.analyse import WindowResult
from kilocam.core import CameraKey
from kilocam.insight import EventFilter, make_days
from kilocam.insight.finding import CANDIDATES

pytestmark = pytest.mark.asyncio
YARD = CameraKey("default", "yard")
DAY = 86_400 * S
ALL = EventFilter()


def walks() -> list[WindowResult]:
    """Two events over some windows of two cameras, and a window in which there was nothing."""
    return [
        looked(0, seen(0, 0), seen(0, 0, ordinal=1, label="car", colours=("red",))),
        looked(1, seen(0, 1, score=0.9)),
        looked(2),
        looked(1, seen(1, 1, key=YARD, label="dog"), key=YARD),
        looked(3, seen(0, 3, ordinal=1, label="truck")),
    ]


async def test_windows_kept_together_are_as_those_written_one_by_one(house: House) -> None:
    assert await house.windows.note(walks()) == ([], [])
    together, told = await state(house), await outbox(house)
    counts = await house.insight.counts("default", since_us=T0)
    assert {body["kind"] for body in told} == {"opened"}
    assert len(told) == 3
    for result in walks():
        await house.windows.write(result)
    assert await state(house) == together
    assert await house.insight.counts("default", since_us=T0) == counts
    assert await outbox(house) == told  # nothing of it was news


async def test_an_event_known_before_is_extended_by_many(house: House) -> None:
    first, *rest = walks()
    await house.windows.write(first)
    assert await house.windows.note(rest) == ([], [])
    together = await state(house)
    for result in walks():
        await house.windows.write(result)
    assert await state(house) == together


async def test_words_are_found_beyond_the_newest_that_fit(house: House) -> None:
    number = CANDIDATES + 10
    cars = [looked(n, seen(n, n, label="car", score=0.9)) for n in range(1, number)]
    red = looked(0, seen(0, 0, label="car", score=0.9, colours=("red",)))
    await make_days(house.control, T0 + 2 * number * S)
    assert await house.windows.note([red, *cars]) == ([], [])
    answer = await house.insight.search("default", "red car", ALL)
    assert (len(answer.found), answer.unmatched) == (20, ())
    assert answer.found[0].event.colours == ("red",)
    assert answer.found[1].event.start_us == window_at(number - 1).start_us


@pytest.mark.parametrize(
    ("text", "found"), [("person", 1), ("red person", 1), ("red", 1), ("blue", 0), ("car", 0)]
)
async def test_what_began_days_ago_and_goes_on_is_found(
    house: House, text: str, found: int
) -> None:
    days_ago = -3 * DAY // (2 * S)
    await make_days(house.control, NOW_US - 3 * DAY)
    await house.windows.write(looked(days_ago, seen(days_ago, days_ago, colours=("red",))))
    await house.windows.write(looked(1, seen(days_ago, 1, colours=("red",))))
    now = EventFilter(from_us=T0, to_us=NOW_US)
    answer = await house.insight.search("default", text, now)
    assert len(answer.found) == found
    over = replace(now, from_us=T0 + 60 * S)
    assert (await house.insight.search("default", "person", over)).found == ()
    listed = [(await house.insight.events("default", each)).items for each in (now, over)]
    assert [len(events) for events in listed] == [1, 0]


async def test_who_holds_a_word_comes_before_who_only_fits(house: House) -> None:
    scores = {0: 0.9, 1: 0.5, 2: 0.95}
    for number, score in scores.items():
        colours = ("red",) if number == 1 else ()
        await house.windows.write(
            looked(number, seen(number, number, label="car", score=score, colours=colours))
        )
    answer = await house.insight.search("default", "red car", ALL, limit=2)
    best = [(each.event.score, each.score) for each in answer.found]
    assert best == [(0.5, 0.75), (0.95, 0.4875)]
    assert GATE.camera == answer.found[0].event.camera
