"""Colours by name: of painted things, over noise, against what stands behind them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilocam.analyse.colours import COLOURS, Pixels, colours_of, is_monochrome, named
from kilocam.analyse.results import Box

BOX: Box = (0.4, 0.3, 0.2, 0.4)
PAINTS = {
    "black": (20, 22, 25), "grey": (120, 122, 118), "white": (235, 238, 240), "red": (190, 30, 35),
    "orange": (235, 130, 20), "brown": (110, 70, 35), "yellow": (240, 215, 40),
    "green": (40, 140, 60), "blue": (30, 70, 170), "purple": (120, 50, 170),
    "pink": (240, 110, 190),
}  # fmt: skip
STREET = (150, 150, 148)


def street(*, noise: float = 8) -> Pixels:
    picture = np.full((300, 300, 3), STREET, float)
    picture += np.random.default_rng(1).normal(0, noise, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def paint(picture: Pixels, box: Box, colour: str, noise: float = 8) -> None:
    x, y, w, h = (round(part * 300) for part in box)
    part = np.array(PAINTS[colour]) + np.random.default_rng(2).normal(0, noise, (h, w, 3))
    picture[y : y + h, x : x + w] = part.clip(0, 255)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_painted_thing_has_its_colour(colour: str) -> None:
    picture = street() if colour != "grey" else np.full((300, 300, 3), 235, np.uint8)
    paint(picture, BOX, colour)
    assert named(colours_of(picture, BOX)) == (colour,)


@pytest.mark.parametrize("pale", [(200, 170, 150), (225, 190, 170), (170, 150, 120)])
def test_sand_and_skin_are_not_orange(pale: tuple[int, int, int]) -> None:
    picture = street()
    picture[90:210, 120:180] = pale
    assert set(named(colours_of(picture, BOX))) <= {"grey", "white"}


def test_a_person_has_the_colours_of_both_clothes_the_larger_first() -> None:
    picture = street()
    paint(picture, BOX, "blue")
    paint(picture, (0.4, 0.3, 0.2, 0.15), "red")
    assert named(colours_of(picture, BOX)) == ("blue", "red")


def test_what_stands_behind_gives_no_colour() -> None:
    picture = street()
    paint(picture, (0.0, 0.0, 1.0, 1.0), "green")  # a lawn
    paint(picture, (0.46, 0.3, 0.08, 0.4), "black")  # somebody slim
    assert named(colours_of(picture, BOX)) == ("black",)


def test_a_thing_at_the_edge_or_as_large_as_the_picture_has_its_colour_too() -> None:
    for box in ((0.0, 0.0, 0.2, 0.4), (0.9, 0.5, 0.1, 0.5), (0.0, 0.0, 1.0, 1.0)):
        picture = street()
        paint(picture, box, "red")
        assert named(colours_of(picture, box)) == ("red",)


def test_what_is_too_small_has_none() -> None:
    assert colours_of(street(), (0.5, 0.5, 0.01, 0.01)) == {}
    assert named({}) == ()


def test_infra_red_pictures_are_monochrome_and_streets_are_not() -> None:
    grey = np.random.default_rng(3).integers(0, 256, (300, 300, 1), dtype=np.uint8)
    assert is_monochrome(np.repeat(grey, 3, axis=2))
    assert not is_monochrome(street())


@given(st.tuples(*(st.floats(0, 1) for _ in range(4))))
def test_shares_are_of_known_colours_and_no_more_than_all(box: Box) -> None:
    shares = colours_of(street(), box)
    assert set(shares) <= set(COLOURS)
    assert sum(shares.values()) <= 1.0 + 1e-9
    assert len(named(shares)) <= 2
