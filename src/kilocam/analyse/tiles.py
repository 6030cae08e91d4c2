"""Tiles: parts of a large picture in which something changed, shown to the detector enlarged.

The detector sees a picture squashed to its own size, in which who is far away is a few pixels
wide. The difference stage knows where something changed, so the detector is shown that as well, at
twice the size. What it finds there joins what it found in the whole picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from kilocam.analyse.colours import Pixels
from kilocam.analyse.detector import KIND_OF, OVERLAP, Box, iou, shared
from kilocam.analyse.difference import LEAST_CELLS, Mask
from kilocam.analyse.pictures import Picture
from kilocam.core import Detection

LEAST_LINES = 720
"""Of smaller pictures the detector sees enough for what a tile costs (docs/design/analyse.md)."""
ENLARGED = 2
"""A tile is so much larger than the same part of the whole picture: half of its height."""
MOST = 2
"""Tiles of one picture."""
INSIDE = 0.7
"""A box that lies so far in another one of its kind is a part of the same object, cut off or seen
twice: much of a person looks like a person."""
EDGE = 0.01
"""What comes so near to a tile's edge is cut off by it; the whole picture may have it."""


def tiles(picture: Picture, changed: Mask, width: int, height: int) -> Iterator[tuple[Pixels, Box]]:
    """Parts of height x width pixels around what changed, each with its place in the picture.

    Args:
        picture: from `LEAST_LINES` on; a smaller one has none.
        changed: cells of the difference stage.
        width: of what the detector wants.
        height: likewise.
    """
    high = ENLARGED * height
    wide = round(high * picture.width / picture.height)
    if picture.height < LEAST_LINES or wide < width:
        return
    enlarged = None
    for x, y in _middles(changed, width / wide, height / high):
        if enlarged is None:
            enlarged = picture.rgb(wide, high)
        left = min(max(round(x * wide - width / 2), 0), wide - width)
        top = min(max(round(y * high - height / 2), 0), high - height)
        part = np.ascontiguousarray(enlarged[top : top + height, left : left + width])
        yield part, (left / wide, top / high, width / wide, height / high)


def untiled(found: Sequence[Detection], tile: Box) -> list[Detection]:
    """What was found in a tile, where it is in the picture, without what the tile's edge cuts."""
    x, y, w, h = tile
    whole: list[Detection] = []
    for each in found:
        left, top, wide, high = each.box
        at = (x + left * w, y + top * h, wide * w, high * h)
        cut = (
            (left < EDGE and x > 0)
            or (top < EDGE and y > 0)
            or (left + wide > 1 - EDGE and x + w < 1 - EDGE)
            or (top + high > 1 - EDGE and y + h < 1 - EDGE)
        )
        if not cut:
            whole.append(replace(each, box=at))
    return whole


def joined(found: Sequence[Detection]) -> list[Detection]:
    """Objects of several looks at one picture, each once, best first."""
    kept: list[Detection] = []
    for each in sorted(found, key=lambda one: -one.score):
        if not any(_same(each, other) for other in kept):
            kept.append(each)
    return kept


def _same(one: Detection, other: Detection) -> bool:
    if KIND_OF[one.label] != KIND_OF[other.label]:
        return False
    smaller = min(one.box[2] * one.box[3], other.box[2] * other.box[3])
    return iou(one.box, other.box) > OVERLAP or shared(one.box, other.box) > INSIDE * smaller


def _middles(changed: Mask, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Where tiles of so much of the picture hold most of what changed, that with most first."""
    left = changed.copy()
    down, across = left.shape
    rows, columns = max(1, int(height * down)), max(1, int(width * across))
    for _ in range(MOST):
        if np.count_nonzero(left) < LEAST_CELLS:
            return
        sums = np.pad(left, ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.int32).cumsum(axis=1)
        held = (
            sums[rows:, columns:] - sums[:-rows, columns:]
            - sums[rows:, :-columns] + sums[:-rows, :-columns]
        )  # fmt: skip
        best = np.flatnonzero(held == held.max())
        top, first = divmod(int(best[len(best) // 2]), held.shape[1])
        inside = left[top : top + rows, first : first + columns]
        there = np.nonzero(inside)
        y, x = (
            start + (int(at.min()) + int(at.max()) + 1) / 2
            for start, at in zip((top, first), there, strict=True)
        )
        yield x / across, y / down
        inside[:] = False
