"""What is read and heard adds to events as what is seen does, and is kept once."""

from dataclasses import replace

import pytest
from tests.integration.insight.conftest import House
from tests.integration.insight.made import GATE, T0, S, looked, seen, window_at

from kilocam.analyse import SPEECH, TEXT, BoxAt, ObjectSeen, event_id
from kilocam.core import CameraKey
from kilocam.insight import EventFilter, Refused, Stretch, Told

pytestmark = pytest.mark.asyncio
ALL = EventFilter()
FOREIGN = CameraKey("other", "gate")


def text(at: int, opened_in: int, words: str, *, score: float = 0.9) -> ObjectSeen:
    start = window_at(at).start_us
    return ObjectSeen(
        event_id=event_id(GATE, window_at(opened_in).start_us, 0, TEXT),
        opens=at == opened_in,
        label=TEXT,
        still=False,
        text=words,
        boxes=(BoxAt(at_us=start, box=(0.1, 0.1, 0.2, 0.1), score=score),),
    )


def speech(from_us: int, to_us: int, words: str, key: CameraKey = GATE) -> ObjectSeen:
    box = (0.0, 0.0, 1.0, 1.0)
    return ObjectSeen(
        event_id=event_id(key, from_us, 0, SPEECH),
        opens=True,
        label=SPEECH,
        still=False,
        text=words,
        boxes=tuple(BoxAt(at_us=at, box=box, score=0.8) for at in (from_us, to_us)),
    )


@pytest.fixture
def told(house: House) -> Told:
    return Told(house.database)


async def texts(house: House, wanted: EventFilter = ALL, tenant: str = "default") -> list[str]:
    return [event.text for event in (await house.insight.events(tenant, wanted)).items]


async def test_each_sense_replaces_its_own_alone(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    await told.read(window_at(0), [text(0, 0, "EXIT")])
    await house.windows.write(looked(0, seen(0, 0), seen(0, 0, ordinal=1)))
    assert sorted(await texts(house)) == ["", "", "EXIT"]
    await told.read(window_at(0), [])
    assert await texts(house) == ["", ""]


async def test_a_text_is_as_it_was_read_best(house: House, told: Told) -> None:
    await told.read(window_at(0), [text(0, 0, "L0ADING BAV", score=0.8)])
    await told.read(window_at(2), [text(2, 0, "LOADING BAY", score=0.95)])
    await told.read(window_at(1), [text(1, 0, "LOADING 8AY", score=0.7)])
    assert await texts(house) == ["LOADING BAY"]
    for question in ("loading bay", "sign with loading", "loadng"):
        found = (await house.insight.search("default", question, ALL)).found
        assert [each.event.text for each in found] == ["LOADING BAY"], question
    assert (await house.insight.search("default", "person in the loading bay", ALL)).found == ()


async def test_what_someone_said_is_no_person(house: House, told: Told) -> None:
    await house.windows.write(looked(0, seen(0, 0)))
    await told.begin(GATE, T0)
    assert await told.heard(GATE, T0, T0, T0 + 4 * S, [speech(T0, T0 + S, "there is a fire")])
    found = (await house.insight.search("default", "someone said fire", ALL)).found
    assert [each.event.text for each in found] == ["there is a fire"]


async def test_what_was_said_is_kept_once_whoever_listens(house: House, told: Told) -> None:
    await told.begin(GATE, T0)
    assert await told.stretches(GATE) == (Stretch(start_us=T0, until_us=T0, ends_us=None),)
    said = speech(T0 + S, T0 + 2 * S, "stop")
    assert await told.heard(GATE, T0, T0, T0 + 3 * S, [said])
    frozen = speech(T0 + S + 5, T0 + 2 * S, "stop it")
    assert not await told.heard(GATE, T0, T0, T0 + 3 * S, [frozen])
    assert await texts(house) == ["stop"]
    assert (await told.stretches(GATE))[0].until_us == T0 + 3 * S


async def test_silence_moves_a_stretch_and_never_back(house: House, told: Told) -> None:
    del house
    await told.begin(GATE, T0)
    for until in (T0 + 5 * S, T0 + 3 * S):
        await told.silent([(GATE, T0, until)])
    assert [each.until_us for each in await told.stretches(GATE)] == [T0 + 5 * S]


async def test_what_a_live_stretch_left_behind_is_caught_up(house: House, told: Told) -> None:
    del house
    await told.begin(GATE, T0)
    await told.silent([(GATE, T0, T0 + 2 * S)])
    await told.begin(GATE, T0 + 60 * S, T0)
    behind = Stretch(start_us=T0, until_us=T0 + 2 * S, ends_us=T0 + 60 * S)
    live = Stretch(start_us=T0 + 60 * S, until_us=T0 + 60 * S, ends_us=None)
    assert await told.stretches(GATE) == (behind, live)
    late = speech(T0 + 5 * S, T0 + 6 * S, "late")
    await told.drop(GATE)
    assert await told.stretches(GATE) == (behind, live)
    assert await told.heard(GATE, T0, T0 + 2 * S, T0 + 60 * S, [late])
    await told.drop(GATE)
    assert await told.stretches(GATE) == (live,)


async def test_stretches_and_speech_of_tenants_never_meet(house: House, told: Told) -> None:
    await told.begin(GATE, T0)
    await told.begin(FOREIGN, T0)
    words = speech(T0, T0 + S, "ours")
    assert await told.heard(GATE, T0, T0, T0 + 2 * S, [words])
    await told.silent([(key, T0, T0 + 4 * S) for key in (FOREIGN, GATE)])
    assert await texts(house) == ["ours"]
    assert await texts(house, tenant="other") == []
    assert (await told.stretches(FOREIGN))[0].until_us == T0 + 4 * S
    assert await told.heard(FOREIGN, T0, T0, T0 + 9 * S, []) is False


async def test_what_belongs_to_no_tenant_is_refused_and_keeps_out_nobody(
    house: House, told: Told
) -> None:
    del house
    nobody = CameraKey("nobody", "gate")
    await told.begin(GATE, T0)
    with pytest.raises(Refused):
        await told.stretches(nobody)
    with pytest.raises(Refused):
        await told.begin(nobody, T0)
    with pytest.raises(Refused):
        await told.heard(nobody, T0, T0, T0 + S, [])
    with pytest.raises(Refused):
        await told.read(replace(window_at(0), tenant="nobody"), [text(0, 0, "EXIT")])
    await told.silent([(nobody, T0, T0 + S), (GATE, T0, T0 + S)])
    assert (await told.stretches(GATE))[0].until_us == T0 + S


async def test_a_stretch_begins_only_where_none_is_live(house: House, told: Told) -> None:
    del house
    await told.begin(GATE, T0)
    await told.begin(GATE, T0 + S)
    await told.begin(GATE, T0 + 2 * S, T0 + S)  # of one that knows of another live one
    assert [each.start_us for each in await told.stretches(GATE)] == [T0]
    await told.begin(GATE, T0 + 60 * S, T0)
    assert not await told.heard(GATE, T0, T0, T0 + 61 * S, [])  # beyond its end
    assert await told.heard(GATE, T0, T0, T0 + 60 * S, [])


async def test_two_sounds_that_begin_at_one_moment_are_both_kept(house: House, told: Told) -> None:
    await told.begin(GATE, T0)
    siren = speech(T0 + S, T0 + 3 * S, "siren")
    alarm = replace(speech(T0 + S, T0 + 2 * S, "alarm"), event_id=event_id(GATE, T0, 1, SPEECH))
    assert await told.heard(GATE, T0, T0, T0 + 4 * S, [siren, alarm])
    assert sorted(await texts(house)) == ["alarm", "siren"]
