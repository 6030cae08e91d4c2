"""Makes the network that tells how alike two objects look out of the beginning of the detector.

Of the many layers of the detector an early one tells objects of one class apart best: what lies
further back was trained to call all people the same (`docs/design/analyse.md`, "Likeness"). Its
values are averaged in four strips, one below the other, then centred and scaled. By what was
measured once, over objects in real footage (`python -m bench.likeness --calibrate`), and is kept in
`likeness.json`: so vectors of different moments and machines can be compared.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SCALES = Path(__file__).with_name("likeness.json")
LAYER = "FeatureExtractor/MobilenetV2/expanded_conv_3/expand/Relu6"
CHANNELS, STRIDE = 144, 4
SIDE = 128
"""Pixels of the square that an object's picture is squashed into."""
STRIPS = 4
DIMENSIONS = CHANNELS * STRIPS

Scales = tuple[NDArray[np.float32], NDArray[np.float32]]


def read_scales() -> Scales:
    """Mean and deviation of each dimension."""
    kept = json.loads(SCALES.read_text())
    return np.array(kept["mean"], np.float32), np.array(kept["deviation"], np.float32)


def network(detector: onnx.ModelProto, scales: Scales | None) -> onnx.ModelProto:
    """Input `pixels`: uint8 [1, 128, 128, 3]; output `vector`: float32 [1, 576].

    Without `scales` the vector is as it comes.
    """
    nodes, constants = _upto(detector.graph, LAYER)
    side = SIDE // STRIDE
    strip = [side // STRIPS, side]
    more: dict[str, NDArray[Any]] = {"likeness/flat": np.array([1, DIMENSIONS], np.int64)}
    nodes.append(
        helper.make_node(
            "AveragePool", [LAYER], ["likeness/strips"], kernel_shape=strip, strides=strip
        )
    )
    flat = ["likeness/strips", "likeness/flat"]
    if scales is None:
        nodes.append(helper.make_node("Reshape", flat, ["vector"]))
    else:
        more |= dict(zip(("likeness/mean", "likeness/deviation"), scales, strict=True))
        centred = ["likeness/raw", "likeness/mean"]
        nodes.append(helper.make_node("Reshape", flat, ["likeness/raw"]))
        nodes.append(helper.make_node("Sub", centred, ["likeness/centred"]))
        scaled = ["likeness/centred", "likeness/deviation"]
        nodes.append(helper.make_node("Div", scaled, ["vector"]))
    graph = helper.make_graph(
        nodes,
        "likeness_mobilenet_v2",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, DIMENSIONS])],
        [*constants, *(numpy_helper.from_array(array, name) for name, array in more.items())],
    )
    opset = helper.make_opsetid("", 17)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def _upto(
    graph: onnx.GraphProto, output: str
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The nodes and constants that an output needs, in order."""
    needed, nodes = {output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    return nodes[::-1], [each for each in graph.initializer if each.name in needed]
