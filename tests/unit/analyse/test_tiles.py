"""Where tiles lie, and what becomes of what is found in them."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kilocam.analyse.detector import Box
from kilocam.analyse.difference import HEIGHT, WIDTH, Mask
from kilocam.analyse.tiles import LEAST_LINES, MOST, joined, tiles, untiled
from kilocam.core import Detection

TILE: Box = (0.25, 0.5, 0.25, 0.5)


@dataclass
class Ramp:
    """Each pixel says where it is; what was asked for is noted."""

    width: int = 1920
    height: int = 1080
    at_us: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        self.asked.append((width, height))
        across = np.linspace(0, 255, width).round().astype(np.uint8)
        down = np.linspace(0, 255, height).round().astype(np.uint8)
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = across, down[:, np.newaxis]
        return pixels

    def grey(self, width: int, height: int) -> NDArray[np.uint8]:
        raise NotImplementedError


def changed(*boxes: Box) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    for x, y, w, h in boxes:
        rows = slice(round(y * HEIGHT), round((y + h) * HEIGHT))
        mask[rows, round(x * WIDTH) : round((x + w) * WIDTH)] = True
    return mask


def seen(box: Box, score: float = 0.9, label: str = "person") -> Detection:
    return Detection(label=label, score=score, box=box, at_us=0)


def holds(tile: Box, box: Box) -> bool:
    return all(
        tile[axis] <= box[axis] and box[axis] + box[axis + 2] <= tile[axis] + tile[axis + 2]
        for axis in (0, 1)
    )


FAR: Box = (0.1, 0.2, 0.05, 0.1)
NEAR: Box = (0.6, 0.5, 0.2, 0.3)


def test_what_changed_far_apart_gets_a_tile_each_the_larger_one_first() -> None:
    picture = Ramp()
    found = [tile for _, tile in tiles(picture, changed(FAR, NEAR), 300, 300)]
    assert [holds(tile, box) for tile, box in zip(found, (NEAR, FAR), strict=True)] == [True] * 2
    assert picture.asked == [(1067, 600)]  # enlarged once, for both


def test_a_tile_shows_its_place_in_the_picture() -> None:
    ((pixels, (x, y, w, h)),) = tiles(Ramp(), changed(FAR), 300, 300)
    assert pixels.shape == (300, 300, 3)
    assert pixels[0, 0, 0] == pytest.approx(255 * x, abs=1)
    assert pixels[0, 0, 1] == pytest.approx(255 * y, abs=1)
    assert pixels[-1, -1, 0] == pytest.approx(255 * (x + w), abs=1)
    assert pixels[-1, -1, 1] == pytest.approx(255 * (y + h), abs=1)
    assert (w, h) == pytest.approx((300 / 1067, 0.5))


@given(st.lists(st.tuples(*[st.floats(0, 0.95)] * 2, *[st.floats(0, 0.5)] * 2), max_size=5))
def test_tiles_lie_in_the_picture_and_are_few(boxes: list[Box]) -> None:
    mask = changed(*boxes)
    found = [tile for _, tile in tiles(Ramp(), mask, 300, 300)]
    assert len(found) <= MOST
    assert bool(found) == (np.count_nonzero(mask) >= 5)
    assert all(holds((0, 0, 1, 1), tile) for tile in found)


@pytest.mark.parametrize(
    "picture",
    [Ramp(height=LEAST_LINES - 1, width=1280), Ramp(height=1920, width=800)],
    ids=["small", "narrow"],
)
def test_a_picture_that_has_no_more_to_show_has_no_tiles(picture: Ramp) -> None:
    assert list(tiles(picture, changed(NEAR), 300, 300)) == []
    assert picture.asked == []


def test_what_is_found_in_a_tile_has_its_place_in_the_picture() -> None:
    (found,) = untiled([seen((0.5, 0.5, 0.2, 0.4))], TILE)
    assert found.box == pytest.approx((0.375, 0.75, 0.05, 0.2))


def test_what_the_edge_of_a_tile_cuts_is_left_to_others() -> None:
    cut = [(0.0, 0.5, 0.2, 0.2), (0.5, 0.0, 0.2, 0.2), (0.8, 0.5, 0.2, 0.2)]
    assert untiled([seen(box) for box in cut], TILE) == []
    at_the_bottom = seen((0.5, 0.8, 0.2, 0.2))  # where the picture ends too
    assert len(untiled([at_the_bottom], TILE)) == 1


def test_an_object_seen_twice_is_one() -> None:
    whole, tile = seen((0.1, 0.1, 0.1, 0.3), 0.6), seen((0.11, 0.11, 0.09, 0.29), 0.8)
    legs = seen((0.11, 0.25, 0.08, 0.14), 0.5)
    other, car = seen((0.2, 0.1, 0.1, 0.3), 0.3), seen((0.1, 0.1, 0.1, 0.3), 0.4, "car")
    assert joined([whole, legs, other, tile, car]) == [tile, car, other]
