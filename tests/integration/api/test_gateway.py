"""What holds on every path: authentication, the shape of errors, limits, what is logged."""

import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute
from starlette.routing import Mount, WebSocketRoute
from tests.integration.api.conftest import House, Stored, open_house

from kilocam.api import RateLimit
from kilocam.api.identity import COOKIE
from kilocam.database import Database
from kilocam.fleet import Principal, Role

pytestmark = pytest.mark.asyncio

OPEN = {
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/v1/session/link"),
    ("POST", "/v1/session"),
    ("DELETE", "/v1/session"),
}
"""Contract: all that answers without authentication, but for the page's files and capabilities."""


MODELS = "/mcp"
"""What is wrong with a message there is said as JSON-RPC says it; test_mcp.py holds that."""


def routes(house: House) -> Iterator[tuple[str, str]]:
    for route in house.app.routes:
        if isinstance(route, APIRoute):
            yield from ((method, route.path) for method in sorted(route.methods or ()))
        else:
            assert isinstance(route, Mount | WebSocketRoute), route
            assert route.path in {"/assets", "/v1/cameras/{id}/live"}


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "1", path)


def assert_problem(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"].startswith("urn:kilocam:problem:")
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_nothing_else_answers_without_authentication(house: House) -> None:
    asked = 0
    async with house.client() as nobody:
        for method, path in routes(house):
            if (method, path) in OPEN:
                continue
            answer = await nobody.request(method, filled(path), json={})
            expected = 403 if path.startswith("/v1/media/") else 401
            assert answer.status_code == expected, (method, path, answer.text)
            assert_problem(answer)
            asked += 1
    assert asked >= 15


async def test_whoever_is_refused_learns_nothing_of_the_input(house: House) -> None:
    """A stranger's bad input is answered as a stranger's."""
    async with house.client() as nobody:
        answer = await nobody.get("/v1/cameras/gate/footage?from=bad")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_every_error_has_the_one_shape(house: House) -> None:
    (house.folder / "page" / "assets" / "index-1.js").unlink()
    async with house.signed_in(role=Role.ADMIN) as client:
        wrong = [
            await client.get("/nowhere"),
            await client.get("/v1/nowhere"),
            await client.get("/v1/cameras/"),
            await client.get("/assets/nothing.js"),
            await client.get("/assets/../../keys.json"),
            await client.put("/v1/cameras"),
            await client.post("/v1/cameras", content=b"{", headers=_JSON),
            await client.post("/v1/cameras", content=b"\xff\xfe", headers=_JSON),
            await client.post("/v1/cameras", json={"id": "a"}),
            await client.post("/v1/cameras", json={"id": "a", "url": "x", "nonsense": 1}),
            await client.get("/v1/cameras/gate/snapshot.jpg?at=now"),
            await client.get("/v1/cameras/NOT VALID/footage"),
            await client.get("/v1/cameras?limit=0"),
            await client.get("/v1/cameras?tenant=NOT VALID"),
            await client.get("/v1/session/link"),
            await client.get("/v1/session/link?link=kcs.a.b.c"),
            await client.get("/readyz"),
            await client.get("/v1/media/a/b/c/d"),
        ]
        for method, path in routes(house):
            if (method, path) not in OPEN and path != MODELS:
                wrong.append(await client.request(method, filled(path), json={"id": 5}))
    for answer in wrong:
        if answer.status_code >= 400:
            assert_problem(answer)
    assert sum(answer.status_code >= 400 for answer in wrong) >= 28


_JSON = {"content-type": "application/json"}


async def test_an_error_nobody_foresaw_tells_nothing_of_itself(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise RuntimeError("the secret is 42")

    house.app.add_api_route("/broken", broken)
    async with house.client() as client:
        problem = assert_problem(await client.get("/broken"))
    assert problem["status"] == 500
    assert "42" not in problem["detail"]
    assert "42" in caplog.text


async def test_the_role_decides_what_may_be_done(house: House) -> None:
    async with house.signed_in(role=Role.VIEWER) as client:
        added = await client.post("/v1/cameras", json={"id": "a", "url": "rtsp://h/"})
        tokens = await client.get("/v1/tokens")
    for answer in (added, tokens):
        assert answer.status_code == 403
        assert "has viewer" in assert_problem(answer)["detail"]


async def test_a_body_beyond_the_limit_is_not_read(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    async with house.signed_in(role=Role.ADMIN) as client:
        announced = await client.post("/v1/cameras", content=b"x" * 2_000_000, headers=_JSON)
        streamed = await client.post("/v1/cameras", content=endless(), headers=_JSON)
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert "larger than" in assert_problem(answer)["detail"]


@pytest_asyncio.fixture
async def narrow(stored: Stored, tmp_path: Path, nowhere: Database) -> AsyncIterator[House]:
    """A gateway that lets each caller ask three times."""
    limit = RateLimit(per_s=0.001, burst=3)
    async with nowhere as database, open_house(stored, tmp_path, database, limit) as made:
        yield made


async def test_who_asks_too_often_is_told_when_to_come_back(narrow: House) -> None:
    async with narrow.signed_in() as client, narrow.signed_in("other") as neighbour:
        answers = [await client.get("/v1/session") for _ in range(4)]
        other = await neighbour.get("/v1/session")
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert_problem(answers[-1])
    assert int(answers[-1].headers["retry-after"]) > 0
    assert other.status_code == 200


async def test_guesses_count_for_the_address_and_lock_nobody_out(narrow: House) -> None:
    async with narrow.client() as nobody:
        guesses = [
            await nobody.get("/v1/session", headers={"Cookie": f"{COOKIE}=kcs.a.b.{n}"})
            for n in range(5)
        ]
    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429, 429]
    async with narrow.signed_in() as client:
        assert (await client.get("/v1/session")).status_code == 200


async def test_requests_are_logged_without_what_opens_doors(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kilocam.api.requests")
    principal = Principal(tenant="default", role=Role.VIEWER, subject="user/anna")
    link = house.sessions.issue_link(principal)
    async with house.client() as client:
        await client.get("/v1/session/link", params={"link": link})
        await client.get("/v1/session")
        await client.get("/v1/media/6027.83.MAC/default/gate/1-2-3-v.m4s")
        await client.get("/v1/x%0Aforged: line")
    lines = [record.getMessage() for record in caplog.records]
    assert "GET /v1/session 200 user/anna" in lines[1]
    assert "GET /v1/media/***/default/gate/1-2-3-v.m4s 403" in lines[2]
    assert link not in caplog.text
    assert "6027" not in caplog.text
    assert "\n" not in lines[3]


async def test_a_link_signs_in_once(house: House) -> None:
    principal = Principal(tenant="default", role=Role.VIEWER, subject="user/anna")
    link = house.sessions.issue_link(principal)
    async with house.client() as client:
        first = await client.get("/v1/session/link", params={"link": link})
        who = await client.get("/v1/session")
        await client.delete("/v1/session")
        after = await client.get("/v1/session")
        again = await client.get("/v1/session/link", params={"link": link})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert who.json() == {"tenant": "default", "role": "viewer", "subject": "user/anna"}
    assert after.status_code == 401
    assert "used already" in assert_problem(again)["detail"]


async def test_signing_out_ends_the_session_whoever_has_its_cookie(house: House) -> None:
    async with house.signed_in() as client, house.signed_in() as neighbour:
        thief = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
        before = await client.get("/v1/session")
        out = await client.delete("/v1/session")
        again = await client.delete("/v1/session")
        async with house.client() as other:
            after = await other.get("/v1/session", headers=thief)
            socket = await other.get("/v1/cameras/gate/footage?from=x", headers=thief)
        assert (await neighbour.get("/v1/session")).status_code == 200
    assert (before.status_code, out.status_code, again.status_code) == (200, 204, 204)
    assert "was ended: sign in again" in assert_problem(after)["detail"]
    assert socket.status_code == 401


async def test_another_site_can_sign_nobody_out(house: House) -> None:
    async with house.signed_in() as client:
        answer = await client.delete("/v1/session", headers={"Origin": "https://evil.example"})
        assert (await client.get("/v1/session")).status_code == 200
    assert answer.status_code == 403


async def test_a_sign_in_names_one_secret_and_a_wrong_one_is_refused_in_words(
    house: House,
) -> None:
    link = house.sessions.issue_link(Principal(tenant="t", role=Role.VIEWER, subject="user/a"))
    async with house.client() as client:
        for body in ({}, {"link": "", "token": " "}, {"link": link, "token": "kct.a.b.c"}):
            problem = assert_problem(await client.post("/v1/session", json=body))
            assert problem["status"] == 422
            assert "give either 'link' or 'token'" in problem["detail"]
        wrong = assert_problem(await client.post("/v1/session", json={"token": "secret"}))
        dead = assert_problem(await client.post("/v1/session", json={"token": "kct.t.b.c"}))
    assert wrong["status"] == 401
    assert "begins with 'kct.'" in wrong["detail"]
    assert dead["status"] == 503  # only the database could know it


async def test_another_sites_form_may_not_act_with_the_cookie(house: House) -> None:
    async with house.signed_in(role=Role.ADMIN) as client:
        answer = await client.post(
            "/v1/cameras", json={}, headers={"Origin": "https://evil.example"}
        )
        own = await client.delete("/v1/cameras/a", headers={"Origin": "http://kilocam.test"})
    assert answer.status_code == 403
    assert own.status_code == 503  # past the door: the database is dead


async def test_the_page_loads_nothing_from_elsewhere_and_its_files_are_kept(house: House) -> None:
    async with house.client() as nobody:
        page = await nobody.get("/")
        script = await nobody.get("/assets/index-1.js")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in script.headers["cache-control"]


async def test_a_stranger_does_not_learn_where_the_database_is(house: House) -> None:
    async with house.client() as client, house.signed_in() as viewer:
        answers = [
            await client.post("/v1/session", json={"token": "kct.default.abc.secret"}),
            await viewer.get("/v1/cameras"),
        ]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["detail"] == (
            "the database is not available: try again later; the server's log says why"
        )


async def test_readiness_names_who_is_not_ready(house: House) -> None:
    async with house.client() as nobody:
        problem = assert_problem(await nobody.get("/readyz"))
        alive = await nobody.get("/healthz")
    assert problem["roles"] == {"recorder-0": True, "postgres": False}
    assert problem["detail"] == "not ready: postgres"
    assert alive.text == "ok\n"


async def test_each_operation_is_described_with_its_problems(house: House) -> None:
    async with house.signed_in() as client:
        described = (await client.get("/v1/openapi.json")).json()
    assert described["openapi"].startswith("3.")
    seen = set()
    for path in described["paths"].values():
        for operation in path.values():
            seen.add(operation["operationId"])
            assert operation["summary"]
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]
    assert {"list_cameras", "get_clip", "create_token", "sign_in", "get_media"} <= seen
