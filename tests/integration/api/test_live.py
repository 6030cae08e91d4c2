"""Live pictures over a real WebSocket."""

import asyncio
import json
from typing import Any

import pytest
from tests.integration.api.conftest import Served
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kilocam.api.identity import COOKIE
from kilocam.fleet import Role

pytestmark = pytest.mark.asyncio


def watch(served: Served, camera: str = "gate", **headers: str) -> Any:  # connect's own type
    given = {"Cookie": f"{COOKIE}={served.house.cookie()}"} | headers
    return connect(served.live(camera), additional_headers=given, compression=None)


async def told(socket: ClientConnection) -> dict[str, object]:
    """The problem, when it is the next message."""
    message = await asyncio.wait_for(socket.recv(), 10)
    assert isinstance(message, str)
    problem: dict[str, object] = json.loads(message)
    return problem


async def to_the_end(socket: ClientConnection) -> None:
    async with asyncio.timeout(10):
        async for _ in socket:
            pass


async def closed(socket: ClientConnection) -> int:
    async with asyncio.timeout(10):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


async def test_the_mime_type_comes_first_then_media(served: Served) -> None:
    async with watch(served) as socket:
        first = json.loads(await socket.recv())
        assert first["mime"].startswith('video/mp4; codecs="avc1.')
        init, media = await socket.recv(), await socket.recv()
    assert init[4:8] == b"ftyp"
    assert b"moof" in media


async def test_one_follower_serves_all_viewers_and_ends_with_the_last(served: Served) -> None:
    async with watch(served) as one, watch(served) as other:
        assert json.loads(await one.recv()) == json.loads(await other.recv())
        assert served.house.replay.followers == 1
    async with asyncio.timeout(10):
        while served.house.replay.followers:
            await asyncio.sleep(0.01)


async def test_a_stranger_is_told_to_sign_in(served: Served) -> None:
    async with watch(served, Cookie="") as socket:
        assert (await told(socket))["status"] == 401
        assert await closed(socket) == 4401


async def test_signing_out_ends_what_is_being_watched(served: Served) -> None:
    session = served.house.cookie()
    async with watch(served, Cookie=f"{COOKIE}={session}") as socket, watch(served) as neighbour:
        await socket.recv()
        served.house.sessions.end(served.house.sessions.verify(session))
        with pytest.raises(ConnectionClosed, match="was ended: sign in again"):
            await to_the_end(socket)
        assert socket.close_code == 4401
        assert "mime" in json.loads(await neighbour.recv())
        assert neighbour.close_code is None


async def test_another_sites_page_may_not_use_the_cookie(served: Served) -> None:
    async with watch(served, Origin="https://evil.example") as socket:
        assert (await told(socket))["status"] == 403
        assert await closed(socket) == 4403


async def test_the_pages_own_origin_may(served: Served) -> None:
    async with watch(served, Origin=served.url) as socket:
        assert "mime" in json.loads(await socket.recv())


async def test_a_camera_of_another_tenant_is_not_there(served: Served) -> None:
    async with watch(served, "vault") as socket:
        assert (await told(socket))["type"] == "urn:kilocam:problem:unavailable"
        assert await closed(socket) == 4503


async def test_the_end_of_the_recorder_is_told(served: Served) -> None:
    async with watch(served) as socket:
        await socket.recv()
        served.house.replay.over.set()
        async with asyncio.timeout(10):
            async for _ in socket:  # ends with the connection
                pass
        assert socket.close_code == 1000


async def test_what_a_viewer_says_is_ignored(served: Served) -> None:
    async with watch(served) as socket:
        for _ in range(50):
            await socket.send("hello")
        assert "mime" in json.loads(await socket.recv())


async def test_viewers_are_released_when_the_gateway_stops(served: Served) -> None:
    async with watch(served) as socket:
        await socket.recv()
        served.server.should_exit = True
        assert await closed(socket) == 1012
    async with asyncio.timeout(10):
        while served.house.replay.followers:
            await asyncio.sleep(0.01)


async def test_a_viewer_needs_no_more_than_to_look(served: Served) -> None:
    cookie = served.house.cookie(role=Role.VIEWER)
    async with watch(served, Cookie=f"{COOKIE}={cookie}") as socket:
        assert "mime" in json.loads(await socket.recv())
