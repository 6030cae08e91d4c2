"""Reading with the real model: a sign on real footage, compressed as a camera does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image, ImageDraw, ImageFont
from tests.fakes.stored_footage import T0, Recording, encode, pictures_of, record

from kilocam.analyse.errors import FootageError
from kilocam.analyse.lines import WHOLE, ReadTask
from kilocam.analyse.models import READER, load_model, models_directory
from kilocam.analyse.reader import Reader
from kilocam.analyse.stored import StoredPictures
from kilocam.core import Window

S = 1_000_000


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_model(READER, models_directory()), StoredPictures())


def _signed(street: Path, text: str, at: tuple[int, int], size: int) -> Recording:
    """One second of the street with a sign in it."""
    [one] = pictures_of(street, 200, 1)
    image = Image.fromarray(one.to_ndarray(format="rgb24"))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    left, top, right, bottom = draw.textbbox(at, text, font=font)
    draw.rectangle((left - 8, top - 6, right + 8, bottom + 6), fill="white")
    draw.text(at, text, fill="black", font=font)
    picture = VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
    return record("gate", encode([picture] * 10))


def _task(camera: Recording, region: Sequence[float] = WHOLE) -> ReadTask:
    x, y, w, h = region
    window = Window(
        tenant=camera.key.tenant, camera=camera.key.camera, start_us=T0, end_us=T0 + 2 * S
    )
    footage = camera.between(T0, T0 + 600_000)
    return ReadTask(key=camera.key, window=window, region=(x, y, w, h), footage=footage)


def test_a_sign_is_read_where_it_is(reader: Reader, street: Path) -> None:
    camera = _signed(street, "LOADING BAY 7", (240, 150), 26)
    outcome = reader.read(_task(camera))
    [line] = outcome.lines
    assert line.text == "LOADING BAY 7"
    assert outcome.at_us == T0
    x, y, w, h = line.box
    assert x == pytest.approx(240 / 768, abs=0.02)
    assert y == pytest.approx(150 / 576, abs=0.03)
    assert w == pytest.approx(190 / 768, abs=0.06)
    assert h < 0.1


def test_a_part_is_read_in_the_whole_pictures_fractions(reader: Reader, street: Path) -> None:
    camera = _signed(street, "KX-29 TLC", (500, 400), 16)
    [line] = reader.read(_task(camera, (0.6, 0.6, 0.3, 0.25))).lines
    assert line.text.replace(" ", "") == "KX-29TLC"
    assert line.box[0] == pytest.approx(500 / 768, abs=0.02)
    assert line.box[1] == pytest.approx(400 / 576, abs=0.03)
    assert reader.read(_task(camera, (0.0, 0.0, 0.3, 0.25))).lines == ()


def test_a_street_without_lettering_gives_nothing(reader: Reader, busy: Recording) -> None:
    assert reader.read(_task(busy)).lines == ()


def test_footage_that_is_gone_is_told(reader: Reader, busy: Recording) -> None:
    window = Window(tenant="default", camera="street", start_us=T0, end_us=T0 + 2 * S)
    task = ReadTask(key=busy.key, window=window, region=WHOLE, footage=())
    with pytest.raises(FootageError, match="no picture there can be decoded"):
        reader.read(task)
