"""Key frame difference: does this picture differ from the camera's background?

A small grey picture is compared, cell by cell, with a slowly learnt mean and with the noise learnt
around it. Brightness and contrast of the whole picture are fitted first, so that exposure, a cloud
or a lamp far away change nothing. The model is a small value that travels with the camera. What
differs is learnt slowly; where the detector then sees nothing in it (infra-red light, the place
somebody has left) it is the scene, and learnt as fast as all else.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kilocam.analyse.pictures import part_of
from kilocam.analyse.results import Box

WIDTH, HEIGHT = 96, 54
LEARN_US = 30_000_000
"""Time constant of the background where nothing is in the way ..."""
ABSORB_US = 180_000_000
"""... and where something is: a car that stays becomes background in minutes."""
NOISE_FLOOR = 1.5
"""Grey levels; quantisation of the codec moves a cell that much."""
SIGMAS = 4.0
LEAST_STEP = 6.0
"""Grey levels below which nothing is called a change, however quiet the sensor."""
LEAST_CELLS = 5
NEIGHBOURS = 3
"""Cells of the 3x3 block around a changed cell that must have changed, itself counted."""
NEW_SCENE = 0.6
"""When more of the picture differs the camera has turned or switched to infra-red: start anew."""
_FIXED = np.float32(256)

Grey = NDArray[np.uint8]
Cells = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Background(NamedTuple):
    """What the scene looks like at rest; cheap to pickle, as it travels with each look."""

    at_us: int
    cells: bytes
    """Mean, then noise of each cell as 8.8 fixed point: 2 x `HEIGHT` x `WIDTH` of 16 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What differs from the background."""

    changed: bool
    share: float
    """Of the picture."""
    box: Box | None
    """Around all that differs, as fractions (x, y, w, h); None when nothing does."""
    cells: Mask | None = None
    """Those that differ; None when none or all do."""


EVERYTHING = Change(changed=True, share=1.0, box=(0.0, 0.0, 1.0, 1.0))
NOTHING = Change(changed=False, share=0.0, box=None)


def compare(background: Background | None, grey: Grey, at_us: int) -> tuple[Change, Background]:
    """Compare a `HEIGHT` x `WIDTH` picture with the background; returns the next background.

    A picture older than the background is compared and teaches nothing. The first of a camera
    differs from nothing; the first of a new scene does in everything.
    """
    if background is None:
        return NOTHING, _fresh(grey.astype(np.float32), at_us)
    now, fitted, noise = _lit(background, grey)
    step = now - fitted
    off = np.abs(step)
    mask = _solid(off > np.maximum(SIGMAS * noise, LEAST_STEP))
    many = int(np.count_nonzero(mask))
    share = many / mask.size
    if share > NEW_SCENE:
        return EVERYTHING, _fresh(now, max(at_us, background.at_us))
    change = Change(changed=many >= LEAST_CELLS, share=share, box=_around(mask), cells=mask)
    elapsed = at_us - background.at_us
    if elapsed <= 0:
        return change, background
    slowly, soon = _rates(elapsed)
    learnt = fitted + np.where(mask, slowly, soon) * step
    calmed = noise + np.where(mask, np.float32(0), soon) * (off - noise)
    return change, _stored(learnt, calmed, at_us)


def accept(
    background: Background, grey: Grey, at_us: int, differs: Mask, objects: Iterable[Box]
) -> Background:
    """The next background if of what `differs` only `objects` are something.

    The rest is the scene of now; it says nothing of its noise.
    """
    elapsed = at_us - background.at_us
    if elapsed <= 0:
        return background
    now, fitted, noise = _lit(background, grey)
    held = differs & _covered(objects)
    slowly, soon = _rates(elapsed)
    learnt = fitted + np.where(held, slowly, soon) * (now - fitted)
    calmed = np.where(differs, noise, noise + soon * (np.abs(now - fitted) - noise))
    return _stored(learnt, calmed, at_us)


def _rates(elapsed: int) -> tuple[np.float32, np.float32]:
    """How much of a step is learnt in that time: where something is in the way, and elsewhere."""
    slowly, soon = (1 - math.exp(-elapsed / each) for each in (ABSORB_US, LEARN_US))
    return np.float32(slowly), np.float32(soon)


def _lit(background: Background, grey: Grey) -> tuple[Cells, Cells, Cells]:
    """A picture, the background in its light, the noise; as floats."""
    now = grey.astype(np.float32)
    stored = np.frombuffer(background.cells, np.uint16).reshape(2, HEIGHT, WIDTH)
    mean, noise = stored.astype(np.float32) / _FIXED
    return now, _fit(mean, now), noise


def _covered(boxes: Iterable[Box]) -> Mask:
    """Cells that lie under any box."""
    covered = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    for box in boxes:
        covered[part_of(box, WIDTH, HEIGHT)] = True
    return covered


def _fresh(now: Cells, at_us: int) -> Background:
    return _stored(now, np.full_like(now, NOISE_FLOOR), at_us)


def _stored(mean: Cells, noise: Cells, at_us: int) -> Background:
    cells = np.stack((mean, np.maximum(noise, NOISE_FLOOR)))
    scaled = np.clip(cells * _FIXED + np.float32(0.5), 0, 65535)
    return Background(at_us, scaled.astype(np.uint16).tobytes())


def _fit(mean: Cells, now: Cells) -> Cells:
    """The background in the light of this picture: gain and offset by trimmed least squares."""
    middle = _median(mean)
    x, y = mean - middle, now - middle
    fitted: Cells = x + _median(y)
    for _ in range(2):
        off = np.abs(y - fitted)
        inside = (off <= max(_median(off) * 3, 2.0)).astype(np.float32)
        # Sums as inner products: a tenth of the time that picking the cells takes.
        many = float(inside.sum())
        chosen = x * inside
        x_mean, y_mean = float(chosen.sum()) / many, float(np.vdot(inside, y)) / many
        spread = float(np.vdot(chosen, x)) / many - x_mean * x_mean
        gain = float(np.vdot(chosen, y)) / many - x_mean * y_mean
        gain = min(max(gain / spread, 0.4), 2.5) if spread > 4 else 1.0
        fitted = x * np.float32(gain) + np.float32(y_mean - gain * x_mean)
    return fitted + np.float32(middle)


def _median(cells: Cells) -> float:
    """The upper one of an even number: numpy's own takes three times as long."""
    middle = cells.size // 2
    return float(np.partition(cells, middle, axis=None)[middle])


def _solid(mask: Mask) -> Mask:
    """Only cells whose neighbours differ too: noise is speckled, things are not."""
    if np.count_nonzero(mask) < NEIGHBOURS:
        return np.zeros_like(mask)
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2), np.uint8)
    padded[1:-1, 1:-1] = mask
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    around: NDArray[np.uint8] = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return mask & (around >= NEIGHBOURS)


def _around(mask: Mask) -> Box | None:
    if not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    top, left = int(rows[0]), int(columns[0])
    bottom, right = int(rows[-1]) + 1, int(columns[-1]) + 1
    return (left / width, top / height, (right - left) / width, (bottom - top) / height)
