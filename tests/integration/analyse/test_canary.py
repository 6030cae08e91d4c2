"""Trials with real networks, real workers and a real queue: who is promoted, who rolled back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.candidates import (
    Damage,
    install,
    install_current,
    install_plugin,
    lose_scores,
    shift_boxes,
    shuffle_classes,
)
from tests.fakes.nats import Server
from tests.fakes.stored_footage import T0, Recording

from kilocam.analyse import (
    BUCKET,
    BusTrial,
    ComparePool,
    Comparing,
    ComparingOptions,
    Glance,
    Limits,
    Manifest,
    PoolOptions,
    Tally,
    Trial,
    Verdict,
    worker_command,
)
from kilocam.analyse.pictures import Footage
from kilocam.bus import Bus
from kilocam.core import CameraKey, SystemClock, Window

pytestmark = pytest.mark.asyncio
SHORT = Limits(promoting_looks=30, promoting_us=1, failed=0.3)
"""A thousand looks would take a minute; of thirty it is not certain that fewer than these fail."""
SOON = ComparingOptions(cameras=1.0, share=1.0, keep_s=0.05, failed_s=0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.close()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


class Shelf:
    """One recording, as if of any camera."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def read(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        del key
        return self._recording.between(from_us, to_us)


@asynccontextmanager
async def _trial(
    server: Server, current: Manifest, candidate: Manifest, limits: Limits | None = None
) -> AsyncIterator[BusTrial]:
    bus = Bus(server.target, [], name="test")
    bucket = bus.bucket(BUCKET, Trial)
    async with bus:
        await bus.wait_connected(20)
        yield BusTrial(bucket, current, candidate, limits=limits or Limits(), clock=SystemClock())


async def _tried(
    trial: BusTrial,
    command: tuple[str, ...],
    busy: Recording,
    options: PoolOptions | None = None,
) -> Trial:
    """Looks at many cameras until the trial is decided."""
    verdicts: list[Trial] = []
    pool = ComparePool(command, options or PoolOptions(workers=1))
    comparing = Comparing(
        footage=Shelf(busy),
        comparers=pool,
        trials=trial,
        clock=SystemClock(),
        options=SOON,
        decided=verdicts.append,
    )
    running = asyncio.create_task(comparing.run())
    try:
        for number in range(200):
            key = CameraKey("default", f"cam{number}")
            at = T0 + number % 10 * 2_000_000
            window = Window(tenant="default", camera=key.camera, start_us=at, end_us=at + 2_000_000)
            comparing.looked(
                Glance(key=key, window=window, gop_us=at, changed=None, moving=True, grey=None,
                       audible=False)
            )  # fmt: skip
        await running
    finally:
        running.cancel()
        await asyncio.wait([running])
        await pool.__aexit__()
    [verdict] = verdicts
    return verdict


async def test_the_same_model_under_another_name_is_promoted(
    server: Server, models: Path, busy: Recording
) -> None:
    current, candidate = install_current(models), install(models, "other-eye")
    command = worker_command(models, "compare", current.reference, candidate.reference)
    async with _trial(server, current, candidate, SHORT) as trial:
        verdict = await _tried(trial, command, busy)
    assert verdict.verdict is Verdict.PROMOTED
    of = verdict.tally.all_kinds
    assert (of.missed, of.extra) == (0, 0)
    assert of.known == of.found > 100
    assert verdict.tally.looks >= 30


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (shift_boxes, "it misses"),
        (shuffle_classes, "of "),  # its first reason is a kind that is not there
        (lose_scores, "it misses"),
    ],
)
async def test_a_deliberately_bad_model_is_rolled_back_and_not_tried_again(
    server: Server, models: Path, busy: Recording, damage: Damage, why: str
) -> None:
    current, candidate = install_current(models), install(models, "bad-eye", damage=damage)
    command = worker_command(models, "compare", current.reference, candidate.reference)
    async with _trial(server, current, candidate) as trial:
        verdict = await _tried(trial, command, busy)
        assert verdict.verdict is Verdict.ROLLED_BACK
        assert verdict.why.startswith(why)
        assert verdict.tally.looks < 30

    async with _trial(server, current, candidate) as trial:  # after a restart of everything
        again = await trial.add(Tally(looks=10_000))
        assert again == verdict


async def test_a_model_that_cannot_look_is_rolled_back_with_the_reason(
    server: Server, models: Path, busy: Recording
) -> None:
    current, candidate = install_current(models), install(models, "bad-eye")
    wrong = replace(candidate, classes={99999: "person"})
    (models / "bad-eye@2.json").write_text(wrong.to_json())
    command = worker_command(models, "compare", current.reference, wrong.reference)
    async with _trial(server, current, wrong) as trial:
        verdict = await _tried(trial, command, busy)
    assert verdict.verdict is Verdict.ROLLED_BACK
    assert verdict.why.startswith(
        "it failed 3 of 3 looks; the last time: model bad-eye@2: its manifest has 'person' in "
    )


@pytest.mark.parametrize(
    ("body", "failures"), [("os.abort()", 3), ("time.sleep(600)", 1)], ids=["crashes", "hangs"]
)
async def test_a_model_that_crashes_or_hangs_is_rolled_back(
    server: Server, models: Path, busy: Recording, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, body: str, failures: int,
) -> None:  # fmt: skip
    # Made well and looked at once, as workers do before they are ready; then it goes wrong.
    asked = "self.asked = getattr(self, 'asked', 0) + 1"
    install_plugin(
        tmp_path / "site", monkeypatch, f"{asked}\n        if self.asked > 1: {body}\n"
        "        return []",
    )  # fmt: skip
    current, candidate = install_current(models), install(models, "bad-eye", runtime="bad")
    command = worker_command(models, "compare", current.reference, candidate.reference)
    limits = Limits(least_failures=failures)
    async with _trial(server, current, candidate, limits) as trial:
        verdict = await _tried(trial, command, busy, PoolOptions(workers=1, task_s=3.0))
    assert verdict.verdict is Verdict.ROLLED_BACK
    assert verdict.why.startswith(
        f"it failed {failures} of {failures} looks; the last time: worker "
    )


async def test_counts_of_several_analysts_come_together(server: Server, models: Path) -> None:
    current, candidate = install_current(models), install(models, "other-eye")
    async with (
        _trial(server, current, candidate) as one,
        _trial(server, current, candidate) as other,
    ):
        await asyncio.gather(
            *(each.add(Tally(looks=1)) for each in (one, other) for _ in range(20))
        )
        assert (await one.add(Tally())).tally.looks == 40


async def test_another_version_is_another_trial(server: Server, models: Path) -> None:
    current, bad = install_current(models), install(models, "bad-eye", damage=lose_scores)
    async with _trial(server, current, bad) as trial:
        assert (await trial.add(Tally(failed=3))).verdict is Verdict.ROLLED_BACK
    mended = install(models, "bad-eye")
    assert mended.reference == bad.reference  # its content tells them apart
    async with _trial(server, current, mended) as trial:
        assert (await trial.add(Tally())).verdict is Verdict.UNDECIDED
