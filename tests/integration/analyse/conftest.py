"""The real model and real footage, as `./test` fetches them before the tests run."""

from pathlib import Path

import pytest
from av.video.frame import VideoFrame
from tests.fakes.stored_footage import Recording, encode, pictures_of, record

from kilocam.analyse.detector import Detector
from kilocam.analyse.models import DETECTOR, cache_directory, load_model, models_directory


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector(load_model(DETECTOR, models_directory()))


@pytest.fixture(scope="session")
def street() -> Path:
    """A campus with walkers and parked cars, 768x576, 10 pictures a second."""
    file = cache_directory() / "footage" / "vtest.avi"
    assert file.is_file(), "run tools/footage.py"
    return file


@pytest.fixture(scope="session")
def busy(street: Path) -> Recording:
    """20 s of the street, a key frame every 2 s."""
    return record("street", encode(list(pictures_of(street, 200, 200))))


@pytest.fixture(scope="session")
def still(street: Path) -> Recording:
    """20 s of a scene in which nothing moves and nobody is."""
    [one] = pictures_of(street, 200, 1)
    grey = one.reformat(640, 360, "gray").to_ndarray()
    wall = (grey // 8 + 100).astype("uint8")
    empty = VideoFrame.from_ndarray(wall, format="gray")
    return record("yard", encode([empty] * 200))
