"""Events over HTTP: lists, one, search, accounts; live by SSE, WebSocket and long poll."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from tests.fakes.intruder import admin_does
from tests.fakes.postgres import Installation, PostgresServer
from tests.integration.insight.made import (
    GATE,
    NOW_US,
    T0,
    VERSION,
    S,
    looked,
    seen,
    skipped,
    window_at,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from kilocam import insight
from kilocam.analyse import BoxAt, Portrait, SkipReason, StageCount
from kilocam.api import Catalogue, KnownCameras, RateLimit
from kilocam.api.app import PROBLEMS
from kilocam.api.identity import COOKIE, Identity
from kilocam.api.operations.analysis import AnalysisOperations
from kilocam.api.operations.events import INSIGHT_PROBLEMS, EventOperations
from kilocam.api.operations.likeness import LikenessOperations
from kilocam.api.problems import Translator, install
from kilocam.api.rest import mount
from kilocam.api.streams import mount_streams
from kilocam.core import CameraKey, format_time
from kilocam.database import Room
from kilocam.fleet import CameraInput, Fleet, Keyring, Principal, Role, Sessions
from kilocam.insight import Feed, Insight, Likeness, Meaning, Windows, make_days

pytestmark = pytest.mark.asyncio
SPAN = "from=2026-11-24T12:00:01Z&to=2026-11-24T12:00:00Z"
FOREIGN = CameraKey("other", "gate")


@dataclass(frozen=True)
class House:
    url: str
    sessions: Sessions
    windows: Windows
    likeness: Likeness
    installation: Installation
    feed: Feed

    def headers(self, tenant: str = "default") -> dict[str, str]:
        who = Principal(tenant=tenant, role=Role.VIEWER, subject="user/test")
        return {"Cookie": f"{COOKIE}={self.sessions.issue(who)}"}

    def client(self, tenant: str = "default") -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers=self.headers(tenant), timeout=30)

    async def fill(self) -> None:
        await self.windows.write(looked(0, seen(0, 0, score=0.9)))
        truck = seen(1, 1, label="truck", score=0.6, colours=("white", "blue"))
        await self.windows.write(looked(1, seen(0, 1, colours=("red",)), truck))
        await self.windows.skip([skipped(2), skipped(3, SkipReason.OVERLOAD)])
        await self.windows.write(looked(3, seen(3, 3, key=FOREIGN), key=FOREIGN))


class Recorded:
    """One camera that a recorder speaks of."""

    async def figures(self) -> Mapping[CameraKey, object]:
        return {CameraKey("default", "street"): None}


@dataclass(frozen=True)
class Encoded:
    model: str = "eye@1"
    vector: tuple[float, ...] = (1.0, 0.0)


async def _encode(text: str) -> Encoded | None:
    """A joint model that knows how umbrellas look, and nothing else."""
    return Encoded() if "umbrella" in text else None


async def _likeness_problem() -> str:
    """An analyst whose model broke; what was kept before is there."""
    return "model glass: it is broken"


@pytest_asyncio.fixture
async def house(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[House]:
    installation = Installation(postgres, (Room("fleet"), Room("insight")))
    await installation.prepare()
    keyring = Keyring.open(tmp_path / "keys.json")
    async with installation.database() as database, installation.control() as control:
        await database.place("other")
        await make_days(control, NOW_US)
        insight, sessions = Insight(database), Sessions(keyring)
        fleet = Fleet(database, keyring)
        await fleet.add_camera("default", CameraInput(id="yard", url="rtsp://h/"), actor="test")
        cameras = KnownCameras(Recorded(), lambda: (), fleet, insight.seen)
        identity = Identity(fleet.tokens, sessions, RateLimit())
        async with Feed(insight) as feed:
            app, catalogue = FastAPI(), Catalogue()
            translator = Translator({**PROBLEMS, **INSIGHT_PROBLEMS})
            install(app, translator)
            likeness = Likeness(database)
            meaning = Meaning(insight, likeness, _encode)
            EventOperations(insight, feed, cameras, meaning).enter(catalogue)
            LikenessOperations(likeness, cameras, _likeness_problem).enter(catalogue)
            AnalysisOperations(insight, cameras).enter(catalogue)
            mount(app, catalogue, identity.caller)
            mount_streams(app, feed, cameras, identity, translator)
            async with served(app) as url:
                windows = Windows(database, VERSION)
                yield House(url, sessions, windows, likeness, installation, feed)


class served:  # noqa: N801 - reads as what it does
    """The application on a free port."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app, log_config=None, ws="websockets-sansio", lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> str:
        self._serving = asyncio.create_task(self._server._serve(sockets=[self._socket]))
        async with asyncio.timeout(10):
            while not self._server.started:
                await asyncio.sleep(0.01)
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        assert self._serving is not None
        await self._serving


async def test_events_have_the_shape_of_the_contract(house: House) -> None:
    await house.fill()
    async with house.client() as client:
        listed = (await client.get("/v1/events")).json()
        [truck, person] = listed["items"]
        one = (await client.get(f"/v1/events/{person['id']}")).json()
    assert listed["next_cursor"] is None
    assert person == {
        "id": person["id"],
        "camera": "gate",
        "class": "person",
        "colours": ["red"],
        "title": "person in red at gate",
        "score": 0.9,
        "start": format_time(T0),
        "end": format_time(T0 + 3 * S),
        "box": [0.1, 0.2, 0.25, 0.5],
        "zones": [],
        "text": [],
        "description": "",
        "described_by": "",
        "still": False,
        "best": format_time(T0),
        "snapshot_url": f"/v1/cameras/gate/snapshot.jpg?at={format_time(T0)}",
        "clip_url": f"/v1/cameras/gate/clip.mp4?from={format_time(T0 - 2 * S)}"
        f"&to={format_time(T0 + 5 * S)}",
    }
    assert truck["class"] == "truck"
    assert {**one, "sights": None} == {**person, "sights": None}
    assert [sight["at"] for sight in one["sights"]] == [
        format_time(T0 + n * S) for n in range(4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "classes"),
    [
        ({}, ["truck", "person"]),
        ({"class": "vehicle"}, ["truck"]),
        ({"class": "person,truck", "camera": "gate"}, ["truck", "person"]),
        ({"camera": "yard"}, []),
        ({"camera": "street, yard"}, []),
        ({"from": format_time(T0 + 4 * S)}, []),
        ({"to": format_time(T0 + S)}, ["person"]),
        ({"text": "trucks"}, ["truck"]),
        ({"zone": "drive"}, []),
        ({"limit": "1"}, ["truck"]),
    ],
)
async def test_lists_are_filtered(house: House, query: dict[str, str], classes: list[str]) -> None:
    await house.fill()
    async with house.client() as client:
        answer = await client.get("/v1/events", params=query)
        assert [item["class"] for item in answer.json()["items"]] == classes
        if cursor := answer.json()["next_cursor"]:
            rest = await client.get("/v1/events", params={**query, "cursor": cursor})
            assert [item["class"] for item in rest.json()["items"]] == ["person"]


async def test_what_a_model_says_is_shown_beside_its_name(house: House) -> None:
    await house.fill()
    person = seen(0, 0).event_id
    async with house.installation.database() as database:
        said = "A man carries a ladder."
        assert await insight.Told(database).describe(GATE, person, said, "eye-1")
    async with house.client() as client:
        one = (await client.get(f"/v1/events/{person}")).json()
        answer = await client.post("/v1/search", json={"query": "someone with a ladder"})
    [found] = answer.json()["items"]
    assert found["event_id"] == person
    for shown in (one, found):
        assert shown["description"] == "A man carries a ladder."
        assert shown["described_by"] == "eye-1"
        assert shown["text"] == []


async def test_search_answers_with_footage(house: House) -> None:
    await house.fill()
    async with house.client() as client:
        answer = await client.post(
            "/v1/search", json={"query": "a blue wooden truck at the gate last 24 hours"}
        )
        [found] = answer.json()["items"]
        nothing = await client.post(
            "/v1/search", json={"query": "truck", "classes": ["person"], "cameras": ["gate"]}
        )
    assert set(found) == {
        "score", "kind", "camera", "start", "end", "title", "text", "description",
        "described_by", "box", "event_id", "snapshot_url", "clip_url",
    }  # fmt: skip
    assert answer.json()["unmatched"] == ["wooden"]
    assert found["box"] == [0.1, 0.2, 0.25, 0.5]
    assert (found["kind"], found["title"], found["camera"]) == (
        "event", "white and blue truck at gate", "gate",
    )  # fmt: skip
    assert nothing.json()["items"] == []


async def test_what_was_said_is_found_and_told_as_such(house: House) -> None:
    everywhere = BoxAt(at_us=T0 + 8 * S, box=(0.0, 0.0, 1.0, 1.0), score=0.8)
    words = replace(seen(4, 4, label="speech"), text="there is a fire", boxes=(everywhere,))
    await house.windows.write(looked(4, words))
    async with house.client() as client:
        answer = await client.post("/v1/search", json={"query": "someone said fire"})
        [event] = (await client.get("/v1/events?class=speech")).json()["items"]
    [found] = answer.json()["items"]
    assert (found["kind"], found["title"], found["text"]) == (
        "speech", 'speech "there is a fire" at gate', ["there is a fire"],
    )  # fmt: skip
    assert (event["class"], event["text"], event["box"]) == (
        "speech", ["there is a fire"], [0, 0, 1, 1],
    )  # fmt: skip


async def test_the_account_of_looks_is_exact(house: House) -> None:
    await house.fill()
    async with house.client() as client:
        account = (await client.get("/v1/analysis")).json()
    assert (account["offered"], account["looked"]) == (4, 2)
    assert account["skipped"] == {"quiet": 1, "overload": 1}
    assert account["cameras"] == [
        {
            "camera": "gate",
            "offered": 4,
            "looked": 2,
            "skipped": {"quiet": 1, "overload": 1},
            "last_look": format_time(T0 + 2 * S),
            "cascade": None,
        }
    ]


async def test_stages_and_what_is_missed_are_pooled_and_by_camera_where_it_is_named(
    house: House,
) -> None:
    audit = {
        "audit": StageCount(seen=1, passed=1),
        "whole": StageCount(seen=3, passed=3, cost_us=60_000),
    }
    await house.fill()
    await house.windows.write(looked(4, stages=audit))
    await house.windows.write(looked(4, key=CameraKey("default", "street")))
    async with house.client() as client:
        pooled = (await client.get("/v1/analysis")).json()
        gate = (await client.get("/v1/analysis?camera=gate")).json()
        other = (await client.get("/v1/analysis?camera=street")).json()
    stages = {each["name"]: each for each in pooled["cascade"]["stages"]}
    assert list(stages) == ["gate", "detector", "whole", "audit"]
    assert stages["gate"] == {
        "name": "gate", "seen": 6, "passed": 4, "share": 0.66667, "cost_ms": None
    }  # fmt: skip
    assert stages["whole"]["cost_ms"] == 20.0
    assert pooled["cascade"]["missed"] == {
        "audited": 1, "moving": 1, "low": 0.20654, "high": 1.0
    }  # fmt: skip
    assert [each["cascade"] for each in pooled["cameras"]] == [None, None]
    assert gate["cascade"] == gate["cameras"][0]["cascade"]
    assert gate["cascade"]["missed"]["audited"] == 1
    assert other["cascade"]["missed"] == {
        "audited": 0, "moving": 0, "low": 0.0, "high": 1.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/v1/events?cursor=x", 422, "cursor 'x' is not one of ours: give one as it was received"),
        ("/v1/events?limit=0", 422, "limit: "),
        ("/v1/events?from=yesterday", 422, "from: "),
        ("/v1/events/1", 422, "id: "),
        (f"/v1/events?{SPAN}", 422, "'to' is not after 'from'"),
        ("/v1/events?camera=yard,ghost", 404, "camera 'ghost' does not exist in tenant 'default'"),
        ("/v1/events?camera=ghost&zone=drive", 404, "camera 'ghost' does not exist"),
        ("/v1/events?camera=a,b", 404, "cameras 'a', 'b' do not exist"),
        ("/v1/events?camera=NO WAY", 422, "camera id 'NO WAY' is not valid"),
        ("/v1/analysis?camera=ghost", 404, "camera 'ghost' does not exist"),
        ("/v1/events/poll?camera=ghost&wait=0", 404, "camera 'ghost' does not exist"),
        ("/v1/events/stream?camera=ghost", 404, "camera 'ghost' does not exist"),
        ("/v1/events?text=a%00b", 422, "text: character 2 is U+0000, which no text can hold"),
        ("/v1/events?class=%00", 422, "class: character 1 is U+0000"),
        ("/v1/events/stream?class=%00", 422, "class: character 1 is U+0000"),
        ("/v1/events/00000000-0000-0000-0000-000000000000", 404, "does not exist"),
        ("/v1/events/poll?after=1", 422, "cursor '1' is not one of ours"),
        ("/v1/events/stream?after=1", 422, "cursor '1' is not one of ours"),
    ],
)
async def test_bad_requests_get_one_line(house: House, path: str, status: int, detail: str) -> None:
    async with house.client() as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"from": format_time(T0), "to": format_time(T0)}, 422, "'to' is not after 'from'"),
        ({"cameras": ["yard", "ghost"]}, 404, "camera 'ghost' does not exist"),
        ({"query": "a car on 31 february"}, 422, "there is no 31 february: mend the day, or write"),
        ({"query": "a car at 5 pm"}, 422, "search cannot read the time '5 pm': write today, "),
        ({"query": "a\0b"}, 422, "query: character 2 is U+0000"),
        ({"classes": ["car", "\0"]}, 422, "classes: character 1 is U+0000"),
    ],
)
async def test_a_search_that_cannot_be_taken_is_refused_in_words(
    house: House, body: dict[str, object], status: int, detail: str
) -> None:
    await house.fill()
    async with house.client() as client:
        answer = await client.post("/v1/search", json={"query": "car", **body})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize("time", ["1900-01-01T00:00:00Z", "9999-12-30T23:59:59Z"])
async def test_the_ends_of_time_are_no_error(house: House, time: str) -> None:
    async with house.client() as client:
        for path in ("/v1/events", "/v1/analysis"):
            assert (await client.get(path, params={"from": time})).status_code == 200
        ends = f"{10**18 - 1}-{'f' * 32}"
        assert (await client.get("/v1/events", params={"cursor": ends})).status_code < 500


async def test_another_tenants_events_are_neither_listed_nor_told(house: House) -> None:
    await house.fill()
    async with house.client("other") as client, house.client() as ours:
        [foreign] = (await client.get("/v1/events")).json()["items"]
        assert (await ours.get(f"/v1/events/{foreign['id']}")).status_code == 404
        polled = await ours.get("/v1/events/poll", params={"after": beginning(), "wait": 0})
        assert foreign["id"] not in [item["id"] for item in polled.json()["items"]]
    async with httpx.AsyncClient(base_url=house.url) as nobody:
        for path in ("/v1/events", "/v1/events/stream", "/v1/events/poll", "/v1/analysis"):
            assert (await nobody.get(path)).status_code == 401


def beginning() -> str:
    return f"0-{'0' * 32}"


async def test_a_long_poll_waits_for_news_and_goes_on_from_there(house: House) -> None:
    async with house.client() as client:
        first = (await client.get("/v1/events/poll", params={"wait": 0})).json()
        assert first["items"] == []
        waiting = asyncio.create_task(
            client.get("/v1/events/poll", params={"after": first["after"], "wait": 20})
        )
        await house.windows.write(looked(0, seen(0, 0)))
        second = (await waiting).json()
        assert [item["class"] for item in second["items"]] == ["person"]
        again = await client.get("/v1/events/poll", params={"after": second["after"], "wait": 0.05})
        assert again.json() == {"items": [], "after": second["after"]}


@dataclass
class Told:
    id: str
    event: dict[str, Any]


async def sse(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None
) -> AsyncGenerator[Told, None]:
    """Events of a stream; one without a class says that it is open."""
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        id_, data = "", ""
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                id_ = line[4:]
            elif line.startswith("data: "):
                data = line[6:]
            elif not line:
                yield Told(id_, json.loads(data) if data else {})
                data = ""


async def test_server_sent_events_go_on_after_the_last_one(house: House) -> None:
    async with house.client() as client:
        stream = sse(client, "/v1/events/stream")
        assert (await anext(stream)).event == {}
        await house.windows.write(looked(0, seen(0, 0)))
        told = await anext(stream)
        assert told.event["class"] == "person"
        await stream.aclose()
        await house.windows.write(looked(1, seen(1, 1, label="car")))
        resumed = sse(client, "/v1/events/stream", {"Last-Event-ID": told.id})
        assert (await anext(resumed)).event == {}
        assert (await anext(resumed)).event["class"] == "car"
        await resumed.aclose()


async def test_a_removed_camera_is_known_as_long_as_an_event_of_it_is_listed(house: House) -> None:
    await house.windows.write(looked(0, seen(0, 0)))  # of the gate, which is in no fleet
    counts = "delete from kilocam.window_count"  # its account is older than is kept
    await admin_does(house.installation, counts)
    async with house.client() as client:
        listed = await client.get("/v1/events?camera=gate")
        assert [each["camera"] for each in listed.json()["items"]] == ["gate"]
        stream = sse(client, "/v1/events/stream?camera=gate")
        assert (await anext(stream)).event == {}
        await stream.aclose()


async def test_whoever_listens_is_let_go_when_the_gateway_stops(house: House) -> None:
    async with house.client() as client, asyncio.timeout(10):
        stream = sse(client, "/v1/events/stream")
        await anext(stream)
        polling = asyncio.create_task(client.get("/v1/events/poll", params={"wait": 20}))
        await asyncio.sleep(0.2)
        assert not polling.done()
        house.feed.end()
        assert [told.event async for told in stream] == [{}]
        assert (await polling).json()["items"] == []


async def test_a_stream_of_who_signed_out_tells_nothing_more(house: House) -> None:
    async with house.client() as client:
        stream = sse(client, "/v1/events/stream")
        assert (await anext(stream)).event == {}
        cookie = client.headers["Cookie"].removeprefix(f"{COOKIE}=")
        house.sessions.end(house.sessions.verify(cookie))
        await house.windows.write(looked(0, seen(0, 0)))
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_socket_tells_chosen_events_and_refuses_strangers(house: House) -> None:
    url = house.url.replace("http", "ws") + "/v1/events/ws"
    async with connect(f"{url}?class=car", additional_headers=house.headers()) as listener:
        assert json.loads(await listener.recv())["event"] is None
        await house.windows.write(looked(0, seen(0, 0)))
        await house.windows.write(looked(1, seen(1, 1, label="car"), key=GATE))
        told = (json.loads(message)["event"] async for message in listener)
        first = await anext(event async for event in told if event is not None)
        assert first["class"] == "car"  # places passed without one of it are told as none
    async with connect(url) as stranger:
        assert json.loads(await stranger.recv())["status"] == 401
        with pytest.raises(ConnectionClosed):
            await stranger.recv()
        assert stranger.close_code == 4401


async def _shown(house: House, number: int, vector: tuple[float, ...], **more: Any) -> str:
    """An event that looks so; its id."""
    one = seen(number, number, **more)
    await house.windows.write(looked(number, one))
    await house.likeness.keep(
        Portrait(
            window=window_at(number), event_id=one.event_id, label=one.label,
            at_us=window_at(number).start_us, model="eye@1", vector=vector,
        )
    )  # fmt: skip
    return one.event_id


async def test_a_search_finds_by_looks_what_no_word_tells(house: House) -> None:
    looks = ((0.0, 1.0), (1.0, 0.0), (0.8, 0.6))
    far, first, second = [await _shown(house, n, vector) for n, vector in enumerate(looks)]
    car = await _shown(house, 3, (1.0, 0.0), label="car", colours=("red",))
    async with house.client() as client:

        async def found(query: str, **more: object) -> list[tuple[str, str]]:
            body = {"query": query, "limit": 3} | more
            answer = (await client.post("/v1/search", json=body)).json()
            return [(item["event_id"], item["kind"]) for item in answer["items"]]

        assert await found("person with an umbrella") == [
            (first, "event"), (second, "event"), (far, "event")
        ]  # fmt: skip
        assert (await found("red umbrella"))[0] == (car, "event")  # by a word and by its look
        later = format_time(window_at(2).start_us)
        assert await found("person with an umbrella", **{"from": later}) == [(second, "event")]
        assert await found("umbrella by boat") == []
        assert len(await found("person")) == 3  # asks for no look


async def test_similar_events_are_events_with_their_likeness(house: House) -> None:
    looks = ((1.0, 0.0), (0.8, 0.6), (0.0, 1.0))
    ids = [await _shown(house, number, vector) for number, vector in enumerate(looks)]
    first = f"/v1/events/{ids[0]}"
    async with house.client() as client, house.client("other") as stranger:
        answer = (await client.get(f"{first}/similar")).json()
        near, far = answer["items"]
        event = (await client.get(f"/v1/events/{ids[1]}")).json()
        later = format_time(window_at(2).start_us)
        since = (await client.get(f"{first}/similar", params={"from": later})).json()
        long = await client.get(f"{first}/similar?from=2020-01-01T00:00:00Z")
        unknown = await client.get(f"{first}/similar?camera=nowhere")
        foreign = await stranger.get(f"{first}/similar")
    del event["sights"]
    assert near == event | {"likeness": 0.8}  # vectors have three digits
    assert (far["id"], far["likeness"]) == (ids[2], 0.0)
    assert answer["next_cursor"] is None
    assert [item["id"] for item in since["items"]] == [ids[2]]
    assert (long.status_code, unknown.status_code, foreign.status_code) == (422, 404, 404)
    assert "ask for 31d at most" in long.json()["detail"]
    assert "glass" not in foreign.json()["detail"]


async def test_why_an_event_was_not_looked_at_closely_is_told(house: House) -> None:
    one = seen(0, 0)
    await house.windows.write(looked(0, one))
    await _shown(house, 1, (1.0, 0.0))
    async with house.client() as client:
        answer = await client.get(f"/v1/events/{one.event_id}/similar")
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith(
        "never are; how objects look is not kept now: model glass: it is broken"
    )
