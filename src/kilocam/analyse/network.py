"""A model's network in ONNX Runtime, on one thread: workers are as many as cores."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime  # type: ignore[import-untyped] # it ships no types
from numpy.typing import NDArray

from kilocam.analyse.errors import ModelError, in_a_line
from kilocam.analyse.models import Model

_ERRORS_ONLY = 3


class Network:
    """One network; not for several threads at once.

    Args:
        model: whose.
        file: the one of its other files it lies in; empty: the model's own.

    Raises:
        ModelError: ONNX Runtime refuses it; one line.
    """

    def __init__(self, model: Model, file: str = "") -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                model.path(file).read_bytes() if file else model.network,
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # the runtime's errors share no narrower type
            raise ModelError(
                f"model {model.manifest.reference}: ONNX Runtime refuses "
                f"{file or model.manifest.file} ({in_a_line(error)}); "
                "delete it and run tools/models.py, or correct it if it is your own"
            ) from error
        self.inputs: Mapping[str, str] = {
            each.name: each.type for each in self._session.get_inputs()
        }
        """The runtime's names of their types, in the network's own order."""

    def run(self, value: NDArray[np.generic], *outputs: str) -> Sequence[NDArray[np.float32]]:
        """What a network with one input gives: see `run_on`."""
        return self.run_on({next(iter(self.inputs)): value}, *outputs)

    def run_on(
        self, values: Mapping[str, NDArray[np.generic]], *outputs: str
    ) -> Sequence[NDArray[np.float32]]:
        """The outputs of these names, or all of them in the network's own order."""
        given: Sequence[NDArray[np.float32]] = self._session.run(list(outputs) or None, values)
        return given
