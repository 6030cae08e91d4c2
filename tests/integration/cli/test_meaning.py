"""The gateway's words as vectors: a worker of a user's joint model, and what becomes of none."""

from pathlib import Path

import pytest
from tests.fakes.joint_model import install_joint_model

from kilocam.analyse import LIKENESS
from kilocam.cli.roles.meaning import AGAIN_S, Words, words

pytestmark = pytest.mark.asyncio


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models directory of our own."""
    monkeypatch.setenv("KILOCAM_CACHE", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


async def test_a_joint_model_makes_vectors_of_words(models: Path) -> None:
    async with words(install_joint_model(models)) as known:
        assert known is not None
        outcome = await known.encode("a red coat")
    assert outcome is not None
    assert outcome.model == "joint@1"
    assert max(outcome.vector) == outcome.vector[0] > 0.5


@pytest.mark.parametrize("reference", ["", LIKENESS, "nobody"])
async def test_a_model_that_knows_no_words_starts_nothing(reference: str) -> None:
    async with words(reference) as known:
        assert known is None


async def test_a_model_that_breaks_leaves_searches_to_words_and_is_tried_again(
    models: Path,
) -> None:
    reference = install_joint_model(models)
    network = (models / "joint-text.onnx").read_bytes()
    (models / "joint-text.onnx").write_bytes(b"altered")
    async with words(reference) as known:
        assert known is not None
        now_s = 0.0
        patient = Words(known.pool, lambda: now_s)
        assert await patient.encode("red") is None
        (models / "joint-text.onnx").write_bytes(network)
        started = known.pool.counts.started
        assert await patient.encode("red") is None  # not asked again so soon
        assert known.pool.counts.started == started
        now_s = AGAIN_S
        assert await patient.encode("red") is not None
