"""Embedding of texts: vectors beside those of pictures, by the other half of a joint model.

Pure computing, in a worker process. A joint model was trained so that a picture and the words that
describe it have vectors of nearly one direction.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np
import tokenizers
from numpy.typing import NDArray

from kilocam.analyse.embedder import Floats, check_embedding, unit
from kilocam.analyse.embedding import EmbedOutcome, TextTask
from kilocam.analyse.errors import ModelError, in_a_line
from kilocam.analyse.models import Model, Vectors
from kilocam.analyse.network import Network

_WHOLE = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class TextEmbedder:
    """One network and its tokenizer in memory; not for several threads at once."""

    def __init__(
        self, model: Model, stopwatch_ns: Callable[[], int] = time.process_time_ns
    ) -> None:
        check_embedding(model.manifest)
        vectors = model.manifest.vectors
        assert vectors is not None
        self._model = model.manifest.reference
        self._stopwatch_ns = stopwatch_ns
        if not vectors.text:
            raise ModelError(f"model {self._model}: it knows no texts; name a joint one")
        try:
            self._tokenizer = _tokenizer(model, vectors)
            self._network = Network(model, vectors.text)
            given = self._vector("")
        except Exception as error:  # the libraries' errors share no narrower type
            raise ModelError(
                f"model {self._model}: its text or its tokenizer is refused ({in_a_line(error)}); "
                "correct its manifest or its files"
            ) from error
        if given.shape != (vectors.dimensions,):
            raise ModelError(
                f"model {self._model}: its text gives {given.size} numbers where pictures have "
                f"{vectors.dimensions}; correct the manifest or the network"
            )

    def embed(self, task: TextTask) -> EmbedOutcome:
        """The vector of a text; its length is 1."""
        begun = self._stopwatch_ns()
        vector = unit(self._vector(task.text))
        cost_us = (self._stopwatch_ns() - begun) // 1000
        return EmbedOutcome(vector=tuple(vector.tolist()), model=self._model, cost_us=cost_us)

    def _vector(self, text: str) -> Floats:
        encoded = self._tokenizer.encode(text)
        given = {"ids": np.array([encoded.ids]), "mask": np.array([encoded.attention_mask])}
        return self._network.run_on(_inputs(self._network, given))[0].reshape(-1)


def _tokenizer(model: Model, vectors: Vectors) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer.from_file(str(model.path(vectors.tokenizer)))
    made.enable_truncation(vectors.tokens)
    made.enable_padding(length=vectors.tokens, pad_id=vectors.pad)
    return made


def _inputs(
    network: Network, given: Mapping[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64] | NDArray[np.int32]]:
    """Each input of a network, in its own kind of number: tokens, or (by its name) their mask."""
    return {
        name: given["mask" if "mask" in name else "ids"].astype(_WHOLE[kind])
        for name, kind in network.inputs.items()
    }
