"""The detector with 8 bits: made the same anywhere, and seeing what the one with 32 sees."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.fakes.stored_footage import pictures_of
from tools.quantise import quantised, read_ranges, rounded
from tools.tfjs import arrays_digest

from kilocam.analyse.canary import Agreement, agreement
from kilocam.analyse.detector import Detector
from kilocam.analyse.models import DETECTOR, DETECTOR_32, load_model, models_directory


@pytest.fixture(scope="module")
def whole() -> onnx.ModelProto:
    return onnx.load_model_from_string(load_model(DETECTOR_32, models_directory()).network)


def test_it_is_made_the_same_twice_and_as_it_was_made_before(whole: onnx.ModelProto) -> None:
    once, again = (quantised(whole, read_ranges()) for _ in range(2))
    assert once.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)

    installed = load_model(DETECTOR, models_directory())
    digest = arrays_digest(onnx.load_model_from_string(installed.network))
    assert arrays_digest(once) == digest
    assert installed.manifest.version.endswith(f"-{digest[:8]}")


def test_every_convolution_has_weights_of_8_bits(whole: onnx.ModelProto) -> None:
    model = quantised(whole, read_ranges())
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    makers = {node.output[0]: node for node in model.graph.node}
    for node in convolutions:
        kernel = arrays[makers[node.input[1]].input[0]]
        assert kernel.dtype == np.int8
        # Without VNNI products are added in pairs of 16 bits: 2 * 255 * 64 is what goes in.
        depthwise = any(each.name == "group" and each.i > 1 for each in node.attribute)
        assert np.abs(kernel.astype(int)).max() == (127 if depthwise else 64)
    assert len(convolutions) == 88


def test_rounding_keeps_the_sum_of_each_channel() -> None:
    weights = np.random.default_rng(3).normal(0.1, 1, (40, 30, 3, 3)).astype(np.float32)
    weights[7] = 0
    coarse = rounded(weights, 64)
    steps = np.abs(weights).max(axis=(1, 2, 3)) / 64

    off = np.abs((coarse - weights).sum(axis=(1, 2, 3), dtype=np.float64))
    assert (off <= 0.51 * steps).all()
    assert (np.abs(coarse - weights).max(axis=(1, 2, 3)) <= 1.01 * steps).all()
    assert np.array_equal(rounded(coarse, 64), coarse)


def test_it_sees_what_the_one_with_32_bits_sees(detector: Detector, street: Path) -> None:
    exact = Detector(load_model(DETECTOR_32, models_directory()))
    of = Agreement()
    for number in range(10, 790, 60):
        [frame] = pictures_of(street, number, 1)
        pixels = frame.reformat(300, 300, "rgb24").to_ndarray().astype(np.uint8)
        seen = [each.detect(pixels, 4 / 3, 0) for each in (exact, detector)]
        of = sum(agreement(seen[0], seen[1], ()).values(), of)
    assert of.known > 60
    assert of.missed <= 2
    assert of.extra <= 2
