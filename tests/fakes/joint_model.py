"""A joint model small enough to make: it knows the colours red, green and blue."""

import hashlib
from pathlib import Path

import numpy as np
import tokenizers
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from tokenizers import models, normalizers, pre_tokenizers

from kilocam.analyse.models import EMBEDDING, Manifest, Vectors

DIMENSIONS = 3
COLOURS = ("red", "green", "blue")
UNKNOWN, PAD = 0, 4


def install_joint_model(folder: Path) -> str:
    """Its reference."""
    files = {
        "joint.onnx": _pictures(),
        "joint-text.onnx": _words(),
        "joint-tokenizer.json": _tokenizer(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = Manifest(
        name="joint", version="1", file="joint.onnx", sha256=digests.pop("joint.onnx"),
        licence="MIT", source="tests", runtime=EMBEDDING, input=(1, 3, 8, 8), others=digests,
        vectors=Vectors(
            dimensions=DIMENSIONS, layout="nchw", mean=(0.4, 0.4, 0.4), std=(0.5, 0.5, 0.5),
            text="joint-text.onnx", tokenizer="joint-tokenizer.json", tokens=8, pad=PAD,
        ),
    )  # fmt: skip
    (folder / "joint.json").write_text(manifest.to_json())
    return "joint"


def _pictures() -> bytes:
    """The mean of each colour."""
    axes = numpy_helper.from_array(np.array([2, 3]), "axes")
    mean = helper.make_node("ReduceMean", ["pixels", "axes"], ["image_embeds"], keepdims=0)
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 8, 8])
    return _network([mean], [given], "image_embeds", [axes])


def _words() -> bytes:
    """The sum of the colours that are named, where the mask is 1."""
    table = np.zeros((len(COLOURS) + 2, DIMENSIONS), np.float32)
    table[PAD] = (-3, 5, -3)  # what the mask leaves out
    table[1:PAD] = 1.5 * np.eye(DIMENSIONS) - 0.5
    one = np.array([1], np.int64)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["named"]),
        helper.make_node("ReduceSum", ["named", "one"], ["text_embeds"], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, 8]),
        helper.make_tensor_value_info("attention_mask", TensorProto.INT32, [1, 8]),
    ]
    constants = [
        numpy_helper.from_array(array, name)
        for name, array in (("table", table), ("one", one), ("last", np.array([2], np.int64)))
    ]
    return _network(nodes, inputs, "text_embeds", constants)


def _network(
    nodes: list[NodeProto], inputs: list[ValueInfoProto], output: str, constants: list[TensorProto]
) -> bytes:
    gives = helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, DIMENSIONS])
    graph = helper.make_graph(nodes, output, inputs, [gives], constants)
    opsets = [helper.make_opsetid("", 18)]
    made: ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(made.SerializeToString())


def _tokenizer() -> bytes:
    vocabulary = {"[PAD]": PAD, "[UNK]": UNKNOWN}
    vocabulary |= {colour: number for number, colour in enumerate(COLOURS, start=1)}
    made = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str(pretty=True).encode()
