"""Detectors to be tried: the real one under other names, some of them deliberately bad."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from kilocam.analyse import DETECTOR, Manifest, load_model, models_directory

Damage = Callable[[onnx.ModelProto], None]


def install(
    directory: Path, name: str, *, damage: Damage | None = None, runtime: str = "ssdlite"
) -> Manifest:
    """The real detector as `name`@2, perhaps damaged, in a models directory."""
    real = load_model(DETECTOR, models_directory())
    network = real.network
    if damage is not None:
        model = onnx.load_model_from_string(network)
        damage(model)
        network = model.SerializeToString()
    manifest = replace(
        real.manifest,
        name=name,
        version="2",
        file=f"{name}.onnx",
        sha256=hashlib.sha256(network).hexdigest(),
        runtime=runtime,
    )
    (directory / manifest.file).write_bytes(network)
    (directory / f"{name}@2.json").write_text(manifest.to_json())
    return manifest


def install_current(directory: Path) -> Manifest:
    """The real detector as it is."""
    manifest = load_model(DETECTOR, models_directory()).manifest
    for file in (manifest.file, f"{DETECTOR}.json"):
        (directory / file).symlink_to(models_directory() / file)
    return manifest


def shift_boxes(model: onnx.ModelProto) -> None:
    """Everything is seen lower right of where it is."""
    _after(model, "boxes", "Add", numpy_helper.from_array(np.array([0.15], np.float32), "by"))


def shuffle_classes(model: onnx.ModelProto) -> None:
    """A person is taken for something else."""
    columns = np.roll(np.arange(90), 1)
    _after(model, "scores", "Gather", numpy_helper.from_array(columns, "by"), axis=2)


def lose_scores(model: onnx.ModelProto) -> None:
    """Hardly anything is seen."""
    _after(model, "scores", "Mul", numpy_helper.from_array(np.array([0.5], np.float32), "by"))


def _after(
    model: onnx.ModelProto, output: str, kind: str, by: onnx.TensorProto, **how: Any
) -> None:
    for node in model.graph.node:
        node.output[:] = [f"{each}_before" if each == output else each for each in node.output]
    model.graph.initializer.append(by)
    model.graph.node.append(
        helper.make_node(kind, [f"{output}_before", by.name], [output], name="damage", **how)
    )


def install_plugin(site: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A package with the runtime `bad`, for this process and its workers.

    Args:
        site: an empty folder, as pip's `site-packages`.
        monkeypatch: undoes it.
        body: of `detect(self, pixels, aspect, at_us)`.
    """
    site.mkdir()
    (site / "bad_detector.py").write_text(
        "import os, time\n"
        "class Bad:\n"
        "    width = height = 32\n"
        "    def detect(self, pixels, aspect, at_us):\n"
        f"        {body}\n"
        "def make(model):\n"
        "    return Bad()\n"
    )
    metadata = site / "bad_detector-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-detector\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[kilocam.detectors]\nbad = bad_detector:make\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
