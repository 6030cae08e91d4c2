"""A language model's client, the official one, at a whole Kilocam."""

import asyncio
import base64
import io
from dataclasses import dataclass
from typing import Any

import av
import httpx
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import BlobResourceContents
from tests.acceptance.conftest import House
from tests.acceptance.test_page import numbers_near, see

from kilocam.core import format_time
from kilocam.media import read_frame_number

S = 1_000_000


@dataclass
class Answers:
    """What the client was told, one after the other."""

    cameras: dict[str, Any]
    found: dict[str, Any]
    footage: dict[str, Any]
    film: bytes


def viewer(house: House) -> str:
    """A token that may look, and no more."""
    made = httpx.post(
        f"{house.url}/v1/tokens", json={"role": "viewer", "name": "model"},
        headers={"Authorization": f"Bearer {house.token}"},
    )  # fmt: skip
    token: str = made.raise_for_status().json()["token"]
    return token


async def ask(house: House, token: str) -> Answers:
    start_us = house.hour.truth.spec.start_us
    span = {"from": format_time(start_us), "to": format_time(start_us + 3600 * S)}
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
        Client(streamable_http_client(f"{house.url}/mcp", http_client=http)) as client,
    ):
        cameras = await client.call_tool("list_cameras")
        found = await client.call_tool("search", {"query": "truck at hour"})
        footage = await client.call_tool("get_footage", {"id": "hour", **span})
        [event] = (found.structured_content or {})["items"]
        [film] = (await client.read_resource(f"kilocam://{event['clip_url']}")).contents
        with pytest.raises(MCPError, match="there is no tool 'remove_camera'"):
            await client.call_tool("remove_camera", {"id": "cam-0"})
    assert isinstance(film, BlobResourceContents)
    return Answers(
        cameras.structured_content or {}, found.structured_content or {},
        footage.structured_content or {}, base64.b64decode(film.blob),
    )  # fmt: skip


def test_a_model_lists_cameras_finds_an_event_and_opens_its_clip(house: House) -> None:
    at_us = house.hour.truth.spec.start_us + 60 * S
    see(house, "truck", at_us)
    told = asyncio.run(ask(house, viewer(house)))
    listed = {camera["id"] for camera in told.cameras["items"]}
    assert listed == {"cam-0", "cam-1", "cam-2", "cam-3", "refused"}
    assert told.found["items"][0]["start"] == format_time(at_us + S)
    assert len(told.footage["gaps"]) >= 2  # the camera was away twice
    assert all(gap["cause"] for gap in told.footage["gaps"])
    with av.open(io.BytesIO(told.film), "r") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24").astype("uint8")
    assert read_frame_number(picture) in numbers_near(house, at_us, 4 * S)


def test_whoever_brings_no_token_is_told_nothing(house: House) -> None:
    answer = httpx.post(f"{house.url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:kilocam:problem:unauthenticated"
