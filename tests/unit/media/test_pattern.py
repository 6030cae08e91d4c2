from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.core import ConfigError
from kilocam.media.files import decode_pictures
from kilocam.media.pattern import (
    PatternSpec,
    StillSpec,
    draw_pattern,
    draw_still,
    pattern_media,
    read_frame_number,
    still_media,
    write_frame_number,
)

SMALL = PatternSpec(width=160, height=96, fps=5, seconds=2, bitrate_kbps=64, key_interval_s=1)


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(0, (1 << 24) - 1),
    width=st.integers(96, 400),
    height=st.integers(48, 300),
    noise=st.integers(0, 20),
    colour=st.booleans(),
)
def test_a_number_drawn_is_the_number_read(
    number: int, width: int, height: int, noise: int, colour: bool
) -> None:
    picture = np.full((height, width, 3) if colour else (height, width), 90, np.uint8)
    write_frame_number(picture, number)
    dirt = np.random.default_rng(number).integers(-noise, noise + 1, picture.shape)
    assert read_frame_number(np.clip(picture + dirt, 0, 255).astype(np.uint8)) == number


def test_numbers_survive_coding_at_256_kbit_and_scaling_to_a_quarter(tmp_path: Path) -> None:
    spec = PatternSpec(seconds=2)
    pattern_media(spec, cache=tmp_path)
    pictures = list(decode_pictures(next(tmp_path.glob("*.mp4"))))
    assert [read_frame_number(picture) for picture in pictures] == list(range(30))
    assert [read_frame_number(picture[::4, ::4]) for picture in pictures] == list(range(30))


def test_another_scene_has_no_number() -> None:
    for sigma in (0.0, 40.0):
        scene = next(draw_still(StillSpec(width=160, height=96, sigma=sigma)))
        assert read_frame_number(scene) is None
    assert read_frame_number(np.zeros((8, 8), np.uint8)) is None
    assert read_frame_number(np.full((90, 160, 3), 255, np.uint8)) is None


def test_two_pictures_mixed_have_no_number() -> None:
    pictures = list(draw_pattern(SMALL))
    mixed = (pictures[1].astype(np.uint16) + pictures[2]) // 2
    assert read_frame_number(mixed.astype(np.uint8)) is None


def test_pictures_of_the_pattern_differ_below_the_number() -> None:
    pictures = list(draw_pattern(SMALL))
    assert len(pictures) == 10
    for before, after in pairwise(pictures):
        assert (before[16:] != after[16:]).mean() > 0.1


def test_the_pattern_comes_near_its_bit_rate_with_and_without_sound() -> None:
    media = pattern_media(PatternSpec(seconds=4, bitrate_kbps=256, sound=True))
    assert media.video is not None
    assert media.audio is not None
    size = sum(len(unit) for sample in media.video.samples for unit in sample.units)
    assert size * 8 / 4 == pytest.approx(256_000, rel=0.25)


def test_a_still_scene_changes_only_by_its_noise(tmp_path: Path) -> None:
    spec = StillSpec(width=160, height=96, fps=5, seconds=2, sigma=2)
    first, second, *_ = (picture.astype(int) for picture in draw_still(spec))
    assert (first != second).mean() > 0.5
    assert np.abs(first - second).mean() < 5
    pattern_media(SMALL, cache=tmp_path)
    taken = StillSpec(background=next(tmp_path.glob("*.mp4")), width=96, height=64, sigma=0)
    assert next(draw_still(taken)).shape == (64, 96, 3)


def test_a_still_scene_in_strict_constant_bit_rate_is_filled_up() -> None:
    spec = StillSpec(width=160, height=96, fps=5, seconds=4, bitrate_kbps=80, strict_cbr=True)
    video = still_media(spec).video
    assert video is not None
    size = sum(len(unit) for sample in video.samples for unit in sample.units)
    assert size * 8 / 4 == pytest.approx(80_000, rel=0.15)


def test_a_picture_too_small_for_the_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="test picture of 64x48: too small"):
        pattern_media(PatternSpec(width=64, height=48))


def test_a_number_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not fit into 24 bits"):
        write_frame_number(np.zeros((96, 160), np.uint8), 1 << 24)
