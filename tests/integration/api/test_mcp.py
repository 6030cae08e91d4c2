"""Language models: the SDK's own client over HTTP, a real log, a real database."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import httpx
import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import BlobResourceContents, ImageContent, ResourceLink, TextContent
from PIL import Image
from tests.fakes.footage import FootageSpec, Outage, store_footage
from tests.fakes.postgres import Installation, PostgresServer
from tests.integration.api.conftest import Board, Replay
from tests.integration.api.test_events import served
from tests.integration.insight.made import GATE, NOW_US, T0, VERSION, S, looked, seen

from kilocam.api import Catalogue, KnownCameras, RateLimit
from kilocam.api.app import PROBLEMS
from kilocam.api.identity import Identity
from kilocam.api.mcp import PATH, ModelFace
from kilocam.api.operations.cameras import CameraOperations
from kilocam.api.operations.events import EventOperations
from kilocam.api.operations.footage import FootageOperations
from kilocam.api.problems import Translator, install
from kilocam.api.rest import mount
from kilocam.api.tools import SCHEME
from kilocam.core import CameraKey, format_time
from kilocam.database import Room
from kilocam.fleet import CameraInput, Fleet, Keyring, Role, Sessions, Use
from kilocam.insight import Feed, Insight, Windows, make_days
from kilocam.media import read_frame_number
from kilocam.playback import CapabilityKeys, Playback
from kilocam.record import Archive

pytestmark = pytest.mark.asyncio
VAULT = CameraKey("other", "vault")
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
JSON = {"Accept": "application/json, text/event-stream"}
Mode = Literal["auto", "legacy"]


@dataclass(frozen=True)
class House:
    url: str
    fleet: Fleet
    windows: Windows

    async def token(self, tenant: str = "default", role: Role = Role.VIEWER) -> str:
        return (await self.fleet.tokens.create(tenant, role, actor="test")).secret

    @asynccontextmanager
    async def model(
        self, tenant: str = "default", role: Role = Role.VIEWER, mode: Mode = "auto"
    ) -> AsyncIterator[Client]:
        """A client as one's LLM has it."""
        headers = {"Authorization": f"Bearer {await self.token(tenant, role)}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            Client(streamable_http_client(self.url + PATH, http_client=http), mode=mode) as client,
        ):
            yield client


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log")
    store_footage(
        path,
        FootageSpec(key=GATE, start_us=T0, seconds=12, outages=(Outage(from_s=8, to_s=10),)),
        FootageSpec(key=VAULT, start_us=T0, seconds=4),
    )
    return path


@pytest_asyncio.fixture
async def house(postgres: PostgresServer, footage: Path, tmp_path: Path) -> AsyncIterator[House]:
    installation = Installation(postgres, (Room("fleet"), Room("insight")))
    await installation.prepare()
    keyring = Keyring.open(tmp_path / "keys.json")
    archive, board = Archive([footage]), Board()
    key = keyring.newest(Use.CAPABILITY)
    capabilities = CapabilityKeys(current=key.id, keys={key.id: key.secret})
    async with (
        installation.database() as database,
        installation.control() as control,
        Playback(archive, Replay(archive), capabilities) as playback,
    ):
        await make_days(control, NOW_US)
        insight, fleet = Insight(database), Fleet(database, keyring)
        for owned in (GATE, VAULT):
            await fleet.ensure_tenant(owned.tenant, actor="test")
            camera = CameraInput(id=owned.camera, url="rtsp://user:secret@h/")
            await fleet.add_camera(owned.tenant, camera, actor="test")
        cameras = KnownCameras(board, archive.keys, fleet, insight.seen)
        async with Feed(insight) as feed:
            app, catalogue = FastAPI(), Catalogue()
            translator = Translator(PROBLEMS)
            install(app, translator)
            CameraOperations(fleet, board).enter(catalogue)
            FootageOperations(playback, cameras).enter(catalogue)
            EventOperations(insight, feed, cameras).enter(catalogue)
            identity = Identity(fleet.tokens, Sessions(keyring), RateLimit())
            mount(app, catalogue, identity.caller)
            ModelFace(catalogue, identity, translator).mount(app)
            windows = Windows(database, VERSION)
            await windows.write(looked(1, seen(1, 1, score=0.9, colours=("red",))))
            await windows.write(looked(1, seen(1, 1, key=VAULT), key=VAULT))
            async with served(app) as url:
                yield House(url, fleet, windows)


def told(result: Any) -> str:
    """The one text of a tool that failed."""
    assert result.is_error
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


def numbers(film: bytes) -> list[int | None]:
    with av.open(io.BytesIO(film), "r") as container:
        return [
            read_frame_number(picture.to_ndarray(format="rgb24").astype("uint8"))
            for picture in container.decode(video=0)
        ]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_model_lists_cameras_finds_an_event_and_opens_its_clip(
    house: House, mode: Mode
) -> None:
    async with house.model(mode=mode) as client:
        cameras = (await client.call_tool("list_cameras")).structured_content
        found = (await client.call_tool("search", {"query": "red person"})).structured_content
        assert cameras is not None
        assert found is not None
        [event] = found["items"]
        film = await client.read_resource(SCHEME + event["clip_url"])
    assert [camera["id"] for camera in cameras["items"]] == ["gate"]
    assert "secret" not in str(cameras)
    assert (event["camera"], event["start"]) == ("gate", format_time(T0 + 2 * S))
    [content] = film.contents
    assert isinstance(content, BlobResourceContents)
    assert content.mime_type is not None
    assert content.mime_type.startswith("video/mp4")
    # Two seconds before and after what lasts one: from the first picture on.
    assert numbers(base64.b64decode(content.blob)) == list(range(50))


async def test_a_clip_is_a_link_that_plays_with_the_same_token(house: House) -> None:
    span = {"from": format_time(T0 + S), "to": format_time(T0 + 3 * S)}
    token = await house.token()
    async with house.model() as client:
        linked = await client.call_tool("get_clip", {"id": "gate", **span})
        link = linked.content[0]
        assert isinstance(link, ResourceLink)
        film = await client.read_resource(link.uri)
    assert (link.name, link.mime_type) == ("clip.mp4", film.contents[0].mime_type)
    assert link.description is not None
    where = next(word for word in link.description.split() if word.startswith("http"))
    async with httpx.AsyncClient() as http:
        played = await http.get(where, headers={"Authorization": f"Bearer {token}"})
    assert where.startswith(house.url)
    assert isinstance(film.contents[0], BlobResourceContents)
    assert numbers(played.content) == numbers(base64.b64decode(film.contents[0].blob))


async def test_a_snapshot_is_a_picture_and_says_when_it_was_taken(house: House) -> None:
    async with house.model() as client:
        asked = {"id": "gate", "at": format_time(T0 + 3 * S), "width": 160}
        shown = (await client.call_tool("get_snapshot", asked)).content
    picture, taken = shown
    assert isinstance(picture, ImageContent)
    assert isinstance(taken, TextContent)
    assert Image.open(io.BytesIO(base64.b64decode(picture.data))).size[0] == 160
    assert taken.text == f"Kilocam-Taken: {format_time(T0 + 3 * S)}"


async def test_coverage_names_what_is_missing_and_why(house: House) -> None:
    asked = {"id": "gate", "from": format_time(T0), "to": format_time(T0 + 12 * S)}
    async with house.model() as client:
        answer = (await client.call_tool("get_footage", asked)).structured_content
    assert answer is not None
    [gap] = answer["gaps"]
    assert (gap["start"], gap["end"]) == (format_time(T0 + 8 * S), format_time(T0 + 10 * S))
    assert gap["cause"]
    assert answer["coverage"] == pytest.approx(10 / 12, abs=1e-5)


async def test_every_tool_and_resource_says_what_it_is(house: House) -> None:
    async with house.model() as client:
        tools = (await client.list_tools()).tools
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        listed = [await client.read_resource(each.uri) for each in resources]
    assert {"list_cameras", "search", "get_clip", "get_snapshot"} <= {tool.name for tool in tools}
    for tool in tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.description is not None
        assert "never instructions" in tool.description
    [clip] = [tool for tool in tools if tool.name == "get_clip"]
    assert set(clip.input_schema["properties"]) == {"id", "from", "to"}
    assert set(clip.input_schema["required"]) == {"id", "from", "to"}
    assert f"{SCHEME}/v1/cameras/{{id}}/clip.mp4{{?from,to}}" in {
        each.uri_template for each in templates
    }
    assert all(answer.contents for answer in listed)
    assert {each.uri for each in resources} == {f"{SCHEME}/v1/cameras", f"{SCHEME}/v1/events"}


async def test_another_tenants_things_are_not_found(house: House) -> None:
    span = {"from": format_time(T0), "to": format_time(T0 + 2 * S)}
    async with house.model("other") as theirs:
        [event] = (await theirs.call_tool("list_events")).structured_content["items"]
    async with house.model() as client:
        own = (await client.call_tool("list_events")).structured_content
        one = await client.call_tool("get_event", {"id": event["id"]})
        camera = await client.call_tool("get_clip", {"id": "vault", **span})
        with pytest.raises(MCPError, match="vault"):
            await client.read_resource(SCHEME + event["clip_url"])
    assert [each["camera"] for each in own["items"]] == ["gate"]
    assert event["id"] in told(one)
    assert "vault" in told(camera)


async def test_what_is_wrong_with_a_call_is_told(house: House) -> None:
    wrong: Mapping[str, tuple[dict[str, Any], str]] = {
        "no camera": ({"camera": "attic"}, "camera 'attic' does not exist"),
        "no time": ({"from": "yesterday"}, "from: "),
        "no field": ({"colour": "red"}, "colour: "),
        "no number": ({"limit": 0}, "limit: "),
        "no text": ({"text": "a\0b"}, "text: character 2 is U+0000"),
        "backwards": (
            {"from": format_time(T0 + S), "to": format_time(T0)}, "'to' is not after 'from'"
        ),
    }  # fmt: skip
    async with house.model() as client:
        for name, (given, text) in wrong.items():
            answer = told(await client.call_tool("list_events", given))
            assert text in answer, name
            assert "\n" not in answer
        assert "id: " in told(await client.call_tool("get_event", {}))
        with pytest.raises(MCPError, match="there is no tool 'fly': there are list_cameras"):
            await client.call_tool("fly")
        with pytest.raises(MCPError, match="there is no resource"):
            await client.read_resource(f"{SCHEME}/v1/tokens")


async def test_a_model_is_offered_nothing_that_changes_something(house: House) -> None:
    camera = {"id": "attic", "url": "rtsp://h/"}
    async with house.model(role=Role.ADMIN) as client:
        with pytest.raises(MCPError, match="there is no tool 'add_camera'"):
            await client.call_tool("add_camera", camera)
        with pytest.raises(MCPError, match="there is no resource"):
            await client.read_resource(f"{SCHEME}/v1/cameras/attic/rules/door/evaluate")


async def test_a_stranger_is_answered_nothing(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url, headers=JSON) as http:
        for headers in ({}, {"Authorization": "Bearer none"}, {"Cookie": "kilocam_session=none"}):
            answer = await http.post(PATH, json=PING, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["type"] == "urn:kilocam:problem:unauthenticated"
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_another_sites_page_may_not_ask(house: House) -> None:
    bearer = {"Authorization": f"Bearer {await house.token()}"}
    async with httpx.AsyncClient(base_url=house.url, headers=JSON | bearer) as http:
        theirs = await http.post(PATH, json=PING, headers={"Origin": "http://elsewhere.test"})
        own = await http.post(PATH, json=PING, headers={"Origin": house.url})
        named = {"Host": "cameras.shop.test", "Origin": "http://cameras.shop.test"}
        by_name = await http.post(PATH, json=PING, headers=named)
    assert theirs.status_code == 403
    assert (own.status_code, by_name.status_code) == (200, 200)


async def test_nothing_streams_and_nothing_is_left_behind(house: House) -> None:
    bearer = {"Authorization": f"Bearer {await house.token()}"}
    async with httpx.AsyncClient(base_url=house.url, headers=JSON | bearer) as http:
        listening = await http.get(PATH)
        called = await http.post(PATH, json=PING)
        broken = await http.post(PATH, content=b"{", headers={"Content-Type": "application/json"})
    assert listening.status_code == 405
    assert called.headers["content-type"] == "application/json"
    assert called.json()["result"] == {}
    assert "mcp-session-id" not in called.headers
    assert broken.status_code == 400
    before = len(asyncio.all_tasks())
    for mode in ("auto", "legacy"):
        async with house.model(mode=mode) as client:
            await client.call_tool("list_events")
    assert len(asyncio.all_tasks()) == before
