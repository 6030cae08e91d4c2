"""What holds for any operation as a tool: role, size, errors, how many at once, the end."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import Field

from kilocam.api.catalogue import Binary, Caller, Catalogue, Model, Nothing, Operation
from kilocam.api.identity import COOKIE, Identity
from kilocam.api.limits import BodyLimit, RateLimit
from kilocam.api.mcp import EXCHANGE_S, PATH, ModelFace
from kilocam.api.problems import Problem, Translator, install
from kilocam.api.tools import FILE_BYTES, PICTURE_BYTES, SCHEME, TEXT_BYTES
from kilocam.fleet import SYSTEM, Keyring, Principal, Role, Sessions

pytestmark = pytest.mark.asyncio


class Echo(Model):
    """What to say, and how often."""

    id: str
    word: Annotated[str, Field(alias="from")] = "a"
    times: int = 1
    note: str | None = None


class Echoed(Model):
    said: str
    tenant: str


class Face:
    """A gateway of a few made operations."""

    def __init__(
        self, folder: Path, *, exchanges: int = 32, burst: int = 400, within_s: float = EXCHANGE_S
    ) -> None:
        self.catalogue = Catalogue()
        self.released = 0
        self.films: list[AsyncIterator[bytes]] = []
        self.waiting = asyncio.Event()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self._sessions = Sessions(Keyring.open(folder / "keys.json"))
        self._exchanges, self._burst, self._within_s = exchanges, burst, within_s
        self.add("echo", "/v1/echo/{id}", Echo, Echoed, self.echo)
        self.add("command", "/v1/command", Nothing, Echoed, self.fail, needs=Role.OPERATOR)
        self.add("fail", "/v1/fail", Nothing, Echoed, self.fail)
        self.add("wait", "/v1/wait", Nothing, Echoed, self.wait)
        self.add("hidden", "/v1/hidden", Nothing, Echoed, self.fail, tool=False)
        self.add("film", "/v1/film/{id}.mp4", Echo, Binary, self.film, media_type="video/mp4")
        self.add("picture", "/v1/picture/{id}", Echo, Binary, self.picture, media_type="image/jpeg")

    def add(
        self, name: str, path: str, takes: Any, gives: Any, call: Callable[..., Any],
        needs: Role = Role.VIEWER, *, tool: bool = True, media_type: str = "application/json",
    ) -> None:  # fmt: skip
        self.catalogue.add(Operation(
            name=name, summary=f"Does {name}.", method="GET", path=path, needs=needs, takes=takes,
            gives=gives, call=call, tool=tool, media_type=media_type,
        ))  # fmt: skip

    async def echo(self, caller: Caller, given: Echo) -> Echoed:
        return Echoed(said=f"{given.id} " + given.word * given.times, tenant=caller.tenant)

    async def fail(self, _caller: Caller, _given: Nothing) -> Echoed:
        raise RuntimeError("the secret is 42")

    async def wait(self, caller: Caller, _given: Nothing) -> Echoed:
        self.begun.set()
        try:
            await self.waiting.wait()
        finally:
            self.ended.set()
        return Echoed(said="", tenant=caller.tenant)

    async def film(self, _caller: Caller, given: Echo) -> Binary:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                for _ in range(given.times):
                    if given.word == "bad":
                        raise Problem(404, "no-footage", "nothing is recorded")
                    yield b"x" * (1 << 20)
            finally:
                self.released += 1

        self.films.append(chunks())  # kept, or whoever forgets one would be helped by the collector
        return Binary(content_type="video/mp4; codecs=avc1", body=self.films[-1])

    async def picture(self, _caller: Caller, given: Echo) -> Binary:
        body = b"j" * given.times
        return Binary(content_type="image/jpeg", body=body, headers={"Kilocam-Taken": "now"})

    def client(self, tenant: str = "default", role: Role = Role.VIEWER) -> httpx.AsyncClient:
        app = FastAPI()
        translator = Translator({})
        install(app, translator)
        app.add_middleware(BodyLimit, limit=1 << 16)
        identity = Identity(
            None,  # type: ignore[arg-type]  # nobody comes with a token
            self._sessions,
            RateLimit(per_s=0.1, burst=self._burst),
        )
        ModelFace(
            self.catalogue, identity, translator, exchanges=self._exchanges, within_s=self._within_s
        ).mount(app)
        who = Principal(tenant=tenant, role=role, subject="user/test")
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://kilocam.test",
            cookies={COOKIE: self._sessions.issue(who)},
            headers={
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2025-06-18",
            },
        )


async def ask(client: httpx.AsyncClient, method: str, **params: Any) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = await client.post(PATH, json=message)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def call(client: httpx.AsyncClient, tool: str, **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = (await ask(client, "tools/call", name=tool, arguments=arguments))[
        "result"
    ]
    return result


async def test_a_tool_is_its_operation_with_the_callers_tenant(tmp_path: Path) -> None:
    async with Face(tmp_path).client("shop") as client:
        listed = (await ask(client, "tools/list"))["result"]["tools"]
        done = await call(client, "echo", id="a", **{"from": "bc"})
    assert [tool["name"] for tool in listed] == [
        "echo", "command", "fail", "wait", "film", "picture"
    ]  # fmt: skip
    assert set(listed[0]["inputSchema"]["properties"]) == {"id", "from", "times", "note"}
    assert set(listed[0]["outputSchema"]["properties"]) == {"said", "tenant"}
    assert "outputSchema" not in listed[4]
    assert done["structuredContent"] == {"said": "a bc", "tenant": "shop"}
    assert done["content"][0]["text"] == '{"said":"a bc","tenant":"shop"}'
    assert not done.get("isError")


async def test_the_role_and_the_tenant_are_asked_for_as_by_rest(tmp_path: Path) -> None:
    face = Face(tmp_path)
    async with face.client() as viewer, face.client(role=Role.OPERATOR) as operator:
        refused = await call(viewer, "command")
        done = await call(operator, "command")
        hidden = await ask(operator, "tools/call", name="hidden")
    async with face.client(SYSTEM, Role.ADMIN) as system:
        system.params = {"tenant": SYSTEM}  # of those whose tokens are for all tenants
        nowhere = await call(system, "echo", id="a")
    assert refused["isError"]
    assert "command needs the role operator" in refused["content"][0]["text"]
    assert "internal error" in done["content"][0]["text"]  # it came through, and failed
    assert "there is no tool 'hidden'" in hidden["error"]["message"]
    assert "does not work in tenant" in nowhere["content"][0]["text"]


async def test_an_error_nobody_foresaw_tells_nothing_of_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Face(tmp_path).client() as client:
        failed = await call(client, "fail")
        read = await ask(client, "resources/read", uri=f"{SCHEME}/v1/fail")
    assert failed["content"][0]["text"] == "internal error; see the server's log"
    assert read["error"]["message"] == "internal error; see the server's log"
    assert read["error"]["data"]["type"] == "urn:kilocam:problem:internal"
    assert "the secret is 42" in caplog.text


async def test_too_much_is_refused_not_sent(tmp_path: Path) -> None:
    face = Face(tmp_path)
    megabytes = FILE_BYTES >> 20
    async with face.client() as client:
        enough = await call(client, "echo", id="a", times=TEXT_BYTES - 100)
        text = await call(client, "echo", id="a", times=TEXT_BYTES)
        picture = await call(client, "picture", id="a", times=PICTURE_BYTES + 1)
        film = [
            await ask(client, "resources/read", uri=f"{SCHEME}/v1/film/a.mp4?times={many}")
            for many in (megabytes, megabytes + 1)
        ]
    assert not enough.get("isError")
    for answer in (text, picture):
        assert answer["isError"]
        assert "the answer is larger than" in answer["content"][0]["text"]
    [content] = film[0]["result"]["contents"]
    assert len(base64.b64decode(content["blob"])) == FILE_BYTES
    assert "the answer is larger than 4096 KiB" in film[1]["error"]["message"]
    assert face.released == 2


async def test_a_film_is_a_link_that_is_known_to_play(tmp_path: Path) -> None:
    face = Face(tmp_path)
    async with face.client() as client:
        good = await call(client, "film", id="a/b", times=9, note=None, **{"from": "1+1"})
        bad = await call(client, "film", id="a", **{"from": "bad"})
    link = good["content"][0]
    assert link["type"] == "resource_link"
    assert link["uri"] == f"{SCHEME}/v1/film/a%2Fb.mp4?times=9&from=1%2B1"
    assert "http://kilocam.test/v1/film/a%2Fb.mp4?times=9&from=1%2B1 " in link["description"]
    assert (bad["isError"], bad["content"][0]["text"]) == (True, "nothing is recorded")
    assert face.released == 2  # nothing goes on being made


async def test_links_are_read_with_what_they_carry(tmp_path: Path) -> None:
    async with Face(tmp_path).client() as client:
        read = await ask(client, "resources/read", uri=f"{SCHEME}/v1/echo/a%2Fb?from=1%2B1&times=2")
        wrong = await ask(client, "resources/read", uri=f"{SCHEME}/v1/echo/a?often=2")
        bare = await ask(client, "resources/read", uri="/v1/echo/a")
        other = await ask(client, "resources/read", uri="file:///v1/echo/a")
    assert '"said":"a/b 1+11+1"' in read["result"]["contents"][0]["text"]
    assert '"said":"a a"' in bare["result"]["contents"][0]["text"]
    assert wrong["error"]["message"].startswith("often: ")
    assert "there is no resource 'file:///v1/echo/a'" in other["error"]["message"]


async def test_only_so_many_are_answered_at_once(tmp_path: Path) -> None:
    face = Face(tmp_path, exchanges=1)
    async with face.client() as client:
        waiting = asyncio.create_task(call(client, "wait"))
        await face.begun.wait()
        refused = await client.post(PATH, json={})
        face.waiting.set()
        await waiting
        again = await call(client, "echo", id="a")
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert not again.get("isError")


async def test_an_answer_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    face = Face(tmp_path, within_s=0.2)
    async with face.client() as client:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "wait"}}
        late = await client.post(PATH, json=message)
    assert late.status_code == 503
    assert "no answer within 0.2 s" in late.json()["detail"]
    assert face.ended.is_set()  # what was asked for does not go on


async def test_limits_hold_as_everywhere(tmp_path: Path) -> None:
    async with Face(tmp_path, burst=2).client() as client:

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b" " * (1 << 15)

        large = await client.post(PATH, content=endless())
        await call(client, "echo", id="a")
        often = await client.post(PATH, json={})
    assert large.status_code == 413
    assert large.json()["type"] == "urn:kilocam:problem:too-large"
    assert often.status_code == 429
    assert often.headers["retry-after"]
