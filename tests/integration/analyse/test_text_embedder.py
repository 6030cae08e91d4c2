"""A joint model of a user's: pictures and words of one space, in their worker processes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fakes.joint_model import DIMENSIONS, install_joint_model

from kilocam.analyse import ModelError, PoolOptions, TextPool, TextTask, worker_command
from kilocam.analyse.embedder import Embedder
from kilocam.analyse.models import Manifest, Model, load_model
from kilocam.analyse.text_embedder import TextEmbedder

RED, BLUE = (220, 20, 30), (10, 30, 200)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load_model(install_joint_model(tmp_path), tmp_path)


def _picture(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((8, 8, 3), colour, np.uint8)


def test_words_are_next_to_the_pictures_they_describe(model: Model) -> None:
    def nothing(*_: object) -> Iterator[object]:
        return iter(())

    pictures = Embedder(model, nothing)  # type: ignore[arg-type] # no footage is shown
    words = TextEmbedder(model)
    for text, is_it, other in (("a red coat", RED, BLUE), ("Blue car", BLUE, RED)):
        outcome = words.embed(TextTask(text=text))
        vector = np.array(outcome.vector)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert float(vector @ pictures.vector(_picture(is_it))) > 0.8
        assert float(vector @ pictures.vector(_picture(other))) < 0.5
        assert outcome.model == "joint@1"


def test_a_text_of_any_length_is_taken(model: Model) -> None:
    words = TextEmbedder(model)
    for text in ("", "red " * 500, "☃ 雪"):
        assert len(words.embed(TextTask(text=text)).vector) == DIMENSIONS


@pytest.mark.asyncio
async def test_a_worker_makes_vectors_of_words(tmp_path: Path) -> None:
    command = worker_command(tmp_path, "embed_text", install_joint_model(tmp_path))
    async with TextPool(command, PoolOptions(workers=1)) as pool:
        here = TextEmbedder(load_model("joint", tmp_path)).embed(TextTask(text="red"))
        assert (await pool.do(TextTask(text="red"))).vector == pytest.approx(here.vector)


def _changed(model: Model, **more: object) -> Model:
    assert model.manifest.vectors is not None
    vectors = replace(model.manifest.vectors, **more)  # type: ignore[arg-type] # the test's own
    return replace(model, manifest=replace(model.manifest, vectors=vectors))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"text": "", "tokenizer": ""}, "it knows no texts"),
        ({"tokenizer": ""}, "gives text, tokenizer or tokens without the others"),
        ({"tokens": 0}, "gives text, tokenizer or tokens without the others"),
        ({"text": "elsewhere.onnx"}, "not among its others"),
        ({"tokenizer": "joint-text.onnx"}, "its text or its tokenizer is refused"),
        ({"text": "joint-tokenizer.json"}, "its text or its tokenizer is refused"),
        ({"dimensions": 4}, "its text gives 3 numbers where pictures have 4"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    model: Model, wrong: dict[str, object], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        TextEmbedder(_changed(model, **wrong))


def test_a_tokenizer_that_was_altered_is_refused(tmp_path: Path) -> None:
    install_joint_model(tmp_path)
    file = tmp_path / "joint-tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text())))
    manifest = Manifest.from_json((tmp_path / "joint.json").read_text())
    altered = hashlib.sha256(file.read_bytes()).hexdigest()
    assert manifest.others[file.name] != altered
    with pytest.raises(ModelError, match="is not the file its manifest names"):
        load_model("joint", tmp_path)
