"""Events are found by time, camera, class and words; pages hold still; tenants never meet."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, T0, S, looked, seen

from kilocam.core import CameraKey
from kilocam.database import OutboxMessage
from kilocam.insight import Cursor, Event, EventFilter, Feed, Invalid, NotFound

pytestmark = pytest.mark.asyncio
ALL = EventFilter()
DOOR = CameraKey("default", "front-door")
FOREIGN = CameraKey("other", "gate")


async def fill(house: House) -> None:
    """A person and a truck at the gate, then a dog at the front door; one person elsewhere."""
    await house.windows.write(looked(0, seen(0, 0, score=0.9)))
    await house.windows.write(looked(1, seen(1, 1, label="truck", score=0.6)))
    await house.windows.write(looked(2, seen(2, 2, key=DOOR, label="dog"), key=DOOR))
    await house.windows.write(looked(3, seen(3, 3, key=FOREIGN), key=FOREIGN))


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [
        (ALL, ["dog", "truck", "person"]),
        (EventFilter(cameras=("gate",)), ["truck", "person"]),
        (EventFilter(labels=("vehicle", "dog")), ["dog", "truck"]),
        (EventFilter(from_us=T0 + 2 * S), ["dog", "truck"]),
        (EventFilter(to_us=T0 + 2 * S), ["person"]),
        (EventFilter(from_us=T0 + S, to_us=T0 + 4 * S), ["truck", "person"]),
        (EventFilter(text="trucks"), ["truck"]),
        (EventFilter(text="door"), ["dog"]),
        (EventFilter(cameras=("nowhere",)), []),
    ],
)
async def test_filters_restrict(house: House, wanted: EventFilter, labels: list[str]) -> None:
    await fill(house)
    page = await house.insight.events("default", wanted)
    assert [event.label for event in page.items] == labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("people", ["person"]),
        ("any vehicle at the gate in the last hour", ["truck"]),
        ("dog", ["dog"]),
        ("what was at the front door?", ["dog"]),
        ("dooor", ["dog"]),  # only trigrams can tell
        ("person at the front door", []),
        ("nothing of the kind", []),
        ("everything", []),
        ("", ["person", "dog", "truck"]),
    ],
)
async def test_search_finds_by_plain_words(house: House, text: str, labels: list[str]) -> None:
    await fill(house)
    found = (await house.insight.search("default", text, ALL)).found
    assert sorted(each.event.label for each in found) == sorted(labels)
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


async def test_colours_are_those_last_told_and_searched_by_name(house: House) -> None:
    await house.windows.write(looked(0, seen(0, 0, label="car", colours=("grey",))))
    await house.windows.write(looked(2, seen(0, 2, label="car")))
    await house.windows.write(looked(1, seen(0, 1, label="car", colours=("red", "black"))))
    await house.windows.write(looked(3, seen(3, 3, label="car", colours=("white",), score=0.95)))
    await house.windows.write(looked(4, seen(4, 4, label="car", score=0.99)))
    events = (await house.insight.events("default", ALL)).items
    assert [event.colours for event in events] == [(), ("white",), ("red", "black")]
    for text, first in (("red car", 2), ("a white car at the gate", 1), ("black", 2)):
        answer = await house.insight.search("default", text, ALL)
        assert answer.found[0].event == events[first]
        assert answer.unmatched == ()
    reds = await house.insight.events("default", EventFilter(text="red"))
    assert reds.items == (events[2],)
    assert (await house.insight.search("default", "gray car", ALL)).unmatched == ("grey",)


@pytest.mark.parametrize(
    ("text", "unmatched"),
    [
        ("dog", ()),
        ("red dog at street-9", ("red", "street-9")),
        ("dooor", ("dooor",)),  # what is alike was found
        ("nothing of the kind", ("nothing", "kind")),
        ("is the very dog out there", ()),  # words that full text passes over
        ("gren", ("gren",)),  # alike to a colour: that is no misspelt class or camera
    ],
)
async def test_words_that_nothing_found_holds_are_told(
    house: House, text: str, unmatched: tuple[str, ...]
) -> None:
    await fill(house)
    await house.windows.write(looked(4, seen(4, 4, label="car", colours=("green",))))
    answer = await house.insight.search("default", text, ALL)
    assert answer.unmatched == unmatched
    assert not any(found.event.label == "car" for found in answer.found)


async def test_pages_hold_still_while_events_come_in(house: House) -> None:
    for number in range(10):
        await house.windows.write(
            looked(number, seen(number, number), seen(number, number, ordinal=1))
        )
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = await house.insight.events("default", ALL, cursor=cursor, limit=3)
        ids += [event.id for event in page.items]
        cursor = page.next_cursor
        await house.windows.write(looked(20 + len(ids), seen(20 + len(ids), 20 + len(ids))))
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) == 20


async def test_another_tenants_events_are_not_there(house: House) -> None:
    await fill(house)
    [foreign] = (await house.insight.events("other", ALL)).items
    assert foreign.id not in [e.id for e in (await house.insight.events("default", ALL)).items]
    with pytest.raises(NotFound, match="does not exist"):
        await house.insight.event("default", foreign.id)
    assert await house.insight.sights("default", foreign.id) == ()
    assert [c.camera for c in await house.insight.counts("other", since_us=T0)] == ["gate"]
    changed = await house.insight.changes("default", Cursor.before(0))
    assert foreign.id not in [event.id for event in changed]
    with pytest.raises(NotFound, match="'nobody' does not exist"):
        await house.insight.events("nobody", ALL)


async def test_bad_cursors_limits_and_ids_get_one_line(house: House) -> None:
    with pytest.raises(Invalid, match="cursor 'x' is not one of ours: give one as it was received"):
        await house.insight.events("default", ALL, cursor="x")
    with pytest.raises(Invalid, match="limit 0 is not valid: ask for 1 to 500"):
        await house.insight.events("default", ALL, limit=0)
    with pytest.raises(NotFound, match="event 'x' does not exist"):
        await house.insight.event("default", "x")


async def test_changes_are_told_once_each_and_none_is_passed_by(house: House) -> None:
    start = await house.insight.now_at("default")
    await house.windows.write(looked(0, seen(0, 0)))
    async with house.database.for_tenant("default") as slow:
        # An older transaction is still open: what it may yet change must not be passed by.
        await slow.execute("select pg_current_xact_id()")
        await house.windows.write(looked(1, seen(0, 1), seen(1, 1)))
        assert await house.insight.changes("default", start) == ()
    changes = await house.insight.changes("default", start)
    assert sorted(event.start_us for event in changes) == [T0, T0 + 2 * S]
    assert await house.insight.changes("default", changes[-1].changed) == ()
    assert Cursor.parse(str(changes[0].changed)) == changes[0].changed


async def test_the_feed_tells_every_listener_from_its_own_place(house: House) -> None:
    async with Feed(house.insight) as feed:
        start = await feed.now_at("default")
        waiting = [asyncio.create_task(feed.next("default", start, 20)) for _ in range(3)]
        await house.windows.write(looked(0, seen(0, 0)))
        for told in await asyncio.gather(*waiting):
            assert [event.start_us for event in told] == [T0]
        await house.windows.write(looked(1, seen(1, 1), key=GATE))
        [second] = await feed.next("default", told[-1].changed, 20)
        assert second.start_us == T0 + 2 * S
        both = await feed.next("default", start, 20)
        assert [event.start_us for event in both] == [T0, T0 + 2 * S]
        assert await feed.next("default", second.changed, 0.05) == ()
        assert await feed.next("other", start, 0.05) == ()


async def test_what_came_while_a_reader_began_is_told_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at, came = asyncio.Event(), asyncio.Event()
    insight = house.insight
    now_at, changes = insight.now_at, insight.changes

    async def later(tenant: str) -> Cursor:
        await came.wait()
        return await now_at(tenant)

    async def changed(tenant: str, after: Cursor, *, limit: int) -> tuple[Event, ...]:
        found = await changes(tenant, after, limit=limit)
        looked_at.set()
        return found

    start = await now_at("default")
    monkeypatch.setattr(insight, "now_at", later)
    monkeypatch.setattr(insight, "changes", changed)
    async with Feed(insight) as feed:
        listener = asyncio.create_task(feed.next("default", start, 3600))
        await looked_at.wait()
        await house.windows.write(looked(0, seen(0, 0)))
        came.set()
        [told] = await asyncio.wait_for(listener, 20)
        assert told.start_us == T0


async def test_a_frozen_queue_keeps_no_news_from_listeners(house: House) -> None:
    frozen, came = asyncio.Event(), asyncio.Event()

    async def publish(_: OutboxMessage) -> None:
        came.set()
        await frozen.wait()

    async def bell(_: str) -> AsyncGenerator[object, None]:
        yield None
        raise ConnectionError("the queue is frozen")

    async with Feed(house.insight, bell) as feed:
        start = await feed.now_at("default")
        await house.windows.write(looked(0, seen(0, 0)))
        relaying = asyncio.create_task(house.control.outboxes()[0].drain(publish))
        await asyncio.wait_for(came.wait(), 10)
        [first] = await feed.next("default", start, 20)
        await house.windows.write(looked(1, seen(1, 1)))
        [second] = await feed.next("default", first.changed, 20)
        assert second.start_us == T0 + 2 * S
        frozen.set()
        await relaying


async def test_a_listener_far_behind_reads_on_from_the_database(house: House) -> None:
    start = await house.insight.now_at("default")
    await house.windows.write(looked(0, seen(0, 0)))
    async with Feed(house.insight) as feed:
        place = await feed.now_at("default")
        assert await feed.next("default", place, 0.05) == ()
        [first] = await feed.next("default", start, 20)
        assert first.start_us == T0
