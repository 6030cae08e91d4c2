"""One stream by turns: what moves its place, what waits, what becomes of what is refused."""

import random
from itertools import pairwise
from typing import Literal

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.receiver import MemoryPlaces, MemoryReceiver, MemorySource, away

from kilocam.streams import Away, Delivery, Place
from kilocam.streams.delivery import IN_A_ROW, LONGEST_S, TRIES

pytestmark = pytest.mark.asyncio


class Stage:
    def __init__(
        self,
        many: int = 20,
        *,
        most: int = 8,
        poison: tuple[int, ...] = (),
        begins: Literal["all", "now"] = "all",
    ) -> None:
        self.source = MemorySource(many)
        self.places = MemoryPlaces()
        self.receiver = MemoryReceiver(most, poison)
        self.clock = FakeClock()
        self.delivery = Delivery(
            "s", self.source, self.places, self.receiver, begins=begins,
            clock=self.clock, rng=random.Random(7),
        )  # fmt: skip

    async def turns(self, many: int) -> list[float]:
        return [await self.delivery.turn() for _ in range(many)]

    def ids(self, *numbers: int) -> list[str]:
        return [f"event-{n}" for n in numbers]


async def test_everything_is_delivered_in_order_and_then_it_rests() -> None:
    stage = Stage()
    assert await stage.turns(5) == [0.0, 0.0, 0.0, 1.0, 1.0]
    assert stage.receiver.received == stage.ids(*range(1, 21))
    assert stage.places.place == Place(at="20", delivered=20, letters=0)
    assert (stage.delivery.delivered, stage.delivery.behind_since_us) == (20, None)


async def test_a_stream_that_begins_now_leaves_out_what_was() -> None:
    stage = Stage(begins="now")
    await stage.turns(3)
    assert stage.receiver.received == []
    assert stage.places.number == 20


async def test_the_place_stays_until_everything_is_acknowledged() -> None:
    stage = Stage()

    def half(take: object, many: int) -> None:
        take(many // 2)  # type: ignore[operator] # as MemoryReceiver calls it
        raise Away("cut off")

    stage.receiver.acts = [half]
    await stage.turns(2)
    assert stage.places.number == 0
    assert stage.delivery.problem == "cut off"
    assert stage.delivery.behind_since_us == stage.clock.wall_us()
    await stage.turns(3)
    assert stage.receiver.received == stage.ids(1, 2, 3, 4, *range(1, 21))
    assert stage.delivery.problem == ""


async def test_waits_grow_to_a_minute_and_begin_anew_after_a_success() -> None:
    stage = Stage()
    stage.receiver.acts = [away()] * 12
    first, *waits = (await stage.turns(13))[1:]
    assert 0.25 <= first <= 0.5
    assert LONGEST_S / 2 <= waits[-1] <= LONGEST_S
    assert all(b <= LONGEST_S for b in waits)
    assert sum(b > a for a, b in pairwise(waits)) >= 6
    assert await stage.delivery.turn() == 0.0
    stage.receiver.acts = [away()]
    assert (await stage.turns(1))[0] <= 0.5


async def test_a_receiver_that_asks_to_be_left_alone_is() -> None:
    stage = Stage()
    stage.receiver.acts = [away(7_000_000)]
    assert (await stage.turns(2))[1] == 7.0


async def test_what_is_refused_for_good_is_a_dead_letter_and_nothing_else_is() -> None:
    stage = Stage(poison=(6,))
    await stage.turns(30)
    assert [letter.event for letter in stage.places.letters] == ["event-6"]
    [letter] = stage.places.letters
    assert (letter.why, letter.body) == ("too long", {"id": "event-6", "changed": 6})
    assert sorted(set(stage.receiver.received)) == sorted(
        stage.ids(*(n for n in range(1, 21) if n != 6))
    )
    assert stage.receiver.calls.count(("event-6",)) == TRIES
    assert stage.places.place == Place(at="20", delivered=19, letters=1)
    assert stage.delivery.letters == 1


async def test_a_receiver_that_takes_nothing_costs_a_few_messages_not_all() -> None:
    stage = Stage(40, poison=tuple(range(1, 41)))
    await stage.turns(300)
    assert len(stage.places.letters) == IN_A_ROW
    assert "nothing is given up" in stage.delivery.problem
    stage.receiver.poison.clear()
    await stage.turns(20)
    assert stage.receiver.received[-1] == "event-40"
    assert len(stage.places.letters) == IN_A_ROW


async def test_a_stream_that_somebody_else_moves_says_so() -> None:
    stage = Stage()
    await stage.turns(1)

    def other() -> None:
        stage.places.place = Place(at="15", delivered=15, letters=0)

    stage.places.before_move = other
    await stage.turns(1)
    assert stage.delivery.failures == {"moved": 1}
    stage.places.before_move = lambda: None
    await stage.turns(2)
    assert stage.receiver.received[-5:] == stage.ids(*range(16, 21))


async def test_an_error_nobody_foresaw_is_waited_out() -> None:
    stage = Stage()

    def breaks(take: object, many: int) -> None:
        raise ZeroDivisionError

    stage.receiver.acts = [breaks]
    await stage.turns(2)
    assert stage.delivery.failures == {"unforeseen": 1}
    assert stage.delivery.problem == "ZeroDivisionError"
    await stage.turns(4)
    assert stage.places.number == 20
