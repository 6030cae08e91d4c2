"""What stands in the way of recording gets one line: what, which, how to mend it; nothing breaks.

Cameras that do not work are in test_probing_bad_cameras.py, and what they do to others in
tests/integration/ingest/test_bad_cameras.py.
"""

import asyncio
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from bench.recording import EVER, Recording, cameras, recorder, stop, until
from tests.fakes.postgres import open_directory
from tests.integration.ingest.test_bad_cameras import plays, server
from tests.unit.ingest.wire import Camera, P

from kilocam.core import CameraKey, GapCause, SystemClock, now_us
from kilocam.ingest import CameraSpec, Ingest, TcpDialler
from kilocam.media import PatternSpec
from kilocam.record import Archive, FileOk, LogWriter, Position, log_files, replay, verify_files
from kilocam.record.names import FileName
from kilocam.rtsp import SdpMedia
from kilocam.simulate import Group


def refused(
    *arguments: object, wrapper: Sequence[str] = (), environment: dict[str, str] | None = None
) -> str:
    """What `kilocam up` says when it does not start: one line on standard error, status 2."""
    argv = [*wrapper, sys.executable, "-m", "kilocam", "up", "--roles", "recorder"]
    done = subprocess.run(
        [*argv, "--http", "127.0.0.1:0", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | (environment or {}),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("kilocam: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("kilocam: ").strip()


def configured(folder: Path, text: str) -> Path:
    file = folder / "kilocam.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[storage]\nkep = '7d'\n",
            "unknown key 'storage.kep'; did you mean 'keep'?",
        ),
        (
            "[storage]\nkeep = 7\n",
            "storage.keep: write it as text in quotes, with a unit",
        ),
        (
            "[[camera]]\nid = 'Gate'\nurl = 'rtsp://h/'\n",
            "camera.0.id: camera id 'Gate' is not valid: use 1 to 63 of a-z, 0-9, '-' and '_', "
            "starting with a letter or digit",
        ),
        ("[[camera]]\nid = 'gate'\n", "camera.0.url is missing"),
        ("[storage\n", " is not valid TOML: "),
    ],
    ids=["wrong-key", "wrong-type", "wrong-id", "missing-url", "no-toml"],
)
def test_a_wrong_configuration(tmp_path: Path, text: str, line: str) -> None:
    file = configured(tmp_path, text)
    said = refused("--config", file, "--data", tmp_path / "data")
    assert said.startswith(f"configuration {file}")
    assert line in said
    assert not (tmp_path / "data").exists()


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    assert refused("--config", tmp_path / "none.toml", "--data", tmp_path) == (
        f"configuration {tmp_path}/none.toml: No such file or directory; "
        "check the path and its permissions"
    )


def test_a_wrong_setting_in_the_environment(tmp_path: Path) -> None:
    said = refused("--data", tmp_path / "d", environment={"KILOCAM_STORAGE__MAX_SIZE": "lots"})
    assert "storage.max_size: size 'lots' is not valid: write it as 500MB or 2TiB" in said


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert refused("--http", address, "--data", tmp_path / "data") == (
            f"http address {address}: Address already in use; "
            "stop the program that uses it or choose another with --http"
        )


def no_privileges() -> list[str]:
    """A command before a command, so that permissions count for root too."""
    if os.geteuid():
        return []
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def test_a_read_only_data_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o500)
    assert refused("--data", data, wrapper=no_privileges()) == (
        f"data directory {data}: Permission denied; "
        "make it writable for this user or choose another with --data"
    )
    assert list(data.iterdir()) == []


EVERYTHING = ("--roles", "recorder,control,analyst,api")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the database as another user")
def test_a_parent_that_the_databases_user_cannot_enter() -> None:
    with open_directory() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        said = refused("--data", closed / "data", *EVERYTHING)
        assert re.fullmatch(
            r"Postgres refuses to run as root and its user '\w+' cannot enter "
            rf"{closed} \(above {closed}/data\): run `chmod o\+x {closed}`, choose another place "
            r"\(--data\), or start Kilocam as an ordinary user",
            said,
        )
        assert not (closed / "data" / "postgres").exists()
        assert not (closed / "data" / "footage").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the database as another user")
def test_a_parent_closed_to_the_database_does_not_stop_one_that_has_footage() -> None:
    now = now_us()
    name = FileName(created_us=now, recorder="recorder-0", keep_s=604_800, first_us=now,
                    last_us=now, sealed=True)  # fmt: skip
    with open_directory() as folder:
        data = folder / "closed" / "data"
        (data / "footage").mkdir(parents=True)
        (data.parent).chmod(0o700)
        (data / "footage" / str(name)).touch()
        argv = [sys.executable, "-m", "kilocam", "up", "--data", str(data), "--http", "127.0.0.1:0"]
        running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            recording = Recording(running, data)
            until(lambda: recording.figure("cameras") == 0, 60, "a recorder at work")
        finally:
            stop(running)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 300)
    assert refused("--data", data) == (
        f"data directory {data}: File name too long; choose a shorter one with --data"
    )


def test_a_data_directory_that_became_read_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "run").mkdir(parents=True)
    (data / "assignments").mkdir()
    (data / "version").write_text("1\n")
    data.chmod(0o500)
    assert refused("--data", data, wrapper=no_privileges()) == (
        f"data directory {data} is read-only; "
        "make it writable for this user or choose another with --data"
    )


def test_a_data_directory_of_a_newer_version(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("99\n")
    assert refused("--data", tmp_path) == (
        f"data directory {tmp_path} has version 99, this Kilocam knows 1; "
        "upgrade Kilocam or choose another directory with --data"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["version"]


def test_footage_of_a_newer_version(tmp_path: Path) -> None:
    footage = tmp_path / "data" / "footage"
    footage.mkdir(parents=True)
    (footage / "log-version").write_text("99\n")
    said = refused("--data", tmp_path / "data")
    assert said.startswith(f"storage path {footage}: ")
    assert "99" in said
    assert [file.name for file in footage.iterdir()] == ["log-version"]


def test_a_storage_path_that_is_a_file(tmp_path: Path) -> None:
    taken = tmp_path / "footage"
    taken.write_text("mine")
    file = configured(tmp_path, f"[storage]\npath = '{taken}'\n")
    assert refused("--config", file, "--data", tmp_path / "data") == (
        f"storage path {taken}: it or a parent is a file, not a directory; "
        "move the file away or set storage.path to a directory"
    )
    assert taken.read_text() == "mine"


def test_too_few_file_handles(tmp_path: Path) -> None:
    said = refused("--data", tmp_path / "data", wrapper=["prlimit", "--nofile=100:100"])
    assert said == (
        "200 open files are needed, the system allows 100; "
        "raise the hard limit (ulimit -Hn 200, or LimitNOFILE= of the service)"
    )


def test_the_soft_limit_of_file_handles_is_raised_and_a_second_up_is_refused(
    tmp_path: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        running = recorder(tmp_path, [])
        with running as recording:
            pid = until(lambda: recording.pid, 30, "the recorder")
            until(lambda: recording.figure("cameras") == 0, 30, "its first word")
            assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (hard, hard)
            holder = recording.process.pid
            assert refused("--data", recording.data) == (
                f"data directory {recording.data} is in use by kilocam, process {holder}; "
                "stop that one or choose another with --data"
            )
            assert recording.pid == pid
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# -- a full disk -------------------------------------------------------------------------------

HEAVY = PatternSpec(seconds=4, bitrate_kbps=16_000, strict_cbr=True)
DISK_BYTES = 200 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, as large as `DISK_BYTES`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=10)


def test_a_full_disk_leaves_a_typed_gap_and_recording_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    footage, ballast = small_disk / "footage", small_disk / "ballast"
    key = CameraKey("default", "cam0")
    extra = f"[storage]\npath = '{footage}'\n"
    with cameras([Group(count=5, source=HEAVY)], tmp_path) as playing:
        urls = [playing.url(n) for n in range(5)]
        with recorder(tmp_path, urls, extra=extra) as recording:
            pid = until(lambda: recording.pid, 30, "the recorder")
            recording.wait_recording(5)
            until(lambda: Archive([footage]).keys(), 30, "first footage")
            free = shutil.disk_usage(small_disk).free
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free * 9 // 10)
            # The log goes on in memory (64 MiB), then drops the oldest and says so.
            log = tmp_path / "recorder.log"
            full = "No space left on device; recording goes on in memory"
            until(lambda: full in log.read_text(), 30, "a full disk noticed")
            time.sleep(15)
            ballast.unlink()
            freed_us = time.time_ns() // 1000
            until(
                lambda: Archive([footage]).spans(key, freed_us + 2_000_000, freed_us + 60_000_000),
                30,
                "footage after the disk was freed",
            )
            assert recording.pid == pid
            assert "works again" in log.read_text()
        found = Archive([footage]).gaps(key, *EVER)
        assert GapCause.DISK_FULL in [gap.cause for gap in found]
        assert sum(gap.end_us - gap.start_us for gap in found) < 60_000_000
    assert all(isinstance(file, FileOk) for file in verify_files(log_files([footage])))


def fill(disk: Path, *, leave_mb: int) -> Path:
    """A file that leaves so many megabytes free."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - leave_mb * 1_000_000)
    return ballast


@pytest.mark.parametrize(
    ("roles", "leave_mb", "needed_mb"), [(EVERYTHING, 150, 200), ((), 10, 16)], ids=["all", "alone"]
)
def test_a_full_disk_is_refused_at_the_start(
    small_disk: Path, roles: Sequence[str], leave_mb: int, needed_mb: int
) -> None:
    fill(small_disk, leave_mb=leave_mb)
    data = small_disk / "data"
    said = refused("--data", data, *roles)
    assert re.fullmatch(
        rf"data directory {data}: \d+ MB are free on its disk, a start needs {needed_mb} MB; "
        "free space there or choose another with --data",
        said,
    )
    assert not (data / "footage").exists()


def test_a_disk_without_a_single_block_is_refused_at_the_start(small_disk: Path) -> None:
    with suppress(OSError), (small_disk / "ballast").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))
    with suppress(OSError):
        for n in range(1000):
            (small_disk / f"f{n}").write_bytes(b"1" * 4096)
    said = refused("--data", small_disk / "data")
    assert said.endswith("; free space there or choose another with --data")


def test_a_disk_that_footage_fills_is_no_obstacle_for_the_recorder_deletes_the_oldest(
    small_disk: Path,
) -> None:
    footage = small_disk / "data" / "footage"
    footage.mkdir(parents=True)
    oldest = footage / "1774550000000000_r0_604800_1774549999000000_1774550060000000.kcw"
    oldest.write_bytes(bytes(30 << 20))
    fill(small_disk, leave_mb=1)
    with recorder(small_disk, []) as recording:
        until(lambda: recording.figure("cameras") == 0, 30, "its first word")
        until(lambda: not oldest.exists(), 30, "room made")


# -- streams that nobody can decode ------------------------------------------------------------


async def recorded(folder: Path, sdp: SdpMedia, frames: Callable[[Camera, int], bytes]) -> Archive:
    """What the log holds of a camera that was played for two seconds."""
    writer = LogWriter([folder], "test")
    writer.start()
    try:
        ingest = Ingest(
            sink=writer,
            clock=SystemClock(),
            random=Random(1),
            dialler=TcpDialler(),
            epoch=writer.epoch,
        )
        async with server(plays(frames, media=sdp)) as port:
            url = f"rtsp://127.0.0.1:{port}/cam"
            ingest.apply([CameraSpec(tenant="default", camera="cam0", url=url)])
            running = asyncio.create_task(ingest.run())
            async with asyncio.timeout(20):
                while not ingest.status() or ingest.status()[0].frames < 40:
                    await asyncio.sleep(0.05)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        writer.close()
    return Archive([folder])


@pytest.mark.asyncio
async def test_a_codec_we_do_not_know_is_recorded_as_it_comes(tmp_path: Path) -> None:
    sent: list[bytes] = []

    def strange(camera: Camera, n: int) -> bytes:
        sent.append(camera.frame(bytes([n & 255]) * 300, b"\xff" * 50))
        return sent[-1]

    media = SdpMedia(
        media="video", payload_type=96, codec="X-STRANGE", clock_rate=90_000, control="track1"
    )
    archive = await recorded(tmp_path, media, strange)
    stored = list(archive.pieces(CameraKey("default", "cam0"), *EVER))
    assert stored[0][0].tracks[0].codec == "x-strange"
    payload = b"".join(piece.payload for _, piece in stored)
    assert len(payload) > 30 * 380
    assert b"".join(sent).startswith(payload)


@pytest.mark.asyncio
async def test_a_stream_without_key_frames_is_recorded_and_has_windows(tmp_path: Path) -> None:
    media = SdpMedia(
        media="video", payload_type=96, codec="H264", clock_rate=90_000, control="track1"
    )
    archive = await recorded(tmp_path, media, lambda camera, n: camera.frame(P))
    stored = list(archive.pieces(CameraKey("default", "cam0"), *EVER))
    assert sum(piece.frames for _, piece in stored) >= 40
    assert not any(piece.key_us for _, piece in stored)
    windows = [ref for ref, _ in replay([tmp_path], Position(recorder="test", sequence=0))]
    assert windows[0].start_us == stored[0][1].wall_us
