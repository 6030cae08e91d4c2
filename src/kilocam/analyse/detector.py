"""The detector: which objects are in one picture.

SSDLite-MobileNetV2 through ONNX Runtime on one thread; workers are as many as cores. The network
decodes its own boxes (`tools/tfjs.py`), so what is left is the threshold, the suppression of
doubles and two rules against mistakes this model is known for.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kilocam.analyse.errors import ModelError, in_a_line
from kilocam.analyse.models import Manifest, Model
from kilocam.analyse.network import Network
from kilocam.core import Detection

FLOOR = 0.2
"""Detections below are noise; between here and `THRESHOLD` they only continue known objects."""
THRESHOLD = 0.4
OVERLAP = 0.4
"""Boxes of one kind that overlap more (intersection over union) are one object: at .5 a person is
now and then two, side by side (docs/design/analyse.md)."""
CANDIDATES = 100
"""Boxes considered in one picture; more is a picture gone wrong."""
KINDS: Mapping[str, tuple[str, ...]] = {
    "person": ("person",),
    "vehicle": ("car", "truck", "bus", "train", "boat"),
    "cycle": ("bicycle", "motorcycle"),
    "animal": ("bird", "cat", "dog", "horse", "sheep", "cow", "bear"),
    "bag": ("backpack", "suitcase", "handbag"),
}
"""The labels that are reported, by kind; all others are not. Labels of one kind are mistaken for
each other, so one object may change its label within its kind from picture to picture."""
KIND_OF: Mapping[str, str] = {label: kind for kind, labels in KINDS.items() for label in labels}

Box = tuple[float, float, float, float]
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Detector:
    """One network in memory; not for several threads at once.

    Raises:
        ModelError: it is no such network, or not as its manifest says; one line.
    """

    def __init__(self, model: Model) -> None:
        self._network = Network(model)
        _, self.height, self.width, _ = model.manifest.input
        chosen = {c: k for c, k in sorted(model.manifest.classes.items()) if k in KIND_OF}
        self._columns = np.array(list(chosen))
        self._labels = tuple(chosen.values())
        self._try(model.manifest)

    def detect(self, pixels: Pixels, aspect: float, at_us: int) -> list[Detection]:
        """Objects in a picture, best first, from `FLOOR` up.

        Args:
            pixels: RGB, the whole picture squashed to `height` x `width`.
            aspect: Width by height of the picture as it was.
            at_us: When it was taken.
        """
        boxes, scores = self._run(pixels)
        wanted = scores[0, :, self._columns].T
        return select(boxes[0], wanted, self._labels, aspect, at_us)

    def _run(self, pixels: Pixels) -> Sequence[Floats]:
        """Corners of boxes, 1 x n x 4, and their scores, 1 x n x columns."""
        return self._network.run(pixels[np.newaxis], "boxes", "scores")

    def _try(self, manifest: Manifest) -> None:
        """Look at a black picture."""
        try:
            boxes, scores = self._run(np.zeros((self.height, self.width, 3), np.uint8))
            if scores.ndim != 3 or boxes.shape != (*scores.shape[:2], 4):
                raise ValueError(f"boxes {boxes.shape} and scores {scores.shape} do not fit")
        except Exception as error:  # the runtime's errors share no narrower type
            raise ModelError(
                f"model {manifest.reference}: it cannot look at a picture as its manifest has it "
                f"({in_a_line(error)}); correct the one or the other"
            ) from error
        there = range(scores.shape[2])
        for column in self._columns.tolist():
            if column not in there:
                raise ModelError(
                    f"model {manifest.reference}: its manifest has {manifest.classes[column]!r} in "
                    f"column {column} of {len(there)} that are there, the first being 0; correct it"
                )


def select(
    boxes: Floats, scores: Floats, labels: Sequence[str], aspect: float, at_us: int
) -> list[Detection]:
    """What a network's raw boxes (ymin, xmin, ymax, xmax) and scores say, best first."""
    rows, columns = np.nonzero(scores >= FLOOR)
    order = np.argsort(-scores[rows, columns], kind="stable")[:CANDIDATES]
    kept: list[Detection] = []
    for row, column in zip(rows[order], columns[order], strict=True):
        box = _as_fractions(boxes[row])
        label = labels[column]
        if box is None or (label == "person" and _giant(box, aspect)):
            continue
        if all(KIND_OF[k.label] != KIND_OF[label] or iou(k.box, box) <= OVERLAP for k in kept):
            score = float(scores[row, column])
            kept.append(Detection(label=label, score=score, box=box, at_us=at_us))
    return kept


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (x, y, w, h)."""
    both = shared(a, b)
    return both / (a[2] * a[3] + b[2] * b[3] - both) if both else 0.0


def shared(a: Box, b: Box) -> float:
    """The area that two boxes have in common; 0: they do not overlap."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def _as_fractions(corners: Floats) -> Box | None:
    """The box clipped to the picture, None when nothing is left (or it is no number)."""
    top, left, bottom, right = (min(max(float(value), 0.0), 1.0) for value in corners)
    if not (right - left > 1e-4 and bottom - top > 1e-4):
        return None
    return (left, top, right - left, bottom - top)


def _giant(box: Box, aspect: float) -> bool:
    """A person wider than most of the picture and lying: this model's known false alarm."""
    return box[2] > 0.6 and box[2] * aspect > 2 * box[3]
