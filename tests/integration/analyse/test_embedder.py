"""Vectors of objects: the real model on real people, a user's own as its manifest says."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests.fakes.stored_footage import RATE, T0, Recording, encode, pictures_of, record
from tools.likeness import network, read_scales
from tools.tfjs import arrays_digest

from kilocam.analyse.embedder import Embedder, check_embedding, crop
from kilocam.analyse.embedding import EmbedTask
from kilocam.analyse.errors import FootageError, ModelError
from kilocam.analyse.models import (
    DETECTOR_32,
    EMBEDDING,
    LIKENESS,
    Manifest,
    Model,
    Vectors,
    load_model,
    models_directory,
)
from kilocam.analyse.results import Box
from kilocam.analyse.stored import StoredPictures

S = 1_000_000
LABELS = Path(__file__).parents[3] / "bench" / "labels" / "campus.json"
SIZE = (768, 576)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(load_model(LIKENESS, models_directory()), StoredPictures())


@pytest.fixture(scope="module")
def walkers(street: Path) -> Recording:
    """The first labelled pictures, a key frame each 2 s."""
    return record("street", encode(list(pictures_of(street, 0, 60))))


def _boxes(number: int) -> dict[str, Box]:
    """Who is where in a picture."""
    found = {}
    for track in json.loads(LABELS.read_text())["tracks"]:
        if (pixels := track["boxes"].get(str(number))) and number not in track["hidden"]:
            x, y, w, h = pixels
            found[track["id"]] = (x / SIZE[0], y / SIZE[1], w / SIZE[0], h / SIZE[1])
    return found


def _task(camera: Recording, number: int, box: Box) -> EmbedTask:
    at_us = T0 + number * S // RATE
    footage = camera.between(at_us, at_us + 100_000)
    return EmbedTask(key=camera.key, at_us=at_us, box=box, footage=footage)


def _vectors(embedder: Embedder, camera: Recording, number: int) -> dict[str, NDArray[np.float64]]:
    return {
        who: np.array(embedder.embed(_task(camera, number, box)).vector)
        for who, box in _boxes(number).items()
    }


def test_people_and_cars_look_like_themselves_a_second_later(
    embedder: Embedder, walkers: Recording
) -> None:
    before, after = (_vectors(embedder, walkers, number) for number in (40, 50))
    for who in ("p2", "p3", "p4", "p5", "v1", "v2"):
        alike = {other: float(before[who] @ vector) for other, vector in after.items()}
        assert max(alike, key=lambda other: alike[other]) == who, alike
        assert alike[who] > (0.6 if who in ("p2", "p3", "p4", "p5") else 0.95)


def test_a_vector_is_of_length_one_and_says_who_made_it(
    embedder: Embedder, walkers: Recording
) -> None:
    outcome = embedder.embed(_task(walkers, 40, _boxes(40)["p2"]))
    assert np.linalg.norm(outcome.vector) == pytest.approx(1, abs=1e-4)
    assert len(outcome.vector) == 576
    assert outcome.model == load_model(LIKENESS, models_directory()).manifest.reference


def test_footage_without_the_picture_is_told(embedder: Embedder, walkers: Recording) -> None:
    task = replace(_task(walkers, 40, _boxes(40)["p2"]), at_us=T0 + 500 * S)
    with pytest.raises(FootageError, match="no picture there"):
        embedder.embed(task)


def test_the_network_is_made_of_the_detector_as_it_was_before() -> None:
    whole = onnx.load_model_from_string(load_model(DETECTOR_32, models_directory()).network)
    installed = load_model(LIKENESS, models_directory())
    kept, made = onnx.load_model_from_string(installed.network), network(whole, read_scales())
    assert list(made.graph.node) == list(kept.graph.node)
    assert arrays_digest(made) == arrays_digest(kept)
    assert installed.manifest.version.endswith(f"-{arrays_digest(kept)[:8]}")


@dataclass(frozen=True)
class Painted:
    """A picture whose left half is red and whose lower right quarter is green."""

    width: int = 400
    height: int = 200
    at_us: int = 0

    def rgb(self, width: int, height: int) -> NDArray[np.uint8]:
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[:, : width // 2, 0] = 200
        pixels[height // 2 :, width // 2 :, 1] = 100
        return pixels

    grey = rgb


@pytest.mark.parametrize(
    ("box", "corners"),
    [
        ((0.0, 0.0, 0.5, 1.0), ["red", "red", "red", "red"]),
        ((0.0, 0.0, 1.0, 1.0), ["red", "black", "red", "green"]),
        ((0.75, 0.25, 0.25, 0.5), ["black", "black", "green", "green"]),
        ((0.999, 0.999, 0.0001, 0.0001), ["green"] * 4),
    ],
)
def test_a_crop_is_what_lies_in_the_box(box: Box, corners: Sequence[str]) -> None:
    colours = {"red": (200, 0, 0), "green": (0, 100, 0), "black": (0, 0, 0)}
    pixels = crop(Painted(), box, 32, 16)
    assert pixels.shape == (16, 32, 3)
    seen = [tuple(pixels[row, column].tolist()) for row in (0, -1) for column in (0, -1)]
    assert seen == [colours[name] for name in corners]


# A user's own


def _means(layout: str, kind: int = TensorProto.FLOAT) -> bytes:
    """A network that gives the mean of each colour of a picture of 4x6."""
    shape, axes = ([1, 4, 6, 3], [1, 2]) if layout == "nhwc" else ([1, 3, 4, 6], [2, 3])
    constants = [numpy_helper.from_array(np.array(axes), "axes")]
    nodes = [
        helper.make_node("Cast", ["picture"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "means",
        [helper.make_tensor_value_info("picture", kind, shape)],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, [1, 3])],
        constants,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(made.SerializeToString())


def _manifest(vectors: object, **more: object) -> Manifest:
    """As a user writes it."""
    fields = {
        "name": "mine", "version": "1", "file": "mine.onnx", "sha256": "", "licence": "MIT",
        "source": "me", "runtime": EMBEDDING, "input": [1, 4, 6, 3], "classes": {},
        "vectors": vectors,
    }  # fmt: skip
    return Manifest.from_json(json.dumps(fields | more))


THREE: Mapping[str, object] = {"dimensions": 3}


def _embedder(manifest: Manifest, network: bytes) -> Embedder:
    def nothing(*_: object) -> Iterator[Painted]:
        return iter(())

    return Embedder(Model(manifest=manifest, directory=Path(), network=network), nothing)


PIXELS = np.full((4, 6, 3), (255, 0, 51), np.uint8)


def test_a_network_that_takes_bytes_gets_them() -> None:
    vector = _embedder(_manifest(THREE), _means("nhwc", TensorProto.UINT8)).vector(PIXELS)
    assert vector * np.hypot(255, 51) == pytest.approx([255, 0, 51], abs=0.01)


def test_a_network_gets_its_layout_and_its_scale() -> None:
    manifest = _manifest(
        {**THREE, "layout": "nchw", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5]},
        input=[1, 3, 4, 6],
    )
    vector = _embedder(manifest, _means("nchw")).vector(PIXELS)
    expected = np.array([1, -2, -0.6])
    assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"runtime": "ssdlite"}, "has the runtime 'ssdlite', not 'embedding'; name another"),
        ({"vectors": None}, 'has no entry "vectors"'),
        ({"vectors": {"dimensions": 3, "layout": "hwc"}}, "layout 'hwc'; write one of nhwc, nchw"),
        ({"vectors": {"dimensions": 3, "layout": "nchw"}}, "no picture as nchw"),
        ({"input": [1, 224, 224]}, "no picture as nhwc"),
        ({"vectors": {"dimensions": 0}}, "0 dimensions"),
        ({"vectors": {"dimensions": 4096}}, "4096 dimensions; up to 2000"),
        ({"vectors": {"dimensions": 3, "mean": [0, 0, 0]}}, "mean and std that are not three"),
        (
            {"vectors": {"dimensions": 3, "mean": [0, 0, 0], "std": [1, 0, 1]}},
            "mean and std that are not three",
        ),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    wrong: Mapping[str, object], says: str
) -> None:
    check_embedding(_manifest(THREE))
    with pytest.raises(ModelError, match=r"^model mine@1: its manifest ") as caught:
        check_embedding(_manifest(**{"vectors": THREE, **wrong}))
    assert says in str(caught.value)


def test_a_network_that_is_not_as_its_manifest_says_is_refused() -> None:
    bytes_too_many = _means("nhwc", TensorProto.UINT8)
    with pytest.raises(ModelError, match="it gives 3 numbers where its manifest says 512"):
        _embedder(_manifest({"dimensions": 512}), bytes_too_many)
    with pytest.raises(ModelError, match="it refuses a picture as its manifest has it"):
        _embedder(_manifest(THREE), _means("nchw"))
    with pytest.raises(ModelError, match=r"ONNX Runtime refuses mine\.onnx"):
        _embedder(_manifest(THREE), b"no network")


def test_what_a_manifest_says_of_vectors_reads_back_as_it_was_written() -> None:
    manifest = _manifest({**THREE, "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]})
    assert manifest.vectors == Vectors(dimensions=3, mean=(0.1, 0.2, 0.3), std=(1, 1, 1))
    assert Manifest.from_json(manifest.to_json()) == manifest
    with pytest.raises(ValueError, match="size"):
        Manifest.from_json(manifest.to_json().replace("dimensions", "size"))
