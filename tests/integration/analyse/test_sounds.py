"""Sounds with the optional model, which is fetched into a folder of the test's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fakes.sounds import encode_sound, silence
from tests.fakes.stored_sound import T0, Scene, sounding

from kilocam.analyse.listener import Listener
from kilocam.analyse.models import LISTENER, SOUNDS, cache_directory, load_model
from kilocam.analyse.pool import ListenPool, PoolOptions, worker_command
from kilocam.analyse.sounds import SoundClasses
from kilocam.analyse.utterances import ListenOutcome, ListenTask
from kilocam.core import CameraKey

S = 1_000_000
RATE = 16_000
ROOT = Path(__file__).parents[3]
YARD = CameraKey("default", "yard")
Waveform = NDArray[np.float32]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `./test` fetched, and the extra beside it."""
    cache = tmp_path_factory.mktemp("extra")
    shutil.copytree(cache_directory() / "models", cache / "models")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/models.py"), "--sounds", "--cache", str(cache)],
        capture_output=True, text=True, check=False, env=os.environ | {"PATH": "/nowhere"},
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return cache / "models"


@pytest.fixture(scope="module")
def listener(models: Path) -> Listener:
    return Listener(load_model(LISTENER, models), SoundClasses(load_model(SOUNDS, models)))


def _smoke_alarm(seconds: float) -> Waveform:
    """Three beeps of half a second and a pause, as ISO 8201 has it."""
    at = np.arange(round(seconds * RATE)) / RATE
    beeps = (at % 4 < 3) & (at % 1 < 0.5)
    return (0.5 * np.sin(2 * np.pi * 3100 * at) * beeps).astype(np.float32)


def _siren(seconds: float) -> Waveform:
    at = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(1050 + 450 * np.sin(2 * np.pi * at / 4)) / RATE
    wail = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.3 * np.sin(3 * phase)
    return (0.4 * wail).astype(np.float32)


def _task(*parts: Waveform, session: int) -> ListenTask:
    pcm = np.concatenate(parts)
    scene = Scene(
        sound=encode_sound(pcm, "mpeg4-generic", RATE), seconds=len(pcm) / RATE, session=session
    )
    to_us = T0 + len(pcm) * S // RATE
    return ListenTask(
        key=YARD, from_us=T0, to_us=to_us, last=True, floor_db=-60.0, footage=sounding(scene)
    )


def _labels(outcome: ListenOutcome) -> set[str]:
    return {each.label for each in outcome.noises}


def test_a_smoke_alarm_and_a_siren_are_named_when_they_sound(listener: Listener) -> None:
    outcome = listener.listen(
        _task(silence(3), _smoke_alarm(8), silence(4), _siren(6), session=901)
    )
    assert {"smoke alarm", "siren"} <= _labels(outcome)
    alarm = next(each for each in outcome.noises if each.label == "smoke alarm")
    siren = next(each for each in outcome.noises if each.label == "siren")
    assert alarm.from_us == pytest.approx(T0 + 3 * S, abs=S)
    assert siren.from_us == pytest.approx(T0 + 15 * S, abs=S)
    assert outcome.spent_us["sounds"] > 0


def test_noise_and_quiet_have_no_name(listener: Listener) -> None:
    hiss = np.random.default_rng(3).normal(0, 0.1, 5 * RATE).astype(np.float32)
    assert _labels(listener.listen(_task(silence(2), hiss, session=902))) == set()
    quiet = listener.listen(_task(silence(4), session=903))
    assert "sounds" not in quiet.spent_us


@pytest.mark.asyncio
async def test_a_worker_names_sounds_where_the_extra_is_installed_and_only_there(
    models: Path,
) -> None:
    async def heard(folder: Path) -> set[str]:
        async with ListenPool(worker_command(folder, "listen"), PoolOptions(workers=1)) as pool:
            return _labels(await pool.do(_task(silence(2), _smoke_alarm(8), session=904)))

    assert "smoke alarm" in await heard(models)
    (models / f"{SOUNDS}.json").rename(models / "elsewhere.txt")
    assert await heard(models) == set()
