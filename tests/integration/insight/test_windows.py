"""A window's part is replaced in one transaction; any number of writes gives one state."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar, cast

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.postgres import SECRETS
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, NOW_US, T0, VERSION, S, looked, seen, skipped

from kilocam.analyse import SkippedWindow, SkipReason, StageCount, WindowResult
from kilocam.bus import Position
from kilocam.core import CameraKey, Window
from kilocam.database import Database, DatabaseUnavailable, OutboxMessage, Transaction
from kilocam.insight import (
    EventFilter,
    Missed,
    NotYet,
    Refused,
    StageSum,
    Windows,
    drop_days,
    make_day_asked_for,
    make_days,
    missed,
)
from kilocam.insight.days import TABLES
from kilocam.insight.seams import LookedWindow

pytestmark = pytest.mark.asyncio
ALL = EventFilter()


_Window = TypeVar("_Window", SkippedWindow, WindowResult)


def moved(window: _Window, start_us: int, camera: str = "gate") -> _Window:
    of = replace(window.window, camera=camera, start_us=start_us, end_us=start_us + 2 * S)
    return replace(window, window=of)


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


_AGAIN = """
    select camera, stage.key as stage, sum((stage.value->>0)::bigint)::bigint as seen,
      sum((stage.value->>1)::bigint)::bigint as passed,
      sum((stage.value->>2)::bigint)::bigint as cost_us
    from window_state, jsonb_each(stages) stage group by camera, stage.key"""


async def test_stages_are_counted_as_their_windows_say_however_often_they_are_written(
    house: House,
) -> None:
    key_frame = {"detector": StageCount(seen=1, passed=1, cost_us=20_000)}
    whole = {**key_frame, "whole": StageCount(seen=3, passed=2, cost_us=60_000)}
    audit = {"audit": StageCount(seen=1, passed=1), "whole": StageCount(seen=3, cost_us=9)}
    yard = CameraKey("default", "yard")
    await house.windows.skip([skipped(n) for n in range(4)])
    await house.windows.note([replace(looked(n, stages=key_frame), objects=()) for n in (2, 5, 6)])
    await house.windows.write(looked(5, seen(5, 5), stages=whole))
    await house.windows.write(looked(5, seen(5, 5), stages=whole))
    await house.windows.write(looked(3, stages=audit))
    await house.windows.write(looked(7, key=yard, stages=whole))
    await house.windows.write(looked(7, key=yard, stages=audit))  # a re-run that saw less
    await house.windows.write(looked(5, key=CameraKey("other", "gate"), stages=whole))
    gate, other = await house.insight.counts("default", since_us=T0)
    assert gate.stages == {
        "audit": StageSum(seen=1, passed=1),
        "detector": StageSum(seen=2, passed=2, cost_us=40_000),
        "whole": StageSum(seen=6, passed=2, cost_us=60_009),
    }
    assert other.stages["audit"] == StageSum(seen=1, passed=1)
    assert missed([gate, other]) == Missed(audited=2, moving=2)
    async with house.database.for_tenant("default") as transaction:
        rows = await transaction.fetch(_AGAIN)
    told = {
        (row["camera"], row["stage"]): (row["seen"], row["passed"], row["cost_us"]) for row in rows
    }
    kept = {
        (each.camera, stage): (count.seen, count.passed, count.cost_us)
        for each in (gate, other)
        for stage, count in each.stages.items()
        if count != StageSum()  # what a second look took back again
    }
    assert kept == told


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


async def test_old_windows_of_a_tenant_that_is_gone_are_dropped_after_a_minute_and_counted(
    house: House,
) -> None:
    clock = FakeClock(T0 + 3600 * S)
    windows = Windows(house.database, VERSION, clock)
    gone = CameraKey("gone", "gate")
    with pytest.raises(NotYet):
        await windows.write(looked(0, key=gone))
    later = await windows.skip([skipped(1, key=gone), skipped(2, key=GATE)])
    assert later == [skipped(1, key=gone)]
    clock.advance(60 * S)
    await windows.write(looked(0, key=gone))
    assert await windows.skip(later) == []
    assert windows.homeless == 2
    [gate] = await house.insight.counts("default", since_us=T0)
    assert gate.offered == 1


async def test_a_ghost_tenant_holds_up_no_other_and_is_dropped_after_a_minute(house: House) -> None:
    clock = FakeClock(NOW_US)
    windows = Windows(house.database, VERSION, clock)
    ghost = CameraKey("a-ghost", "gate")  # comes before the others
    for round_ in range(3):
        young = moved(skipped(0), clock.now)
        young = replace(young, window=replace(young.window, tenant=ghost.tenant))
        assert await windows.skip([young, skipped(round_)]) == [young]
        with pytest.raises(NotYet, match="'a-ghost' has no place"):
            await windows.write(replace(looked(0), window=young.window))
        clock.advance(20 * S)
    young = replace(young, window=replace(young.window, start_us=clock.now))
    assert await windows.skip([young, skipped(3)]) == []
    await windows.write(replace(looked(0), window=young.window))
    assert windows.homeless == 2
    [gate] = await house.insight.counts("default", since_us=T0)
    assert gate.offered == 4


async def test_a_tenant_that_comes_late_loses_nothing(house: House) -> None:
    windows = Windows(house.database, VERSION, FakeClock(T0))
    key = CameraKey("late", "gate")
    with pytest.raises(NotYet):
        await windows.write(looked(0, key=key))
    assert await windows.skip([skipped(1, key=key)]) == [skipped(1, key=key)]
    await house.database.place("late")
    await windows.write(looked(0, key=key))
    assert await windows.skip([skipped(1, key=key)]) == []
    [gate] = await house.insight.counts("late", since_us=T0)
    assert (gate.looked, gate.offered, windows.homeless) == (1, 2, 0)


async def test_a_day_that_has_no_place_is_made_when_asked_for(house: House) -> None:
    long_ago = int(datetime(2020, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp()) * S
    ahead = NOW_US + 40 * 86_400 * S
    odd = [moved(skipped(0), long_ago), moved(skipped(0), ahead)]
    far = replace(looked(0), window=moved(skipped(0), long_ago, "yard").window)
    assert await house.windows.skip([*odd, skipped(1)]) == odd
    with pytest.raises(NotYet, match="no place for 2020-02-29 yet"):
        await house.windows.write(far)

    await make_what_is_asked_for(house)
    assert await house.windows.skip(odd) == []
    await house.windows.write(far)
    await house.control.check_isolation()
    counts = await house.insight.counts("default", since_us=0)
    assert [(c.camera, c.looked, c.offered) for c in counts] == [("gate", 0, 3), ("yard", 1, 1)]


async def make_what_is_asked_for(house: House) -> None:
    """As control's relay does it."""
    made = []

    async def publish(message: OutboxMessage) -> None:
        made.append(
            await make_day_asked_for(house.control, message.tenant, message.topic, message.body)
        )

    while await house.control.outboxes()[0].drain(publish):
        pass
    assert any(made)


async def test_no_tenant_makes_tables_by_a_message(house: House) -> None:
    body = {"day": "2020-02-29"}
    assert not await make_day_asked_for(house.control, "default", "insight-day", body)
    assert not await make_day_asked_for(house.control, "_system", "insights.gate", body)


async def test_a_day_that_never_comes_is_refused_after_a_minute_and_counted(house: House) -> None:
    clock = FakeClock(NOW_US)
    windows = Windows(house.database, VERSION, clock)
    odd = moved(skipped(0), NOW_US + 40 * 86_400 * S)
    assert await windows.skip([odd]) == [odd]
    clock.advance(60 * S)
    with pytest.raises(Refused, match="no place for"):
        await windows.write(replace(looked(0), window=odd.window))
    assert await windows.skip([odd, skipped(1)]) == []
    assert windows.refused == 1
    for start_us in (10**18, -(10**18)):
        never = moved(skipped(0), start_us)
        with pytest.raises(Refused, match="none that a clock shows"):
            await windows.write(replace(looked(0), window=never.window))
        assert await windows.skip([never]) == []
    assert windows.refused == 3


async def test_a_broken_window_is_refused_and_keeps_out_no_others(house: House) -> None:
    broken = moved(skipped(0), T0, camera="ga\0te")
    good = [skipped(n) for n in range(9)]
    assert await house.windows.skip([*good[:4], broken, *good[4:]]) == []
    with pytest.raises(Refused, match="does not take this"):
        await house.windows.write(replace(looked(0), window=broken.window))
    stranger = replace(broken.window, tenant="No Such Id")
    with pytest.raises(Refused, match="is not valid"):
        await house.windows.write(replace(looked(0), window=stranger))
    assert house.windows.refused == 1
    [gate] = await house.insight.counts("default", since_us=T0)
    assert gate.offered == 9


async def test_a_window_that_fails_oddly_is_refused_after_a_minute(house: House) -> None:
    clock = FakeClock(NOW_US)
    windows = Windows(house.database, VERSION, clock)
    twice = looked(0, seen(0, 0), seen(0, 0))  # one event twice in one window
    for _ in range(3):
        with pytest.raises(NotYet, match="somebody else was first"):
            await windows.write(twice)
        clock.advance(20 * S)
    with pytest.raises(Refused):
        await windows.write(twice)
    await windows.write(looked(0, seen(0, 0)))
    assert len((await house.insight.events("default", ALL)).items) == 1


async def test_windows_noted_together_are_kept_as_those_written_one_by_one(house: House) -> None:
    yard = CameraKey("default", "yard")
    boxes = (None, (0.0, 0.0, 0.5, 0.5))
    results = [replace(looked(n), changed=boxes[n % 2]) for n in range(5)]
    assert await house.windows.note(results) == ([], [])
    for n in range(5):
        await house.windows.write(replace(looked(n, key=yard), changed=boxes[n % 2]))
    gate, other = await house.insight.counts("default", since_us=T0)
    assert gate.looked == gate.offered == 5
    assert replace(gate, camera=other.camera) == other
    async with house.database.for_tenant("default") as transaction:
        rows = await transaction.fetch("select * from window_state order by camera, start")
    kept = [{name: row[name] for name in row.keys() - {"camera", "partition"}} for row in rows]
    assert kept[:5] == kept[5:]


async def test_what_is_known_already_is_not_noted(house: House) -> None:
    await house.windows.skip([skipped(0)])
    await house.windows.write(looked(1, seen(1, 1)))
    before = await state(house)
    known = [looked(0), looked(1)]
    assert await house.windows.note([*known, looked(2)]) == (known, [])
    [gate] = await house.insight.counts("default", since_us=T0)
    assert (gate.looked, gate.skipped) == (2, {"quiet": 1})
    assert (await state(house))[0] == before[0]


@pytest.mark.parametrize(
    ("stranger", "together"),
    [
        (looked(0, key=CameraKey("nobody", "gate")), True),
        (looked(400_000), True),  # a day that is not made, whatever the time of today
        (moved(looked(0), 1 << 62), True),
        (moved(looked(0), T0, camera="ga\0te"), False),
    ],
)
async def test_what_cannot_be_noted_keeps_out_none_of_another_tenant_or_day(
    house: House, stranger: WindowResult, together: bool
) -> None:
    alone, later = await house.windows.note([looked(4), stranger])
    assert later == []
    assert stranger in alone
    assert (looked(4) not in alone) == together


async def test_a_tenant_whose_database_is_away_keeps_out_no_other(house: House) -> None:
    class Half(Windows):
        async def _note(self, tenant: str, group: Sequence[LookedWindow]) -> set[Window]:
            if tenant == "other":
                raise DatabaseUnavailable("it is away")
            return await super()._note(tenant, group)

    windows, away = Half(house.database, VERSION), looked(0, key=CameraKey("other", "gate"))
    assert await windows.note([looked(0), away]) == ([], [away])
    with pytest.raises(DatabaseUnavailable):
        await windows.note([away])


async def test_old_days_go_and_new_ones_are_there(house: House) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    day = 86_400 * S
    assert await house.windows.prepared()
    assert await drop_days(house.control, NOW_US - 2 * day) == []
    gone = await drop_days(house.control, NOW_US + 2 * day)
    assert len(gone) == len(TABLES) * 3  # yesterday, today, tomorrow
    assert (await house.insight.events("default", ALL)).items == ()
    assert not await house.windows.prepared()
    await make_days(house.control, NOW_US)
    await house.control.check_isolation()
