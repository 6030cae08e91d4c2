"""Makes the detector with 8 bits out of the one with 32: the same numbers on every machine.

How far activations range was measured once (`python -m bench.int8 --calibrate`) and is kept in
`int8.json`, since a measurement differs in its last bits from machine to machine; all that is left
is rounding. Activations are unsigned, weights signed with a scale per channel.

Weights use 7 of their bits where ONNX Runtime adds products in pairs of 16 bits on processors
without VNNI (which would overflow), and 8 in depthwise convolutions, where it never does.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import (  # type: ignore[import-untyped] # it ships no types
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    TensorsData,
)

Range = tuple[float, float]
Floats = NDArray[np.floating[Any]]
RANGES = Path(__file__).with_name("int8.json")
OPERATIONS = ("Conv", "Add", "Clip")
EIGHT_BITS, SEVEN_BITS = 127, 64
"""The largest weight."""


def read_ranges() -> dict[str, Range]:
    """Lowest and highest value of each activation, by tensor."""
    return {name: (low, high) for name, (low, high) in json.loads(RANGES.read_text()).items()}


def quantised(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> onnx.ModelProto:
    """The network with 8 bits; what has no range (decoding of boxes, scores) keeps its 32."""
    model = simplified(model)
    depthwise = _round_weights(model)
    known = dict(ranges) | {
        name: ranges[limited] for name, limited in _limits(model).items() if limited in ranges
    }
    full = {"quant_type": QuantType.QInt8, "axis": 0, "symmetric": True, "reduce_range": False}
    low_high = {name: tuple(map(np.float32, each)) for name, each in known.items()}
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, low_high),
        nodes_to_quantize=[node.name for node in model.graph.node if node.output[0] in known],
        nodes_to_exclude=[],
        op_types_to_quantize=list(OPERATIONS),
        extra_options={"TensorQuantOverrides": {name: [dict(full)] for name in depthwise}},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    small: onnx.ModelProto = quantizer.model.model
    onnx.checker.check_model(small)
    return small


def activations(model: onnx.ModelProto) -> list[str]:
    """The tensors of a simplified network whose ranges are to be known."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    ends = {name for node in convolutions for name in (node.input[0], node.output[0])}
    return sorted(ends - _limits(model).keys())


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Shifts of a residual's sum go into the convolution before it: one rounding less in each."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    for shift in [node for node in graph.node if node.op_type == "Add"]:
        total = makers.get(shift.input[0])
        if total is None or total.op_type != "Sum" or shift.input[1] not in constants:
            continue
        bias, more = constants[makers[total.input[0]].input[2]], constants[shift.input[1]]
        moved = numpy_helper.to_array(bias) + numpy_helper.to_array(more).reshape(-1)
        bias.CopyFrom(numpy_helper.from_array(moved, bias.name))
        total.op_type, total.name = "Add", shift.name
        total.output[0] = shift.output[0]
        graph.node.remove(shift)
        graph.initializer.remove(more)
    return copy


def _limits(model: onnx.ModelProto) -> dict[str, str]:
    """What a limit makes of a tensor, by tensor: what lies beyond its range need not be told."""
    return {n.input[0]: n.output[0] for n in model.graph.node if n.op_type == "Clip"}


def _round_weights(model: onnx.ModelProto) -> list[str]:
    """Round all weights in place; names of those of depthwise convolutions."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    depthwise = []
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        tensor = constants[node.input[1]]
        alone = any(each.name == "group" and each.i > 1 for each in node.attribute)
        if alone:
            depthwise.append(tensor.name)
        weights = rounded(numpy_helper.to_array(tensor), EIGHT_BITS if alone else SEVEN_BITS)
        tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    return depthwise


def rounded(weights: Floats, most: int) -> Floats:
    """Weights as multiples of a step per output channel, `most` of which are the largest.

    The sum over a channel is kept to half a step: rounding each weight to the nearest would shift
    a channel's mean, for what comes in is mostly of one sign.
    """
    flat = weights.reshape(weights.shape[0], -1).astype(np.float64)
    steps = (np.abs(flat).max(axis=1, keepdims=True) / most).astype(np.float32).astype(np.float64)
    exact = flat / np.where(steps == 0, 1, steps)
    whole = np.round(exact)
    for row, wanted in zip(whole, exact, strict=True):
        errors = wanted - row
        off = round(math.fsum(errors.tolist()))  # the same in whatever order it is added
        sign = int(np.sign(off))
        row[np.argsort(-sign * errors, kind="stable")[: abs(off)]] += sign
    scaled: Floats = (whole * steps).astype(np.float32)
    return scaled.reshape(weights.shape)
