from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from kilocam.analyse.detector import Box
from kilocam.analyse.difference import (
    HEIGHT,
    WIDTH,
    Background,
    Change,
    Grey,
    accept,
    compare,
)

S = 1_000_000
RNG = np.random.default_rng(7)


def _scene() -> NDArray[np.float64]:
    """Something with edges, light and dark."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    scene: NDArray[np.float64] = 90 + 40 * np.sin(x / 9) + 30 * np.cos(y / 7) + 20.0 * (x > 50)
    return scene


def _shot(scene: NDArray[np.float64], noise: float = 1.0) -> Grey:
    seen = scene + RNG.normal(0, noise, scene.shape)
    return np.clip(seen, 0, 255).astype(np.uint8)


def _learnt(noise: float = 1.0, looks: int = 30) -> Background:
    background = None
    for look in range(looks):
        _, background = compare(background, _shot(_scene(), noise), look * 2 * S)
    assert background is not None
    return background


def _compare(background: Background, grey: Grey) -> Change:
    return compare(background, grey, background.at_us + 2 * S)[0]


def test_the_first_picture_of_a_camera_differs_from_nothing() -> None:
    change, _ = compare(None, _shot(_scene()), 0)
    assert (change.changed, change.box) == (False, None)


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0, 6.0])
def test_noise_alone_is_no_change(noise: float) -> None:
    background = _learnt(noise)
    assert not any(_compare(background, _shot(_scene(), noise)).changed for _ in range(50))


def test_a_distant_walker_is_a_change_and_the_box_is_around_him() -> None:
    scene = _scene()
    scene[20:26, 40:42] += 40
    change = _compare(_learnt(), _shot(scene))

    assert change.changed
    assert change.box is not None
    x, y, w, h = change.box
    assert (x * WIDTH, y * HEIGHT) == pytest.approx((40, 20), abs=1)
    assert (w * WIDTH, h * HEIGHT) == pytest.approx((2, 6), abs=2)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 30.0), (1.0, -25.0), (1.3, 0.0), (0.7, 10.0)])
def test_a_step_of_brightness_or_contrast_is_no_change(gain: float, offset: float) -> None:
    assert not _compare(_learnt(), _shot(_scene() * gain + offset)).changed


def test_a_walker_is_seen_although_the_light_changes_in_the_same_picture() -> None:
    scene = _scene() + 25
    scene[20:30, 40:44] -= 60
    assert _compare(_learnt(), _shot(scene)).changed


def test_a_car_that_stays_becomes_background() -> None:
    background = _learnt()
    scene = _scene()
    scene[30:45, 10:30] += 50
    changes = []
    for _ in range(450):
        change, background = compare(background, _shot(scene), background.at_us + 2 * S)
        changes.append(change.changed)
    assert all(changes[:20])
    assert not any(changes[-20:])


def test_a_camera_that_turned_starts_anew() -> None:
    other = _scene()[::-1, ::-1]
    change, background = compare(_learnt(), _shot(other), 100 * S)
    assert change.share == 1.0
    assert not _compare(background, _shot(other)).changed


def test_a_flat_picture_is_compared_too() -> None:
    flat = np.full((HEIGHT, WIDTH), 16, np.uint8)
    _, background = compare(None, flat, 0)
    assert not compare(background, flat, 2 * S)[0].changed


def test_an_older_picture_teaches_nothing() -> None:
    background = _learnt()
    scene = _scene()
    scene[20:30, 40:44] -= 60
    change, after = compare(background, _shot(scene), background.at_us - 60 * S)
    assert change.changed
    assert after is background


STANDS = (30 / WIDTH, 20 / HEIGHT, 8 / WIDTH, 14 / HEIGHT)
"""Where somebody stands."""


def _occupied() -> NDArray[np.float64]:
    scene = _scene()
    scene[20:34, 30:38] += 45
    return scene


def _watch(scenes: Iterable[NDArray[np.float64]], boxes: Sequence[Box] = ()) -> list[bool]:
    """Whether each picture differs, two seconds apart; the detector sees only `boxes` in it."""
    background: Background | None = None
    differs = []
    for number, scene in enumerate(scenes):
        before, at_us, picture = background, number * 2 * S, _shot(scene)
        change, background = compare(before, picture, at_us)
        differs.append(change.changed)
        if change.changed and change.cells is not None and before is not None:
            background = accept(before, picture, at_us, change.cells, boxes)
    return differs


def test_the_place_that_somebody_left_is_the_scene_after_a_minute_or_so() -> None:
    differs = _watch([*[_occupied()] * 30, *[_scene()] * 60])
    assert all(differs[30:33])
    assert not any(differs[70:])


def test_what_the_detector_sees_stays_different_for_minutes() -> None:
    scenes = [*[_scene()] * 30, *[_occupied()] * 45]
    assert all(_watch(scenes, boxes=[STANDS])[30:])
    assert not all(_watch(scenes)[30:])


def test_one_missed_object_does_not_blind_its_place() -> None:
    scenes = [*[_scene()] * 30, _occupied(), *[_scene()] * 3, _occupied()]
    assert _watch(scenes)[-1]


def test_an_older_picture_is_not_accepted() -> None:
    background = _learnt()
    differs = np.ones((HEIGHT, WIDTH), dtype=np.bool_)
    before = background.at_us - 1
    assert accept(background, _shot(_occupied()), before, differs, []) is background
