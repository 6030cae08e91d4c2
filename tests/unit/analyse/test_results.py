import dataclasses

from kilocam.analyse.results import BoxAt, ObjectSeen, StageCount, event_id
from kilocam.core import CameraKey

GATE = CameraKey("default", "gate")


def _at(second: int, score: float) -> BoxAt:
    return BoxAt(at_us=second * 1_000_000, box=(0.1, 0.1, 0.1, 0.1), score=score)


def test_an_event_id_depends_on_tenant_camera_window_and_ordinal_alone() -> None:
    assert event_id(GATE, 17, 0) == "afacee1e-e7d4-8513-bbc0-33ca77e418d6"
    assert event_id(GATE, 17, 0) == event_id(CameraKey("default", "gate"), 17, 0)
    others = {
        event_id(GATE, 17, 1),
        event_id(GATE, 18, 0),
        event_id(CameraKey("other", "gate"), 17, 0),
        event_id(CameraKey("default", "yard"), 17, 0),
    }
    assert len(others | {event_id(GATE, 17, 0)}) == 5


def test_the_best_picture_is_the_one_with_the_highest_score() -> None:
    seen = ObjectSeen(
        event_id="e",
        opens=True,
        label="person",
        still=False,
        boxes=(_at(1, 0.5), _at(2, 0.9), _at(3, 0.7)),
    )
    assert (seen.first_us, seen.best.at_us, seen.last_us) == (1_000_000, 2_000_000, 3_000_000)


def test_stage_counts_add_up() -> None:
    one = StageCount(seen=1, passed=1, cost_us=10)
    assert one + dataclasses.replace(one, passed=0) == StageCount(seen=2, passed=1, cost_us=20)
