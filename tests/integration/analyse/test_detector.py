from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from kilocam.analyse.detector import THRESHOLD, Detector
from kilocam.analyse.errors import ModelError
from kilocam.analyse.models import DETECTOR, LIKENESS, load_model, models_directory


def _picture(file: Path, number: int) -> NDArray[np.uint8]:
    with av.open(str(file)) as container:
        for at, frame in enumerate(container.decode(video=0)):
            if at == number:
                small = frame.reformat(300, 300, "rgb24")
                return small.to_ndarray().astype(np.uint8)
    raise AssertionError("the footage is too short")


def test_people_and_parked_cars_of_a_real_street_are_found(
    detector: Detector, street: Path
) -> None:
    found = detector.detect(_picture(street, 300), 768 / 576, at_us=5)

    sure = [each for each in found if each.score >= THRESHOLD]
    assert sum(each.label == "person" for each in sure) >= 6
    assert sum(each.label == "car" for each in sure) == 2
    assert {each.label for each in sure} == {"person", "car"}
    assert all(each.at_us == 5 for each in found)


def test_nothing_is_found_in_a_grey_wall_with_noise(detector: Detector) -> None:
    noise = np.random.default_rng(1).normal(128, 6, (300, 300, 3))
    pixels = np.clip(noise, 0, 255).astype(np.uint8)

    assert [d for d in detector.detect(pixels, 16 / 9, 0) if d.score >= THRESHOLD] == []


def test_the_same_picture_gives_the_same_answer_twice(detector: Detector, street: Path) -> None:
    picture = _picture(street, 100)

    assert detector.detect(picture, 4 / 3, 0) == detector.detect(picture, 4 / 3, 0)


def test_a_network_that_cannot_look_is_refused_with_the_reason_in_one_line() -> None:
    right, wrong = (load_model(name, models_directory()) for name in (DETECTOR, LIKENESS))
    with pytest.raises(ModelError) as caught:
        Detector(replace(right, network=wrong.network))
    told = str(caught.value)
    assert told.startswith(f"model {right.manifest.reference}: it cannot look at a picture as its ")
    assert "Got: 300 Expected: 128" in told
    assert "\n" not in told
    small = replace(right.manifest, input=(1, 200, 300, 3))
    with pytest.raises(ModelError, match=r"Got: 200 Expected: 300 .*; correct the one or"):
        Detector(replace(right, manifest=small))


@pytest.mark.parametrize("column", [-1, 91, 99999])
def test_a_class_in_a_column_that_is_not_there_is_refused(column: int) -> None:
    model = load_model(DETECTOR, models_directory())
    Detector(replace(model, manifest=replace(model.manifest, classes={0: "person"})))
    wrong = replace(model.manifest, classes={0: "person", column: "dog"})
    with pytest.raises(ModelError, match=rf"has 'dog' in column {column} of \d\d that are there"):
        Detector(replace(model, manifest=wrong))
