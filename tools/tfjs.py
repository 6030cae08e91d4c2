"""Reads a TensorFlow.js graph model and writes the same network as ONNX.

Covers the operations of SSDLite-MobileNetV2 as object-detection exports have them and refuses any
other by name. Pictures run channels-first inside (what ONNX Runtime computes on); batch
normalisation, scales and biases are folded into the convolution before them.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
Scalar = np.float32
TO_CHANNELS_FIRST = [0, 3, 1, 2]
TO_CHANNELS_LAST = [0, 2, 3, 1]
BATCH_NORM_EPSILON = 1e-3


class ConversionError(Exception):
    """The graph holds something this converter does not know."""


@dataclass(frozen=True)
class GraphModel:
    """A TF.js graph: nodes by name and the weights of its constants."""

    nodes: Mapping[str, dict[str, Any]]
    weights: Mapping[str, Array]

    @classmethod
    def load(cls, model_json: Path) -> "GraphModel":
        """Read `model.json` and the shards beside it."""
        model = json.loads(model_json.read_text())
        weights: dict[str, Array] = {}
        for group in model["weightsManifest"]:
            shards = b"".join((model_json.parent / path).read_bytes() for path in group["paths"])
            offset = 0
            for entry in group["weights"]:
                array = _weight(entry, shards, offset)
                weights[entry["name"]] = array
                offset += array.nbytes
        return cls({node["name"]: node for node in model["modelTopology"]["node"]}, weights)


def _weight(entry: dict[str, Any], data: bytes, offset: int) -> Array:
    if "quantization" in entry or entry["dtype"] not in ("float32", "int32"):
        raise ConversionError(f"weight {entry['name']}: only plain float32 and int32 are read")
    count = int(np.prod(entry["shape"], dtype=np.int64))
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    return np.frombuffer(data, dtype, count, offset).reshape(entry["shape"])


@dataclass(frozen=True)
class Conv:
    """A convolution not yet written, so that what follows it can still be folded in."""

    source: str
    kernel: Array
    bias: Array
    stride: list[int]
    group: int
    padding: str

    def scaled(self, factor: Array) -> "Conv":
        """The same, each output channel times `factor`."""
        return self._with(self.kernel * factor.reshape(-1, 1, 1, 1), self.bias * factor.reshape(-1))

    def shifted(self, offset: Array) -> "Conv":
        """The same, `offset` added to each output channel."""
        return self._with(self.kernel, self.bias + offset.reshape(-1))

    def _with(self, kernel: Array, bias: Array) -> "Conv":
        return Conv(self.source, kernel, bias, self.stride, self.group, self.padding)


Value = str | Conv


@dataclass
class Converter:
    """Writes ONNX nodes for the part of `model` that the wanted outputs need.

    `inputs` maps names of the graph to channels-first tensors already written; `last_axis` gives,
    for the heads that leave the picture's shape, how many values belong to one anchor.
    """

    model: GraphModel
    inputs: Mapping[str, str]
    last_axis: Mapping[str, int]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    _values: dict[str, Value] = field(default_factory=dict)
    _written: dict[str, str] = field(default_factory=dict)

    def tensor(self, name: str) -> str:
        """The ONNX tensor that holds the graph's value `name`."""
        value = self._value(name)
        if isinstance(value, str):
            return value
        if name not in self._written:
            self._written[name] = self._write_conv(name, value)
        return self._written[name]

    def add(self, op: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        """Write one ONNX node."""
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: Array | Scalar) -> str:
        """Write one constant."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def _value(self, name: str) -> Value:
        if name in self.inputs:
            return self.inputs[name]
        if name not in self._values:
            self._values[name] = self._convert(self.model.nodes[name])
        return self._values[name]

    def _convert(self, node: dict[str, Any]) -> Value:
        name, sources = node["name"], [s for s in node["input"] if not s.startswith("^")]
        match node["op"]:
            case "Conv2D" | "DepthwiseConv2dNative":
                return self._conv(node, sources)
            case "FusedBatchNorm":
                return self._batch_norm(sources)
            case "Mul":
                return self._affine(name, sources, "Mul")
            case "Add" | "BiasAdd":
                return self._affine(name, sources, "Add")
            case "AddN":
                return self.add("Sum", map(self.tensor, sources), name)
            case "Relu6":
                limits = (self.constant("zero", np.float32(0)), self.constant("six", np.float32(6)))
                return self.add("Clip", (self.tensor(sources[0]), *limits), name)
            case "Reshape":
                return self._head(name, sources)
            case "ConcatV2":
                return self.add("Concat", map(self.tensor, sources[:-1]), name, axis=1)
            case other:
                raise ConversionError(f"node {name}: operation {other} is not known here")

    def _conv(self, node: dict[str, Any], sources: list[str]) -> Conv:
        attributes = node["attr"]
        kernel = self.model.weights[sources[1]]
        if node["op"] == "Conv2D":
            group, kernel = 1, kernel.transpose(3, 2, 0, 1)
        else:
            height, width, group, multiplier = kernel.shape
            kernel = kernel.transpose(2, 3, 0, 1).reshape(group * multiplier, 1, height, width)
        return Conv(
            source=self.tensor(sources[0]),
            kernel=kernel,
            bias=np.zeros(kernel.shape[0], np.float32),
            stride=[int(value) for value in attributes["strides"]["list"]["i"]][1:3],
            group=group,
            padding="SAME_UPPER" if _text(attributes["padding"]) == "SAME" else "VALID",
        )

    def _batch_norm(self, sources: list[str]) -> Conv:
        conv = self._value(sources[0])
        if not isinstance(conv, Conv):
            raise ConversionError(f"batch normalisation of {sources[0]}: not a convolution")
        gamma, beta, mean, variance = (self.model.weights[source] for source in sources[1:5])
        factor = gamma / np.sqrt(variance + np.float32(BATCH_NORM_EPSILON))
        return conv.scaled(factor).shifted(beta - mean * factor)

    def _affine(self, name: str, sources: list[str], op: str) -> Value:
        if sources[0] in self.model.weights:  # both operations commute
            sources = sources[::-1]
        value, constant = self._value(sources[0]), self.model.weights.get(sources[1])
        if constant is None:
            return self.add(op, map(self.tensor, sources), name)
        if isinstance(value, Conv):
            return value.scaled(constant) if op == "Mul" else value.shifted(constant)
        other = self.constant(f"{name}/constant", constant.reshape(1, -1, 1, 1))
        return self.add(op, (value, other), name)

    def _head(self, name: str, sources: list[str]) -> str:
        last = self.tensor(sources[0])
        last = self.add("Transpose", [last], f"{name}/last", perm=TO_CHANNELS_LAST)
        shape = np.array([1, -1, self.last_axis[name]], np.int64)
        return self.add("Reshape", [last, self.constant(f"{name}/shape", shape)], name)

    def _write_conv(self, name: str, conv: Conv) -> str:
        kernel = self.constant(f"{name}/kernel", conv.kernel.astype(np.float32))
        bias = self.constant(f"{name}/bias", conv.bias.astype(np.float32))
        return self.add(
            "Conv",
            (conv.source, kernel, bias),
            f"{name}/conv",
            strides=conv.stride,
            group=conv.group,
            kernel_shape=list(conv.kernel.shape[2:]),
            auto_pad=conv.padding,
        )


def _text(attribute: dict[str, Any]) -> str:
    raw = attribute["s"]
    return bytes(raw).decode() if isinstance(raw, list) else base64.b64decode(raw).decode()


def ssdlite(model: GraphModel) -> onnx.ModelProto:
    """SSDLite as one self-contained network: bytes of a picture in, boxes and scores out.

    Input `pixels`: uint8 [1, 300, 300, 3], RGB, the whole picture squashed. Outputs: `boxes`
    float32 [1, 1917, 4] as ymin, xmin, ymax, xmax in fractions of the picture; `scores`
    float32 [1, 1917, 90], column c being COCO id c + 1.
    """
    heads = {f"BoxPredictor_{i}/Reshape": 4 for i in range(6)}
    heads |= {f"BoxPredictor_{i}/Reshape_1": 91 for i in range(6)}
    to = Converter(model, {"Preprocessor/sub": "picture"}, heads)
    to.add("Cast", ["pixels"], "floats", to=TensorProto.FLOAT)
    to.add("Mul", ["floats", to.constant("scale", np.float32(1 / 127.5))], "scaled")
    to.add("Sub", ["scaled", to.constant("one", np.float32(1))], "centred")
    to.add("Transpose", ["centred"], "picture", perm=TO_CHANNELS_FIRST)
    _decode_boxes(to, to.tensor("concat"), model.weights["Postprocessor/ExpandDims"])
    to.add("Sigmoid", [to.tensor("concat_1")], "all_scores")
    begin, end = np.array([1], np.int64), np.array([91], np.int64)
    bounds = [to.constant("slice/begin", begin), to.constant("slice/end", end)]
    to.add("Slice", ["all_scores", *bounds, to.constant("last", np.array([2], np.int64))], "scores")
    return _assemble(to)


def _decode_boxes(to: Converter, encoded: str, anchors: Array) -> None:
    """The centre-size coding of SSD (Liu et al. 2016, section 2.2), variances .1 and .2."""
    size = anchors[..., 2:] - anchors[..., :2]
    centre = anchors[..., :2] + size / 2
    halves = to.constant("halves", np.array([2, 2], np.int64))
    to.nodes.append(helper.make_node("Split", [encoded, halves], ["moved", "grown"], axis=2))
    to.add("Mul", ["moved", to.constant("anchor/step", size * np.float32(0.1))], "offset")
    to.add("Add", ["offset", to.constant("anchor/centre", centre)], "centre")
    to.add("Mul", ["grown", to.constant("variance", np.float32(0.2))], "log_size")
    to.add("Exp", ["log_size"], "factor")
    to.add("Mul", ["factor", to.constant("anchor/half", size / 2)], "half")
    to.add("Sub", ["centre", "half"], "low")
    to.add("Add", ["centre", "half"], "high")
    to.add("Concat", ["low", "high"], "boxes", axis=2)


def _assemble(to: Converter) -> onnx.ModelProto:
    graph = helper.make_graph(
        to.nodes,
        "ssdlite_mobilenet_v2",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 300, 300, 3])],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 1917, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1917, 90]),
        ],
        list(to.initializers.values()),
    )
    opset = helper.make_opsetid("", 17)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    return model


def arrays_digest(model: onnx.ModelProto) -> str:
    """SHA-256 over every constant's name, shape and bytes: the same whatever library wrote it."""
    digest = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda tensor: tensor.name):
        array = numpy_helper.to_array(tensor)
        digest.update(f"{tensor.name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
