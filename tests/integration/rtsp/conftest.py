"""Real footage, our server on a socket, and a gst-rtsp-server."""

import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.rtsp.servers import Footage, GstServer, SocketServer

from kilocam.rtsp import Credentials, Description, SdpMedia, ServerQuirk, build_sdp

_ENCODE = (
    "ffmpeg -v error -f lavfi -i testsrc=size=320x240:rate=10 -t 2 -c:v libx264 -preset ultrafast "
    "-tune zerolatency -g 10 -x264-params slices=1 -f h264 -"
)


@pytest.fixture(scope="session")
def footage() -> Footage:
    stream = subprocess.run(_ENCODE.split(), check=True, capture_output=True, timeout=60).stdout
    nals = [nal.strip(b"\0") for nal in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")]
    units: list[list[bytes]] = [[]]
    for nal in filter(None, nals):
        units[-1].append(nal)
        if nal[0] & 31 in (1, 5):
            units.append([])
    sets = ",".join(b64encode(nal).decode() for nal in units[0] if nal[0] & 31 in (7, 8))
    medium = SdpMedia(
        media="video",
        payload_type=96,
        codec="h264",
        clock_rate=90_000,
        fmtp=f"packetization-mode=1;sprop-parameter-sets={sets}",
        control="track0",
    )
    return Footage(units[:-1], Description(sdp=build_sdp([medium]), controls=("track0",)))


@pytest.fixture
def serve(footage: Footage) -> Iterator[Callable[..., SocketServer]]:
    servers: list[SocketServer] = []

    def start(
        credentials: Credentials | None = None,
        *,
        digest: bool = True,
        quirks: frozenset[ServerQuirk] = frozenset(),
    ) -> SocketServer:
        servers.append(SocketServer(footage, credentials, digest, quirks))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def gst_server(request: pytest.FixtureRequest) -> Iterator[GstServer]:
    """Parametrised indirectly with `none`, `basic`, `digest` or `h265`, which needs no password."""
    script = Path(__file__).with_name("gst_server.py")
    with subprocess.Popen(
        ["/usr/bin/python3", str(script), request.param], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield GstServer(int(process.stdout.readline()))
        finally:
            process.terminate()
            process.wait(10)
