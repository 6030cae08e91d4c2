"""What colours an object has, in words people search by.

Pixels of the middle of its box are named one by one; what many share is a colour of the object.
Names, not numbers: compression, night and light change a colour by more than names differ by.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kilocam.analyse.results import Box

COLOURS = (
    "black", "grey", "white", "red", "orange", "brown", "yellow", "green", "blue", "purple", "pink",
)  # fmt: skip
LEAST_SHARE = 0.18
"""Of an object's pixels: what fewer show is not a colour of it."""
MOST_NAMED = 2
_ACROSS, _DOWN = 0.6, 0.8
"""The middle of a box: beside it there is mostly what stands behind the object."""
_BESIDE, _BEHIND = 0.3, 0.4
"""Strips beside the box, in its widths, and how much of their shares the middle loses."""
_LEAST_PIXELS = 16
_MONOCHROME = 4.0
"""Mean difference of a picture's channels; infra-red pictures have none."""
_DARK = 60
"""A pixel all channels of which are below is black."""
_LIGHT = 165
"""One without hue, all channels of which are above, is white."""
_LEAST_CHROMA, _LEAST_SATURATION = 24, 0.22
_LEAST_WARM = 0.38
"""Saturation of orange, yellow and brown: sand, beige and skin are paler."""
_BROWN_BELOW = 150
_HUES = np.array([0.0, 14.0, 42.0, 70.0, 160.0, 262.0, 315.0, 345.0])
"""Degrees at which red, orange, yellow, green, blue, purple, pink and red again begin."""
_HUE_NAMES = np.array([COLOURS.index(name) for name in (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "red"
)])  # fmt: skip
_WEIGHTS = np.array([1.0] * 3 + [2.5] * 8)
"""Shadows, windows, tyres and streets are grey and black, so a hue counts for more."""
_DROPPED = 3

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def is_monochrome(pixels: Pixels) -> bool:
    """Whether a picture (RGB, height x width x 3) has no colour at all."""
    some = pixels[::8, ::8].astype(np.int16)
    return float((some.max(2) - some.min(2)).mean()) < _MONOCHROME


def colours_of(pixels: Pixels, box: Box) -> Mapping[str, float]:
    """The share of each colour in the middle of an object, less what is beside it too.

    Empty: too little of the object is in the picture. What `named` makes of it are its colours.

    Args:
        pixels: the whole picture, RGB, height x width x 3; it may be squashed.
        box: the object (x, y, w, h) as fractions.
    """
    x, y, w, h = box
    top, bottom = y + h * (1 - _DOWN) / 2, y + h * (1 + _DOWN) / 2
    inside = _shares(pixels, (x + w * (1 - _ACROSS) / 2, x + w * (1 + _ACROSS) / 2), (top, bottom))
    if inside is None:
        return {}
    beside = [
        shares
        for across in ((x - w * _BESIDE, x), (x + w, x + w * (1 + _BESIDE)))
        if (shares := _shares(pixels, across, (top, bottom))) is not None
    ]
    if beside:
        inside = np.maximum(inside - _BEHIND * np.mean(beside, axis=0), 0.0)
    return {COLOURS[at]: float(share) for at, share in enumerate(inside) if share}


def _shares(
    pixels: Pixels, across: tuple[float, float], down: tuple[float, float]
) -> NDArray[np.float64] | None:
    """Of each colour in a part of the picture; None: there are too few pixels."""
    height, width, _ = pixels.shape
    left, right = (round(min(max(at, 0.0), 1.0) * width) for at in across)
    top, bottom = (round(min(max(at, 0.0), 1.0) * height) for at in down)
    part = pixels[top:bottom, left:right].reshape(-1, 3)
    if len(part) < _LEAST_PIXELS:
        return None
    bits = part >> _DROPPED
    cells = (bits[:, 0].astype(np.intp) << 10) | (bits[:, 1].astype(np.intp) << 5) | bits[:, 2]
    counts = np.bincount(_names()[cells], minlength=len(COLOURS)) * _WEIGHTS
    return np.asarray(counts / counts.sum(), dtype=np.float64)


@cache
def _names() -> NDArray[np.intp]:
    """The colour of each cell of the RGB cube with five bits a channel: naming costs a look-up."""
    steps = (np.arange(32) << _DROPPED) + (1 << _DROPPED) // 2
    red, green, blue = np.meshgrid(steps, steps, steps, indexing="ij")
    return name_pixels(np.stack([red, green, blue], axis=-1).reshape(-1, 3).astype(np.uint8))


def named(shares: Mapping[str, float]) -> tuple[str, ...]:
    """The colours that are worth naming, the largest first; at most two."""
    best = sorted(shares, key=lambda name: (-shares[name], name))
    return tuple(name for name in best[:MOST_NAMED] if shares[name] >= LEAST_SHARE)


def name_pixels(rgb: Pixels) -> NDArray[np.intp]:
    """Of each row of n x 3 the index in `COLOURS`."""
    values = rgb.astype(np.float32)
    most, least = values.max(1), values.min(1)
    chroma = most - least
    plain = (chroma < _LEAST_CHROMA) | (chroma < _LEAST_SATURATION * most)
    grey = np.where(least > _LIGHT, COLOURS.index("white"), COLOURS.index("grey"))
    hue = _hue(values, most, chroma)
    names = _HUE_NAMES[np.searchsorted(_HUES, hue, side="right") - 1]
    warm = (names == COLOURS.index("orange")) | (names == COLOURS.index("yellow"))
    plain |= warm & (chroma < _LEAST_WARM * most)
    names = np.where(warm & (most < _BROWN_BELOW), COLOURS.index("brown"), names)
    names = np.where(plain, grey, names)
    return np.where(most < _DARK, COLOURS.index("black"), names)


def _hue(values: Floats, most: Floats, chroma: Floats) -> Floats:
    """Degrees from 0 to 360 (of the HSV cone)."""
    red, green, blue = values.T
    safe = np.where(chroma > 0, chroma, 1)
    hue = np.where(
        most == red,
        ((green - blue) / safe) % 6,
        np.where(most == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return np.asarray(hue * 60, dtype=np.float32)
