"""A detector from outside Kilocam: people by their high-visibility vests.

It has no network; its model file holds the colours of vests. A real one would load its network
here, with whatever runs it, on one thread: Kilocam starts as many workers as there are cores.
"""

import json

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kilocam.analyse.models import Model
from kilocam.core import Detection


class Vests:
    """Patches of a vest's colour, each of them a person."""

    width, height = 160, 90

    def __init__(self, low: tuple[int, int, int], high: tuple[int, int, int]) -> None:
        self._low, self._high = np.array(low), np.array(high)

    def detect(
        self,
        pixels: NDArray[np.uint8],
        aspect: float,  # noqa: ARG002 - vests have any shape
        at_us: int,
    ) -> list[Detection]:
        """Objects in a picture, as `kilocam.analyse.detectors.ObjectDetector` has it."""
        vest = ((pixels >= self._low) & (pixels <= self._high)).all(axis=2)
        patches, _ = ndimage.label(vest)
        found = []
        for number, place in enumerate(ndimage.find_objects(patches), start=1):
            rows, columns = place
            high, wide = rows.stop - rows.start, columns.stop - columns.start
            filled = int((patches[place] == number).sum()) / (high * wide)
            if high * wide >= 12 and filled >= 0.2:
                box = (
                    columns.start / self.width,
                    rows.start / self.height,
                    wide / self.width,
                    high / self.height,
                )
                found.append(Detection(label="person", score=filled, box=box, at_us=at_us))
        return found


def make(model: Model) -> Vests:
    """What the entry point names: a detector out of a model that Kilocam has checked."""
    colours = json.loads(model.network)
    return Vests(tuple(colours["low"]), tuple(colours["high"]))
