"""A day that is over is tidied, and vectors of those who have many get an index, beside writers."""

import math

import pytest
from tests.fakes.intruder import admin_does
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, NOW_US, T0, S, looked, seen, window_at

from kilocam.analyse import Portrait, event_id
from kilocam.core import CameraKey
from kilocam.insight import Closer, Likeness
from kilocam.insight.closing import CROWD, index_name
from kilocam.insight.days import day_of

pytestmark = pytest.mark.asyncio
DAY = 86_400 * S
OTHER = CameraKey("other", "gate")
TODAY = day_of(T0).date()
LATER_US = NOW_US + DAY + 3 * 3_600 * S


def portraits(count: int, key: CameraKey = GATE, model: str = "eye@1") -> list[Portrait]:
    """So many objects on the day of T0, all around."""
    start_us = min(T0, NOW_US) // DAY * DAY
    return [
        Portrait(
            window=window_at(0, key), event_id=event_id(key, start_us + n, 0), label="person",
            at_us=T0, model=model, vector=(math.cos(n), math.sin(n)),
        )
        for n in range(count)
    ]  # fmt: skip


async def indexes(house: House) -> dict[str, bool]:
    async with house.control.everything() as transaction:
        rows = await transaction.fetch(
            "select indexrelid::regclass::text as name, indisvalid from pg_index"
            " where indexrelid::regclass::text like '%_near_%'"
        )
    return {row["name"]: row["indisvalid"] for row in rows}


async def close(house: House, at_us: int = LATER_US) -> int:
    return await Closer(house.control, pausing=False).close_days(at_us, T0)


async def test_who_has_many_vectors_of_a_day_gets_an_index_once_it_is_over(house: House) -> None:
    likeness = Likeness(house.database)
    await likeness.keep_all("default", portraits(CROWD))
    await likeness.keep_all("other", portraits(CROWD - 1, OTHER))
    assert await close(house, T0 + S) == 0
    assert await close(house) == 1
    assert await indexes(house) == {index_name(TODAY, "default", "eye@1"): True}
    assert await close(house) == 0


async def test_the_same_is_found_by_an_index_as_without(house: House) -> None:
    likeness = Likeness(house.database)
    for number, near in enumerate((1.0, 0.999, 0.99)):
        one = seen(number, number)
        await house.windows.write(looked(number, one))
        await likeness.keep(
            Portrait(
                window=window_at(number), event_id=one.event_id, label="person", model="eye@1",
                at_us=T0, vector=(near, math.sqrt(1 - near * near)),
            )
        )  # fmt: skip
    before = await likeness.similar("default", seen(0, 0).event_id)
    assert [round(each.likeness, 3) for each in before] == [0.999, 0.99]
    crowd = [p for p in portraits(2 * CROWD) if p.vector[0] < 0]
    await likeness.keep_all("default", crowd + portraits(CROWD, model="other@1"))
    assert await close(house) >= 1
    assert await likeness.similar("default", seen(0, 0).event_id) == before


async def test_an_index_left_half_built_is_made_again(house: House) -> None:
    await Likeness(house.database).keep_all("default", portraits(CROWD))
    await close(house)
    name = index_name(TODAY, "default", "eye@1")
    await admin_does(
        house.installation,
        f"update pg_index set indisvalid = false where indexrelid = 'kilocam.{name}'::regclass",
    )
    assert await close(house) == 1
    assert await indexes(house) == {name: True}


async def test_vectors_that_no_index_takes_stop_nothing(house: House) -> None:
    likeness = Likeness(house.database)
    broken = portraits(CROWD)
    broken[-1] = Portrait(
        window=window_at(0), event_id=broken[-1].event_id, label="person", at_us=T0,
        model="eye@1", vector=(1.0, 0.0, 0.0),
    )  # fmt: skip
    await likeness.keep_all("default", broken)
    await likeness.keep_all("other", portraits(CROWD, OTHER))
    assert await close(house) == 1
    assert await indexes(house) == {index_name(TODAY, "other", "eye@1"): True}


async def test_tables_of_a_day_that_is_over_are_tidied_once(house: House) -> None:
    async def tidied() -> dict[str, int]:
        async with house.control.everything() as transaction:
            rows = await transaction.fetch(
                "select relname::text as name, vacuum_count from pg_stat_user_tables"
                " where relname = $1",
                f"event_{TODAY:%Y%m%d}",
            )
        return {row["name"]: row["vacuum_count"] for row in rows}

    await house.windows.write(looked(0, seen(0, 0)))
    await close(house)
    assert await tidied() == {f"event_{TODAY:%Y%m%d}": 1}
