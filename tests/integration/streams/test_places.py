"""Where a stream is: moved by whoever finds it where it was left, or not at all."""

import pytest
from tests.fakes.receiver import outgoing
from tests.integration.streams.conftest import House

from kilocam.streams import Ledger, Moved, Place, Places
from kilocam.streams.places import letter

pytestmark = pytest.mark.asyncio


async def test_of_two_who_move_a_place_one_is_told(house: House) -> None:
    one = Places(house.database, "default", "out")
    other = Places(house.database, "default", "out")
    assert await one.now() is None
    await one.begin("a")
    await other.begin("b")
    assert await other.now() == Place(at="a", delivered=0, letters=0)
    await one.move("a", "c", delivered=3)
    with pytest.raises(Moved, match="one machine only"):
        await other.move("a", "d", delivered=9, refused=[letter(outgoing(1), "no", 0)])
    assert await one.now() == Place(at="c", delivered=3, letters=0)
    assert await Ledger(house.database).letters("default", "out") == ()


async def test_streams_and_tenants_have_places_of_their_own(house: House) -> None:
    await house.database.place("other")
    await Places(house.database, "default", "out").begin("a")
    assert await Places(house.database, "default", "in").now() is None
    assert await Places(house.database, "other", "out").now() is None
