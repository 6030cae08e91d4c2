"""A whole Kilocam and simulated cameras as processes, and a real Chromium that looks at them."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.fakes.footage import Change, FootageSpec, Loss, Outage, Truth, store_footage
from tests.fakes.postgres import open_directory

from kilocam.cli.data import DataDir
from kilocam.cli.installation import Installation
from kilocam.core import CameraKey
from kilocam.core.settings import Settings
from kilocam.database import Database
from kilocam.fleet import Keyring
from kilocam.simulate import Ledger

T = TypeVar("T")

CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--disable-sync",
]  # fmt: skip
_KILOCAM = [sys.executable, "-m", "kilocam"]
_BOOT_S = 90.0
_HOUR_AGO_S = 3 * 3600
REFUSED = "rtsp://127.0.0.1:9/nobody"
"""Nobody listens at the discard port."""


class Process:
    """A program that says line by line how far it is."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*_KILOCAM, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as out:
            self._lines.extend(iter(out.readline, ""))

    def said(self, pattern: str) -> str:
        """The first group of the first line that matches, as soon as it is printed."""
        deadline = time.monotonic() + _BOOT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in list(self._lines):
                if found := re.search(pattern, line):
                    return found[1]
            time.sleep(0.05)
        raise AssertionError(f"never said {pattern!r}: {self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(40)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()


@dataclass(frozen=True)
class Hour:
    """A camera of which an hour was stored before the start."""

    key: CameraKey
    truth: Truth


@dataclass(frozen=True)
class House:
    """Everything that runs, and the truth about what the cameras show."""

    url: str
    link: str
    data: Path
    ledger: Ledger
    hour: Hour

    @property
    def token(self) -> str:
        """The administrator's."""
        return (self.data / "admin-token").read_text().strip()

    def write(self, work: Callable[[Database, Keyring], Coroutine[Any, Any, T]]) -> T:
        """Do something with the database of this Kilocam, as a process beside it."""
        installation = Installation(DataDir(self.data), Settings())

        async def opened() -> T:
            secrets = installation.database_secrets
            async with Database(installation.shards, secrets) as database:
                return await work(database, installation.keyring)

        with ThreadPoolExecutor(1) as apart:  # this thread's loop is the browser's
            return apart.submit(asyncio.run, opened()).result()

    def postgres(self) -> list[int]:
        """The database's processes, the postmaster first."""
        file = self.data / "postgres" / "cluster" / "postmaster.pid"
        found = list((self.data / "postgres").rglob("postmaster.pid")) or [file]
        master = int(found[0].read_text().split()[0])
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return [master, *map(int, children)]

    @contextmanager
    def frozen_database(self) -> Iterator[None]:
        """Every process of the database stopped, not killed."""
        processes = self.postgres()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                with open_or_gone():
                    os.kill(process, signal.SIGCONT)


@contextmanager
def open_or_gone() -> Iterator[None]:
    """The supervisor may have replaced it meanwhile."""
    try:
        yield
    except ProcessLookupError:
        return


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_directory() as folder:
        hour = _store_hour(folder / "data" / "footage")
        ledger, control = folder / "ledger.jsonl", folder / "control"
        cameras = Process(
            ["simulate", "--cameras", "4", "--port", "0", "--ledger", str(ledger), "--control",
             str(control)],
            folder / "simulate.log",
        )  # fmt: skip
        try:
            first = cameras.said(r'"ready": "(rtsp://[^"]+/cam/)0"')
            config = folder / "kilocam.toml"
            urls = {f"cam-{n}": f"{first}{n}" for n in range(4)} | {"refused": REFUSED}
            config.write_text(
                "".join(f'[[camera]]\nid = "{id_}"\nurl = "{url}"\n' for id_, url in urls.items())
            )
            kilocam = Process(
                ["up", "--config", str(config), "--data", str(folder / "data"), "--http",
                 "127.0.0.1:0"],
                folder / "up.log",
            )  # fmt: skip
            try:
                link = kilocam.said(r"^sign in: (\S+)")
                url = kilocam.said(r"^ready (\S+)")
                _save_ledger(control)
                yield House(url, link, folder / "data", Ledger.load(ledger), hour)
            finally:
                kilocam.stop()
        finally:
            cameras.stop()


def _store_hour(path: Path) -> Hour:
    """B-frames, a picture of another size, lost packets, gaps."""
    path.mkdir(parents=True)
    path.parent.chmod(0o755)
    spec = FootageSpec(
        key=CameraKey("default", "hour"),
        start_us=(int(time.time()) - _HOUR_AGO_S) * 1_000_000,
        seconds=3600,
        b_frames=2,
        changes=(Change(at_s=1800),),
        losses=tuple(Loss(at_s=at_s) for at_s in (301, 905.3, 2402.1, 3001)),
        outages=(Outage(from_s=1200, to_s=1290), Outage(from_s=2700, to_s=2705)),
    )
    (truth,) = store_footage(path, spec)
    return Hour(spec.key, truth)


def _save_ledger(control: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(control))
        connection.sendall(b'{"do": "save"}\n')
        with connection.makefile() as answer:
            assert json.loads(answer.readline())["ok"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)  # how long a page takes is the machine's affair
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, house: House) -> Iterator[Page]:
    """The page of somebody who opened the one-time link."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(house.link)
    yield page
    context.close()
