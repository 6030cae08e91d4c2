"""What a model says of events is kept once, beside them, within what a tenant may spend."""

import asyncio
from datetime import date, timedelta

import pytest
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, looked, seen, window_at

from kilocam.core import CameraKey
from kilocam.database import OutboxMessage, load_queries
from kilocam.insight import (
    ChangeKind,
    Event,
    EventChange,
    EventFilter,
    Grant,
    Refused,
    Told,
)
from kilocam.insight.contributions import Sense, replace_contributions

pytestmark = pytest.mark.asyncio
ALL = EventFilter()
FOREIGN = CameraKey("other", "gate")
TODAY = date(2026, 11, 29)
SAID = "A woman in a yellow raincoat pushes a bicycle."
PERSON = seen(0, 0).event_id
THEIRS = seen(0, 0, key=FOREIGN).event_id


@pytest.fixture
def told(house: House) -> Told:
    return Told(house.database)


async def the_event(house: House) -> Event:
    return await house.insight.event("default", PERSON)


async def test_an_event_is_described_once(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    assert await told.may_describe(GATE, PERSON, TODAY, 10) is Grant.GIVEN
    assert await told.describe(GATE, PERSON, SAID, "eye-1")
    event = await the_event(house)
    assert (event.description, event.described_by) == (SAID, "eye-1")
    assert await told.may_describe(GATE, PERSON, TODAY, 10) is Grant.NEEDLESS
    assert not await told.describe(GATE, PERSON, "Nobody.", "eye-2")
    assert (await the_event(house)).description == SAID


async def test_a_description_stays_while_its_event_goes_on(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0), seen(0, 0, ordinal=1)))
    await told.describe(GATE, PERSON, SAID, "eye-1")
    await house.windows.write(looked(1, seen(0, 1), seen(0, 1, ordinal=1)))
    await house.windows.write(looked(0, seen(0, 0, score=0.9), seen(0, 0, ordinal=1)))
    event = await the_event(house)
    assert (event.description, event.described_by, event.score) == (SAID, "eye-1", 0.9)
    other = await house.insight.event("default", seen(0, 0, ordinal=1).event_id)
    assert (other.description, other.described_by) == ("", "")
    for question in ("yellow raincoat", "person pushing a bicycle"):
        found = (await house.insight.search("default", question, ALL)).found
        assert found, question
    assert (await house.insight.search("default", "raincoat", ALL)).found[0].event == event


async def test_a_window_that_is_being_written_is_waited_for(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    async with house.database.for_tenant("default") as transaction:
        hold = load_queries("kilocam.insight")["hold"]
        await transaction.execute(hold, "default", [GATE.partition])
        await replace_contributions(transaction, window_at(1), Sense.SEEN, [seen(0, 1)])
        describing = asyncio.create_task(told.describe(GATE, PERSON, SAID, "eye-1"))
        await asyncio.sleep(0.3)  # it comes to the event that is just made again
        assert not describing.done()
    assert await describing
    event = await the_event(house)
    assert event.description == SAID
    assert event.end_us > window_at(1).start_us


async def test_its_words_are_found_at_once(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0), seen(0, 0, ordinal=1)))
    assert (await house.insight.search("default", "raincoat", ALL)).found == ()
    await told.describe(GATE, PERSON, SAID, "eye-1")
    for question in ("raincoat", "woman in a yellow raincoat"):
        answer = await house.insight.search("default", question, ALL)
        assert answer.found[0].event.id == PERSON, question
        assert answer.unmatched == ()
    page = await house.insight.events("default", EventFilter(text="raincoat"))
    assert [event.id for event in page.items] == [PERSON]


async def test_listeners_are_told(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    after = await house.insight.now_at("default")
    await told.describe(GATE, PERSON, SAID, "eye-1")
    [news] = await house.insight.changes("default", after)
    assert news.description == SAID
    published: list[OutboxMessage] = []

    async def publish(message: OutboxMessage) -> None:
        published.append(message)

    while await house.control.outboxes()[0].drain(publish):
        pass
    change = EventChange.from_body(published[-1].body)
    assert (change.kind, change.event_id) == (ChangeKind.EXTENDED, PERSON)
    assert change.description == SAID


async def test_an_event_that_is_gone_costs_nothing(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    await house.windows.write(looked(0))
    assert await told.may_describe(GATE, PERSON, TODAY, 1) is Grant.NEEDLESS
    assert not await told.describe(GATE, PERSON, SAID, "eye-1")
    await house.windows.write(looked(0, seen(0, 0)))
    assert await told.may_describe(GATE, PERSON, TODAY, 1) is Grant.GIVEN


async def test_writers_at_once_spend_no_more_than_the_budget(house: House, told: Told) -> None:
    await house.windows.write(looked(0, *(seen(0, 0, ordinal=n) for n in range(12))))
    another = Told(house.database)
    granted = await asyncio.gather(
        *(
            who.may_describe(GATE, seen(0, 0, ordinal=n).event_id, TODAY, 7)
            for n in range(12)
            for who in (told, another)
        )
    )
    assert granted.count(Grant.GIVEN) == 7
    assert granted.count(Grant.SPENT) == 17
    # Whoever starts anew finds it spent.
    assert await Told(house.database).may_describe(GATE, PERSON, TODAY, 7) is Grant.SPENT


async def test_a_budget_is_a_days_and_a_tenants(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    await house.windows.write(looked(0, seen(0, 0, key=FOREIGN), key=FOREIGN))
    assert await told.may_describe(GATE, PERSON, TODAY, 1) is Grant.GIVEN
    assert await told.may_describe(GATE, PERSON, TODAY, 1) is Grant.SPENT
    assert await told.may_describe(FOREIGN, THEIRS, TODAY, 1) is Grant.GIVEN
    assert await told.may_describe(GATE, PERSON, TODAY + timedelta(days=1), 1) is Grant.GIVEN
    await told.give_back("default", TODAY)
    assert await told.may_describe(GATE, PERSON, TODAY, 1) is Grant.GIVEN


async def test_days_long_gone_are_forgotten(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    for days in (0, 3, 9):
        await told.may_describe(GATE, PERSON, TODAY + timedelta(days=days), 5)
    async with house.database.for_tenant("default") as transaction:
        rows = await transaction.fetch("select day from description_budget order by day")
    assert [row["day"] for row in rows] == [TODAY + timedelta(days=days) for days in (3, 9)]


async def test_descriptions_of_tenants_never_meet(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    assert await told.may_describe(FOREIGN, PERSON, TODAY, 5) is Grant.NEEDLESS
    assert not await told.describe(FOREIGN, PERSON, SAID, "eye-1")
    assert (await the_event(house)).description == ""
    with pytest.raises(Refused):
        await told.describe(CameraKey("nobody", "gate"), PERSON, SAID, "eye-1")
