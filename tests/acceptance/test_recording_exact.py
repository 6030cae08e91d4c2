"""Footage is exact: what an RTSP server of others plays from a file comes back by `kilocam export`.

The servers are gst-rtsp-server and live555. VLC's cannot be used: it sends over UDP only and
answers 461 to TCP.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.recording import EVER, process, recorder, until
from tests.acceptance.live555_film import live555_film

from kilocam.bitstream import NalKind, nal_kind
from kilocam.core import CameraKey, format_time
from kilocam.media import FileTrack, MediaFile, open_media

SECONDS = 8
# A sound that changes all the time, so that no two frames of it are the same; late by what the
# encoder puts in front: the film starts at 0, or matroskademux would shift its first pictures.
FILM = (
    "ffmpeg -v error -f lavfi -i testsrc2=size=320x240:rate=25 "
    f"-f lavfi -itsoffset 0.0213334 -i aevalsrc=0.5*sin(2*PI*(300+100*t)*t):s=48000 -t {SECONDS} "
    "-c:v libx264 -preset veryfast -bf 2 -g 50 -c:a aac -b:a 64k"
)
CAMERA = CameraKey("default", "cam0")
pytestmark = pytest.mark.timeout(300)  # the first run compiles live555


@contextmanager
def served(server: list[str], film: Path) -> Iterator[str]:
    with process([*server, str(film)], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        yield f"rtsp://127.0.0.1:{int(running.stdout.readline())}/film"


def record_and_export(server: list[str], film: Path, folder: Path) -> MediaFile:
    """The first playing of the film, recorded and exported by the real commands."""
    with served(server, film) as url, recorder(folder, [url]) as recording:

        def stored_us() -> int:
            marks = recording.archive().marks(CAMERA, *EVER)
            return marks[-1].entry.end_us - marks[0].entry.wall_us if marks else 0

        until(lambda: stored_us() >= (SECONDS - 1) * 1_000_000, 60, "the film recorded")
        marks = recording.archive().marks(CAMERA, *EVER)
        sessions = {mark.entry.session for mark in marks}
        assert len(sessions) == 1
        times = [format_time(us) for us in (marks[0].entry.wall_us, marks[-1].entry.end_us)]
        exported = folder / "out.mp4"
        # While it is recorded: the newest footage comes through the recorder's socket.
        subprocess.run(
            [sys.executable, "-m", "kilocam", "export", "--camera", "cam0", "--from", times[0],
             "--to", times[1], "-o", str(exported), "--data", str(recording.data)],
            check=True, timeout=60,
        )  # fmt: skip
    return open_media(exported)


def slices(track: FileTrack) -> list[list[bytes]]:
    kinds = (NalKind.SLICE, NalKind.IDR)
    return [[unit for unit in s.units if nal_kind(unit) in kinds] for s in track.samples]


def parameter_sets(track: FileTrack) -> set[bytes]:
    units = [unit for sample in track.samples for unit in sample.units]
    kinds = (NalKind.SPS, NalKind.PPS)
    return {unit for unit in (*track.parameter_sets, *units) if nal_kind(unit) in kinds}


def shown_us(track: FileTrack, at: int) -> float:
    return track.samples[at].pts * 1_000_000 / track.clock_rate


@pytest.fixture(scope="module", params=["gstreamer-mp4", "gstreamer-mkv", "live555-mkv"])
def films(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[MediaFile, MediaFile]:
    """The film as it is, and as it was recorded and exported."""
    folder = tmp_path_factory.mktemp("exact")
    name, suffix = request.param.split("-")
    gstreamer = ["/usr/bin/python3", str(Path(__file__).with_name("gst_film.py"))]
    server = gstreamer if name == "gstreamer" else [str(live555_film())]
    source, film = folder / "film.mp4", folder / f"film.{suffix}"
    subprocess.run([*FILM.split(), str(source)], check=True, timeout=60)
    if film != source:  # Matroska knows milliseconds only: half of what the source may be off
        copy = ["ffmpeg", "-v", "error", "-i", str(source), "-c", "copy", str(film)]
        subprocess.run(copy, check=True, timeout=60)
    return open_media(source), record_and_export(server, film, folder)


def test_every_slice_comes_back_in_order_with_the_same_parameter_sets(
    films: tuple[MediaFile, MediaFile],
) -> None:
    source, exported = films
    assert source.video is not None
    assert exported.video is not None
    count = len(exported.video.samples)
    assert count >= (SECONDS - 2) * 25
    assert slices(exported.video) == slices(source.video)[:count]
    assert parameter_sets(exported.video) == parameter_sets(source.video)
    assert any(sample.pts != sample.dts for sample in exported.video.samples)  # B-frames


def test_pictures_are_shown_within_a_millisecond_of_the_source(
    films: tuple[MediaFile, MediaFile],
) -> None:
    source, exported = films
    assert source.video is not None
    assert exported.video is not None
    for at in range(len(exported.video.samples)):
        expected = shown_us(source.video, at) - shown_us(source.video, 0)
        found = shown_us(exported.video, at) - shown_us(exported.video, 0)
        assert abs(found - expected) <= 1000, at


def test_sound_is_whole_and_within_20_ms_of_the_picture(
    films: tuple[MediaFile, MediaFile],
) -> None:
    source, exported = films
    assert source.video is not None
    assert source.audio is not None
    assert exported.video is not None
    assert exported.audio is not None
    sent = [sample.units[0] for sample in source.audio.samples]
    kept = [sample.units[0] for sample in exported.audio.samples]
    first = sent.index(kept[0])
    assert kept == sent[first : first + len(kept)]
    assert len(kept) >= (SECONDS - 2) * 48_000 // 1024
    for at in range(len(kept)):
        expected = shown_us(source.audio, first + at) - shown_us(source.video, 0)
        found = shown_us(exported.audio, at) - shown_us(exported.video, 0)
        assert abs(found - expected) <= 20_000, at
