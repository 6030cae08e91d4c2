"""Players that others wrote take a simulated camera for a real one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.fakes.sounds import Codec, film_with_sound, pitch

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


async def run(*command: str, within_s: float = 30) -> tuple[bytes, str]:
    """What a program prints; it must end well, and in time."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(within_s):
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


SOUNDS: list[tuple[Codec, int, str, str]] = [
    ("pcmu", 8_000, "pcm_mulaw", "rtppcmudepay"),
    ("pcma", 8_000, "pcm_alaw", "rtppcmadepay"),
    ("opus", 48_000, "opus", "rtpopusdepay"),
]


@pytest.mark.parametrize(("codec", "rate", "name", "_depay"), SOUNDS)
async def test_ffmpeg_hears_g711_and_opus_without_complaint(
    tmp_path: Path, codec: Codec, rate: int, name: str, _depay: str
) -> None:
    file = film_with_sound(tmp_path / "street.mov" if codec != "opus" else tmp_path / "street.mp4",
                           codec, rate)  # fmt: skip
    async with Simulator(SimulatedFleet(groups=[Group(source=file, count=1)])) as simulator:
        told, errors = await run(
            *("ffprobe", "-v", "warning", "-rtsp_transport", "tcp", "-of", "json"),
            *("-show_streams", simulator.url(0)),
        )
        assert errors == ""
        out, errors = await run(
            *("ffmpeg", "-v", "warning", "-rtsp_transport", "tcp", "-i", simulator.url(0)),
            *("-map", "0:a", "-t", "4", "-ac", "1", "-ar", "16000", "-f", "f32le", "-"),
        )
    assert errors == ""
    video, audio = json.loads(told)["streams"]
    assert video["codec_name"] == "h264"
    assert (audio["codec_name"], audio["sample_rate"]) == (name, str(rate))
    heard = np.frombuffer(out, np.float32)
    assert len(heard) >= 3.8 * 16_000
    # The loop is half silence, half tone, and playing begins anywhere in it.
    loud = np.abs(heard) > 0.2
    assert 0.25 < loud.mean() < 0.45
    edges = np.flatnonzero(np.diff(np.convolve(loud, np.ones(160), "same") > 0))
    begins = edges[0] if loud[: edges[0]].mean() < 0.5 else edges[1]
    assert abs(pitch(heard[begins + 800 : begins + 16_000]) - 1000) < 5


@pytest.mark.parametrize(("codec", "rate", "_name", "depay"), SOUNDS)
async def test_gstreamer_hears_g711_and_opus(
    tmp_path: Path, codec: Codec, rate: int, _name: str, depay: str
) -> None:
    file = film_with_sound(tmp_path / "street.mov" if codec != "opus" else tmp_path / "street.mp4",
                           codec, rate)  # fmt: skip
    async with Simulator(SimulatedFleet(groups=[Group(source=file, count=1)])) as simulator:
        command = (
            *("gst-launch-1.0", "-q", "rtspsrc", "name=source"),
            *(f"location={simulator.url(0)}", "protocols=tcp", "source."),
            *("!", "application/x-rtp,media=audio", "!", depay, "!", "decodebin", "!"),
            *("identity", "eos-after=100", "!", "fakesink"),
            # Else the first packet of the picture may find nobody, which ends it.
            *("source.", "!", "application/x-rtp,media=video", "!", "fakesink"),
        )
        try:
            _, errors = await run(*command, within_s=12)
        except TimeoutError:  # one in thirty hangs while it links, whatever it is sent
            _, errors = await run(*command)
    assert "from element" not in errors


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
