"""Rules of cameras in the event store."""

import pytest
from tests.integration.fleet.conftest import House

from kilocam.core.rules import parse_rule
from kilocam.fleet import CameraInput, Conflict, Invalid, NotFound, rules_of
from kilocam.fleet.rules import MOST_RULES

pytestmark = pytest.mark.asyncio
HALL = {"kind": "zone", "polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}
LINE = {"kind": "line", "line": [[0, 0.5], [1, 0.5]]}
CROWD = {"kind": "crowd", "zone": "hall", "count": 5}


async def with_camera(house: House, camera: str = "gate") -> None:
    await house.fleet.add_camera("default", CameraInput(id=camera, url="rtsp://h/"), actor="a")


async def test_a_rule_is_put_changed_and_removed(house: House) -> None:
    await with_camera(house)
    rules = house.fleet.rules
    made = await rules.put("default", "gate", "hall", HALL, actor="token/1")
    assert (made.version, made.definition, made.camera) == (1, HALL, "gate")
    same = await rules.put("default", "gate", "hall", dict(HALL), actor="token/1")
    assert same == made
    changed = await rules.put("default", "gate", "hall", {**HALL, "classes": ["car"]}, actor="x")
    assert changed.version == 2
    assert await rules.rules("default", "gate") == (changed,)
    await rules.remove("default", "gate", "hall", actor="token/1")
    assert await rules.rules("default", "gate") == ()
    again = await rules.put("default", "gate", "hall", HALL, actor="token/1")
    assert again.version == 4  # a rule's hits name a version: none ever comes twice
    told = await house.fleet.history("default", aggregate="rule/gate/hall")
    assert [(e.kind, e.actor) for e in told] == [
        ("rule_put", "token/1"), ("rule_removed", "token/1"),
        ("rule_put", "x"), ("rule_put", "token/1"),
    ]  # fmt: skip


async def test_a_zone_stays_while_others_look_at_it(house: House) -> None:
    await with_camera(house)
    rules = house.fleet.rules
    with pytest.raises(Invalid, match="zone 'hall' does not exist: the camera has none yet"):
        await rules.put("default", "gate", "many", CROWD, actor="a")
    await rules.put("default", "gate", "hall", HALL, actor="a")
    await rules.put("default", "gate", "many", CROWD, actor="a")
    with pytest.raises(Conflict, match="'hall' is the zone of many: remove them first"):
        await rules.remove("default", "gate", "hall", actor="a")
    with pytest.raises(Invalid, match="it stays one until they are removed"):
        await rules.put("default", "gate", "hall", LINE, actor="a")
    await rules.remove("default", "gate", "many", actor="a")
    await rules.remove("default", "gate", "hall", actor="a")


async def test_what_does_not_exist_is_told(house: House) -> None:
    await with_camera(house)
    with pytest.raises(NotFound, match="camera 'yard' does not exist in tenant 'default'"):
        await house.fleet.rules.put("default", "yard", "hall", HALL, actor="a")
    with pytest.raises(NotFound, match="camera 'gate' has no rule 'hall'"):
        await house.fleet.rules.remove("default", "gate", "hall", actor="a")
    with pytest.raises(NotFound, match="camera 'gate' has no rule 'hall'"):
        await house.fleet.rules.rule("default", "gate", "hall")
    with pytest.raises(Invalid, match="rule id 'The hall' is not valid"):
        await house.fleet.rules.put("default", "gate", "The hall", HALL, actor="a")


async def test_a_camera_has_a_bounded_number_of_rules(house: House) -> None:
    await with_camera(house)
    for number in range(MOST_RULES):
        await house.fleet.rules.put("default", "gate", f"r{number}", LINE, actor="a")
    with pytest.raises(Invalid, match="has 64 rules: remove one first"):
        await house.fleet.rules.put("default", "gate", "more", LINE, actor="a")
    await house.fleet.rules.put("default", "gate", "r0", HALL, actor="a")


async def test_rules_are_read_in_anybodys_transaction_and_broken_ones_left_out(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await with_camera(house)
    await house.fleet.rules.put("default", "gate", "door", LINE, actor="a")
    await house.fleet.rules.put("default", "gate", "hall", HALL, actor="a")
    async with house.control_database.everything() as transaction:
        await transaction.execute(
            "update rule set definition = '{\"kind\": \"dance\"}' where name = 'door'"
        )
    async with house.database.for_tenant("default") as transaction:
        found = await rules_of(transaction, "default", "gate")
    assert found == [parse_rule("hall", HALL, 1)]
    assert "kind 'dance' is none of" in caplog.text
    await house.fleet.ensure_tenant("shop", actor="a")
    async with house.database.for_tenant("shop") as transaction:
        assert await rules_of(transaction, "default", "gate") == []  # another tenant's


async def test_rules_made_again_from_the_events_are_what_they_were(house: House) -> None:
    await with_camera(house)
    await house.fleet.rules.put("default", "gate", "hall", HALL, actor="a")
    await house.fleet.rules.put("default", "gate", "gone", LINE, actor="a")
    await house.fleet.rules.put("default", "gate", "hall", {**HALL, "classes": ["car"]}, actor="a")
    await house.fleet.rules.remove("default", "gate", "gone", actor="a")
    before = await house.fleet.rules.rules("default", "gate")
    await house.control.rebuild()
    assert await house.fleet.rules.rules("default", "gate") == before
    assert [rule.name for rule in before] == ["hall"]


async def test_a_removed_cameras_rules_hold_again_when_it_comes_back(house: House) -> None:
    await with_camera(house)
    await house.fleet.rules.put("default", "gate", "hall", HALL, actor="a")
    await house.fleet.remove_camera("default", "gate", actor="a")
    with pytest.raises(NotFound, match="camera 'gate' does not exist"):
        await house.fleet.rules.rules("default", "gate")
    await with_camera(house)
    assert [rule.name for rule in await house.fleet.rules.rules("default", "gate")] == ["hall"]
