"""Whatever a receiver does and wherever the process dies: nothing is lost, nothing overtakes."""

import asyncio
import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock
from tests.fakes.receiver import MemoryPlaces, MemoryReceiver, MemorySource

from kilocam.streams import Away, Delivery


class Died(BaseException):
    """kill -9."""


Act = Callable[[Callable[[int], None], int], None]


def _act(kind: str, share: float) -> Act:
    def act(take: Callable[[int], None], many: int) -> None:
        take(many if kind == "takes" else round(many * share))
        if kind == "away":
            raise Away("cut off")
        if kind == "dies":
            raise Died

    return act


ACTS = st.builds(_act, st.sampled_from(["takes", "away", "dies"]), st.floats(0, 1))
DEATHS = st.lists(st.sampled_from(["", "", "", "before", "after"]), max_size=20)


@given(
    many=st.integers(0, 40),
    most=st.integers(1, 12),
    poison=st.lists(st.integers(1, 40), max_size=5, unique=True),
    acts=st.lists(ACTS, max_size=25),
    deaths=DEATHS,
)
@settings(deadline=None, max_examples=200)
def test_every_change_is_acknowledged_or_a_dead_letter_in_order(
    many: int, most: int, poison: list[int], acts: list[Act], deaths: list[str]
) -> None:
    source, places, receiver = MemorySource(many), MemoryPlaces(), MemoryReceiver(most, poison)
    receiver.acts = list(acts)
    troubled = bool(acts) or any(deaths)
    script = list(deaths)
    now = ""

    def before() -> None:
        nonlocal now
        now = script.pop(0) if script else ""
        if now == "before":
            raise Died

    def after() -> None:
        if now == "after":
            raise Died

    places.before_move, places.after_move = before, after

    def holds() -> None:
        """All up to the place is with the receiver, or a dead letter."""
        done = set(receiver.received) | {letter.event for letter in places.letters}
        assert {item.id for item in source.items[: places.number]} <= done

    async def live() -> None:
        delivery = Delivery(
            "s", source, places, receiver, begins="all", clock=FakeClock(), rng=random.Random(1)
        )
        for _ in range(400):
            if places.number == many and places.place is not None:
                return
            await delivery.turn()
            holds()
        raise AssertionError("it does not come to an end")

    while True:
        try:
            asyncio.run(live())
            break
        except Died:
            holds()

    ids = [item.id for item in source.items]
    refused = [id_ for id_ in ids if id_ in receiver.poison]
    assert [letter.event for letter in places.letters] == refused
    assert list(dict.fromkeys(receiver.received)) == [i for i in ids if i not in receiver.poison]
    if not troubled and not refused:
        assert receiver.received == ids
