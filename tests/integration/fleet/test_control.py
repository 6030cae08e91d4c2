"""Declared cameras, rebuilding, what is published."""

from pathlib import Path

import pytest
from tests.integration.fleet.conftest import House

from kilocam.core.settings import CameraSettings
from kilocam.database import SYSTEM, OutboxMessage
from kilocam.fleet import (
    CameraChange,
    CameraInput,
    Conflict,
    Declared,
    Fleet,
    FleetControl,
    Keyring,
    Role,
)

pytestmark = pytest.mark.asyncio
URL = "rtsp://admin:hunter2@cam.example/main"


def declared(camera: str, url: str = URL, tenant: str = "default") -> CameraSettings:
    return CameraSettings(id=camera, url=url, tenant=tenant)


async def test_declared_cameras_are_added_changed_and_removed(house: House) -> None:
    first = [declared("gate"), declared("yard"), declared("till", tenant="shop")]
    assert await house.control.apply_declared(first) == Declared(added=3, changed=0, removed=0)
    assert await house.control.apply_declared(first) == Declared(added=0, changed=0, removed=0)
    second = [declared("gate", URL + "2"), declared("yard")]
    assert await house.control.apply_declared(second) == Declared(added=0, changed=1, removed=1)
    assert [a.url for a in (await house.control.assignments()).cameras] == [URL + "2", URL]
    assert await house.control.apply_declared([]) == Declared(added=0, changed=0, removed=2)
    assert (await house.control.assignments()).cameras == ()
    assert [tenant.id for tenant in (await house.fleet.tenants()).items] == ["default", "shop"]


async def test_cameras_that_were_added_by_hand_are_left_alone(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="mine", url=URL), actor="a")
    await house.control.apply_declared([declared("gate")])
    await house.control.apply_declared([])
    assert [camera.id for camera in (await house.fleet.cameras("default")).items] == ["mine"]


async def test_a_declaration_wins_over_what_was_there_under_its_id(house: House) -> None:
    await house.fleet.add_camera(
        "default", CameraInput(id="gate", url="rtsp://old/", enabled=False), actor="a"
    )
    assert await house.control.apply_declared([declared("gate")]) == Declared(
        added=0, changed=1, removed=0
    )
    camera = await house.fleet.camera("default", "gate")
    assert (camera.declared, camera.enabled, camera.url) == (True, True, "rtsp://cam.example/main")


async def test_a_declared_camera_is_not_changed_by_hand(house: House) -> None:
    await house.control.apply_declared([declared("gate")])
    line = "camera 'gate' is declared in the configuration file: change it there"
    with pytest.raises(Conflict, match=line):
        await house.fleet.update_camera("default", "gate", CameraChange(enabled=False), actor="a")
    with pytest.raises(Conflict, match=line):
        await house.fleet.remove_camera("default", "gate", actor="a")


async def test_projections_made_again_are_what_they_were(house: House) -> None:
    await house.control.apply_declared([declared("gate"), declared("till", tenant="shop")])
    await house.control.apply_declared([declared("gate", URL + "2")])
    await house.fleet.add_camera("default", CameraInput(id="mine", url=URL), actor="a")
    await house.fleet.update_camera("default", "mine", CameraChange(keep_us=5), actor="a")
    made = await house.fleet.tokens.create("shop", Role.VIEWER, actor="a")
    await house.fleet.tokens.revoke("shop", made.token.id, actor="a")

    async def everything() -> list[str]:
        async with house.control_database.everything() as transaction:
            return [
                row["row"]
                for table in ("tenant", "camera", "token")
                for row in await transaction.fetch(
                    f"select to_jsonb(t)::text as row from {table} t order by tenant, id"
                )
            ]

    before = await everything()
    async with house.control_database.everything() as transaction:
        await transaction.execute("update camera set url = 'rtsp://wrong/', enabled = false")
        await transaction.execute("delete from tenant")
    assert await house.control.rebuild() == 10
    assert await everything() == before


async def test_every_event_is_published_without_its_secrets(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=URL), actor="token/1")
    messages: list[OutboxMessage] = []

    async def publish(message: OutboxMessage) -> None:
        messages.append(message)

    while await house.control_database.outboxes()[0].drain(publish):
        pass
    seen = {(m.tenant, m.topic, m.body["aggregate"], m.body["kind"]) for m in messages}
    assert seen == {
        (SYSTEM, "fleet.tenant", "tenant/default", "tenant_added"),
        ("default", "fleet.camera", "camera/gate", "camera_added"),
    }
    assert set(messages[-1].body) == {"event", "aggregate", "version", "kind", "actor"}


async def test_a_camera_sealed_with_a_lost_key_is_named_and_can_be_mended(
    house: House, tmp_path: Path
) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=URL), actor="a")
    await house.fleet.add_camera("default", CameraInput(id="yard", url=URL), actor="a")
    other = Keyring.open(tmp_path / "other.json")
    fleet = Fleet(house.database, other)
    control = FleetControl(house.control_database, fleet, other)
    assignments = await control.assignments()
    assert assignments.cameras == ()
    assert [str(key) for key in assignments.sealed] == ["default/gate", "default/yard"]
    await fleet.update_camera("default", "gate", CameraChange(url=URL), actor="a")
    assignments = await control.assignments()
    assert [str(a.key) for a in assignments.cameras] == ["default/gate"]


async def test_a_tenant_whose_registration_was_cut_short_is_completed(house: House) -> None:
    await house.database.place("half")
    assert await house.fleet.ensure_tenant("half", actor="a")
    assert "half" in [tenant.id for tenant in (await house.fleet.tenants()).items]
