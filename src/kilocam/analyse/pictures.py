"""Pictures as looks need them, whatever decodes them."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kilocam.analyse.errors import FootageError
from kilocam.analyse.results import Box
from kilocam.core import Piece, Session

TOLERANCE_US = 20_000
"""Rounding between the time of a window or a sight and that of its picture."""
Footage = Sequence[tuple[Session, Piece]]
"""Stored pieces in order of time, each with its session."""


class Picture(Protocol):
    """One decoded picture; it is scaled and converted only when asked for."""

    @property
    def at_us(self) -> int:
        """When it is shown."""
        ...

    @property
    def width(self) -> int:
        """In pixels, as the camera sent it."""
        ...

    @property
    def height(self) -> int:
        """In pixels, as the camera sent it."""
        ...

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        """The whole picture squashed to height x width x 3."""
        ...

    def grey(self, width: int, height: int) -> NDArray[np.uint8]:
        """The whole picture squashed to height x width; each cell the mean of what it covers."""
        ...


PictureSource = Callable[[Footage, int], Iterator[Picture]]
"""Pictures of some footage in the order they are shown, from the given time on; raises
`FootageError` when the footage cannot be decoded. What is never asked for is never decoded."""


def picture_at(pictures: PictureSource, footage: Footage, at_us: int, what: str) -> Picture:
    """The picture of a moment; `what` is looked for, for the one who reads errors.

    Raises:
        FootageError: it cannot be decoded.
    """
    picture = next(pictures(footage, at_us - TOLERANCE_US), None)
    if picture is None:
        raise FootageError(f"{what}: no picture there can be decoded")
    return picture


def part_of(box: Box, width: int, height: int) -> tuple[slice, slice]:
    """Rows and columns that a box touches in a picture of so many pixels, or cells."""
    x, y, w, h = box
    rows = slice(max(0, int(y * height)), math.ceil((y + h) * height))
    return rows, slice(max(0, int(x * width)), math.ceil((x + w) * width))
