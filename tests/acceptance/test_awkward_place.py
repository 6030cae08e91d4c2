"""A whole Kilocam where names are long and of any letters, and what a person does beside it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from tests.acceptance.conftest import Process
from tests.fakes.postgres import open_directory

from kilocam.cli.data import DataDir
from kilocam.cli.engines.postgres import EmbeddedPostgres
from kilocam.ranges import RangesClient
from kilocam.simulate import PASSWORD_VARIABLE

SECRET = "a-password-of-nobody"


@dataclass(frozen=True)
class Place:
    """Where it runs, and a camera that wants a password."""

    url: str
    data: Path
    camera: str

    def kilocam(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """A command of somebody on the same machine."""
        return subprocess.run(
            [sys.executable, "-m", "kilocam", *arguments, "--data", str(self.data)],
            input=given, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with open_directory() as folder:
        data = folder / "Überwachung, ☃ \"a\" 'b'" / ("d" * 100) / "data"
        os.environ[PASSWORD_VARIABLE] = SECRET
        try:
            camera = Process(["simulate", "--port", "0", "--user", "u"], folder / "simulate.log")
        finally:
            del os.environ[PASSWORD_VARIABLE]
        try:
            address = camera.said(r'"ready": "rtsp://([^"]+/cam/0)"')
            up = Process(["up", "--data", str(data), "--http", "127.0.0.1:0"], folder / "up.log")
            try:
                yield Place(up.said(r"^ready (\S+)"), data, f"rtsp://u:{SECRET}@{address}")
            finally:
                up.stop()
                shutil.rmtree(EmbeddedPostgres(DataDir(data).postgres, "").socket_directory)
        finally:
            camera.stop()


@pytest.mark.asyncio
async def test_everything_runs_and_the_recorder_answers_on_its_socket(place: Place) -> None:
    socket = DataDir(place.data).ranges("recorder-0")
    assert len(os.fsencode(place.data / "run" / "recorder-0.sock")) > 107
    assert (await RangesClient(socket).status()).recorder == "recorder-0"


def test_a_camera_is_probed_and_added_with_no_password_in_any_argument(place: Place) -> None:
    looked = subprocess.run(
        [sys.executable, "-m", "kilocam", "probe", "-", "--seconds", "1"],
        input=place.camera, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "video h264" in looked.stdout, looked.stderr
    added = place.kilocam("camera", "add", "gate", "-", given=f"{place.camera}\n")
    assert added.returncode == 0, added.stderr
    assert SECRET not in looked.stdout + looked.stderr + added.stdout + added.stderr
    deadline = time.monotonic() + 60
    while json.loads(place.kilocam("camera", "list", "--json").stdout)[0]["status"]["state"] != (
        "recording"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_fresh_link_signs_in_once_whenever_it_is_needed(place: Place) -> None:
    made = place.kilocam("link")
    assert re.fullmatch(r"it works once, until \S+Z\n", made.stderr), made.stderr
    link = made.stdout.strip()
    assert link.startswith(f"{place.url}/v1/session/link?link=")
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    browser.open(link, timeout=20).close()
    with browser.open(f"{place.url}/v1/session", timeout=20) as answer:
        assert json.load(answer)["role"] == "admin"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(link, timeout=20)
    assert place.kilocam("link").stdout.strip() != link


def test_doctor_knows_its_own_port(place: Place) -> None:
    config = place.data / "doctor.toml"
    config.write_text(f'[http]\nlisten = "{place.url.removeprefix("http://")}"\n')
    said = place.kilocam("doctor", "--config", str(config)).stdout
    assert "is served by Kilocam itself" in said
    assert "BAD port" not in said
