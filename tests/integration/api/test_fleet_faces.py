"""Cameras and tokens over HTTP, on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from starlette.requests import HTTPConnection
from tests.fakes.postgres import Installation
from tests.integration.api.conftest import House, Stored, open_house

from kilocam.api import RateLimit
from kilocam.api.identity import COOKIE, Identity
from kilocam.api.operations.cameras import CameraFigures
from kilocam.core import CameraKey, format_time
from kilocam.fleet import SYSTEM, Role, Unauthenticated

pytestmark = pytest.mark.asyncio
NEW = {"id": "attic", "url": "rtsp://h/"}


@pytest_asyncio.fixture
async def living(
    stored: Stored, tmp_path: Path, installation: Installation
) -> AsyncIterator[House]:
    async with installation.database() as database, open_house(stored, tmp_path, database) as made:
        await made.fleet.ensure_tenant("default", actor="test")
        yield made


async def test_a_camera_is_added_shown_changed_and_removed(living: House) -> None:
    async with living.signed_in(role=Role.OPERATOR) as client:
        added = await client.post(
            "/v1/cameras", json={"id": "attic", "url": "rtsp://u:secret@10.0.0.9/s", "keep": "30d"}
        )
        again = await client.post("/v1/cameras", json={"id": "attic", "url": "rtsp://h/"})
        changed = await client.patch("/v1/cameras/attic", json={"enabled": False, "weight": 2.5})
        stale = await client.patch("/v1/cameras/attic", json={"enabled": True, "version": 1})
        listed = await client.get("/v1/cameras")
        removed = await client.delete("/v1/cameras/attic")
        gone = await client.get("/v1/cameras/attic")
    assert added.status_code == 201
    assert added.json()["url"] == "rtsp://10.0.0.9/s"
    assert "secret" not in added.text
    assert again.status_code == 409
    assert changed.json()["enabled"] is False
    assert (added.json()["weight"], changed.json()["weight"]) == (1.0, 2.5)
    assert changed.json()["keep"] == "30d"
    assert stale.status_code == 409
    assert [camera["id"] for camera in listed.json()["items"]] == ["attic"]
    assert listed.json()["next_cursor"] is None
    assert removed.status_code == 204
    assert gone.status_code == 404


async def test_a_camera_shows_what_its_recorder_says(living: House) -> None:
    living.board.known[CameraKey("default", "attic")] = CameraFigures(
        state="recording", since_us=1_790_000_000_000_000, reason="", bitrate_bps=256_000,
        fps=14.996, last_packet_us=1_790_000_005_000_000,
    )  # fmt: skip
    async with living.signed_in(role=Role.OPERATOR) as client:
        await client.post("/v1/cameras", json={"id": "attic", "url": "rtsp://h/"})
        await client.post("/v1/cameras", json={"id": "cellar", "url": "rtsp://h/2"})
        items = (await client.get("/v1/cameras")).json()["items"]
    assert items[0]["status"] == {
        "state": "recording",
        "since": format_time(1_790_000_000_000_000),
        "reason": "",
        "bitrate_bps": 256_000,
        "fps": 15.0,
        "last_packet_at": format_time(1_790_000_005_000_000),
    }
    assert items[1]["status"]["state"] == "unknown"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/cameras", {**NEW, "keep": "99999999999999d"}),
        ("POST", "/v1/cameras", {**NEW, "keep": "9" * 400 + "d"}),
        ("POST", "/v1/cameras", {**NEW, "url": "rtsp://h/\0"}),
        ("POST", "/v1/cameras", {**NEW, "weight": 0}),
        ("PATCH", "/v1/cameras/a%00", {"enabled": True}),
        ("GET", "/v1/cameras/%00", None),
        ("GET", "/v1/cameras?cursor=%00", None),
        ("GET", "/v1/cameras/%00/snapshot.jpg", None),
        ("POST", "/v1/tokens", {"role": "viewer", "name": "\0"}),
        ("POST", "/v1/tokens", {"role": "viewer", "name": "\ud800"}),
        ("POST", "/v1/tokens", {"role": "viewer", "expires_in": "99999999999999d"}),
        ("POST", "/v1/tokens", {"role": "viewer", "expires_in": "9" * 400 + "d"}),
        ("DELETE", "/v1/tokens/%00", None),
        ("GET", "/v1/tokens?cursor=%00", None),
    ],
)
async def test_no_answer_speaks_in_the_databases_words(
    living: House, method: str, path: str, body: dict[str, object] | None
) -> None:
    content = None if body is None else json.dumps(body)
    async with living.signed_in(role=Role.ADMIN) as client:
        answer = await client.request(
            method, path, content=content, headers={"content-type": "application/json"}
        )
    assert answer.status_code == 422, answer.text
    detail = answer.json()["detail"]
    for word in ("database", "argument", "encoding", "codec", "int64", "$", "constraint"):
        assert word not in detail, detail


async def test_of_two_who_add_the_same_one_is_told_in_our_words(living: House) -> None:
    async with living.signed_in(role=Role.OPERATOR) as client:
        answers = await asyncio.gather(*(client.post("/v1/cameras", json=NEW) for _ in range(4)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201, 409, 409, 409]
    for answer in answers:
        assert "constraint" not in answer.text
        assert "first" not in answer.text


async def test_pages_of_a_list_follow_each_other(living: House) -> None:
    async with living.signed_in(role=Role.OPERATOR) as client:
        for number in range(5):
            await client.post("/v1/cameras", json={"id": f"c{number}", "url": f"rtsp://h/{number}"})
        found, cursor = [], ""
        while cursor is not None:
            query = {"limit": "2", "cursor": cursor} if cursor else {"limit": "2"}
            page = (await client.get("/v1/cameras", params=query)).json()
            found += [camera["id"] for camera in page["items"]]
            cursor = page["next_cursor"]
    assert found == [f"c{number}" for number in range(5)]


async def test_a_token_opens_what_its_role_allows_until_it_is_revoked(living: House) -> None:
    async with living.signed_in(role=Role.ADMIN) as admin:
        made = (await admin.post("/v1/tokens", json={"role": "viewer", "name": "wall"})).json()
        bearer = {"Authorization": f"Bearer {made['token']}"}
        async with living.client() as client:
            seen = await client.get("/v1/cameras", headers=bearer)
            refused = await client.post("/v1/cameras", json=NEW, headers=bearer)
        listed = (await admin.get("/v1/tokens")).json()["items"]
        revoked = await admin.delete(f"/v1/tokens/{made['id']}")
        async with living.client() as client:
            after = await client.get("/v1/cameras", headers=bearer)
    assert seen.status_code == 200
    assert refused.status_code == 403
    assert [token["name"] for token in listed] == ["wall"]
    assert "token" not in listed[0]
    assert revoked.status_code == 204
    assert after.status_code == 401


async def test_a_token_signs_in_until_it_is_revoked_or_expires(living: House) -> None:
    async with living.signed_in(role=Role.ADMIN) as admin, living.client() as client:
        made = (
            await admin.post("/v1/tokens", json={"role": "operator", "expires_in": "1h"})
        ).json()
        signed = await client.post("/v1/session", json={"token": f" {made['token']}\n"})
        who = (await client.get("/v1/session")).json()
        added = await client.post("/v1/cameras", json=NEW)
        cookie = signed.headers["set-cookie"]
        until = living.sessions.verify(client.cookies[COOKIE]).expires_us
        await admin.delete(f"/v1/tokens/{made['id']}")
        after = await client.get("/v1/session")
        again = await client.post("/v1/session", json={"token": made["token"]})
    assert who == {"tenant": "default", "role": "operator", "subject": f"token/{made['id']}"}
    assert added.status_code == 201
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert made["token"] not in signed.text + cookie
    assert format_time(until) == made["expires"]
    assert (after.status_code, again.status_code) == (401, 401)
    assert "was revoked" in again.json()["detail"]


async def test_repeating_a_revocation_ends_the_sessions_that_the_first_one_left(
    living: House,
) -> None:
    async with living.signed_in(role=Role.ADMIN) as admin, living.client() as client:
        made = (await admin.post("/v1/tokens", json={"role": "operator"})).json()
        await client.post("/v1/session", json={"token": made["token"]})
        await living.fleet.tokens.revoke("default", made["id"], actor="who died right after it")
        assert (await client.get("/v1/session")).status_code == 200
        again = await admin.delete(f"/v1/tokens/{made['id']}")
        after = await client.get("/v1/session")
    assert again.status_code == 409
    assert "is revoked already" in again.json()["detail"]
    assert after.status_code == 401


async def test_the_installations_own_tokens_are_listed_and_revoked_in_its_tenant(
    living: House,
) -> None:
    own = await living.fleet.tokens.create(SYSTEM, Role.ADMIN, actor="the first start")
    lost = await living.fleet.tokens.create(SYSTEM, Role.ADMIN, actor="the first start")
    bearer = {"Authorization": f"Bearer {own.secret}"}
    where = {"tenant": SYSTEM}
    async with living.client() as client:
        listed = await client.get("/v1/tokens", params=where, headers=bearer)
        gone = await client.delete(f"/v1/tokens/{lost.token.id}", params=where, headers=bearer)
        cameras = await client.get("/v1/cameras", params=where, headers=bearer)
    async with living.signed_in(role=Role.ADMIN) as other:
        refused = await other.get("/v1/tokens", params=where)
    assert {each["id"] for each in listed.json()["items"]} == {own.token.id, lost.token.id}
    assert gone.status_code == 204
    with pytest.raises(Unauthenticated):
        await living.fleet.tokens.recognise(lost.secret)
    assert (cameras.status_code, refused.status_code) == (422, 403)
    assert "does not work in tenant '_system'" in cameras.json()["detail"]


async def test_a_session_by_link_ends_with_what_the_link_was_made_with(living: House) -> None:
    async with living.signed_in(role=Role.ADMIN) as admin, living.client() as client:
        made = (await admin.post("/v1/tokens", json={"role": "admin", "expires_in": "1h"})).json()
        bearer = {"Authorization": f"Bearer {made['token']}"}
        link = (await client.post("/v1/session/links", headers=bearer)).json()["link"]
        await client.get(link)
        until = living.sessions.verify(client.cookies[COOKIE]).expires_us
        again = (await client.post("/v1/session/links")).json()["link"]  # by that session
        await client.get(again)
        later = living.sessions.verify(client.cookies[COOKIE]).expires_us
    assert format_time(until) == format_time(later) == made["expires"]


def bearing(token: str) -> HTTPConnection:
    headers = [(b"authorization", f"Bearer {token}".encode())]
    return HTTPConnection({"type": "websocket", "headers": headers})


async def test_what_is_watched_with_a_token_ends_when_the_token_is_revoked(living: House) -> None:
    identity = Identity(living.fleet.tokens, living.sessions, RateLimit())
    made = await living.fleet.tokens.create("default", Role.VIEWER, actor="a")
    await identity.check_still(bearing(made.secret))
    await living.fleet.tokens.revoke("default", made.token.id, actor="a")
    with pytest.raises(Unauthenticated, match="was revoked"):
        await identity.check_still(bearing(made.secret))


async def test_what_is_watched_with_a_token_goes_on_while_the_database_is_away(
    house: House,
) -> None:
    identity = Identity(house.fleet.tokens, house.sessions, RateLimit())
    await identity.check_still(bearing("kct.default.abc.secret"))


async def test_a_camera_nobody_ever_heard_of_is_not_found(living: House) -> None:
    async with living.signed_in() as client:
        answer = await client.get("/v1/cameras/ghost/snapshot.jpg")
    assert answer.status_code == 404
