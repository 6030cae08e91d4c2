"""Listening with the real models: real and synthetic speech, as cameras send it."""

import subprocess
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fakes.sounds import encode_sound, silence
from tests.fakes.stored_sound import T0, Scene, sounding

from kilocam.analyse.listener import Listener
from kilocam.analyse.models import LISTENER, cache_directory, load_model, models_directory
from kilocam.analyse.utterances import ListenOutcome, ListenTask
from kilocam.core import CameraKey
from kilocam.media import decode_sound

S = 1_000_000
YARD = CameraKey("default", "yard")
Waveform = NDArray[np.float32]
_SESSIONS = count()
"""The listener remembers how the sound of a session lies to its pictures."""


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener(load_model(LISTENER, models_directory()))


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> Waveform:
    words = "Please call the fire brigade. There is smoke in the loading bay."
    return _spoken(tmp_path_factory.mktemp("speech"), words)


def _spoken(folder: Path, words: str) -> Waveform:
    file = folder / "spoken.wav"
    subprocess.run(["espeak-ng", "-s", "150", "-w", str(file), words], check=True, timeout=30)
    return decode_sound(file)


def _scene(*parts: Waveform, codec: Literal["pcmu", "mpeg4-generic", "opus"] = "pcmu") -> Scene:
    pcm = np.concatenate(parts)
    if codec == "pcmu":
        sound = encode_sound(pcm[::2], codec, 8_000)
    elif codec == "opus":
        sound = encode_sound(np.repeat(pcm, 3), codec, 48_000)
    else:
        sound = encode_sound(pcm, codec, 16_000)
    return Scene(sound=sound, seconds=len(pcm) / 16_000, session=next(_SESSIONS))


def _listen(
    listener: Listener,
    scene: Scene,
    from_s: float,
    to_s: float,
    *,
    last: bool = False,
    floor_db: float | None = -60.0,
) -> ListenOutcome:
    footage = sounding(scene)
    return listener.listen(
        ListenTask(
            key=YARD,
            from_us=T0 + int(from_s * S),
            to_us=T0 + int(to_s * S),
            last=last,
            floor_db=floor_db,
            footage=footage,
        )
    )


@pytest.mark.parametrize("codec", ["pcmu", "mpeg4-generic", "opus"])
def test_a_sentence_is_heard_when_it_was_said(
    listener: Listener, sentence: Waveform, codec: Literal["pcmu", "mpeg4-generic", "opus"]
) -> None:
    scene = _scene(silence(2), sentence, silence(3), codec=codec)
    outcome = _listen(listener, scene, 0, 4 + len(sentence) / 16_000)
    text = " ".join(each.text for each in outcome.said).lower()
    assert "fire brigade" in text
    assert "loading bay" in text
    first, last = outcome.said[0], outcome.said[-1]
    assert first.from_us == pytest.approx(T0 + 2 * S, abs=400_000)
    assert last.to_us == pytest.approx(T0 + 2 * S + len(sentence) * S // 16_000, abs=500_000)
    assert all(0.3 < each.score <= 1 for each in outcome.said)
    assert outcome.until_us >= last.to_us
    assert outcome.loud


def test_a_real_voice_is_understood(listener: Listener) -> None:
    voice = decode_sound(cache_directory() / "footage" / "front-center.wav")
    outcome = _listen(listener, _scene(silence(1), voice, silence(2)), 0, 4)
    assert [each.text.strip(".").lower() for each in outcome.said] == ["front center"]


def test_what_is_still_being_said_is_heard_with_what_comes(
    listener: Listener, sentence: Waveform
) -> None:
    scene = _scene(silence(2), sentence, silence(3))
    first = _listen(listener, scene, 0, 3.5)
    assert first.said == ()
    assert T0 + 1.5 * S <= first.until_us <= T0 + 2.3 * S
    rest = _listen(listener, scene, (first.until_us - T0) / S, 4 + len(sentence) / 16_000)
    assert "fire brigade" in rest.said[0].text.lower()


def test_what_ends_with_its_stretch_is_all_there_is(listener: Listener, sentence: Waveform) -> None:
    scene = _scene(silence(2), sentence, silence(1))
    outcome = _listen(listener, scene, 0, 5, last=True)
    assert len(outcome.said) == 1
    assert outcome.until_us == T0 + 5 * S


def test_speech_without_a_pause_is_cut(listener: Listener, tmp_path: Path) -> None:
    words = (
        "The delivery van waits at the north gate and the driver asks for somebody to open it "
        "because nobody answers the bell and he has nine more parcels to bring before evening "
        "and the rain is getting heavier while the yard is full of water and leaves from trees"
    )
    spoken = _spoken(tmp_path, words)
    assert len(spoken) > 15 * 16_000
    outcome = _listen(listener, _scene(spoken), 0, len(spoken) / 16_000)
    text = " ".join(each.text for each in outcome.said).lower()
    assert "gate" in text
    assert all(each.to_us - each.from_us <= 15 * S for each in outcome.said)
    assert outcome.until_us > T0 + 5 * S


@pytest.mark.parametrize("volume", [0.0, 0.003])
def test_quiet_costs_no_model(listener: Listener, volume: float) -> None:
    noise = np.random.default_rng(1).normal(0, 1, 6 * 16_000).astype(np.float32) * volume
    outcome = _listen(listener, _scene(noise), 0, 5, floor_db=-52)
    assert (outcome.said, outcome.loud) == ((), False)
    assert set(outcome.spent_us) == {"decode", "loudness"}
    assert outcome.until_us == T0 + 4_700_000


def test_loud_noise_is_no_speech(listener: Listener) -> None:
    rng = np.random.default_rng(2)
    hum = np.sin(np.arange(3 * 16_000) * 0.05) * 0.2
    noise = np.concatenate([hum, rng.normal(0, 0.1, 3 * 16_000)]).astype(np.float32)
    outcome = _listen(listener, _scene(silence(1), noise, silence(1)), 0, 7.5)
    assert outcome.loud
    assert outcome.said == ()


def test_footage_without_sound_is_heard_to_its_end(listener: Listener) -> None:
    task = ListenTask(key=YARD, from_us=T0, to_us=T0 + 5 * S, last=False, floor_db=None, footage=())
    outcome = listener.listen(task)
    assert (outcome.until_us, outcome.said, outcome.loud) == (T0 + 5 * S, (), False)
