"""The example plug-in, found as an installed package is, without being installed."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kilocam.analyse.detectors import ObjectDetector, check_detector, make_detector
from kilocam.analyse.errors import ModelError
from kilocam.analyse.models import load_manifest, load_model

EXAMPLE = Path(__file__).parents[3] / "examples" / "detector-plugin"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the plug-in lies as pip would put it; PYTHONPATH, so that workers find it too."""
    site = tmp_path / "site"
    shutil.copytree(EXAMPLE / "src" / "hivis", site / "hivis")
    metadata = site / "kilocam_hivis-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kilocam-hivis\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[kilocam.detectors]\nhivis = hivis:make\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "hivis", raising=False)
    return site


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for file in EXAMPLE.glob("hivis-yellow.*"):
        shutil.copy(file, folder)
    return folder


def _street(vest: tuple[int, int, int]) -> NDArray[np.uint8]:
    pixels = np.full((90, 160, 3), 90, np.uint8)
    pixels[30:42, 40:48] = vest
    return pixels


def test_the_pyproject_enters_what_the_test_does() -> None:
    assert 'hivis = "hivis:make"' in (EXAMPLE / "pyproject.toml").read_text()


@pytest.mark.usefixtures("installed")
def test_a_plugin_finds_what_it_is_for(models: Path) -> None:
    detector: ObjectDetector = make_detector(load_model("hivis-yellow", models))

    assert (detector.width, detector.height) == (160, 90)
    [vest] = detector.detect(_street((230, 250, 40)), 16 / 9, at_us=7)
    assert (vest.label, vest.at_us) == ("person", 7)
    assert vest.box == pytest.approx((40 / 160, 30 / 90, 8 / 160, 12 / 90))
    assert detector.detect(_street((90, 90, 200)), 16 / 9, at_us=7) == []


def test_a_model_whose_plugin_is_not_installed_says_so(models: Path) -> None:
    with pytest.raises(ModelError) as caught:
        check_detector(load_manifest("hivis-yellow@1", models))
    assert str(caught.value) == (
        "model hivis-yellow@1: no installed package has the runtime 'hivis' that it needs "
        "(there are: ssdlite); install its plug-in"
    )


def test_a_plugin_that_cannot_be_made_says_why_in_one_line(models: Path, installed: Path) -> None:
    (installed / "hivis" / "__init__.py").write_text(
        "def make(model):\n    raise OSError('gone')\n"
    )
    with pytest.raises(ModelError, match=r"its plug-in 'hivis' fails \(OSError: gone\); mend"):
        make_detector(load_model("hivis-yellow", models))


def test_a_plugin_that_cannot_look_says_why_in_one_line(models: Path, installed: Path) -> None:
    (installed / "hivis" / "__init__.py").write_text(
        "class Blind:\n"
        "    width = height = 8\n"
        "    def detect(self, pixels, aspect, at_us):\n"
        "        return pixels.eyes\n"
        "def make(model):\n"
        "    return Blind()\n"
    )
    with pytest.raises(ModelError, match=r"its plug-in 'hivis' fails \(AttributeError: .*; mend"):
        make_detector(load_model("hivis-yellow", models))


def test_what_a_plugin_says_is_believed_only_where_it_fits(models: Path, installed: Path) -> None:
    (installed / "hivis" / "__init__.py").write_text(
        "from kilocam.core import Detection\n"
        "NAN = float('nan')\n"
        "class All:\n"
        "    width = height = 8\n"
        "    def detect(self, pixels, aspect, at_us):\n"
        "        boxes = [(.1, .1, .1, .1), (.9, .1, .2, .1), (-.1, .1, .1, .1)]\n"
        "        boxes.append((NAN, .1, .1, .1))\n"
        "        labels = ['dog', 'person', 'person', 'person', 'unicorn']\n"
        "        boxes.append(boxes[0])\n"
        "        found = [Detection(label=k, score=.6, box=b, at_us=at_us)\n"
        "                 for k, b in zip(labels, boxes)]\n"
        "        more = Detection(label='cat', score=.9, box=boxes[0], at_us=at_us)\n"
        "        mad = Detection(label='cat', score=7, box=boxes[0], at_us=at_us)\n"
        "        return [*found, more, mad]\n"
        "def make(model):\n"
        "    return All()\n"
    )
    found = make_detector(load_model("hivis-yellow", models)).detect(
        np.zeros((8, 8, 3), np.uint8), 1.0, at_us=1
    )
    assert [(each.label, each.score) for each in found] == [("cat", 0.9), ("dog", 0.6)]
