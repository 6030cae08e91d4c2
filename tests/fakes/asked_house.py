"""A gateway that answers questions, over a real database and a real log; its clock stands still.

Two cameras, two minutes: `gate` was dark from second 40 to 60 and has windows that nobody looked
at, `yard` has neither.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import BaseModel
from tests.fakes.clock import FakeClock
from tests.fakes.footage import FootageSpec, Outage, store_footage
from tests.fakes.postgres import Installation, PostgresServer
from tests.integration.insight.made import GATE, NOW_US, T0, VERSION, S, looked, seen, skipped

from kilocam.analyse import BoxAt, ObjectSeen, SkipReason
from kilocam.api import Catalogue, KnownCameras, RateLimit
from kilocam.api.app import PROBLEMS
from kilocam.api.catalogue import Caller, Operation
from kilocam.api.identity import COOKIE, Identity
from kilocam.api.operations.analysis import AnalysisOperations
from kilocam.api.operations.ask import AskOperations
from kilocam.api.operations.cameras import CameraOperations
from kilocam.api.operations.events import EventOperations
from kilocam.api.operations.footage import FootageOperations
from kilocam.api.operations.likeness import LikenessOperations
from kilocam.api.operations.rules import RuleOperations
from kilocam.api.problems import Translator, install
from kilocam.api.rest import mount
from kilocam.core import CameraKey, GapCause
from kilocam.database import Room
from kilocam.fleet import (
    CameraInput,
    Fleet,
    Keyring,
    Principal,
    Role,
    Sessions,
    Use,
    rules_of,
)
from kilocam.insight import Feed, Insight, Likeness, RuleHits, Told, Windows, make_days
from kilocam.insight.ask import Asking
from kilocam.playback import CapabilityKeys, Playback
from kilocam.record import Archive

YARD = CameraKey("default", "yard")
VAULT = CameraKey("other", "vault")
NOW = T0 + 120 * S
"""When everything is asked."""
EVERYWHERE = (0.0, 0.0, 1.0, 1.0)


def told(number: int, label: str, text: str, key: CameraKey = YARD) -> ObjectSeen:
    """What was read or said in a window."""
    box = BoxAt(at_us=T0 + number * 2 * S, box=EVERYWHERE, score=0.8)
    return replace(seen(number, number, key=key, label=label, ordinal=7), text=text, boxes=(box,))


class _Nobody:
    """No recorder speaks of any camera."""

    async def figures(self) -> Mapping[CameraKey, Any]:
        return {}


class _NoView:
    """Nothing is live here."""

    def follow(self, _: CameraKey) -> AsyncIterator[Any]:
        raise AssertionError("nobody follows")


@dataclass
class AskedHouse:
    """The gateway and what stands behind it."""

    app: FastAPI
    sessions: Sessions
    windows: Windows
    told: Told
    fleet: Fleet
    catalogue: Catalogue
    calls: list[tuple[str, str]]
    """Operations that answers called, and in which tenant."""

    def client(self, tenant: str = "default", role: Role = Role.VIEWER) -> httpx.AsyncClient:
        who = Principal(tenant=tenant, role=role, subject="user/test")
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://kilocam.test",
            cookies={COOKIE: self.sessions.issue(who)},
            timeout=60,
        )

    async def ask(self, question: str, tenant: str = "default") -> dict[str, Any]:
        async with self.client(tenant) as client:
            answer = await client.post("/v1/ask", json={"question": question})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def fill(self, said: str = "there is a fire", read: str = "ABC 123") -> None:
        """What the two cameras saw, read and heard."""
        seen_at = {
            (GATE, 0): [seen(0, 0, score=0.9, colours=("red",))],
            (GATE, 1): [seen(0, 1, colours=("red",))],
            (GATE, 10): [seen(10, 10, colours=("blue",))],
            (GATE, 15): [seen(15, 15, label="car", colours=("red",))],
            (GATE, 35): [seen(35, 35, label="car", colours=("blue", "white"))],
            (YARD, 5): [seen(5, 5, key=YARD)],
            (YARD, 8): [told(8, "speech", said)],
            (YARD, 12): [told(12, "text", read)],
            (YARD, 40): [seen(40, 40, key=YARD, label="dog", colours=("brown",))],
        }
        for (key, number), objects in seen_at.items():
            await self.windows.write(looked(number, *objects, key=key))
        await self.windows.skip([skipped(2), skipped(3, SkipReason.OVERLOAD)])
        await self.windows.skip([skipped(1, key=YARD)])
        await self.windows.write(looked(4, seen(4, 4, key=VAULT), key=VAULT))


@asynccontextmanager
async def asked_house(
    postgres: PostgresServer, folder: Path, footage: Path, asking: Asking | None = None
) -> AsyncIterator[AskedHouse]:
    """One of it."""
    installation = Installation(postgres, (Room("fleet"), Room("insight")))
    await installation.prepare()
    keyring = Keyring.open(folder / "keys.json")
    key = keyring.newest(Use.CAPABILITY)
    capabilities = CapabilityKeys(current=key.id, keys={key.id: key.secret})
    archive = Archive([footage])
    async with (
        installation.database() as database,
        installation.control() as control,
        Playback(archive, _NoView(), capabilities) as playback,
    ):
        await make_days(control, NOW_US)
        insight, sessions, fleet = Insight(database), Sessions(keyring), Fleet(database, keyring)
        for key_ in (GATE, YARD, VAULT):
            await fleet.ensure_tenant(key_.tenant, actor="test")
            await fleet.add_camera(
                key_.tenant, CameraInput(id=key_.camera, url="rtsp://h/"), actor="test"
            )
        cameras = KnownCameras(_Nobody(), archive.keys, fleet, insight.seen)
        limit, translator = RateLimit(), Translator(PROBLEMS)
        async with Feed(insight) as feed:
            app, catalogue = FastAPI(), Catalogue()
            install(app, translator)
            CameraOperations(fleet, _Nobody()).enter(catalogue)
            FootageOperations(playback, cameras).enter(catalogue)
            EventOperations(insight, feed, cameras).enter(catalogue)
            LikenessOperations(Likeness(database), cameras, _nothing).enter(catalogue)
            AnalysisOperations(insight, cameras).enter(catalogue)
            RuleOperations(fleet, RuleHits(database, rules_of), cameras).enter(catalogue)
            asking = asking or Asking(clock=FakeClock(NOW))
            calls: list[tuple[str, str]] = []
            AskOperations(asking, _noted(catalogue, calls), translator, limit).enter(catalogue)
            mount(app, catalogue, Identity(fleet.tokens, sessions, limit).caller)
            windows = Windows(database, VERSION, rules_of=rules_of)
            yield AskedHouse(app, sessions, windows, Told(database), fleet, catalogue, calls)


def _noted(catalogue: Catalogue, calls: list[tuple[str, str]]) -> Catalogue:
    """The same operations, all of them, each call written down."""
    noted = Catalogue()
    for operation in catalogue:
        noted.add(replace(operation, call=_noting(operation, calls)))
    return noted


def _noting(
    operation: Operation[BaseModel, object], calls: list[tuple[str, str]]
) -> Callable[[Caller, BaseModel], Awaitable[object]]:
    async def call(caller: Caller, given: BaseModel) -> object:
        calls.append((operation.name, caller.tenant))
        return await operation.call(caller, given)

    return call


async def _nothing() -> str:
    return ""


def store_two_minutes(folder: Path) -> Path:
    """The footage of both cameras."""
    dark = Outage(from_s=40, to_s=60, cause=GapCause.TIMED_OUT)
    store_footage(
        folder,
        FootageSpec(key=GATE, start_us=T0, seconds=121, outages=(dark,)),
        FootageSpec(key=YARD, start_us=T0, seconds=121),
    )
    return folder
