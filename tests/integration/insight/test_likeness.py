"""How objects look: kept with their events, found by likeness, within a tenant and a time."""

import re
from pathlib import Path

import pytest
from tests.fakes.intruder import admin_does
from tests.fakes.postgres import SECRETS, Installation, PostgresServer
from tests.integration.insight.conftest import ROOMS, House
from tests.integration.insight.made import (
    GATE,
    NOW_US,
    T0,
    VERSION,
    S,
    looked,
    seen,
    window_at,
)

from kilocam.analyse import ObjectSeen, Portrait
from kilocam.core import CameraKey
from kilocam.database import ADMIN, bootstrap
from kilocam.insight import (
    Invalid,
    Likeness,
    NotFound,
    NotYet,
    Refused,
    Unavailable,
    Windows,
    make_days,
)

pytestmark = pytest.mark.asyncio
YARD = CameraKey("default", "yard")
FOREIGN = CameraKey("other", "gate")
DAY = 86_400 * S
X, Y = (1.0, 0.0), (0.0, 1.0)
NEAR_X, NEARER_X = (0.8, 0.6), (0.96, 0.28)
MEND = re.compile(r"`(alter table kilocam\.likeness [^`]+)`")


@pytest.fixture
def likeness(house: House) -> Likeness:
    return Likeness(house.database)


def portrait(
    of: ObjectSeen,
    vector: tuple[float, ...],
    at: int = 0,
    *,
    key: CameraKey = GATE,
    model: str = "eye@1",
) -> Portrait:
    return Portrait(
        window=window_at(at, key), event_id=of.event_id, label=of.label,
        at_us=window_at(at, key).start_us, model=model, vector=vector,
    )  # fmt: skip


async def show(
    house: House,
    likeness: Likeness,
    number: int,
    vector: tuple[float, ...],
    *,
    key: CameraKey = GATE,
    label: str = "person",
    model: str = "eye@1",
) -> str:
    """An event of window `number` that looks so; its id."""
    one = seen(number, number, key=key, label=label)
    await house.windows.write(looked(number, one, key=key))
    await likeness.keep(portrait(one, vector, number, key=key, model=model))
    return one.event_id


async def alike(
    likeness: Likeness, id_: str, tenant: str = "default", **more: object
) -> list[tuple[str, float]]:
    found = await likeness.similar(tenant, id_, **more)  # type: ignore[arg-type] # the test's own
    return [(each.event.id, round(each.likeness, 2)) for each in found]


async def test_the_most_alike_come_first_and_not_the_event_itself(
    house: House, likeness: Likeness
) -> None:
    one = await show(house, likeness, 0, X)
    far = await show(house, likeness, 1, Y)
    near = await show(house, likeness, 2, NEAR_X)
    nearer = await show(house, likeness, 3, NEARER_X, key=YARD)
    assert await alike(likeness, one) == [(nearer, 0.96), (near, 0.8), (far, 0.0)]
    assert await alike(likeness, one, limit=1) == [(nearer, 0.96)]
    assert await alike(likeness, one, cameras=["yard"]) == [(nearer, 0.96)]
    assert await alike(likeness, far) == [(near, 0.6), (nearer, 0.28), (one, 0.0)]


async def test_only_what_may_be_mistaken_for_it_is_compared(
    house: House, likeness: Likeness
) -> None:
    car = await show(house, likeness, 0, X, label="car")
    await show(house, likeness, 1, X, label="person")
    truck = await show(house, likeness, 2, NEAR_X, label="truck")
    assert await alike(likeness, car) == [(truck, 0.8)]


async def test_vectors_of_two_models_are_never_compared(house: House, likeness: Likeness) -> None:
    one = await show(house, likeness, 0, X)
    near = await show(house, likeness, 1, NEAR_X)
    theirs = await show(house, likeness, 2, (1.0, 0.0, 0.0), model="mine@7")
    assert await alike(likeness, one) == [(near, 0.8)]
    assert await alike(likeness, theirs) == []


async def test_no_tenant_sees_what_another_one_looks_like(house: House, likeness: Likeness) -> None:
    one = await show(house, likeness, 0, X)
    theirs = await show(house, likeness, 0, X, key=FOREIGN)
    assert await alike(likeness, one) == []
    assert await alike(likeness, theirs, "other") == []
    with pytest.raises(NotFound):
        await likeness.similar("default", theirs)


async def test_a_better_picture_replaces_what_was_kept(house: House, likeness: Likeness) -> None:
    one = await show(house, likeness, 0, X)
    other = seen(1, 1)
    await house.windows.write(looked(1, other))
    await house.windows.write(looked(2, seen(1, 2)))
    for at, vector in ((1, Y), (2, NEAR_X), (2, NEARER_X)):
        await likeness.keep(portrait(other, vector, at))
        assert await alike(likeness, one) == [(other.event_id, round(vector[0], 2))]


async def test_an_event_that_is_withdrawn_is_like_nothing_any_more(
    house: House, likeness: Likeness
) -> None:
    one = await show(house, likeness, 0, X)
    await show(house, likeness, 1, NEARER_X)
    near = await show(house, likeness, 2, NEAR_X)
    await house.windows.write(looked(1))
    assert await alike(likeness, one, limit=1) == [(near, 0.8)]


async def test_a_window_written_again_keeps_what_was_known(
    house: House, likeness: Likeness
) -> None:
    one = await show(house, likeness, 0, X)
    near = await show(house, likeness, 1, NEAR_X)
    await house.windows.write(looked(1, seen(1, 1, score=0.9)))
    assert await alike(likeness, one) == [(near, 0.8)]


async def test_time_restricts_and_is_bounded(house: House, likeness: Likeness) -> None:
    one = await show(house, likeness, 0, X)
    near = await show(house, likeness, 5, NEAR_X)
    later = window_at(5).start_us
    assert await alike(likeness, one, from_us=later) == [(near, 0.8)]
    assert await alike(likeness, one, from_us=later + 1) == []
    assert await alike(likeness, one, to_us=later) == []
    assert await alike(likeness, one, from_us=later - 24 * DAY) == [(near, 0.8)]
    with pytest.raises(Invalid, match="ask for 31d at most"):
        await likeness.similar("default", one, from_us=T0 - 40 * DAY, to_us=T0)


async def test_what_is_not_known_is_told(house: House, likeness: Likeness) -> None:
    unlooked = seen(0, 0)
    await house.windows.write(looked(0, unlooked))
    with pytest.raises(NotFound, match=r"how event .* looks is not known"):
        await likeness.similar("default", unlooked.event_id)
    with pytest.raises(NotFound, match="does not exist"):
        await likeness.similar("default", seen(9, 9).event_id)
    with pytest.raises(Invalid, match="limit 0"):
        await likeness.similar("default", unlooked.event_id, limit=0)


async def test_a_day_that_has_no_place_and_an_unknown_tenant_are_refused(
    likeness: Likeness,
) -> None:
    for key, at in ((GATE, 40 * DAY // (2 * S)), (CameraKey("nobody", "gate"), 0)):
        with pytest.raises(Refused):
            await likeness.keep(portrait(seen(0, 0), X, at, key=key))


async def test_a_database_without_pgvector_does_all_else_and_says_how_to_mend_it(
    postgres: PostgresServer,
) -> None:
    installation = Installation(postgres, ROOMS)
    await bootstrap(installation.url(ADMIN), SECRETS)
    await admin_does(installation, "drop extension vector")
    async with installation.database() as database, installation.control() as control:
        await control.migrate()
        await database.place("default")
        await make_days(control, NOW_US)
        windows, likeness = Windows(database, VERSION), Likeness(database)
        one, other = seen(0, 0), seen(1, 1)
        for number, each in enumerate((one, other)):
            await windows.write(looked(number, each))
        assert await windows.prepared()
        with pytest.raises(NotYet, match="keeps no vectors, for it had no pgvector"):
            await likeness.keep(portrait(one, X))
        with pytest.raises(Unavailable, match="keeps no vectors"):
            await likeness.similar("default", one.event_id)
        await windows.write(looked(1))  # an event is withdrawn

        [line] = MEND.findall(Path("docs/design/insight.md").read_text())
        await admin_does(installation, "create extension vector schema public", line)
        await windows.write(looked(1, other))
        await likeness.keep(portrait(one, X))
        await likeness.keep(portrait(other, NEAR_X, 1))
        assert await alike(likeness, one.event_id) == [(other.event_id, 0.8)]
