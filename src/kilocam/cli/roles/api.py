"""The gateway's process: rooms below, catalogue above, uvicorn around it."""

import asyncio
import json
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import uvicorn
from typing_extensions import override

from kilocam.api import Catalogue, Gateway, Health, KnownCameras, RateLimit, make_app
from kilocam.api.app import PROBLEMS
from kilocam.api.identity import Identity
from kilocam.api.operations.analysis import AnalysisOperations
from kilocam.api.operations.ask import AskOperations
from kilocam.api.operations.cameras import CameraOperations
from kilocam.api.operations.events import EventOperations
from kilocam.api.operations.footage import FootageOperations
from kilocam.api.operations.likeness import LikenessOperations
from kilocam.api.operations.links import LinkOperations
from kilocam.api.operations.models import ModelOperations
from kilocam.api.operations.rules import RuleOperations
from kilocam.api.operations.streams import StreamOperations
from kilocam.api.operations.tokens import TokenOperations
from kilocam.api.problems import Translator
from kilocam.api.requests import spare_terminals
from kilocam.api.streams import mount_streams
from kilocam.bus import INSIGHTS, Bus
from kilocam.cli.camera_figures import BoardReader
from kilocam.cli.child import Child
from kilocam.cli.installation import RECORDER, Installation
from kilocam.cli.messages import SCHEMAS, bus_target
from kilocam.cli.roles.asking import asking
from kilocam.cli.roles.meaning import words
from kilocam.database import Database
from kilocam.fleet import Fleet, Keyring, Sessions, Spent, Use, rules_of
from kilocam.insight import Bell, Feed, Insight, Likeness, Meaning, RuleHits
from kilocam.playback import CapabilityKeys, Playback
from kilocam.ranges import RangesClient, SocketLiveView
from kilocam.record import Archive
from kilocam.streams import Ledger
from kilocam.web import page_directory


class _Secrets(Mapping[str, bytes]):
    """The keys of one use by id, as the keyring finds them."""

    def __init__(self, keyring: Keyring, use: Use) -> None:
        self._keyring, self._use = keyring, use

    @override
    def __getitem__(self, key_id: str) -> bytes:
        key = self._keyring.find(self._use, key_id)
        if key is None:
            raise KeyError(key_id)
        return key.secret

    @override
    def __iter__(self) -> Iterator[str]:
        return iter((self._keyring.newest(self._use).id,))

    @override
    def __len__(self) -> int:
        return 1


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers, for the child's decide; says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def main(child: Child) -> None:
    """Serve until told to stop."""
    installation = Installation.from_json(child.config)
    spare_terminals(sys.stderr)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            Database(installation.shards, installation.database_secrets)
        )
        fleet = Fleet(database, installation.keyring)
        sockets = [installation.data.ranges(RECORDER)]
        archive = Archive(installation.footage, SocketLiveView(sockets))
        playback = await stack.enter_async_context(
            Playback(
                archive,
                RangesClient(sockets[0]),
                _capability_keys(installation.keyring),
            )
        )
        spent = Spent(installation.data.signed_out)
        sessions, limit = Sessions(installation.keyring, spent=spent), RateLimit()
        board = BoardReader(installation.data.run)
        insight = Insight(database)
        cameras = KnownCameras(board, archive.keys, fleet, insight.seen)
        catalogue = Catalogue()
        CameraOperations(fleet, board).enter(catalogue)
        LinkOperations(sessions).enter(catalogue)
        FootageOperations(playback, cameras).enter(catalogue)
        TokenOperations(fleet, sessions).enter(catalogue)
        models = ModelOperations(lambda: _models(installation.data.run))
        models.enter(catalogue)
        bus = await stack.enter_async_context(
            Bus(bus_target(child.config), SCHEMAS, name=child.name)
        )
        feed = await stack.enter_async_context(Feed(insight, _bell(bus)))
        likeness = Likeness(database)
        known = await stack.enter_async_context(words(installation.settings.analysis.likeness))
        meaning = Meaning(insight, likeness, known.encode) if known is not None else None
        EventOperations(insight, feed, cameras, meaning).enter(catalogue)
        LikenessOperations(likeness, cameras, models.likeness_problem).enter(catalogue)
        AnalysisOperations(insight, cameras).enter(catalogue)
        RuleOperations(fleet, RuleHits(database, rules_of), cameras).enter(catalogue)
        StreamOperations(Ledger(database)).enter(catalogue)
        asked = await stack.enter_async_context(asking(installation.settings.llm))
        AskOperations(asked, catalogue, Translator(PROBLEMS), limit).enter(catalogue)
        app = make_app(
            Gateway(
                catalogue=catalogue,
                tokens=fleet.tokens,
                sessions=sessions,
                limit=limit,
                playback=playback,
                cameras=cameras,
                health=Health(
                    roles=lambda: _roles(installation.data.run),
                    metrics_dir=installation.data.run / "metrics",
                ),
                metrics=child.metrics("api"),
                page=page_directory(),
            )
        )
        identity = Identity(fleet.tokens, sessions, limit)
        mount_streams(app, feed, cameras, identity, Translator(PROBLEMS))
        await _serve(child, app, feed)


def _bell(bus: Bus) -> Bell:
    """Rings when the queue tells of a tenant's events; silent while the queue is away."""
    return lambda tenant: bus.read(INSIGHTS, f"insights.{tenant}.>", new_only=True)


def _capability_keys(keyring: Keyring) -> CapabilityKeys:
    return CapabilityKeys(
        current=keyring.newest(Use.CAPABILITY).id, keys=_Secrets(keyring, Use.CAPABILITY)
    )


async def _serve(child: Child, app: object, feed: Feed) -> None:
    host, port = str(child.config["host"]), int(str(child.config["port"]))
    server = _Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]  # an ASGI application
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=64 << 10,  # viewers have nothing to say
            ws_per_message_deflate=False,  # pictures are compressed already
            timeout_graceful_shutdown=5,
        )
    )
    serving = asyncio.create_task(server.serve())
    listening = asyncio.create_task(server.listening.wait())
    stopping = asyncio.create_task(child.stopping.wait())
    await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
    child.report(f"serving at {host}:{port}", ready=server.started)
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (listening, stopping):
        task.cancel()
    feed.end()
    server.should_exit = True
    await serving


async def _models(run_dir: Path) -> str | None:
    """What the analyst of this machine last said of its models; the trial is the same for all."""

    def read() -> str | None:
        told = sorted(run_dir.glob("*.models.json"), key=lambda file: file.stat().st_mtime_ns)
        return told[-1].read_text() if told else None

    return await asyncio.to_thread(read)


async def _roles(run_dir: Path) -> Mapping[str, bool]:
    """Readiness of every process, as the supervisor last wrote it down."""
    text = await asyncio.to_thread((run_dir / "status.json").read_text)
    return {child["name"]: bool(child["ready"]) for child in json.loads(text)["children"]}
