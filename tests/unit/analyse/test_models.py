import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kilocam.analyse.detectors import check_detector
from kilocam.analyse.errors import ModelError
from kilocam.analyse.models import (
    READER,
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
        f"model eye: {tmp_path}/eye.json: No such file or directory; put it there"
    )
    with pytest.raises(ModelError, match=r"directory; run tools/models\.py to fetch it$"):
        load_model(READER, tmp_path)


def test_a_missing_network_is_told_with_its_mend(tmp_path: Path) -> None:
    _install(tmp_path)
    (tmp_path / "eye.onnx").unlink()
    with pytest.raises(ModelError, match=r"eye\.onnx': No such file.*; put it there or correct"):
        load_model("eye", tmp_path)


def test_an_altered_network_is_refused(tmp_path: Path) -> None:
    _install(tmp_path)
    (tmp_path / "eye.onnx").write_bytes(NETWORK + b"!")
    found = hashlib.sha256(NETWORK + b"!").hexdigest()
    with pytest.raises(ModelError, match=rf"SHA-256 differs\); if it is .* write {found} into"):
        load_model("eye", tmp_path)
    (tmp_path / f"{READER}.json").write_text(replace(MANIFEST, name=READER).to_json())
    with pytest.raises(ModelError, match=r"SHA-256 differs\); run tools/models\.py to fetch it$"):
        load_model(READER, tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}', "\x00", "[" * 100_000])
def test_a_manifest_that_is_none_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "eye.json").write_text(text)
    with pytest.raises(ModelError, match=r"manifest .*eye\.json cannot be read") as caught:
        load_model("eye", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("version", 2, "version is 2: write it as text, in quotes"),
        ("licence", None, "licence is null: write it as text, in quotes"),
        ("runtime", [1], "runtime is [1]: write it as text, in quotes"),
        ("source", "\ud800", r'source is "\ud800": write it as text, in quotes'),
        ("input", "x", 'input is "x": write it as whole numbers in brackets, such as [1, 300'),
        ("input", [1, True], "input is [1, true]: write it as whole numbers in brackets"),
        ("classes", ["person"], 'classes is ["person"]: write it as a label for each column'),
        ("classes", {"one": "person"}, 'classes is {"one": "person"}: write it as a label for'),
        ("others", None, "others is null: write it as a SHA-256 for each file"),
        ("vectors", 5, "in vectors, 5 stands there: write keys and values in {}"),
        ("vectors", {}, "in vectors, dimensions is missing: add it"),
        ("vectors", {"dimensions": "x"}, 'in vectors, dimensions is "x": write it as a whole'),
        ("vectors", {"dimensions": 2, "mean": [10**400]}, "in vectors, mean is [1000"),
        ("licens", "MIT", "unknown key 'licens': did you mean 'licence'?"),
        ("q", 1, "unknown key 'q': known keys: name, version, "),
    ],
)
def test_a_key_that_is_written_otherwise_is_told_with_how_to_write_it(
    key: str, value: object, told: str
) -> None:
    text = json.dumps({**json.loads(MANIFEST.to_json()), key: value})
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        Manifest.from_json(text)
    assert len(str(caught.value)) < 200


def test_keys_that_have_a_default_may_be_missing_and_others_may_not() -> None:
    fields = json.loads(MANIFEST.to_json())
    for key in ("input", "others", "runtime", "vectors", "classes"):
        del fields[key]
    short = replace(MANIFEST, input=(), classes={})
    assert Manifest.from_json(json.dumps(fields)) == short
    del fields["sha256"]
    with pytest.raises(ValueError, match=r"^sha256 is missing: add it$"):
        Manifest.from_json(json.dumps(fields))


def test_a_file_name_that_none_has_is_told(tmp_path: Path) -> None:
    (tmp_path / "eye.json").write_text(replace(MANIFEST, file="a\0b").to_json())
    with pytest.raises(ModelError, match=r"a\\x00b': embedded null byte; put it there or correct"):
        load_model("eye", tmp_path)


def test_only_models_that_can_be_had_are_named_instead(tmp_path: Path) -> None:
    _install(tmp_path)
    (tmp_path / "bad.json").write_text("?")
    (tmp_path / "alone.json").write_text(replace(MANIFEST, name="alone", file="a").to_json())
    (tmp_path / "ear.json").write_text(MANIFEST.to_json())
    with pytest.raises(ModelError, match=r"name one that is there: eye$"):
        load_manifest("ear", tmp_path)


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
        f"model eye@3: {tmp_path}/eye.json is of the model with name 'eye' and version '1'; "
        "put it there, or name one that is there: eye"
    )


def test_a_manifest_under_anothers_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ear.json").write_text(MANIFEST.to_json())
    with pytest.raises(ModelError, match=r"ear\.json is of the model with name 'eye' and"):
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
    with pytest.raises(ModelError, match=r"gives the input \[1, 0, 300, 3\], not"):
        check_detector(replace(MANIFEST, input=(1, 0, 300, 3)))
