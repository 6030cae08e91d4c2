"""The standalone script reads a file of ours without a line of ours."""

import base64
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes.pieces import GATE, START_US
from tests.integration.record.conftest import OpenLog

from kilocam.core import Piece, PieceFlag, Session, Track
from kilocam.media import PatternSpec, pattern_media
from kilocam.record import log_files
from kilocam.rtsp import frame
from kilocam.rtsp.packetize import packetize_aac, packetize_h264

SCRIPT = Path(__file__).parents[3] / "tools" / "kcw2mp4.py"
MEDIA = pattern_media(PatternSpec(seconds=4, sound=True))


@pytest.fixture
def file(tmp_path: Path, open_log: OpenLog) -> Path:
    """A sealed file of a camera with pictures and sound."""
    assert MEDIA.video is not None
    assert MEDIA.audio is not None
    sets = ",".join(base64.b64encode(x).decode() for x in MEDIA.video.parameter_sets)
    tracks = (
        Track(
            index=0, media="video", codec="h264", payload_type=96, clock_rate=90000, channels=0,
            rtp_channel=0, rtcp_channel=1, fmtp=f"packetization-mode=1;sprop-parameter-sets={sets}",
        ),
        Track(
            index=1, media="audio", codec="mpeg4-generic", payload_type=97,
            clock_rate=MEDIA.audio.clock_rate, channels=MEDIA.audio.channels,
            rtp_channel=2, rtcp_channel=3, fmtp=f"mode=AAC-hbr;config={MEDIA.audio.config.hex()}",
        ),
    )  # fmt: skip
    writer = open_log()
    writer.open_session(
        Session(
            tenant=GATE.tenant,
            camera=GATE.camera,
            session=1,
            epoch=writer.epoch,
            started_us=START_US,
            source="rtsp://x",
            sdp=b"",
            tracks=tracks,
        )
    )
    for at, payload in payloads():
        writer.append(
            Piece(
                tenant=GATE.tenant,
                camera=GATE.camera,
                session=1,
                wall_us=START_US + at,
                duration_us=500_000,
                media_ts=0,
                key_offset=-1,
                key_us=0,
                flags=PieceFlag.NONE,
                packets=1,
                frames=1,
                complexity=0.0,
                sampled=0,
                payload=payload,
            )
        )
    writer.close()
    return log_files([tmp_path / "log"])[0]


def payloads() -> list[tuple[int, bytes]]:
    """Half seconds of both tracks as a camera sends them."""
    found: dict[int, bytes] = {}
    sequence = 0
    for channel, track in ((0, MEDIA.video), (2, MEDIA.audio)):
        assert track is not None
        for sample in track.samples:
            pack = packetize_h264(sample.units) if channel == 0 else packetize_aac(sample.units[0])
            half = sample.pts * 2 // track.clock_rate
            for number, body in enumerate(pack):
                marker = 0x80 if number == len(pack) - 1 else 0
                sequence = (sequence + 1) & 0xFFFF
                head = struct.pack(
                    ">BBHII", 0x80, 96 + channel // 2 | marker, sequence, sample.pts, 7
                )
                found[half] = found.get(half, b"") + frame(channel, head + body)
    return [(half * 500_000, found[half]) for half in sorted(found)]


def run(*arguments: str | Path, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path},
    )


def probed(file: Path, stream: str) -> tuple[str, int]:
    found = subprocess.run(
        f"ffprobe -v error -count_frames -select_streams {stream} -of json "
        f"-show_entries stream=codec_name,nb_read_frames {file}".split(),
        capture_output=True,
        check=True,
    )
    [entry] = json.loads(found.stdout)["streams"]
    assert not found.stderr
    return entry["codec_name"], int(entry["nb_read_frames"])


def test_a_file_becomes_an_mp4_with_every_picture_and_sound(file: Path, tmp_path: Path) -> None:
    assert MEDIA.video is not None
    assert MEDIA.audio is not None
    out = tmp_path / "gate.mp4"
    done = run(file, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"default/gate: wrote {out}\n"
    assert probed(out, "v:0") == ("h264", len(MEDIA.video.samples))
    codec, frames = probed(out, "a:0")
    assert codec == "aac"
    assert abs(frames - len(MEDIA.audio.samples)) <= 1  # a decoder's first frame is its delay


def test_without_ffmpeg_it_leaves_streams_that_players_open(file: Path, tmp_path: Path) -> None:
    assert MEDIA.video is not None
    done = run(file, "--camera", "default/gate", "-o", tmp_path / "gate.mp4", path="/nonexistent")
    assert done.returncode == 0
    assert probed(tmp_path / "gate.h264", "v:0") == ("h264", len(MEDIA.video.samples))
    assert probed(tmp_path / "gate.aac", "a:0")[0] == "aac"


def test_a_torn_file_gives_what_is_whole(file: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.kcw"
    shutil.copy(file, torn)
    os.truncate(torn, torn.stat().st_size // 2)
    assert run(torn, "-o", tmp_path / "torn.mp4").returncode == 0
    assert probed(tmp_path / "torn.mp4", "v:0")[1] > 5


def test_a_camera_that_is_not_there_is_one_line(file: Path) -> None:
    done = run(file, "--camera", "default/roof")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{file}: no footage of default/roof; has: ['default/gate']\n"
