"""A gateway over a real log, with a database that is dead unless the test brings a living one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from tests.fakes.footage import Change, FootageSpec, Loss, Outage, Truth, store_footage
from tests.fakes.postgres import SECRETS

from kilocam.api import Catalogue, Gateway, Health, KnownCameras, RateLimit, make_app
from kilocam.api.identity import COOKIE
from kilocam.api.operations.cameras import CameraFigures, CameraOperations
from kilocam.api.operations.footage import FootageOperations
from kilocam.api.operations.links import LinkOperations
from kilocam.api.operations.models import ModelOperations
from kilocam.api.operations.tokens import TokenOperations
from kilocam.core import CameraKey, GapCause, Piece, Session
from kilocam.core.metrics import Metrics
from kilocam.database import Database, Shard
from kilocam.fleet import Fleet, Keyring, Principal, Role, Sessions, Spent, Use
from kilocam.playback import CapabilityKeys, Playback
from kilocam.record import Archive

YARD = CameraKey("default", "yard")
SPEC = FootageSpec(
    seconds=30,
    b_frames=2,
    changes=(Change(at_s=10),),
    losses=(Loss(at_s=15),),
    outages=(Outage(from_s=20, to_s=24, cause=GapCause.TIMED_OUT),),
)
QUIET = FootageSpec(key=YARD, seconds=6)
THEIRS = FootageSpec(key=CameraKey("other", "vault"), seconds=4)


@dataclass(frozen=True)
class Stored:
    """A log and the truth about it."""

    path: Path
    truth: Truth


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    path = tmp_path_factory.mktemp("log")
    truth, *_ = store_footage(path, SPEC, QUIET, THEIRS)
    return Stored(path, truth)


class Board:
    """What recorders speak of."""

    def __init__(self) -> None:
        self.known: dict[CameraKey, CameraFigures] = {}

    async def figures(self) -> Mapping[CameraKey, CameraFigures]:
        return self.known


@dataclass
class Replay:
    """Stored pieces as if they came now; then silence, until somebody says it is over."""

    archive: Archive
    over: asyncio.Event = field(default_factory=asyncio.Event)
    followers: int = 0

    async def follow(self, key: CameraKey) -> AsyncIterator[tuple[Session, Piece]]:
        self.followers += 1
        try:
            for part in list(self.archive.pieces(key, SPEC.start_us, SPEC.start_us + 6_000_000)):
                yield part
                await asyncio.sleep(0)
            await self.over.wait()
        finally:
            self.followers -= 1


@dataclass
class House:
    """The gateway and what stands behind it."""

    app: FastAPI
    fleet: Fleet
    sessions: Sessions
    board: Board
    replay: Replay
    folder: Path

    def cookie(self, tenant: str = "default", role: Role = Role.VIEWER) -> str:
        principal = Principal(tenant=tenant, role=role, subject="user/test")
        return self.sessions.issue(principal)

    def client(self) -> httpx.AsyncClient:
        """Nobody's client."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://kilocam.test")

    def signed_in(self, tenant: str = "default", role: Role = Role.VIEWER) -> httpx.AsyncClient:
        client = self.client()
        client.cookies.set(COOKIE, self.cookie(tenant, role))
        return client


@asynccontextmanager
async def open_house(
    stored: Stored, folder: Path, database: Database, limit: RateLimit | None = None
) -> AsyncIterator[House]:
    keyring = Keyring.open(folder / "keys.json")
    page = folder / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>")
    (page / "assets" / "index-1.js").write_text("1")
    archive, board = Archive([stored.path]), Board()
    replay = Replay(archive)
    key = keyring.newest(Use.CAPABILITY)
    capabilities = CapabilityKeys(current=key.id, keys={key.id: key.secret})
    fleet = Fleet(database, keyring)
    sessions = Sessions(keyring, spent=Spent(folder / "signed-out.json"))
    async with Playback(archive, replay, capabilities) as playback:
        cameras = KnownCameras(board, archive.keys, fleet)
        catalogue = Catalogue()
        CameraOperations(fleet, board).enter(catalogue)
        LinkOperations(sessions).enter(catalogue)
        FootageOperations(playback, cameras).enter(catalogue)
        TokenOperations(fleet, sessions).enter(catalogue)

        async def told() -> str | None:
            file = folder / "models.json"
            return file.read_text() if file.exists() else None

        ModelOperations(told).enter(catalogue)

        async def roles() -> Mapping[str, bool]:
            return {"recorder-0": True, "postgres": False}

        app = make_app(
            Gateway(
                catalogue=catalogue,
                tokens=fleet.tokens,
                sessions=sessions,
                limit=limit or RateLimit(),
                playback=playback,
                cameras=cameras,
                health=Health(roles=roles, metrics_dir=folder),
                metrics=Metrics("api", CollectorRegistry()),
                page=page,
            )
        )
        yield House(app, fleet, sessions, board, replay, folder)


@pytest.fixture
def nowhere(tmp_path: Path) -> Database:
    """A database that is not there."""
    return Database((Shard(url=f"postgresql://nobody@/none?host={tmp_path}"),), SECRETS)


@pytest_asyncio.fixture
async def house(stored: Stored, tmp_path: Path, nowhere: Database) -> AsyncIterator[House]:
    async with nowhere as database, open_house(stored, tmp_path, database) as made:
        yield made


@dataclass
class Served:
    """The gateway on a port."""

    house: House
    server: uvicorn.Server
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def live(self, camera: str) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/cameras/{camera}/live"


@pytest_asyncio.fixture
async def served(house: House) -> AsyncIterator[Served]:
    config = uvicorn.Config(
        house.app, host="127.0.0.1", port=0, log_config=None, access_log=False,
        ws="websockets-sansio", ws_per_message_deflate=False, lifespan="off",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(house, server, port)
    finally:
        server.should_exit = True
        await serving
