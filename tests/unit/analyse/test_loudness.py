import numpy as np
import pytest
from numpy.typing import NDArray

from kilocam.analyse.loudness import RATE, is_loud, loudness_db

RNG = np.random.default_rng(0)


def _noise(seconds: float, level_db: float) -> NDArray[np.float32]:
    samples = RNG.normal(0, 10 ** (level_db / 20), round(seconds * RATE))
    return samples.astype(np.float32)


def test_loudness_is_the_power_of_each_whole_block() -> None:
    levels = loudness_db(np.concatenate([_noise(1.0, -40), np.zeros(RATE, np.float32)]))
    assert len(levels) == 62
    assert np.median(levels[:30]) == pytest.approx(-40, abs=0.5)
    assert levels[-1] == -100


def test_without_a_floor_all_sound_is_loud_but_silence() -> None:
    loud, floor_db = is_loud(_noise(1, -50), None)
    assert loud
    assert floor_db == pytest.approx(-50, abs=1)
    assert is_loud(np.zeros(RATE, np.float32), None) == (False, -100)


def test_what_stands_out_for_a_moment_is_loud() -> None:
    sound = np.concatenate([_noise(2, -50), _noise(0.3, -35), _noise(2, -50)])
    assert is_loud(sound, -50)[0]
    assert not is_loud(_noise(4, -47), -50)[0]


def test_a_click_is_not() -> None:
    sound = _noise(2, -50)
    sound[1000:1400] += 0.5
    assert not is_loud(sound, -50)[0]


def test_the_floor_follows_a_louder_place_slowly_and_a_quieter_one_at_once() -> None:
    floor: float | None = -60.0
    turns = 0
    while is_loud(_noise(2, -40), floor)[0]:
        floor = is_loud(_noise(2, -40), floor)[1]
        turns += 1
    assert 5 < turns < 25
    assert is_loud(_noise(2, -55), floor)[1] == pytest.approx(-55, abs=1)


def test_too_little_sound_says_nothing() -> None:
    assert is_loud(_noise(0.01, -10), -60) == (False, -60)
