"""The detector quantised to int8 beside the shipped fp32, on the same labelled pictures.

    python -m bench.int8

Needs `onnx`, which the build has. Static quantisation, per channel, calibrated on 50 pictures of
the campus between the labelled spans; the result lives in a temporary folder. Printed: the
detector's table twice, and what a picture costs.
"""

import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from kilocam.analyse import DETECTOR, Model, cache_directory, load_model, models_directory
from kilocam.analyse.detector import Detector, Pixels
from kilocam.cli.bench.quality.figures import table
from kilocam.cli.bench.quality.films import pictures
from kilocam.cli.bench.quality.labels import read_labels
from kilocam.cli.bench.quality.run import FILMS, LABELS
from kilocam.cli.bench.quality.seeing import detector_section, watch

CALIBRATION = range(130, 530, 8)


class Calibration(CalibrationDataReader):
    """Pictures, one after the other."""

    def __init__(self, some: Sequence[Pixels]) -> None:
        self._left = iter(some)

    def get_next(self) -> dict[str, Pixels] | None:
        picture = next(self._left, None)
        return None if picture is None else {"pixels": picture[np.newaxis]}


def quantised(model: Model, some: Sequence[Pixels]) -> Model:
    """The same network with 8 bits."""
    with tempfile.TemporaryDirectory() as name:
        plain, simple, small = (Path(name) / f"{n}.onnx" for n in ("plain", "simple", "small"))
        plain.write_bytes(model.network)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(simple)
        onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
        quantize_static(
            simple, small, Calibration(some), quant_format=QuantFormat.QDQ, per_channel=True,
            reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Add", "Sum", "Clip"],
        )  # fmt: skip
        network = small.read_bytes()
    manifest = replace(
        model.manifest,
        name=f"{model.manifest.name}-int8",
        sha256=hashlib.sha256(network).hexdigest(),
    )
    return Model(manifest=manifest, directory=model.directory, network=network)


def main() -> None:
    model = load_model(DETECTOR, models_directory())
    cache = cache_directory()
    labels = [read_labels(LABELS / f"{name}.json") for name in FILMS]
    some = [
        picture.rgb(300, 300)
        for number, picture in enumerate(pictures(labels[0].film, cache))
        if number in CALIBRATION
    ]
    for each in (model, quantised(model, some)):
        detector = Detector(each)
        begun = time.process_time()
        for picture in some:
            detector.detect(picture, 4 / 3, 0)
        cost_ms = 1000 * (time.process_time() - begun) / len(some)
        watched = [one for film in labels for one in watch(film, cache, detector)]
        print(table([detector_section(each, watched)]))
        print(f"{len(each.network) / 1e6:.1f} MB, {cost_ms:.1f} ms of a core a picture\n")


if __name__ == "__main__":
    main()
