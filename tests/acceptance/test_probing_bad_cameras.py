"""Cameras that do not work, as `kilocam probe` tells it: what, which and how to mend it."""

import asyncio
import dataclasses
import re
import socket
import subprocess
import sys

import pytest
from tests.integration.ingest.test_bad_cameras import VIDEO, Handler, answers, good, plays, server
from tests.unit.ingest.wire import P

from kilocam.rtsp import Credentials


async def probed(url: str, *options: str) -> tuple[int, str, str]:
    """Status, output and errors of `kilocam probe`, which gets the address where nobody sees it."""
    probing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kilocam", "probe", "-", *options,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, errors = await probing.communicate(url.encode())
    assert probing.returncode is not None
    assert "secret" not in out.decode() + errors.decode()
    return probing.returncode, out.decode(), errors.decode()


async def says_no(url: str) -> str:
    """The one line of a camera that cannot be probed."""
    status, out, errors = await probed(url)
    assert (status, out) == (1, "")
    assert errors.count("\n") == 1
    return errors.removeprefix("kilocam: ").strip()


@pytest.mark.asyncio
async def test_an_unknown_host() -> None:
    assert re.fullmatch(
        r"host 'no-such-host\.invalid' is unknown \(.*\); check the name in the URL and the DNS",
        await says_no("rtsp://user:secret@no-such-host.invalid/cam"),
    )


@pytest.mark.asyncio
async def test_a_camera_that_refuses_connections() -> None:
    with socket.socket() as bound:  # nobody listens
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert await says_no(f"rtsp://user:secret@127.0.0.1:{port}/cam") == (
            f"127.0.0.1:{port} refuses connections; is the camera on, and is this its RTSP port?"
        )


@pytest.mark.asyncio
async def test_a_wrong_password_and_none() -> None:
    async with server(plays(good, Credentials(user="user", password="right"))) as port:
        camera = f"camera rtsp://127.0.0.1:{port}/cam"
        assert await says_no(f"rtsp://user:secret@127.0.0.1:{port}/cam") == (
            f"{camera} refused the user or the password (401); check both in its URL"
        )
        assert await says_no(f"rtsp://127.0.0.1:{port}/cam") == (
            f"{camera} wants a user and a password; put them into its URL"
        )


@pytest.mark.asyncio
async def test_a_wrong_path() -> None:
    async with server(plays(good)) as port:
        assert await says_no(f"rtsp://user:secret@127.0.0.1:{port}/no") == (
            f"camera rtsp://127.0.0.1:{port}/no answered 404 Not Found to DESCRIBE; "
            "check the path of its URL"
        )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("handler", "what"),
    [
        (
            answers(b"\x00\xff" * 50_000),
            "the peer sent '" + 12 * r"\x00\xff" + "' where an RTSP message should begin",
        ),
        (
            answers(b"RTSP/1.0 200 OK\r\nX: " + b"a" * 500_000),
            "the peer's message header is longer than 16384 bytes (max_head)",
        ),
    ],
    ids=["garbage", "endless-header"],
)
async def test_a_server_that_sends_nonsense(handler: Handler, what: str) -> None:
    async with server(handler) as port:
        assert await says_no(f"rtsp://user:secret@127.0.0.1:{port}/cam") == (
            f"camera rtsp://127.0.0.1:{port}/cam broke the protocol: {what}; "
            "check that it is an RTSP server"
        )


@pytest.mark.asyncio
async def test_what_keeps_a_camera_from_more_than_being_recorded() -> None:
    strange = dataclasses.replace(VIDEO, codec="X-STRANGE")
    async with server(plays(lambda camera, _: camera.frame(P))) as port:
        status, keyless, _ = await probed(f"rtsp://u:secret@127.0.0.1:{port}/cam", "--seconds", "2")
        assert status == 0
    async with server(plays(lambda camera, _: camera.frame(P), media=strange)) as port:
        status, unknown, _ = await probed(f"rtsp://u:secret@127.0.0.1:{port}/cam", "--seconds", "2")
        assert status == 0
    assert (
        "    fewer than two key frames came in 2 s; all is recorded, but pictures begin at key "
        "frames only: set their distance (GOP, I-frame interval) to 1 to 4 s\n"
    ) in keyless
    assert (
        "    x-strange is recorded as it comes, but neither played nor looked at: set it to H.264\n"
    ) in unknown
