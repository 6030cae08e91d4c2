"""Tenants and cameras on a real Postgres."""

import asyncio

import pytest
from tests.integration.fleet.conftest import House

from kilocam.database import SYSTEM
from kilocam.fleet import (
    CameraChange,
    CameraInput,
    Conflict,
    Invalid,
    NotFound,
    Role,
)

pytestmark = pytest.mark.asyncio
SECRET_URL = "rtsp://admin:hunter2@cam.example:554/main"


async def test_an_added_camera_is_listed_without_its_credentials(house: House) -> None:
    camera = await house.fleet.add_camera(
        "default", CameraInput(id="gate", url=SECRET_URL, keep_us=86_400_000_000), actor="token/1"
    )
    assert camera.url == "rtsp://cam.example:554/main"
    assert (camera.version, camera.enabled, camera.declared) == (1, True, False)
    listed = await house.fleet.cameras("default")
    assert listed.items == (camera,)
    assert listed.next_cursor is None
    assert "hunter2" not in repr(listed)


async def test_no_table_holds_a_credential_in_the_clear(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    made = await house.fleet.tokens.create("default", Role.VIEWER, actor="a")
    secret = made.secret.rpartition(".")[2]
    async with house.control_database.everything() as transaction:
        for table in ("camera", "token", "tenant", "fleet_event", "outbox"):
            for row in await transaction.fetch(f"select to_jsonb(t)::text as row from {table} t"):
                assert "hunter2" not in row["row"]
                assert secret not in row["row"]


async def test_assignments_hold_the_credentials_of_enabled_cameras_of_all_tenants(
    house: House,
) -> None:
    await house.fleet.add_tenant("shop", actor="a")
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    await house.fleet.add_camera(
        "shop", CameraInput(id="till", url=SECRET_URL, detect_url=SECRET_URL + "2"), actor="a"
    )
    await house.fleet.add_camera(
        "shop", CameraInput(id="off", url=SECRET_URL, enabled=False), actor="a"
    )
    assignments = await house.control.assignments()
    assert [(str(a.key), a.url, a.detect_url) for a in assignments.cameras] == [
        ("default/gate", SECRET_URL, ""),
        ("shop/till", SECRET_URL, SECRET_URL + "2"),
    ]
    assert assignments.sealed == ()
    assert "hunter2" not in repr(assignments)


async def test_a_second_camera_with_the_same_id_is_a_conflict(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    with pytest.raises(Conflict, match="camera 'gate' exists already in tenant 'default'"):
        await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")


async def test_a_change_decided_on_an_older_version_is_refused(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    changed = await house.fleet.update_camera(
        "default", "gate", CameraChange(enabled=False), actor="a", expected=1
    )
    assert (changed.version, changed.enabled) == (2, False)
    with pytest.raises(Conflict, match="camera 'gate' has version 2, not 1: read it again"):
        await house.fleet.update_camera(
            "default", "gate", CameraChange(enabled=True), actor="b", expected=1
        )


async def test_of_many_who_change_the_same_version_one_wins(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    outcomes = await asyncio.gather(
        *(
            house.fleet.update_camera(
                "default", "gate", CameraChange(keep_us=n + 1), actor="a", expected=1
            )
            for n in range(6)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 5
    assert (await house.fleet.camera("default", "gate")).version == 2


async def test_an_address_given_back_as_shown_keeps_its_credentials(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    shown = await house.fleet.camera("default", "gate")
    await house.fleet.update_camera(
        "default", "gate", CameraChange(url=shown.url, keep_us=5_000_000), actor="a"
    )
    (assignment,) = (await house.control.assignments()).cameras
    assert (assignment.url, assignment.keep_us) == (SECRET_URL, 5_000_000)


async def test_a_change_that_changes_nothing_leaves_no_event(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    same = await house.fleet.update_camera("default", "gate", CameraChange(enabled=True), actor="a")
    assert same.version == 1


async def test_a_removed_camera_may_be_added_again_and_its_history_goes_on(house: House) -> None:
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    await house.fleet.remove_camera("default", "gate", actor="b", expected=1)
    with pytest.raises(NotFound, match="camera 'gate' does not exist in tenant 'default'"):
        await house.fleet.camera("default", "gate")
    again = await house.fleet.add_camera(
        "default", CameraInput(id="gate", url=SECRET_URL), actor="c"
    )
    assert again.version == 3
    history = await house.fleet.history("default", aggregate="camera/gate")
    assert [(event.kind, event.actor, event.version) for event in history] == [
        ("camera_added", "c", 3),
        ("camera_removed", "b", 2),
        ("camera_added", "a", 1),
    ]


@pytest.mark.parametrize(
    ("camera", "line"),
    [
        (
            CameraInput(id="gate", url="http://u:hunter2@host/"),
            "camera 'gate': address 'http://host/' is not rtsp://: write it as "
            "rtsp://user:password@host:554/path",
        ),
        (
            CameraInput(id="Gate!", url=SECRET_URL),
            "camera id 'Gate!' is not valid: use 1 to 63 of a-z, 0-9, '-' and '_', "
            "starting with a letter or digit",
        ),
        (
            CameraInput(id="gate", url=SECRET_URL, keep_us=0),
            "camera 'gate': keep must be longer than nothing, for example 7d",
        ),
    ],
)
async def test_a_value_that_cannot_be_taken_is_told_in_one_line(
    house: House, camera: CameraInput, line: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await house.fleet.add_camera("default", camera, actor="a")
    assert str(caught.value) == line


async def test_an_unknown_tenant_is_told_in_one_line(house: House) -> None:
    with pytest.raises(NotFound) as caught:
        await house.fleet.cameras("nobody")
    assert str(caught.value) == (
        "tenant 'nobody' does not exist: check its name; most belong to 'default', and others "
        "begin with their first camera"
    )


async def test_lists_come_in_pages(house: House) -> None:
    for n in range(5):
        await house.fleet.add_camera("default", CameraInput(id=f"c{n}", url=SECRET_URL), actor="a")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await house.fleet.cameras("default", cursor=cursor, limit=2)
        seen += [camera.id for camera in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["c0", "c1", "c2", "c3", "c4"]
    with pytest.raises(Invalid, match="limit 501 is not valid: ask for 1 to 500"):
        await house.fleet.cameras("default", limit=501)


async def test_tenants_are_listed_and_added_once(house: House) -> None:
    await house.fleet.add_tenant("shop", actor="a", name="The Shop")
    with pytest.raises(Conflict, match="tenant 'shop' exists already"):
        await house.fleet.add_tenant("shop", actor="a")
    assert not await house.fleet.ensure_tenant("shop", actor="a")
    assert [tenant.id for tenant in (await house.fleet.tenants()).items] == ["default", "shop"]


async def test_cameras_of_two_tenants_may_share_an_id_and_never_meet(house: House) -> None:
    await house.fleet.add_tenant("shop", actor="a")
    await house.fleet.add_camera("default", CameraInput(id="gate", url=SECRET_URL), actor="a")
    await house.fleet.add_camera("shop", CameraInput(id="gate", url=SECRET_URL), actor="a")
    await house.fleet.remove_camera("shop", "gate", actor="a")
    assert (await house.fleet.camera("default", "gate")).version == 1
    assert (await house.fleet.history("default", aggregate="tenant/shop")) == ()
    assert len(await house.fleet.history(SYSTEM, aggregate="tenant/shop")) == 1
