"""`streams-0` as the supervisor runs it: killed, with a receiver that is away, secrets unseen."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from bench.recording import until
from tests.fakes.postgres import open_directory
from tests.fakes.tree import Tree, family
from tests.integration.insight.made import VERSION, looked, seen

from kilocam.cli.data import DataDir
from kilocam.cli.installation import Installation
from kilocam.core.settings import Settings
from kilocam.database import Database
from kilocam.insight import Windows

SECRET = "nobody-may-see-this"
CONFIG = """
[[stream]]
name = "files"
kind = "parquet"
path = "{path}"
every = "200ms"

[[stream]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:1/path-nobody-may-see"
secret = "{secret}"
since = "all"
"""


class Streams(Tree):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "data", folder / "up.log")
        self.files = folder / "files"
        config = folder / "kilocam.toml"
        config.write_text(CONFIG.format(path=self.files, secret=SECRET))
        argv = [
            *(sys.executable, "-m", "kilocam", "up", "--config", str(config)),
            *("--data", str(self.data), "--http", "127.0.0.1:0", "--roles", "control,streams"),
        ]
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(argv, stdout=log, stderr=log)

    def happens(self, first: int, many: int) -> None:
        """So many events, as an analyst writes them."""

        async def write() -> None:
            home = Installation(DataDir(self.data), Settings())
            async with Database(home.shards, home.database_secrets) as database:
                windows = Windows(database, VERSION)
                for n in range(first, first + many):
                    await windows.write(looked(n, seen(n, n)))

        asyncio.run(write())

    def counted(self) -> int:
        if not list(self.files.rglob("*.parquet")):
            return 0
        with duckdb.connect() as duck:
            [(many,)] = duck.sql(
                f"select count(distinct id) from read_parquet('{self.files}/*/*/*.parquet')"
            ).fetchall()
        return int(many)

    def stop(self) -> int:
        self.running.terminate()
        return self.running.wait(60)


@pytest.fixture
def streams() -> Iterator[Streams]:
    with open_directory() as folder:
        tree = Streams(folder)
        try:
            yield tree
        finally:
            if tree.running.poll() is None:
                tree.running.kill()
                tree.running.wait(30)


def _place(tree: Streams) -> None:
    """The tenant comes with its first camera, or, as here, by hand."""

    async def place() -> None:
        home = Installation(DataDir(tree.data), Settings())
        async with Database(home.shards, home.database_secrets) as database:
            await database.place("default")

    asyncio.run(place())


def test_streams_go_on_after_kills_and_one_that_is_away_holds_up_no_other(
    streams: Streams,
) -> None:
    streams.wait_ready()
    assert "streams-0" in streams.children()
    _place(streams)
    streams.happens(0, 10)
    until(lambda: streams.counted() == 10, 60, "files of 10 events")
    before = streams.kill("streams-0")
    streams.happens(10, 10)
    streams.wait_replaced("streams-0", before)
    until(lambda: streams.counted() == 20, 60, "files of 20 events")
    until(lambda: "hook waits: webhook at 127.0.0.1:1 cannot be connected to"
          in str(streams.child("streams-0").get("says")), 30, "what is away is told")  # fmt: skip
    assert streams.child("streams-0")["ready"]
    until(lambda: streams.figure("streams-0", "behind_s") > 0, 30, "how far it is behind")
    page = (streams.data / "run" / "metrics" / "streams-0.prom").read_text()
    assert 'failed="away",stream="hook"' in page
    shown = [streams.log, *streams.data.joinpath("run").rglob("*")]
    for pid in family(streams.running.pid):
        shown += [Path(f"/proc/{pid}/cmdline"), Path(f"/proc/{pid}/environ")]
    for file in shown:
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file
            assert b"path-nobody-may-see" not in file.read_bytes(), file
    assert streams.stop() == 0
