"""A real embedded Postgres for tests: one server a session, a fresh database a test.

    async def test_something(installation: Installation) -> None:
        async with installation.database() as database: ...

`tests/integration/conftest.py` makes the fixtures `postgres` (the shared server) and
`installation` (a fresh, migrated database on it, one tenant `default`) known to every room.
"""

import asyncio
import os
import secrets as random_names
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from kilocam.cli.engines.postgres import EmbeddedPostgres
from kilocam.database import (
    ADMIN,
    ControlDatabase,
    Database,
    DatabaseSecrets,
    DatabaseUnavailable,
    Limits,
    Room,
    Shard,
    bootstrap,
    socket_url,
)

SECRETS = DatabaseSecrets(b"a secret for tests, 32 bytes long")
ROOMS = (Room("fleet"),)


@contextmanager
def open_directory() -> Iterator[Path]:
    """A temporary directory that other users may enter, as pytest's own is not."""
    path = Path(tempfile.mkdtemp(prefix="kilocam-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class PostgresServer:
    """The embedded server as a child of the test; can be killed, frozen and started again."""

    def __init__(self, root: Path) -> None:
        self.engine = EmbeddedPostgres(root / "postgres", SECRETS.password(ADMIN))
        self.log = root / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and returns before it serves."""
        command = self.engine.prepare(self.log)
        with command.output.open("ab") as output:
            self._process = subprocess.Popen(
                command.argv,
                user=command.user or None,
                extra_groups=() if command.user else None,
                cwd="/",
                env=dict(command.env),
                stdout=output,
                stderr=output,
            )

    async def serves(self, wait_s: float = 60.0) -> None:
        """Waits until it serves."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                if await self.engine.probe():
                    return
            except DatabaseUnavailable:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def discard(self) -> None:
        """Ends it at once, for good: nothing is tidied up that goes away anyway."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """`kill -9` of the postmaster; its children see that and leave."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP of the server and all its parts."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in [self.pid, *self.children()] if self._process else ():
            with suppress(ProcessLookupError):  # a part that has ended in the meantime
                os.kill(pid, number)

    def url(self, role: str, database: str) -> str:
        return socket_url(str(self.engine.socket_directory), role, SECRETS.password(role), database)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in tasks.split()]

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None


class Installation:
    """One fresh database on a server, prepared as control prepares it."""

    def __init__(self, server: PostgresServer, rooms: Sequence[Room] = ROOMS) -> None:
        self.server = server
        self.name = f"test_{random_names.token_hex(6)}"
        self.rooms = tuple(rooms)
        self.shards: tuple[Shard, ...] = (Shard(url=self.url(ADMIN)),)

    def url(self, role: str) -> str:
        return self.server.url(role, self.name)

    def database(self, limits: Limits | None = None) -> Database:
        return Database(self.shards, SECRETS, limits=limits)

    def control(self, limits: Limits | None = None) -> ControlDatabase:
        return ControlDatabase(self.shards, SECRETS, self.rooms, limits=limits)

    async def prepare(self) -> None:
        await bootstrap(self.url(ADMIN), SECRETS)
        async with self.control() as control, self.database() as database:
            await control.migrate()
            await database.place("default")


@asynccontextmanager
async def running_postgres() -> AsyncIterator[PostgresServer]:
    """A server of its own, for a test that kills or freezes it."""
    with open_directory() as root:
        server = PostgresServer(root)
        await asyncio.to_thread(server.start)
        try:
            await server.serves()
            yield server
        finally:
            server.thaw()
            await asyncio.to_thread(server.discard)
