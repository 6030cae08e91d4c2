import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from kilocam.analyse.detectors import check_detector
from kilocam.analyse.errors import ModelError
from kilocam.analyse.models import (
    Manifest,
    cache_directory,
    known_models,
    load_manifest,
    load_model,
    models_directory,
)

NETWORK = b"a network"
MANIFEST = Manifest(
    name="eye",
    version="1",
    file="eye.onnx",
    sha256=hashlib.sha256(NETWORK).hexdigest(),
    licence="Apache-2.0",
    source="here",
    input=(1, 2, 2, 3),
    classes={0: "person", 17: "dog"},
)


def _install(directory: Path) -> None:
    (directory / "eye.onnx").write_bytes(NETWORK)
    (directory / "eye.json").write_text(MANIFEST.to_json())


def test_a_manifest_reads_back_as_it_was_written() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_a_model_that_is_what_it_says_is_loaded(tmp_path: Path) -> None:
    _install(tmp_path)
    model = load_model("eye", tmp_path)
    assert (model.manifest, model.network) == (MANIFEST, NETWORK)


def test_a_missing_model_is_told_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_model("eye", tmp_path)
    assert str(caught.value) == (
        f"model eye: {tmp_path}/eye.json: No such file or directory; "
        "run tools/models.py to fetch it"
    )


def test_a_missing_network_is_told_with_its_mend(tmp_path: Path) -> None:
    _install(tmp_path)
    (tmp_path / "eye.onnx").unlink()
    with pytest.raises(ModelError, match=r"eye\.onnx: No such file.*run tools/models\.py"):
        load_model("eye", tmp_path)


def test_an_altered_network_is_refused(tmp_path: Path) -> None:
    _install(tmp_path)
    (tmp_path / "eye.onnx").write_bytes(NETWORK + b"!")
    with pytest.raises(ModelError, match=r"SHA-256 differs\); delete it and run tools/models\.py"):
        load_model("eye", tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}', "\x00"])
def test_a_manifest_that_is_none_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "eye.json").write_text(text)
    with pytest.raises(ModelError, match=r"manifest .*eye\.json cannot be read") as caught:
        load_model("eye", tmp_path)
    assert "\n" not in str(caught.value)


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KILOCAM_CACHE", str(tmp_path))
    assert models_directory() == tmp_path / "models"
    monkeypatch.setenv("KILOCAM_CACHE", "")
    assert cache_directory() == Path.home() / ".cache" / "kilocam"


def test_versions_of_a_model_lie_side_by_side(tmp_path: Path) -> None:
    _install(tmp_path)
    newer = replace(MANIFEST, version="2")
    (tmp_path / "eye@2.json").write_text(newer.to_json())

    assert load_model("eye", tmp_path).manifest == MANIFEST
    assert load_model("eye@1", tmp_path).manifest == MANIFEST
    assert load_model("eye@2", tmp_path).manifest == newer
    assert [m.version for m in known_models(tmp_path) if isinstance(m, Manifest)] == ["1", "2"]


def test_a_version_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    _install(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_manifest("eye@3", tmp_path)
    assert str(caught.value) == (
        f"model eye@3: {tmp_path}/eye.json is that of eye@1; "
        "run tools/models.py to fetch it, or name one that is there: eye"
    )


def test_a_manifest_under_anothers_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ear.json").write_text(MANIFEST.to_json())
    with pytest.raises(ModelError, match=r"ear\.json is that of eye@1"):
        load_manifest("ear", tmp_path)


def test_a_broken_manifest_hides_no_other(tmp_path: Path) -> None:
    _install(tmp_path)
    (tmp_path / "bad.json").write_text("?")
    bad, good = known_models(tmp_path)
    assert isinstance(bad, ModelError)
    assert good == MANIFEST


def test_a_manifest_of_before_there_were_runtimes_is_built_in() -> None:
    old = MANIFEST.to_json().replace(',\n  "runtime": "ssdlite"', "")
    assert "runtime" not in old
    assert Manifest.from_json(old) == MANIFEST


def test_what_finds_no_objects_is_no_detector() -> None:
    check_detector(MANIFEST)
    with pytest.raises(ModelError, match=r"eye@1 is no detector: .* \(person, car.*; name another"):
        check_detector(replace(MANIFEST, classes={0: "toaster"}))
    with pytest.raises(ModelError, match=r"gives the input \[300\], not"):
        check_detector(replace(MANIFEST, input=(300,)))
