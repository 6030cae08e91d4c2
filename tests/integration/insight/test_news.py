"""Changes for whoever keeps a copy: what was withdrawn stands among them, in order."""

import pytest
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, T0, looked, seen

from kilocam.analyse import event_id
from kilocam.core import CameraKey
from kilocam.insight import Cursor, Event, Withdrawn, drop_days, make_days

pytestmark = pytest.mark.asyncio
START = Cursor.before(0)


def told(each: Event | Withdrawn) -> tuple[str, str]:
    return (type(each).__name__, each.id)


async def test_a_withdrawn_event_is_told_once_and_again_when_it_is_seen_again(house: House) -> None:
    gone = event_id(GATE, T0, 0)
    await house.windows.write(looked(0, seen(0, 0)))
    await house.windows.write(looked(1, seen(1, 1)))
    [first, stays] = await house.insight.news("default", START)
    assert told(first) == ("Event", gone)
    await house.windows.write(looked(0))
    [news] = await house.insight.news("default", stays.changed)
    assert isinstance(news, Withdrawn)
    assert (news.id, news.camera, news.label, news.start_us) == (gone, "gate", "person", T0)
    assert await house.insight.news("default", news.changed) == ()
    assert await house.insight.news("other", START) == ()
    await house.windows.write(looked(0, seen(0, 0)))
    [again] = await house.insight.news("default", news.changed)
    assert told(again) == ("Event", gone)
    # From the beginning as from then on: what holds comes last.
    everything = await house.insight.news("default", START)
    assert [told(e) for e in everything if e.id == gone] == [("Withdrawn", gone), ("Event", gone)]


async def test_pages_of_any_size_give_the_same_news(house: House) -> None:
    for n in range(6):
        await house.windows.write(looked(n, seen(n, n), seen(n, n, ordinal=1)))
    for n in (1, 4):
        await house.windows.write(looked(n))
    whole = await house.insight.news("default", START)
    assert sum(isinstance(each, Withdrawn) for each in whole) == 4
    assert len(whole) == 12
    for size in (1, 3, 5):
        paged: list[Event | Withdrawn] = []
        while page := await house.insight.news(
            "default", paged[-1].changed if paged else START, limit=size
        ):
            assert len(page) <= size
            paged += page
        assert [told(each) for each in paged] == [told(each) for each in whole]


async def test_nothing_is_passed_by_that_an_open_transaction_may_yet_add(house: House) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    async with house.database.for_tenant("other") as transaction:
        # It has a number, so whatever is younger has to wait.
        await transaction.execute("select pg_current_xact_id()")
        await house.windows.write(looked(0))
        key = CameraKey("default", "yard")
        await house.windows.write(looked(1, seen(1, 1, key=key), key=key))
        assert await house.insight.news("default", START) == ()
    assert [type(each) for each in await house.insight.news("default", START)] == [Withdrawn, Event]


async def test_what_is_withdrawn_goes_with_its_day(house: House) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    await house.windows.write(looked(0))
    assert len(await house.insight.news("default", START)) == 1
    await make_days(house.control, T0)
    await drop_days(house.control, T0 + 3 * 86_400_000_000)
    assert await house.insight.news("default", START) == ()
