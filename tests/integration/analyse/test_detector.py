from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from kilocam.analyse.detector import THRESHOLD, Detector


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
