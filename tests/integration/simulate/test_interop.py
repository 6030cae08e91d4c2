"""Players that others wrote take a simulated camera for a real one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from kilocam.media import MediaFile, PatternSpec, pattern_media, read_frame_number
from kilocam.rtsp import Credentials
from kilocam.simulate import Group, SimulatedFleet, Simulator

pytestmark = pytest.mark.asyncio

WIDTH, HEIGHT = 320, 192
SPEC = PatternSpec(
    width=WIDTH, height=HEIGHT, seconds=8, bitrate_kbps=256, key_interval_s=1, sound=True
)


@pytest.fixture(scope="module")
def footage() -> MediaFile:
    return pattern_media(SPEC)


@asynccontextmanager
async def simulated(
    footage: MediaFile, credentials: Credentials | None = None
) -> AsyncIterator[Simulator]:
    fleet = SimulatedFleet(groups=[Group(source=footage, count=2)])
    async with Simulator(fleet, credentials=credentials) as running:
        yield running


async def run(*command: str) -> tuple[bytes, str]:
    """What a program prints; it must end well within 30 s."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            out, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    assert process.returncode == 0, errors.decode()
    return out, errors.decode()


async def test_ffprobe_decodes_video_and_sound_without_complaint(footage: MediaFile) -> None:
    async with simulated(footage) as simulator:
        out, errors = await run(
            *("ffprobe", "-v", "warning", "-rtsp_transport", "tcp", "-of", "json"),
            *("-count_frames", "-read_intervals", "%+3", "-show_streams", simulator.url(1)),
        )
    assert errors == ""
    video, audio = json.loads(out)["streams"]
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", WIDTH, HEIGHT)
    assert (audio["codec_name"], audio["sample_rate"]) == ("aac", "48000")
    assert int(video["nb_read_frames"]) > 30
    assert int(audio["nb_read_frames"]) > 90


async def test_ffprobe_decodes_h265_without_complaint(tmp_path: Path) -> None:
    file = tmp_path / "new.mp4"
    await run(
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=10", "-t", "4"),
        *("-c:v", "libx265", "-preset", "ultrafast", "-g", "10"),
        *("-x265-params", "log-level=none:pools=1", str(file)),
    )
    async with Simulator(SimulatedFleet(groups=[Group(source=file, count=1)])) as simulator:
        out, errors = await run(
            *("ffprobe", "-v", "warning", "-rtsp_transport", "tcp", "-of", "json"),
            *("-count_frames", "-read_intervals", "%+3", "-show_streams", simulator.url(0)),
        )
    assert errors == ""
    (video,) = json.loads(out)["streams"]
    assert (video["codec_name"], video["width"], video["height"]) == ("hevc", 320, 240)
    assert int(video["nb_read_frames"]) > 20


async def test_pictures_decoded_by_ffmpeg_carry_the_numbers_of_the_ledger(
    footage: MediaFile,
) -> None:
    async with simulated(footage) as simulator:
        out, errors = await run(
            *("ffmpeg", "-v", "warning", "-rtsp_transport", "tcp", "-i", simulator.url(1)),
            *(
                "-an",
                "-frames:v",
                "40",
                "-fps_mode",
                "passthrough",
                "-f",
                "rawvideo",
                "-pix_fmt",
                "gray",
                "-",
            ),
        )
        ledger, (record,) = simulator.ledger, simulator.ledger.connections(1)
    assert errors == ""
    pictures = np.frombuffer(out, np.uint8).reshape(-1, HEIGHT, WIDTH)
    numbers = [read_frame_number(picture) for picture in pictures]
    content = ledger.content(1)
    first = content.blocks[record.first % len(content.blocks)].picture
    assert numbers == [(first + at) % content.pictures for at in range(40)]
    for block, number in enumerate(numbers, record.first):
        on_air = ledger.picture_at(1, record.sent_us(content, block) + 1_000)
        assert on_air is not None
        assert on_air.picture == number
        assert ledger.picture_us(1, on_air.picture, near_us=on_air.taken_us) == on_air.taken_us


async def test_gstreamer_plays_video_and_sound(footage: MediaFile) -> None:
    credentials = Credentials(user="operator", password="secret")
    async with simulated(footage, credentials) as simulator:
        source = f"location={simulator.url(0)}"
        _, errors = await run(
            *("gst-launch-1.0", "-q", "rtspsrc", "name=source", source, "protocols=tcp"),
            *("user-id=operator", "user-pw=secret"),
            *("source.", "!", "rtph264depay", "!", "identity", "eos-after=40", "!", "decodebin"),
            *("!", "fakesink", "source.", "!", "rtpmp4gdepay", "!", "identity", "eos-after=100"),
            *("!", "decodebin", "!", "fakesink"),
        )
        assert simulator.ledger.connections(0)[0].written.block > 0
    # Elements may complain of nothing; GLib may, of a race of its own while rtspsrc is torn down.
    assert "from element" not in errors
