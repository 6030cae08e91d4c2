from pathlib import Path

import numpy as np
import pytest

from kilocam.analyse.detector import Detector, iou, select
from kilocam.analyse.errors import ModelError
from kilocam.analyse.models import Manifest, Model

LABELS = ("person", "car", "truck")
CENTRE = (0.4, 0.4, 0.6, 0.5)
"""ymin, xmin, ymax, xmax"""


def _select(
    *found: tuple[tuple[float, float, float, float], str, float], aspect: float = 16 / 9
) -> list[tuple[str, float]]:
    boxes = np.array([box for box, _, _ in found], np.float32)
    scores = np.zeros((len(found), len(LABELS)), np.float32)
    for row, (_, label, score) in enumerate(found):
        scores[row, LABELS.index(label)] = score
    chosen = select(boxes, scores, LABELS, aspect, at_us=1)
    return [(each.label, round(each.score, 3)) for each in chosen]


def test_boxes_are_told_as_fractions_from_the_top_left() -> None:
    boxes = np.array([CENTRE], np.float32)
    [found] = select(boxes, np.array([[0.9, 0, 0]], np.float32), LABELS, 1.0, at_us=7)

    assert found.box == pytest.approx((0.4, 0.4, 0.1, 0.2))
    assert found.at_us == 7


def test_two_boxes_of_one_person_become_the_better_one() -> None:
    near = (0.41, 0.4, 0.61, 0.5)
    assert _select((CENTRE, "person", 0.6), (near, "person", 0.8)) == [("person", 0.8)]


def test_a_car_that_is_a_truck_too_is_one_vehicle() -> None:
    assert _select((CENTRE, "car", 0.6), (CENTRE, "truck", 0.5)) == [("car", 0.6)]


def test_a_person_in_front_of_a_car_is_not_suppressed() -> None:
    found = _select((CENTRE, "car", 0.6), (CENTRE, "person", 0.5))
    assert found == [("car", 0.6), ("person", 0.5)]


def test_what_scores_below_the_floor_is_noise() -> None:
    assert _select((CENTRE, "person", 0.19), (CENTRE, "car", 0.21)) == [("car", 0.21)]


def test_the_giant_lying_person_is_a_known_false_alarm() -> None:
    giant = (0.3, 0.1, 0.7, 0.9)
    assert _select((giant, "person", 0.9)) == []
    assert _select((giant, "car", 0.9)) == [("car", 0.9)]


def test_boxes_that_are_no_boxes_are_dropped() -> None:
    nothing = (0.5, 0.5, 0.5, 0.6)
    broken = (float("nan"), 0.1, 0.2, 0.3)
    outside = (0.2, -2.0, 0.4, -1.0)
    found = _select((nothing, "car", 0.9), (broken, "car", 0.9), (outside, "car", 0.9))
    assert found == []


def test_boxes_that_do_not_touch_do_not_overlap() -> None:
    assert iou((0, 0, 0.1, 0.1), (0.1, 0, 0.1, 0.1)) == 0.0
    assert iou((0, 0, 0.2, 0.1), (0.1, 0, 0.2, 0.1)) == pytest.approx(1 / 3)


def test_a_network_that_is_none_is_refused_in_one_line() -> None:
    manifest = Manifest(
        name="junk", version="1", file="", sha256="", licence="", source="",
        input=(1, 300, 300, 3), classes={0: "person"},
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"model junk@1: ONNX Runtime refuses .*tools/models.py"):
        Detector(Model(manifest=manifest, directory=Path(), network=b"junk"))
