"""An analyst's likeness: real pictures, the real model in its process, a real database."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.postgres import Installation, PostgresServer
from tests.fakes.stored_footage import RATE, T0, Recording, encode, pictures_of, record

from kilocam.analyse import (
    PIPELINE,
    BoxAt,
    ObjectSeen,
    WindowResult,
    cache_directory,
    event_id,
)
from kilocam.analyse.pictures import Footage
from kilocam.bus import Position
from kilocam.cli.roles.analyst import InsightSink
from kilocam.cli.roles.senses import Senses, senses
from kilocam.core import CameraKey, SystemClock, Window
from kilocam.core.settings import AnalysisSettings, Settings
from kilocam.database import Database, Room
from kilocam.insight import Likeness, Windows, make_days

pytestmark = pytest.mark.asyncio
S = 1_000_000
PEOPLE = ("p2", "p3", "p4", "p5")
LABELS = Path("bench/labels/campus.json")


class Shelf:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        assert key == self._recording.key
        return self._recording.between(from_us, to_us)


@pytest.fixture(scope="module")
def street() -> Recording:
    film = cache_directory() / "footage" / "vtest.avi"
    return record("street", encode(list(pictures_of(film, 0, 60))))


def _result(key: CameraKey, number: int) -> WindowResult:
    """Who is in a labelled picture, each an event of this window."""
    at_us = T0 + number * S // RATE
    window = Window(tenant=key.tenant, camera=key.camera, start_us=at_us, end_us=at_us + S)
    tracks = json.loads(LABELS.read_text())["tracks"]
    boxes = {each["id"]: each["boxes"][str(number)] for each in tracks if each["id"] in PEOPLE}
    objects = [
        ObjectSeen(
            event_id=_event(key, number, who), opens=True, label="person", still=False,
            boxes=(BoxAt(at_us=at_us, box=(x / 768, y / 576, w / 768, h / 576), score=0.8),),
        )
        for who, (x, y, w, h) in boxes.items()
    ]  # fmt: skip
    return WindowResult(
        window=window, version=PIPELINE, partition=key.partition, position=Position(1, number),
        looked_us=at_us, objects=tuple(objects),
    )  # fmt: skip


def _event(key: CameraKey, number: int, who: str) -> str:
    return event_id(key, T0 + number * S // RATE, PEOPLE.index(who))


async def _until(beside: Senses, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            assert not beside.problem
            await asyncio.sleep(0.02)


async def test_who_is_seen_again_is_found_by_how_they_look(
    postgres: PostgresServer, street: Recording
) -> None:
    installation = Installation(postgres, (Room("fleet"), Room("insight")))
    await installation.prepare()
    async with installation.database() as database, installation.control() as control:
        await make_days(control, T0)
        await _find_again(database, street)


async def _find_again(database: Database, street: Recording) -> None:
    shelf, likeness, key = Shelf(street), Likeness(database), street.key
    async with senses(shelf, shelf, database, SystemClock(), Settings()) as beside:
        sink = InsightSink(Windows(database, PIPELINE), beside.written)
        working = asyncio.create_task(beside.run())
        for number in (40, 50):  # a key frame, and a picture amid a GOP
            await sink.write(_result(key, number))
        counts = beside.likening.counts if beside.likening else {}
        await _until(beside, lambda: counts["kept"] == 8)
        assert counts["wished"] == 8
        working.cancel()
        await asyncio.wait([working])
    for who in PEOPLE:
        [first, *_] = await likeness.similar(
            key.tenant, _event(key, 40, who), from_us=T0 + 5 * S, to_us=T0 + 6 * S
        )
        assert first.event.id == _event(key, 50, who)
        assert first.likeness > 0.5


async def test_without_a_model_named_nobody_compares(
    postgres: PostgresServer, street: Recording
) -> None:
    shelf, installation = Shelf(street), Installation(postgres)
    nobody = Settings(analysis=AnalysisSettings(likeness=""))
    async with (
        installation.database() as database,
        senses(shelf, shelf, database, SystemClock(), nobody) as beside,
    ):
        assert len(beside.companions) == 2
        beside.written(_result(street.key, 40))
        assert beside.problem == ""
