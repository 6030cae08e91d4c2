"""A window's part is replaced in one transaction; any number of writes gives one state."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from tests.fakes.postgres import SECRETS
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, NOW_US, T0, VERSION, S, looked, seen, skipped

from kilocam.analyse import SkipReason, WindowResult
from kilocam.bus import Position
from kilocam.core import CameraKey
from kilocam.database import Database, Transaction
from kilocam.insight import EventFilter, Windows, drop_days, make_days

pytestmark = pytest.mark.asyncio
ALL = EventFilter()


async def state(house: House, tenant: str = "default") -> tuple[object, ...]:
    """All that can be read of a tenant, but for ids and the order of changes."""
    page = await house.insight.events(tenant, ALL)
    events = [
        (e.camera, e.label, e.score, e.start_us, e.end_us, e.best_us, e.box, e.still)
        for e in page.items
    ]
    sights = [await house.insight.sights(tenant, e.id) for e in page.items]
    return events, sights, await house.insight.counts(tenant, since_us=T0)


async def test_an_event_is_the_fold_of_what_its_windows_add(house: House) -> None:
    await house.windows.write(looked(0, seen(0, 0, label="car", score=0.5)))
    await house.windows.write(looked(1, seen(0, 1, label="truck", score=0.9)))
    await house.windows.write(looked(2, seen(0, 2, label="truck", score=0.7), seen(2, 2)))
    page = await house.insight.events("default", ALL)
    second, first = page.items
    assert (first.label, first.score, first.camera) == ("truck", 0.9, "gate")
    assert (first.start_us, first.end_us) == (T0, T0 + 5 * S)
    assert (first.best_us, first.box) == (T0 + 2 * S, (0.1, 0.2, 0.25, 0.5))
    assert (second.label, second.start_us) == ("person", T0 + 4 * S)
    assert len(await house.insight.sights("default", first.id)) == 6


async def test_writing_again_changes_nothing_and_tells_nothing(house: House) -> None:
    results = [looked(0, seen(0, 0)), looked(1, seen(0, 1), seen(1, 1)), looked(2)]
    for result in results:
        await house.windows.write(result)
    before, told = await state(house), await outbox(house)
    for result in results:
        await house.windows.write(result)
    assert await state(house) == before
    assert await outbox(house) == told


async def test_redelivery_in_any_order_gives_the_same_rows(house: House) -> None:
    results = [
        looked(0, seen(0, 0)),
        looked(1, seen(0, 1), seen(1, 1, label="car")),
        looked(2, seen(1, 2, label="car", score=0.9)),
        looked(3, seen(0, 3, score=0.4), seen(3, 3, ordinal=1)),
    ]
    quiet = [skipped(n) for n in (4, 5, 6)]
    for result in results:
        await house.windows.write(result)
    await house.windows.skip(quiet)
    expected = await state(house)
    shuffled = random.Random(7)
    key = CameraKey("other", "gate")
    moved = [for_camera(result, key) for result in (*results, *results)]
    shuffled.shuffle(moved)
    for result in moved:
        await house.windows.write(result)
    await house.windows.skip([skipped(n, key=key) for n in (6, 4, 5, 4, 0)])
    assert await state(house, "other") == expected


def for_camera(result: WindowResult, key: CameraKey) -> WindowResult:
    number = (result.window.start_us - T0) // (2 * S)
    objects = []
    for each in result.objects:
        opened, ordinal = next(
            (opened, ordinal)
            for opened in range(number + 1)
            for ordinal in (0, 1)
            if seen(opened, number, ordinal=ordinal).event_id == each.event_id
        )
        objects.append(
            seen(opened, number, key=key, ordinal=ordinal, label=each.label, score=each.best.score)
        )
    return looked(number, *objects, key=key)


async def test_a_second_look_takes_back_what_it_does_not_see(house: House) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    await house.windows.write(looked(1, seen(0, 1), seen(1, 1)))
    await house.windows.write(looked(1, seen(0, 1)))
    page = await house.insight.events("default", ALL)
    assert [event.end_us for event in page.items] == [T0 + 3 * S]
    told: dict[object, list[object]] = {}
    for body in await outbox(house):  # between events of one window no order is promised
        told.setdefault(body["event_id"], []).append(body["kind"])
    assert sorted(told.values()) == [["opened", "extended"], ["opened", "withdrawn"]]


async def test_looked_and_skipped_are_what_was_offered_exactly(house: House) -> None:
    await house.windows.skip([skipped(n) for n in range(10)])
    await house.windows.skip([skipped(n, SkipReason.OVERLOAD) for n in range(5, 12)])
    await house.windows.write(looked(3))
    await house.windows.write(looked(12))
    await house.windows.write(looked(12))
    await house.windows.skip([skipped(12), skipped(3)])
    counts = await house.insight.counts("default", since_us=T0)
    [gate] = counts
    assert (gate.looked, gate.skipped, gate.offered) == (2, {"quiet": 9, "overload": 2}, 13)
    assert gate.last_look_us == T0 + 24 * S
    async with house.database.for_tenant("default") as transaction:
        rows = await transaction.fetch(
            "select outcome, count(*) as n from window_state group by outcome"
        )
    assert {row["outcome"]: row["n"] for row in rows} == {"looked": 2, "quiet": 9, "overload": 2}


class Mortal(Database):
    """Its process dies at the n-th statement from now."""

    left = 0

    @asynccontextmanager
    async def for_tenant(self, tenant: str) -> AsyncIterator[Transaction]:
        async with super().for_tenant(tenant) as transaction:
            yield cast("Transaction", _Dying(transaction, self))


class _Dying:
    def __init__(self, transaction: Transaction, database: Mortal) -> None:
        self._transaction, self._database = transaction, database

    def __getattr__(self, name: str) -> object:
        self._database.left -= 1
        if self._database.left < 0:
            raise ConnectionError("killed")
        return getattr(self._transaction, name)


@pytest.mark.parametrize("statement", range(12))
async def test_a_crash_anywhere_leaves_all_or_nothing(house: House, statement: int) -> None:
    await house.windows.skip([skipped(1)])
    await house.windows.write(looked(0, seen(0, 0)))
    before = await state(house)
    again = looked(1, seen(0, 1), seen(1, 1))
    async with Mortal(house.installation.shards, SECRETS) as database:
        database.left = statement
        try:
            await Windows(database, VERSION).write(again)
        except ConnectionError:
            assert await state(house) == before
    await house.windows.write(again)
    [gate] = await house.insight.counts("default", since_us=T0)
    assert (gate.looked, gate.skipped) == (2, {})
    assert len((await house.insight.events("default", ALL)).items) == 2


async def outbox(house: House) -> list[dict[str, object]]:
    async with house.control.everything() as transaction:
        rows = await transaction.fetch(
            "select body from outbox where topic like 'insights.%' order by id"
        )
    return [row["body"] for row in rows]


async def test_a_partition_is_taken_over_where_it_was_left(house: House) -> None:
    other = next(
        key
        for n in range(10_000)
        if (key := CameraKey("other", f"cam-{n}")).partition == GATE.partition
    )
    nothing = await house.windows.resume(GATE.partition)
    assert (nothing.position, nothing.windows) == (None, frozenset())
    await house.windows.write(looked(0))
    await house.windows.write(looked(2))
    await house.windows.skip([skipped(1, key=other), skipped(3, key=other)])
    await house.windows.advance({GATE.partition: Position(7, 101)})
    taken_over = Windows(house.database, VERSION)
    found = await taken_over.resume(GATE.partition)
    assert found.position == Position(7, 101)
    assert found.windows == {(GATE, T0 + 4 * S), (other, T0 + 6 * S)}
    assert (await Windows(house.database, "2").resume(GATE.partition)).position is None


async def test_windows_of_a_tenant_that_is_gone_are_dropped_and_counted(house: House) -> None:
    gone = CameraKey("gone", "gate")
    await house.windows.write(looked(0, key=gone))
    await house.windows.skip([skipped(1, key=gone), skipped(2, key=GATE)])
    assert house.windows.homeless == 2
    [gate] = await house.insight.counts("default", since_us=T0)
    assert gate.offered == 1


async def test_old_days_go_and_new_ones_are_there(house: House) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    day = 86_400 * S
    assert await house.windows.prepared()
    assert await drop_days(house.control, NOW_US - 2 * day) == []
    gone = await drop_days(house.control, NOW_US + 2 * day)
    assert len(gone) == 4 * 3  # yesterday, today, tomorrow
    assert (await house.insight.events("default", ALL)).items == ()
    assert not await house.windows.prepared()
    await make_days(house.control, NOW_US)
    await house.control.check_isolation()
