"""Cutting the part of a picture that a model is shown, out of real footage."""

from io import BytesIO

import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image
from tests.fakes.stored_footage import T0, Recording, encode, record

from kilocam.analyse import CutPool, PoolOptions, models_directory, worker_command
from kilocam.analyse.cutter import LEAST, CutTask, surroundings
from kilocam.analyse.errors import FootageError
from kilocam.analyse.results import Box

BLUE, RED = (0, 0, 255), (255, 0, 0)
TENTH_US = 100_000


@pytest.fixture(scope="module")
def moving() -> Recording:
    """A red square on blue that is at the left for a second, then at the right for one."""
    frames = []
    for number in range(20):
        picture = np.full((360, 640, 3), BLUE, np.uint8)
        left = 64 if number < 10 else 448
        picture[120:240, left : left + 128] = RED
        frames.append(VideoFrame.from_ndarray(picture, format="rgb24"))
    return record("gate", encode(frames))


def _task(camera: Recording, at_us: int, box: Box) -> CutTask:
    footage = camera.between(at_us, at_us + 6 * TENTH_US)
    return CutTask(key=camera.key, at_us=at_us, box=box, footage=footage)


def _is(pixel: object, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.asarray(pixel, int) - colour).max() < 60)


@pytest.mark.asyncio
async def test_an_object_is_cut_with_what_surrounds_it(moving: Recording) -> None:
    pool = CutPool(worker_command(models_directory(), "cut"), PoolOptions(workers=1))
    async with pool:
        for number, left in ((0, 0.1), (5, 0.1), (10, 0.7), (17, 0.7)):
            task = _task(moving, T0 + number * TENTH_US, (left, 1 / 3, 0.2, 1 / 3))
            outcome = await pool.do(task)
            image = Image.open(BytesIO(outcome.jpeg)).convert("RGB")
            # Three times the object's sides, as far as there is a picture.
            assert image.size == (384, 360)
            middle = 128 if left < 0.5 else 256
            assert _is(image.getpixel((middle, 180)), RED), number
            assert _is(image.getpixel((middle, 60)), BLUE), number
        with pytest.raises(FootageError):
            await pool.do(_task(moving, T0 + 30 * TENTH_US, (0.1, 0.1, 0.1, 0.1)))


@pytest.mark.asyncio
async def test_a_large_picture_is_made_smaller() -> None:
    large = VideoFrame.from_ndarray(np.full((1440, 2560, 3), RED, np.uint8), format="rgb24")
    camera = record("wide", encode([large] * 5, size=(2560, 1440)))
    async with CutPool(worker_command(models_directory(), "cut"), PoolOptions(workers=1)) as pool:
        outcome = await pool.do(_task(camera, T0, (0.3, 0.3, 0.4, 0.4)))
        assert Image.open(BytesIO(outcome.jpeg)).size == (768, 432)


@pytest.mark.parametrize(
    ("box", "shown"),
    [
        ((0.4, 0.4, 0.2, 0.2), (0.2, 0.2, 0.6, 0.6)),
        ((0.0, 0.9, 0.2, 0.1), (0.0, 0.65, 0.6, LEAST)),
        ((0.5, 0.5, 0.0, 0.0), (0.325, 0.325, LEAST, LEAST)),
        ((0.1, 0.2, 0.8, 0.7), (0.0, 0.0, 1.0, 1.0)),
        ((-0.1, 0.9, 0.2, 0.3), (0.0, 0.1, 0.6, 0.9)),
    ],
)
def test_surroundings_lie_in_the_picture(box: Box, shown: Box) -> None:
    assert surroundings(box) == pytest.approx(shown)
