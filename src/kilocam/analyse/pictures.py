"""Pictures as looks need them, whatever decodes them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kilocam.core import Piece, Session

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
