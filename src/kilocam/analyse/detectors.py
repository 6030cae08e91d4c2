"""Who makes a detector of a model: Kilocam itself, or a plug-in from an installed package.

A plug-in is a function that takes a `Model` and gives an `ObjectDetector`, entered under the group
`kilocam.detectors` by the name that manifests have as their `runtime`. `examples/detector-plugin`
is one. It runs in worker processes, so it may crash; what it says is checked before it is believed.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

import numpy as np

from kilocam.analyse.detector import FLOOR, KIND_OF, Box, Detector, Pixels
from kilocam.analyse.errors import ModelError, in_a_line
from kilocam.analyse.models import BUILT_IN, Manifest, Model
from kilocam.core import Detection

GROUP = "kilocam.detectors"


class ObjectDetector(Protocol):
    """Finds objects in pictures; asked by one thread at a time."""

    @property
    def width(self) -> int:
        """Of the pictures it wants."""
        ...

    @property
    def height(self) -> int:
        """Of the pictures it wants."""
        ...

    def detect(self, pixels: Pixels, aspect: float, at_us: int) -> list[Detection]:
        """Objects in a picture, with a score of `FLOOR` at least, doubles left out.

        Args:
            pixels: RGB, the whole picture squashed to `height` x `width`.
            aspect: Width by height of the picture as it was.
            at_us: When it was taken.
        """
        ...


Maker = Callable[[Model], ObjectDetector]


def check_detector(manifest: Manifest) -> None:
    """Say whether a detector can be made of a model, as far as that is known without making it.

    Raises:
        ModelError: what it says of itself, or its plug-in, is missing.
    """
    if not set(manifest.classes.values()) & set(KIND_OF):
        raise ModelError(
            f"model {manifest.reference} is no detector: its manifest names none of the classes "
            f"that are reported ({', '.join(KIND_OF)}); name another"
        )
    if manifest.runtime != BUILT_IN:
        _plugin(manifest)
    elif len(manifest.input) != 4 or manifest.input[3] != 3 or min(manifest.input) < 1:
        raise ModelError(
            f"model {manifest.reference}: its manifest gives the input {list(manifest.input)}, "
            "not [1, height, width, 3]; correct it"
        )


def make_detector(model: Model) -> ObjectDetector:
    """The detector that a model is, which has seen a black picture: the first one takes longest.

    Raises:
        ModelError: it cannot be made, or cannot look.
    """
    check_detector(model.manifest)
    if model.manifest.runtime == BUILT_IN:
        return Detector(model)
    try:
        maker: Maker = _plugin(model.manifest).load()
        return _Checked(maker(model))
    except ModelError:
        raise
    except Exception as error:  # whatever goes wrong in foreign code
        raise ModelError(
            f"model {model.manifest.reference}: its plug-in {model.manifest.runtime!r} fails "
            f"({in_a_line(error)}); mend or remove it"
        ) from error


def _plugin(manifest: Manifest) -> EntryPoint:
    found = entry_points(group=GROUP)
    if manifest.runtime not in found.names:
        known = ", ".join(sorted({BUILT_IN, *found.names}))
        raise ModelError(
            f"model {manifest.reference}: no installed package has the runtime "
            f"{manifest.runtime!r} that it needs (there are: {known}); install its plug-in"
        )
    return found[manifest.runtime]


class _Checked:
    """A plug-in's detector, of which only what fits is passed on: trackers believe what they get.

    Labels that are not reported are left out, as are boxes outside the picture.
    """

    def __init__(self, detector: ObjectDetector) -> None:
        self._detector = detector
        self.width, self.height = int(detector.width), int(detector.height)
        self.detect(np.zeros((self.height, self.width, 3), np.uint8), 1.0, 0)

    def detect(self, pixels: Pixels, aspect: float, at_us: int) -> list[Detection]:
        found = self._detector.detect(pixels, aspect, at_us)
        fits = (d for d in found if d.label in KIND_OF and FLOOR <= d.score <= 1 and _within(d.box))
        return sorted(fits, key=lambda each: -each.score)


def _within(box: Box) -> bool:
    x, y, w, h = box
    slack = 1e-6  # fractions are sums of others
    return min(x, y) >= -slack and min(w, h) > 1e-4 and max(x + w, y + h) <= 1 + slack
