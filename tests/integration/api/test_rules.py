"""Rules over HTTP: written, refused with what is wrong, applied, evaluated again, counted."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from tests.fakes.postgres import Installation, PostgresServer
from tests.integration.insight.made import NOW_US, T0, VERSION, S, looked
from tests.integration.insight.test_hits import HALL, LINE, at, walk

from kilocam.api import Catalogue, KnownCameras, RateLimit
from kilocam.api.app import PROBLEMS
from kilocam.api.identity import COOKIE, Identity
from kilocam.api.operations.events import EventOperations
from kilocam.api.operations.rules import RuleOperations
from kilocam.api.problems import Translator, install
from kilocam.api.rest import mount
from kilocam.core import CameraKey, format_time
from kilocam.database import Room
from kilocam.fleet import CameraInput, Fleet, Keyring, Principal, Role, Sessions, rules_of
from kilocam.insight import Feed, Insight, RuleHits, Windows, make_days

pytestmark = pytest.mark.asyncio
RULES = "/v1/cameras/gate/rules"
SPAN = {"from": format_time(T0), "to": format_time(T0 + 60 * S)}


@dataclass(frozen=True)
class House:
    app: FastAPI
    sessions: Sessions
    windows: Windows

    def client(self, role: Role = Role.OPERATOR, tenant: str = "default") -> httpx.AsyncClient:
        who = Principal(tenant=tenant, role=role, subject="user/test")
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://kilocam.test",
            cookies={COOKIE: self.sessions.issue(who)},
        )


class Nobody:
    """No recorder speaks of any camera."""

    async def figures(self) -> Mapping[CameraKey, object]:
        return {}


@pytest_asyncio.fixture
async def house(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[House]:
    installation = Installation(postgres, (Room("fleet"), Room("insight")))
    await installation.prepare()
    keyring = Keyring.open(tmp_path / "keys.json")
    async with installation.database() as database, installation.control() as control:
        await make_days(control, NOW_US)
        insight, sessions = Insight(database), Sessions(keyring)
        fleet = Fleet(database, keyring)
        for tenant in ("default", "other"):
            await fleet.ensure_tenant(tenant, actor="test")
            await fleet.add_camera(tenant, CameraInput(id="gate", url="rtsp://h/"), actor="test")
        cameras = KnownCameras(Nobody(), lambda: (), fleet, insight.seen)
        async with Feed(insight) as feed:
            app, catalogue = FastAPI(), Catalogue()
            install(app, Translator(PROBLEMS))
            EventOperations(insight, feed, cameras).enter(catalogue)
            RuleOperations(fleet, RuleHits(database, rules_of), cameras).enter(catalogue)
            mount(app, catalogue, Identity(fleet.tokens, sessions, RateLimit()).caller)
            yield House(app, sessions, Windows(database, VERSION, rules_of=rules_of))


async def test_a_rule_is_put_shown_listed_and_removed(house: House) -> None:
    schedule = {
        "time_zone": "Europe/Berlin",
        "hours": [{"days": ["mon", "sun"], "from": "22:00", "to": "06:00"}],
    }
    async with house.client() as client:
        put = await client.put(f"{RULES}/hall", json={**HALL, "schedule": schedule})
        shown = await client.get(f"{RULES}/hall")
        same = {k: v for k, v in shown.json().items() if k not in ("name", "version", "updated")}
        again = await client.put(f"{RULES}/hall", json=same)
        listed = await client.get(RULES)
        removed = await client.delete(f"{RULES}/hall")
        gone = await client.get(f"{RULES}/hall")
    assert put.status_code == 200
    assert put.json() == shown.json() == again.json() == listed.json()["items"][0]
    assert (shown.json()["polygon"], shown.json()["schedule"]) == (HALL["polygon"], schedule)
    assert (shown.json()["name"], shown.json()["version"]) == ("hall", 1)
    assert removed.status_code == 204
    assert gone.status_code == 404
    assert gone.json()["detail"] == "camera 'gate' has no rule 'hall'"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"kind": "zone", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "it crosses itself"),
        ({"kind": "zone", "polygon": [[0, 0], [1.5, 0], [1, 1]]}, "point 2 (1.5, 0) lies outside"),
        ({"kind": "zone"}, "the kind zone needs polygon"),
        ({**HALL, "classes": ["persn"]}, "class 'persn' is not known: did you mean 'person'?"),
        ({**HALL, "classes": ["speech"]}, "class 'speech' is not known"),
        ({"kind": "crowd", "zone": "hall", "count": 3}, "zone 'hall' does not exist"),
        ({**HALL, "count": 3}, "count does not belong to the kind zone: leave it out"),
        ({**HALL, "colour": "red"}, "colour: "),
        ({"kind": "wall"}, "kind: "),
        ({"kind": "line", "line": [[0, 0, 1], [1, 1]]}, "should have at most 2 items, not 3"),
        ({**LINE, "schedule": {"time_zone": "CEST"}}, "time zone 'CEST' is not known"),
    ],
)
async def test_what_is_wrong_with_a_rule_is_told(
    house: House, body: Mapping[str, Any], detail: str
) -> None:
    async with house.client() as client:
        answer = await client.put(f"{RULES}/door", json=body)
        listed = await client.get(RULES)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]
    assert listed.json()["items"] == []


async def test_what_is_no_json_is_told_with_its_place(house: House) -> None:
    async with house.client() as client:
        answer = await client.put(
            f"{RULES}/door", content='{"kind" zone}', headers={"content-type": "application/json"}
        )
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("body: it is no JSON, from character 8 on: Expecting")


async def test_viewers_look_at_rules_and_operators_write_them(house: House) -> None:
    async with house.client(Role.VIEWER) as viewer:
        answers = [
            await viewer.put(f"{RULES}/hall", json=HALL),
            await viewer.delete(f"{RULES}/hall"),
            await viewer.post(f"{RULES}/hall/evaluate", json=SPAN),
        ]
        assert [answer.status_code for answer in answers] == [403, 403, 403]
        assert (await viewer.get(RULES)).json() == {"items": [], "next_cursor": None}
        viewer.cookies.clear()
        assert (await viewer.get(RULES)).status_code == 401


async def test_who_crosses_a_line_is_counted_by_direction_and_cited(house: House) -> None:
    async with house.client() as client:
        for name, rule in (("hall", HALL), ("door", LINE)):
            assert (await client.put(f"{RULES}/{name}", json=rule)).status_code == 200
        for result in walk():
            await house.windows.write(result)
        counts = (
            await client.get("/v1/cameras/gate/counts", params={**SPAN, "rule": "door"})
        ).json()
        hits = (await client.get("/v1/cameras/gate/hits", params={"rule": "door"})).json()
        [event] = (await client.get("/v1/events", params={"zone": "hall,yard"})).json()["items"]
        none = (await client.get("/v1/events", params={"zone": "yard"})).json()["items"]
    assert counts["items"] == [
        {"rule": "door", "kind": "line", "direction": "left_to_right", "class": "person", "hits": 1}
    ]
    at_text = format_time(T0 + 5 * S)
    assert hits["items"] == [
        {
            "rule": "door", "kind": "line", "version": 1, "camera": "gate", "at": at_text,
            "event_id": event["id"], "class": "person", "direction": "left_to_right",
            "value": None, "uncertainty": None,
            "snapshot_url": f"/v1/cameras/gate/snapshot.jpg?at={at_text}",
            "clip_url": f"/v1/cameras/gate/clip.mp4?from={format_time(T0)}"
            f"&to={format_time(T0 + 10 * S)}",
        }
    ]  # fmt: skip
    assert event["zones"] == ["hall"]
    assert none == []


async def test_a_rule_is_evaluated_over_the_past(house: House) -> None:
    for result in walk():
        await house.windows.write(result)
    async with house.client() as client:
        await client.put(f"{RULES}/door", json=LINE)
        done = await client.post(f"{RULES}/door/evaluate", json=SPAN)
        counts = (await client.get("/v1/cameras/gate/counts", params=SPAN)).json()
        week = {"from": format_time(T0), "to": format_time(T0 + 7 * 86_400 * S)}
        long = await client.post(f"{RULES}/door/evaluate", json=week)
        inverted = await client.post(
            f"{RULES}/door/evaluate", json={"from": SPAN["to"], "to": SPAN["from"]}
        )
        missing = await client.post(f"{RULES}/none/evaluate", json=SPAN)
    assert done.json() == {"rule": "door", **SPAN, "events": 1, "hits": 1}
    assert [each["hits"] for each in counts["items"]] == [1]
    assert long.status_code == 422
    assert "up to 24 hours at a time: ask day by day" in long.json()["detail"]
    assert inverted.status_code == 422
    assert missing.status_code == 404


async def test_what_nobody_knows_is_not_counted_as_nothing(house: House) -> None:
    async with house.client() as client:
        ghost = await client.get("/v1/cameras/ghost/counts", params=SPAN)
        rule = await client.get("/v1/cameras/gate/counts", params={**SPAN, "rule": "none"})
        hits = await client.get("/v1/cameras/gate/hits", params={"rule": "none"})
        quiet = await client.get("/v1/cameras/gate/counts", params=SPAN)
    assert (ghost.status_code, rule.status_code, hits.status_code) == (404, 404, 404)
    assert quiet.json() == {"items": [], "next_cursor": None}


async def test_tenants_have_rules_and_hits_of_their_own(house: House) -> None:
    foreign = CameraKey("other", "gate")
    async with house.client() as ours, house.client(tenant="other") as theirs:
        await ours.put(f"{RULES}/door", json=LINE)
        for result in walk(foreign):
            await house.windows.write(result)
        assert (await theirs.get(RULES)).json()["items"] == []
        assert (await theirs.get("/v1/cameras/gate/hits")).json()["items"] == []
        assert (await ours.get("/v1/cameras/gate/hits")).json()["items"] == []
        assert (await theirs.get(f"{RULES}/door")).status_code == 404


async def test_a_moment_with_too_many_is_a_hit_of_nobody_alone(house: House) -> None:
    async with house.client() as client:
        await client.put(f"{RULES}/hall", json=HALL)
        crowd = {"kind": "crowd", "zone": "hall", "count": 2}
        await client.put(f"{RULES}/many", json=crowd)
        await house.windows.write(looked(0, at(0, 0.4), at(0, 0.6, ordinal=1)))
        [hit] = (await client.get("/v1/cameras/gate/hits", params={"rule": "many"})).json()["items"]
    assert (hit["event_id"], hit["value"], hit["class"]) == (None, 2.0, "")
