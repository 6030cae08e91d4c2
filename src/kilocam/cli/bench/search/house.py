"""The product's database of a bench: the embedded server, migrated, with the logins it has."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kilocam.cli.bench.record import BenchError
from kilocam.cli.data import DataDir
from kilocam.cli.engines.postgres import EmbeddedPostgres
from kilocam.cli.installation import ROOMS, Installation
from kilocam.core.settings import DatabaseSettings, SecuritySettings, Settings
from kilocam.database import ControlDatabase, Database, DatabaseUnavailable, bootstrap

_START_S = 120.0


@dataclass(frozen=True)
class House:
    """A running server as app and control see it."""

    database: Database
    control: ControlDatabase
    pid: int
    cluster: Path


@asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    """Start the server with its files below `folder`, prepared as control prepares it.

    Raises:
        BenchError: it does not start.
    """
    await asyncio.to_thread(_make, folder)
    # Whatever the environment says: this is nobody's database but ours.
    settings = Settings(database=DatabaseSettings(), security=SecuritySettings())
    installation = Installation(DataDir(folder), settings)
    engine = installation.postgres
    assert engine is not None  # no `database.url` is set
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(_running(engine, folder / "postgres.log"))
        secrets = installation.database_secrets
        await bootstrap(installation.database_url, secrets)
        control = await stack.enter_async_context(
            ControlDatabase(installation.shards, secrets, ROOMS)
        )
        await control.migrate()
        database = await stack.enter_async_context(Database(installation.shards, secrets))
        yield House(database, control, process.pid, engine.cluster)


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # the server may run as another user


@asynccontextmanager
async def _running(engine: EmbeddedPostgres, log: Path) -> AsyncIterator["subprocess.Popen[bytes]"]:
    command = await asyncio.to_thread(engine.prepare, log)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            command.argv,
            user=command.user or None,
            extra_groups=() if command.user else None,
            cwd="/",
            env=dict(command.env),
            stdout=output,
            stderr=output,
        )
    try:
        await _serving(engine, process, log)
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown
        await asyncio.to_thread(process.wait, 60)


async def _serving(engine: EmbeddedPostgres, process: "subprocess.Popen[bytes]", log: Path) -> None:
    async with asyncio.timeout(_START_S):
        while process.poll() is None:
            try:
                if await engine.probe():
                    return
            except DatabaseUnavailable:
                pass
            await asyncio.sleep(0.1)
    raise BenchError(f"the database did not start; see {log}")
