"""What rules find is kept with the events, made again with them, and over the past when asked."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.postgres import Installation, PostgresServer
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, NOW_US, T0, VERSION, S, looked, seen, window_at

from kilocam.analyse import BoxAt, ObjectSeen, WindowResult
from kilocam.core import CameraKey
from kilocam.core.rules import Rule, parse_rule
from kilocam.database import Place, Room, Transaction
from kilocam.database.credentials import MIGRATE
from kilocam.database.migrations import migrate
from kilocam.insight import EventFilter, Hit, Invalid, NotFound, RuleHits, Told, Windows, drop_days
from kilocam.insight.days import day_of

pytestmark = pytest.mark.asyncio
HALL = {"kind": "zone", "polygon": [[0.25, 0.5], [0.75, 0.5], [0.75, 1], [0.25, 1]]}
LINE = {"kind": "line", "line": [[0.5, 1], [0.5, 0]]}
CROWD = {"kind": "crowd", "zone": "hall", "count": 2}
LEFT = {"kind": "left_object", "zone": "hall", "seconds": 20}
STAY = {"kind": "loitering", "zone": "hall", "seconds": 5}
WALKS = {0: 0.1, 1: 0.3, 2: 0.4, 3: 0.6, 4: 0.7, 5: 0.9}


class Written:
    """Rules as somebody wrote them."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def set(self, **definitions: Mapping[str, Any]) -> None:
        version = 1 + max((rule.version for rule in self.rules), default=0)
        self.rules = [parse_rule(name, each, version) for name, each in definitions.items()]

    async def of(self, _: Transaction, tenant: str, camera: str) -> Sequence[Rule]:
        return self.rules if camera == GATE.camera else []


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def windows(house: House, written: Written) -> Windows:
    return Windows(house.database, VERSION, rules_of=written.of)


@pytest.fixture
def hits(house: House, written: Written) -> RuleHits:
    return RuleHits(house.database, written.of)


def at(
    number: int, x: float, *, ordinal: int = 0, label: str = "person", key: CameraKey = GATE
) -> ObjectSeen:
    """Somebody opened in window 0 stands at x in a window's first half, near its bottom."""
    there = seen(0, number, ordinal=ordinal, label=label, key=key)
    boxes = (BoxAt(at_us=window_at(number).start_us, box=(x - 0.05, 0.4, 0.1, 0.4), score=0.8),)
    return replace(there, boxes=boxes)


def walk(key: CameraKey = GATE) -> list[WindowResult]:
    return [looked(n, at(n, x, key=key), key=key) for n, x in WALKS.items()]


async def kept(hits: RuleHits, camera: str = "gate") -> list[tuple[object, ...]]:
    page = await hits.hits("default", camera)
    return [(h.rule, (h.at_us - T0) / S, h.direction, h.value) for h in page.items]


async def test_rules_are_applied_when_windows_are_written(
    house: House, windows: Windows, written: Written, hits: RuleHits
) -> None:
    written.set(hall=HALL, door=LINE, long=STAY)
    for result in walk():
        await windows.write(result)
    assert await kept(hits) == [
        ("long", 7.0, None, 6.0),
        ("door", 5.0, "left_to_right", None),
        ("hall", 2.0, None, 6.0),
    ]
    (event,) = (await house.insight.events("default", EventFilter())).items
    assert event.zones == ("hall",)
    page = await hits.hits("default", "gate", rule="door")
    assert [(h.event, h.label, h.version, h.kind) for h in page.items] == [
        (event.id, "person", 1, "line")
    ]


async def test_an_event_keeps_its_zones_when_the_camera_has_no_rules_any_more(
    house: House, windows: Windows, written: Written
) -> None:
    written.set(hall=HALL)
    for result in walk():
        await windows.write(result)
    written.set()
    await windows.write(looked(9, at(9, 0.9)))
    (event,) = (await house.insight.events("default", EventFilter())).items
    assert event.end_us == window_at(9).start_us
    assert event.zones == ("hall",)


async def test_any_order_of_any_number_of_writes_gives_the_same_hits(
    windows: Windows, written: Written, hits: RuleHits
) -> None:
    written.set(hall=HALL, door=LINE, long=STAY, many=CROWD, bag=LEFT)
    second = [
        looked(
            n,
            at(n, x),
            at(n, 0.7, ordinal=1, label="suitcase"),
            *([at(n, 0.45, ordinal=2)] if n > 1 else []),
        )
        for n, x in WALKS.items()
    ]
    results = [*second, looked(20, at(20, 0.7, ordinal=1, label="suitcase"))]
    for result in results:
        await windows.write(result)
    expected = await kept(hits)
    assert {rule for rule, *_ in expected} == {"hall", "door", "long", "many", "bag"}
    shuffled = random.Random(3)
    for _ in range(3):
        again = [*results, *shuffled.sample(results, 3)]
        shuffled.shuffle(again)
        for result in again:
            await windows.write(looked(round((result.window.start_us - T0) / (2 * S))))
            await windows.write(result)
        assert await kept(hits) == expected


async def test_what_a_second_look_does_not_see_takes_its_hits_along(
    house: House, windows: Windows, written: Written, hits: RuleHits
) -> None:
    written.set(hall=HALL, door=LINE, many=CROWD)
    for result in walk():
        await windows.write(result)
    await windows.write(looked(3, at(3, 0.6), at(3, 0.6, ordinal=1)))
    assert [rule for rule, *_ in await kept(hits)] == ["many", "hall", "door", "hall"]
    for number in WALKS:
        await windows.write(looked(number))
    assert await kept(hits) == []


async def test_a_changed_rule_holds_for_what_comes_and_for_the_past_when_asked(
    house: House, windows: Windows, written: Written, hits: RuleHits
) -> None:
    for result in walk():
        await windows.write(result)
    written.set(hall=HALL, door=LINE, many=CROWD)
    assert await kept(hits) == []
    done = await hits.evaluate("default", "gate", "door", from_us=T0, to_us=T0 + 60 * S)
    assert (done.events, done.hits) == (1, 1)
    assert await kept(hits) == [("door", 5.0, "left_to_right", None)]
    again = await hits.evaluate("default", "gate", "door", from_us=T0, to_us=T0 + 60 * S)
    assert again == done
    await hits.evaluate("default", "gate", "hall", from_us=T0, to_us=T0 + 60 * S)
    (event,) = (await house.insight.events("default", EventFilter())).items
    assert event.zones == ("hall",)
    elsewhere = {"kind": "line", "line": [[0.65, 0], [0.65, 1]]}
    written.set(hall=HALL, door=elsewhere, many=CROWD)
    await hits.evaluate("default", "gate", "door", from_us=T0, to_us=T0 + 60 * S)
    assert await kept(hits) == [
        ("door", 7.0, "right_to_left", None), ("hall", 2.0, None, 6.0),
    ]  # fmt: skip


async def test_evaluating_the_past_finds_what_writing_found(
    windows: Windows, written: Written, hits: RuleHits
) -> None:
    rules: dict[str, Mapping[str, Any]] = {
        "hall": HALL,
        "door": LINE,
        "long": STAY,
        "many": CROWD,
        "bag": LEFT,
    }
    results = [
        looked(n, at(n, x), at(n, 0.6, ordinal=1, label="suitcase")) for n, x in WALKS.items()
    ]
    results.append(looked(15, at(15, 0.6, ordinal=1, label="suitcase")))
    written.set(**rules)
    for result in results:
        await windows.write(result)
    expected = await kept(hits)
    for name in rules:
        await hits.evaluate("default", "gate", name, from_us=T0 - 60 * S, to_us=T0 + 600 * S)
    assert await kept(hits) == expected
    assert {rule for rule, *_ in expected} == set(rules)


async def test_a_rule_that_became_another_kind_loses_what_it_found_when_evaluated(
    windows: Windows, written: Written, hits: RuleHits
) -> None:
    written.set(door=LINE)
    for result in walk():
        await windows.write(result)
    written.set(door=CROWD, hall=HALL)
    await hits.evaluate("default", "gate", "door", from_us=T0, to_us=T0 + 60 * S)
    assert await kept(hits) == []


async def test_evaluating_is_bounded_and_of_a_rule_that_exists(
    written: Written, hits: RuleHits
) -> None:
    with pytest.raises(NotFound, match="camera 'gate' has no rule 'door'"):
        await hits.evaluate("default", "gate", "door", from_us=T0, to_us=T0 + S)
    with pytest.raises(Invalid, match="up to 24 hours at a time: ask day by day"):
        await hits.evaluate("default", "gate", "door", from_us=T0, to_us=T0 + 86_401 * S)


async def test_events_are_listed_by_zone(house: House, windows: Windows, written: Written) -> None:
    written.set(hall=HALL, yard={**HALL, "polygon": [[0, 0.5], [0.2, 0.5], [0.2, 1], [0, 1]]})
    await windows.write(looked(0, at(0, 0.1), at(0, 0.5, ordinal=1), at(0, 0.9, ordinal=2)))

    async def zones(*names: str) -> list[tuple[str, ...]]:
        page = await house.insight.events("default", EventFilter(zones=names))
        return sorted(event.zones for event in page.items)

    assert await zones() == [(), ("hall",), ("yard",)]
    assert await zones("hall") == [("hall",)]
    assert await zones("hall", "yard") == [("hall",), ("yard",)]
    assert await zones("nowhere") == []


async def test_counts_are_by_direction_and_class(
    windows: Windows, written: Written, hits: RuleHits
) -> None:
    written.set(door=LINE)
    for n, x in enumerate((0.1, 0.9, 0.1)):
        car = at(n, 1 - x, ordinal=1, label="car")
        await windows.write(looked(n, at(n, x), car))
    counts = await hits.counts("default", "gate", from_us=T0, to_us=T0 + 4 * S)
    assert [(c.direction, c.label, c.hits) for c in counts] == [
        ("left_to_right", "car", 1), ("left_to_right", "person", 1),
        ("right_to_left", "car", 1), ("right_to_left", "person", 1),
    ]  # fmt: skip
    early = await hits.counts("default", "gate", from_us=T0, to_us=T0 + 2 * S)
    assert sum(c.hits for c in early) == 2
    assert await hits.counts("other", "gate", from_us=T0, to_us=T0 + 9 * S) == ()


async def test_pages_of_hits_leave_nothing_out(
    windows: Windows, written: Written, hits: RuleHits
) -> None:
    written.set(door=LINE, hall=HALL)
    for n in range(8):
        await windows.write(looked(n, at(n, 0.3 + 0.4 * (n % 2)), at(n, 0.7, ordinal=1)))
    whole = (await hits.hits("default", "gate")).items
    paged: list[Hit] = []
    cursor = None
    while True:
        page = await hits.hits("default", "gate", cursor=cursor, limit=2)
        paged += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert tuple(paged) == whole
    assert len(whole) > 5
    with pytest.raises(Invalid, match="cursor 'x' is not one of ours"):
        await hits.hits("default", "gate", cursor="x")


async def test_hits_go_with_their_day(
    house: House, windows: Windows, written: Written, hits: RuleHits
) -> None:
    written.set(door=LINE)
    for result in walk():
        await windows.write(result)
    assert await kept(hits)
    await drop_days(house.control, NOW_US + 2 * 86_400 * S)
    assert await kept(hits) == []


async def test_days_of_before_there_were_rules_take_hits_of_the_past(
    postgres: PostgresServer, written: Written
) -> None:
    installation = Installation(postgres, (Room("fleet"),))
    await installation.prepare()
    files = Room("insight").migrations()
    before = next(n for n, each in enumerate(files) if each.name == "rules")
    url = installation.url(MIGRATE)
    await migrate(url, Place(), files[:before])
    async with installation.database() as database, installation.control() as control:
        for day in {day_of(T0).date(), day_of(T0 + 60 * S).date()}:
            for table in ("window_state", "window_count", "contribution", "event"):
                await control.make_partition(Place(), table, day.isoformat())
        await migrate(url, Place(), files[before:])
        await control.check_isolation()
        for result in walk():
            await Windows(database, VERSION).write(result)
        written.set(door=LINE)
        hits = RuleHits(database, written.of)
        await hits.evaluate("default", "gate", "door", from_us=T0, to_us=T0 + 60 * S)
        assert await kept(hits) == [("door", 5.0, "left_to_right", None)]


async def test_what_is_read_or_said_breaks_no_rule(
    house: House, written: Written, hits: RuleHits
) -> None:
    written.set(hall=HALL, many=CROWD)
    texts = [at(0, 0.4, label="text"), at(0, 0.6, ordinal=1, label="text")]
    await Told(house.database).read(window_at(0), texts)
    for rule in ("hall", "many"):
        await hits.evaluate("default", "gate", rule, from_us=T0 - 60 * S, to_us=T0 + 60 * S)
    assert await kept(hits) == []
    assert len((await house.insight.events("default", EventFilter())).items) == 2
