"""Embedding: the vector of one object in one picture. Pure computing, in a worker process.

The network is data, our own or a user's: its manifest says how it takes pictures and how many
numbers it gives (`models.Vectors`). Vectors are brought to length 1 here, whoever makes them.
"""

import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kilocam.analyse.embedding import EmbedOutcome, EmbedTask
from kilocam.analyse.errors import ModelError, in_a_line
from kilocam.analyse.models import EMBEDDING, Manifest, Model
from kilocam.analyse.network import Network
from kilocam.analyse.pictures import Picture, PictureSource, picture_at
from kilocam.analyse.results import Box

MOST_DIMENSIONS = 2000
_LAYOUTS = {"nhwc": (1, 2, 3), "nchw": (2, 3, 1)}
"""Where height, width and channels stand in the input's shape."""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def check_embedding(manifest: Manifest) -> None:
    """Say whether a model can make vectors, as far as its manifest tells.

    Raises:
        ModelError: what it says of itself is missing or contradicts itself; one line.
    """
    wrong = _wrong(manifest)
    if wrong:
        raise ModelError(f"model {manifest.reference}: its manifest {wrong}")


def _wrong(manifest: Manifest) -> str:
    vectors, shape = manifest.vectors, manifest.input
    if manifest.runtime != EMBEDDING:
        return f"has the runtime {manifest.runtime!r}, not {EMBEDDING!r}; name another model"
    if vectors is None:
        return 'has no entry "vectors", which tells what the network takes and gives; add it'
    if vectors.layout not in _LAYOUTS:
        return f"gives the layout {vectors.layout!r}; write one of {', '.join(_LAYOUTS)}"
    if len(shape) != 4 or shape[_LAYOUTS[vectors.layout][2]] != 3 or min(shape[1:]) < 1:
        return f"gives the input {list(shape)}, which is no picture as {vectors.layout}; correct it"
    if not 1 <= vectors.dimensions <= MOST_DIMENSIONS:
        return f"gives {vectors.dimensions} dimensions; up to {MOST_DIMENSIONS} are kept"
    scaled = (len(vectors.mean), len(vectors.std))
    if scaled not in ((0, 0), (3, 3)) or not all(each > 0 for each in vectors.std):
        return "gives mean and std that are not three numbers each, std above 0; correct them"
    if not {vectors.text, vectors.tokenizer} <= {"", *manifest.others}:
        return "names a text or a tokenizer that is not among its others; add its SHA-256 there"
    if bool(vectors.text) != bool(vectors.tokenizer) or vectors.tokens < 1:
        return "gives text, tokenizer or tokens without the others; a joint model has all three"
    return ""


class Embedder:
    """One network in memory; not for several threads at once."""

    def __init__(
        self,
        model: Model,
        pictures: PictureSource,
        stopwatch_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        check_embedding(model.manifest)
        assert model.manifest.vectors is not None
        self._vectors = model.manifest.vectors
        self._model = model.manifest.reference
        self._pictures = pictures
        self._stopwatch_ns = stopwatch_ns
        height, width, _ = _LAYOUTS[self._vectors.layout]
        self.height, self.width = model.manifest.input[height], model.manifest.input[width]
        self._network = Network(model)
        try:
            given = self.raw(np.zeros((self.height, self.width, 3), np.uint8))
        except Exception as error:  # the runtime's errors share no narrower type
            raise ModelError(
                f"model {model.manifest.reference}: it refuses a picture as its manifest has it "
                f"({in_a_line(error)}); correct the one or the other"
            ) from error
        if given.shape != (self._vectors.dimensions,):
            raise ModelError(
                f"model {model.manifest.reference}: it gives {given.size} numbers where its "
                f"manifest says {self._vectors.dimensions} dimensions; correct the one or the other"
            )

    def embed(self, task: EmbedTask) -> EmbedOutcome:
        """The vector of one object.

        Raises:
            FootageError: its picture cannot be decoded.
        """
        begun = self._stopwatch_ns()
        picture = picture_at(self._pictures, task.footage, task.at_us, task.what)
        vector = self.vector(crop(picture, task.box, self.width, self.height))
        cost_us = (self._stopwatch_ns() - begun) // 1000
        return EmbedOutcome(vector=tuple(vector.tolist()), model=self._model, cost_us=cost_us)

    def vector(self, pixels: Pixels) -> Floats:
        """Of an object's picture, height x width x 3, RGB; its length is 1."""
        return unit(self.raw(pixels))

    def raw(self, pixels: Pixels) -> Floats:
        """What the network gives, of whatever length."""
        put = pixels[np.newaxis]
        vectors = self._vectors
        if vectors.mean:
            put = ((put / 255 - vectors.mean) / vectors.std).astype(np.float32)
        if vectors.layout == "nchw":
            put = np.ascontiguousarray(put.transpose(0, 3, 1, 2))
        return self._network.run(put)[0].reshape(-1)


def unit(given: Floats) -> Floats:
    """The same direction, of length 1."""
    length = np.linalg.norm(given.astype(np.float64))
    scaled: Floats = (given / length if length > 0 else given).astype(np.float32)
    return scaled


def crop(picture: Picture, box: Box, width: int, height: int) -> Pixels:
    """The part of a picture in a box, squashed to height x width x 3."""
    x, y, w, h = box
    # Reduced by a whole number with the mean of what is covered; what is left is less than half.
    factor = max(1, int(min(w * picture.width / width, h * picture.height / height)))
    wide, high = picture.width // factor, picture.height // factor
    left, top = min(int(x * wide), wide - 1), min(int(y * high), high - 1)
    right = max(left + 1, min(wide, math.ceil((x + w) * wide)))
    bottom = max(top + 1, min(high, math.ceil((y + h) * high)))
    return _squashed(picture.rgb(wide, high)[top:bottom, left:right], width, height)


def _squashed(pixels: Pixels, width: int, height: int) -> Pixels:
    """Bilinear, pixels' middles on pixels' middles."""
    rows = _between(pixels.astype(np.float32), height)
    both = _between(rows.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return both.round().astype(np.uint8)


def _between(rows: Floats, count: int) -> Floats:
    at = np.clip((np.arange(count) + 0.5) * len(rows) / count - 0.5, 0, len(rows) - 1)
    low = np.minimum(at.astype(int), max(len(rows) - 2, 0))
    part = (at - low).astype(np.float32)[:, np.newaxis, np.newaxis]
    mixed: Floats = rows[low] * (1 - part) + rows[np.minimum(low + 1, len(rows) - 1)] * part
    return mixed
