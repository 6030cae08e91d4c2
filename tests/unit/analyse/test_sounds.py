"""Sounds by a network made for the test, whose answers follow from the spectra alone."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.fakes.sounds import silence, tone

from kilocam.analyse.errors import ModelError
from kilocam.analyse.models import SOUNDS, Manifest, Model
from kilocam.analyse.noises import Noises
from kilocam.analyse.results import SOUND
from kilocam.analyse.sounds import BANDS, FFT, FRAMES, STEP, SoundClasses, log_mel
from kilocam.analyse.stored_sound import Sound
from kilocam.analyse.utterances import Noise
from kilocam.core import CameraKey

T0 = 1_700_000_000_000_000
S = 1_000_000
YARD = CameraKey("default", "yard")
LOW, HIGH = 12, 50
"""Bands that 500 Hz and 5 kHz fall into, about."""


def _model(columns: Mapping[int, str], shape: tuple[int, ...] = (1, 1, FRAMES, BANDS)) -> Model:
    """Each score is 1 where the mean of a band is above -3: column 0 for low, 1 and 2 for high."""
    picks = np.zeros((BANDS, 3), np.float32)
    picks[LOW, 0] = picks[HIGH, 1] = picks[HIGH, 2] = 1
    nodes = [
        helper.make_node("ReduceMean", ["patch"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "picks"], ["bands"]),
        helper.make_node("Add", ["bands", "three"], ["above"]),
        helper.make_node("Sign", ["above"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bands",
        [helper.make_tensor_value_info("patch", TensorProto.FLOAT, (1, 1, FRAMES, BANDS))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, 3))],
        [
            numpy_helper.from_array(picks, "picks"),
            numpy_helper.from_array(np.array([3.0], np.float32), "three"),
        ],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(network)
    manifest = Manifest(
        name=SOUNDS, version="1", file="x.onnx", sha256="", licence="", source="", input=shape,
        classes=dict(columns),
    )  # fmt: skip
    return Model(manifest=manifest, directory=Path(), network=network.SerializeToString())


@pytest.fixture(scope="module")
def named() -> SoundClasses:
    return SoundClasses(_model({0: "hum", 1: "whistle", 2: "whistle"}))


def _hertz(band: int) -> float:
    """The middle of a mel band."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (125.0, 7500.0))
    return float(700 * (10 ** ((low + (high - low) * (band + 1) / (BANDS + 1)) / 2595) - 1))


@pytest.mark.parametrize("band", [3, LOW, 30, HIGH, 60])
def test_a_tone_stands_in_its_band(band: int) -> None:
    mean = log_mel(tone(1.0, _hertz(band))).mean(axis=0)
    assert mean.shape == (BANDS,)
    assert int(mean.argmax()) == band


def test_there_is_a_spectrum_each_ten_milliseconds_and_none_of_too_little() -> None:
    assert log_mel(silence(1.0)).shape == ((16_000 - FFT) // STEP + 1, BANDS)
    assert log_mel(silence(0.03)).shape == (0, BANDS)
    assert np.allclose(log_mel(silence(0.1)), np.log(1e-6))


def _heard(
    named: SoundClasses, *parts: np.ndarray[tuple[int], np.dtype[np.float32]], until_s: float = 60
) -> list[tuple[str, float, float]]:
    pcm = np.concatenate(parts)
    until_us = T0 + min(round(until_s * S), len(pcm) * S // 16_000)
    return [
        (each.label, (each.from_us - T0) / S, (each.to_us - T0) / S)
        for each in named.of(Sound(T0, pcm), until_us)
    ]


def test_a_sound_is_named_from_where_it_begins_to_where_it_ends(named: SoundClasses) -> None:
    found = _heard(named, silence(2.0), tone(2.0, _hertz(HIGH)), silence(2.0))
    assert [label for label, *_ in found] == ["whistle"]
    _, from_s, to_s = found[0]
    assert from_s == pytest.approx(2.0, abs=1.0)
    assert to_s == pytest.approx(4.0, abs=1.0)


def test_sounds_at_once_and_again_are_told_apart(named: SoundClasses) -> None:
    both = tone(2.0, _hertz(LOW)) + tone(2.0, _hertz(HIGH))
    found = _heard(named, both, silence(3.0), tone(2.0, _hertz(LOW)))
    assert sorted(label for label, *_ in found) == ["hum", "hum", "whistle"]
    assert _heard(named, silence(3.0)) == []


def test_nothing_beyond_what_is_heard_now_is_named_and_nothing_before_it_is_left_out(
    named: SoundClasses,
) -> None:
    late = (silence(2.3), tone(1.0, _hertz(HIGH)))
    assert _heard(named, *late, until_s=2.2) == []
    assert [label for label, *_ in _heard(named, *late)] == ["whistle"]


def test_a_model_that_does_not_name_sounds_is_refused() -> None:
    with pytest.raises(ModelError, match="does not name sounds"):
        SoundClasses(_model({0: "hum"}, shape=(1, 300, 300, 3)))


# From one listening to the next


def _noise(label: str, from_s: float, to_s: float) -> Noise:
    return Noise(from_us=T0 + round(from_s * S), to_us=T0 + round(to_s * S), label=label, score=0.9)


def test_a_sound_that_goes_on_is_one_event_once_it_is_kept() -> None:
    noises = Noises()
    first = noises.events(YARD, [_noise("siren", 0, 5)])
    assert [(each.opens, each.label, each.text) for each in first] == [(True, SOUND, "siren")]
    assert noises.events(YARD, [_noise("siren", 0, 5)]) == first  # heard again: nothing was kept
    noises.kept(YARD, first)

    on = [_noise("siren", 6, 9), _noise("horn", 7, 8), _noise("siren", 20, 21)]
    events = noises.events(YARD, on)
    assert [each.opens for each in events] == [False, True, True]
    assert events[0].event_id == first[0].event_id
    assert len({each.event_id for each in events}) == 3


def test_each_camera_and_each_owner_has_events_of_its_own() -> None:
    noises = Noises()
    first = noises.events(YARD, [_noise("siren", 0, 5)])
    noises.kept(YARD, first)
    (elsewhere,) = noises.events(CameraKey("default", "gate"), [_noise("siren", 6, 9)])
    assert elsewhere.opens
    noises.forget(YARD)
    (anew,) = noises.events(YARD, [_noise("siren", 6, 9)])
    assert anew.opens
    assert anew.event_id != first[0].event_id
