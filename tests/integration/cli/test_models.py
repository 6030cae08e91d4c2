"""An analyst's models: which looks, and what a trial beside it does to that."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from av.video.frame import VideoFrame
from tests.fakes.candidates import install, install_current, lose_scores
from tests.fakes.nats import Server
from tests.fakes.stored_footage import T0, Recording, encode, pictures_of, record

from kilocam.analyse import (
    BUCKET,
    DETECTOR,
    BusTrial,
    Glance,
    Limits,
    LookPool,
    Manifest,
    ModelError,
    PoolOptions,
    Tally,
    Trial,
    Verdict,
    cache_directory,
    worker_command,
)
from kilocam.analyse.canary import Agreement
from kilocam.analyse.look import LookOutcome, LookTask, Memory
from kilocam.analyse.pictures import Footage
from kilocam.api.operations.models import ModelList
from kilocam.bus import Bus, BusUnavailable
from kilocam.cli.roles.models import Models
from kilocam.core import CameraKey, SystemClock, Window
from kilocam.core.settings import AnalysisSettings

pytestmark = pytest.mark.asyncio
ONE = PoolOptions(workers=1)
PROMOTED = Tally(
    looks=2000,
    kinds={"person": Agreement(known=500, found=500)},
    cost_us=10,
    candidate_cost_us=10,
)


@pytest.fixture(scope="module")
def street() -> Recording:
    """A picture with people, over and over."""
    [one] = pictures_of(cache_directory() / "footage" / "vtest.avi", 300, 1)
    frames: list[VideoFrame] = [one] * 20
    return record("street", encode(frames))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.close()


@dataclass
class Shelf:
    recording: Recording

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        del key
        return self.recording.between(from_us, to_us)


class Stage:
    """One start of an analyst's models."""

    def __init__(self, server: Server, folder: Path, settings: AnalysisSettings) -> None:
        self.bus = Bus(server.target, [], name="test")
        self.board = folder / "analyst-0.models.json"
        command = partial(worker_command, folder / "models", "look")
        self.models = Models(
            settings,
            folder / "models",
            self.bus,
            SystemClock(),
            self.board,
            look_command=command,
        )
        self.pool: LookPool | None = None

    def shown(self) -> dict[str, str]:
        """Role by reference, as the gateway reads it."""
        answer = ModelList.model_validate_json(self.board.read_text())
        return {f"{item.name}@{item.version}": item.role for item in answer.items}

    def item(self, name: str) -> dict[str, Any]:
        items = json.loads(self.board.read_text())["items"]
        return next(item for item in items if item["name"] == name)


@asynccontextmanager
async def _started(server: Server, folder: Path, **settings: object) -> AsyncIterator[Stage]:
    stage = Stage(server, folder, AnalysisSettings.model_validate(settings))
    async with stage.bus:
        await stage.bus.wait_connected(20)
        pool = stage.pool = await stage.models.start(ONE)
        try:
            yield stage
        finally:
            await pool.__aexit__()


@asynccontextmanager
async def _running(stage: Stage) -> AsyncIterator[None]:
    running = asyncio.create_task(stage.models.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.05)


async def _people(pool: LookPool, street: Recording) -> int:
    """How many people the detector that looks now sees."""
    outcome: LookOutcome = await pool.do(
        LookTask(
            key=street.key,
            window=Window(tenant="default", camera="street", start_us=T0, end_us=T0 + 2_000_000),
            before=None,
            whole=False,
            footage=street.between(T0, T0 + 500_000),
            memory=Memory(),
        )
    )
    return sum(each.label == "person" for each in outcome.findings.objects)


@pytest.fixture
def current(tmp_path: Path) -> Manifest:
    (tmp_path / "models").mkdir()
    return install_current(tmp_path / "models")


async def test_a_bad_canary_is_rolled_back_while_the_detector_in_use_looks_on(
    server: Server, tmp_path: Path, street: Recording, current: Manifest
) -> None:
    bad = install(tmp_path / "models", "bad-eye", damage=lose_scores)
    async with _started(server, tmp_path, canary="bad-eye@2", canary_share=1) as stage:
        assert stage.pool is not None
        [companion] = stage.models.follow(Shelf(street))
        async with _running(stage):
            await _until(stage.board.exists)
            assert stage.shown() == {current.reference: "current", bad.reference: "canary"}
            for number in range(12):
                key = CameraKey("default", f"cam{number}")
                window = Window(
                    tenant="default", camera=key.camera, start_us=T0, end_us=T0 + 2_000_000
                )
                companion.looked(
                    Glance(key=key, window=window, gop_us=T0, changed=None, moving=True, grey=None,
                           audible=False)
                )  # fmt: skip
            assert await _people(stage.pool, street) >= 5
            await _until(lambda: "rolled back" in stage.shown().values())
        assert stage.shown() == {current.reference: "current", bad.reference: "rolled back"}
        trial = stage.item("bad-eye")["trial"]
        assert trial["why"].startswith("it misses ")
        assert trial["decided"] is not None
        assert await _people(stage.pool, street) >= 5

    async with _started(server, tmp_path, canary="bad-eye@2", canary_share=1) as again:
        assert again.models.follow(Shelf(street)) == ()  # it is not tried again
        again.board.unlink()
        async with _running(again):
            await _until(again.board.exists)
        assert again.shown() == {current.reference: "current", bad.reference: "rolled back"}


async def _promote(server: Server, current: Manifest, candidate: Manifest) -> None:
    bus = Bus(server.target, [], name="another analyst")
    bucket = bus.bucket(BUCKET, Trial)
    async with bus:
        await bus.wait_connected(20)
        trial = BusTrial(
            bucket, current, candidate, limits=Limits(promoting_us=1), clock=SystemClock()
        )
        await trial.add(Tally())
        assert (await trial.add(PROMOTED)).verdict is Verdict.PROMOTED


async def test_a_promoted_model_looks_at_once_and_after_a_restart(
    server: Server, tmp_path: Path, street: Recording, current: Manifest
) -> None:
    blind = install(tmp_path / "models", "blind-eye", damage=lose_scores)  # to be told apart
    async with _started(server, tmp_path, canary="blind-eye@2") as stage:
        assert stage.pool is not None
        stage.models.follow(Shelf(street))
        async with _running(stage):
            before = await _people(stage.pool, street)
            await _promote(server, current, blind)
            await _until(lambda: stage.board.exists() and "promoted" in stage.shown().values())
        assert stage.shown() == {current.reference: "replaced", blind.reference: "promoted"}
        assert await _people(stage.pool, street) < before

    async with _started(server, tmp_path, canary="blind-eye@2") as again:
        assert again.pool is not None
        assert await _people(again.pool, street) < before

    async with _started(server, tmp_path) as without:  # taken back by the configuration
        assert without.pool is not None
        assert await _people(without.pool, street) == before


@pytest.mark.parametrize(
    ("canary", "problem"),
    [
        ("none@7", "No such file or directory; put it there, or name one that is there: "),
        (DETECTOR, "is the detector in use; name another"),
        ("crooked-eye@2", "SHA-256 differs"),
        ("strange-eye@2", "no installed package has the runtime 'strange'"),
    ],
)
async def test_a_canary_that_cannot_be_tried_is_told_and_the_detector_looks(
    server: Server, tmp_path: Path, street: Recording, current: Manifest, canary: str, problem: str
) -> None:
    crooked = install(tmp_path / "models", "crooked-eye")
    (tmp_path / "models" / crooked.file).write_bytes(b"junk")
    install(tmp_path / "models", "strange-eye", runtime="strange")
    async with _started(server, tmp_path, canary=canary) as stage:
        assert stage.pool is not None
        assert stage.models.follow(Shelf(street)) == ()
        assert problem in stage.models.problem
        assert await _people(stage.pool, street) >= 5


async def test_a_detector_that_cannot_look_is_told_and_shown(
    server: Server, tmp_path: Path, current: Manifest
) -> None:
    folder = tmp_path / "models"
    wrong = replace(install(folder, "blind-eye"), classes={99999: "person"})
    (folder / "blind-eye@2.json").write_text(wrong.to_json())
    (folder / "bad.json").write_text(wrong.to_json().replace('"2"', "2"))
    stage = Stage(server, tmp_path, AnalysisSettings(detector="blind-eye@2"))
    async with stage.bus:
        with pytest.raises(ModelError, match="blind-eye@2: its manifest has 'person' in column"):
            await stage.models.start(ONE)
    assert stage.shown() == {current.reference: "idle", "blind-eye@2": "idle"}
    looks, unreadable = json.loads(stage.board.read_text())["problem"].split("; model bad: ")
    assert looks.startswith("nothing is looked at: model blind-eye@2: its manifest has 'person' in")
    assert "(version is 2: write it as text, in quotes); correct it" in unreadable


async def test_why_looks_are_not_kept_is_shown(
    server: Server, tmp_path: Path, current: Manifest
) -> None:
    async with _started(server, tmp_path) as stage:
        running = asyncio.create_task(stage.models.run(lambda: "model glass: it is broken"))
        await _until(stage.board.exists)
        running.cancel()
        await asyncio.wait([running])
    answer = ModelList.model_validate_json(stage.board.read_text())
    assert (answer.likeness_problem, answer.problem) == ("model glass: it is broken", "")


async def test_without_the_queue_it_is_not_guessed_which_one_looks(
    server: Server, tmp_path: Path, current: Manifest
) -> None:
    install(tmp_path / "models", "other-eye")
    stage = Stage(server, tmp_path, AnalysisSettings(canary="other-eye@2"))
    server.kill()
    async with stage.bus:
        with pytest.raises(BusUnavailable):
            await stage.models.start(ONE)


async def test_a_detector_that_is_not_there_is_told_with_those_that_are(
    server: Server, tmp_path: Path, current: Manifest
) -> None:
    with pytest.raises(ModelError, match=rf"model lost: .*name one that is there: {DETECTOR}"):
        async with _started(server, tmp_path, detector="lost"):
            raise AssertionError
