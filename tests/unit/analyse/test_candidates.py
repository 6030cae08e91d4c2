"""Which events are described."""

from collections import Counter

from kilocam.analyse.candidates import CandidateOptions, Candidates
from kilocam.analyse.results import BoxAt, ObjectSeen
from kilocam.analyse.seams import Glance
from kilocam.core import CameraKey, Window

S = 1_000_000
GATE, YARD = CameraKey("default", "gate"), CameraKey("default", "yard")
OTHERS = CameraKey("other", "gate")


def sight(
    event: str,
    at: int,
    *places: float,
    opens: bool = False,
    still: bool = False,
    score: float = 0.6,
) -> ObjectSeen:
    """An object at some places from left to right."""
    boxes = tuple(
        BoxAt(at_us=at * S + n, box=(x, 0.2, 0.1, 0.3), score=score) for n, x in enumerate(places)
    )
    return ObjectSeen(event_id=event, opens=opens, label="person", still=still, boxes=boxes)


class Street:
    """Seconds in place of microseconds."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.candidates = Candidates(CandidateOptions(), self.counts)

    def looked(self, second: int, *objects: ObjectSeen, key: CameraKey = GATE) -> None:
        window = Window(
            tenant=key.tenant, camera=key.camera, start_us=second * S, end_us=(second + 2) * S
        )
        glance = Glance(
            key=key, window=window, gop_us=second * S, changed=None, moving=True, grey=None,
            audible=False, objects=objects,
        )  # fmt: skip
        self.candidates.looked(glance, second * S)

    def walker(self, second: int, event: str, key: CameraKey = GATE) -> None:
        """Somebody comes, and goes some way."""
        self.looked(second, sight(event, second, 0.1, 0.3, opens=True), key=key)

    def takes(self, second: int) -> str:
        candidate = self.candidates.choose(second * S)
        if candidate is None:
            return ""
        self.candidates.take(candidate, second * S)
        return candidate.event_id

    def all_taken(self, until: int, since: int = 0) -> list[tuple[int, str]]:
        return [(at, event) for at in range(since, until) if (event := self.takes(at))]


def test_an_event_is_taken_once_some_seconds_after_it_began() -> None:
    street = Street()
    street.walker(0, "a")
    street.looked(4, sight("a", 4, 0.5))
    assert street.all_taken(400) == [(15, "a")]
    street.looked(400, sight("a", 400, 0.9))  # it goes on
    assert street.all_taken(800, 400) == []
    assert street.candidates.idle


def test_its_best_picture_until_then_is_taken() -> None:
    street = Street()
    street.walker(0, "a")
    street.looked(4, sight("a", 4, 0.5, score=0.9))
    street.looked(8, sight("a", 8, 0.7, score=0.7))
    chosen = street.candidates.choose(15 * S)
    assert chosen is not None
    assert (chosen.best.at_us, chosen.best.box[0]) == (4 * S, 0.5)


def test_what_does_not_move_is_passed_over_for_good() -> None:
    street = Street()
    street.looked(0, sight("parked", 0, 0.1, opens=True))  # a car that is new to us
    street.looked(2, sight("parked", 2, 0.11))
    street.looked(4, sight("once", 4, 0.5, opens=True))
    street.looked(6, sight("stops", 6, 0.1, 0.3, opens=True))
    street.looked(17, sight("stops", 17, 0.3, still=True))
    assert street.all_taken(100) == []
    assert street.counts == Counter({"met": 3, "unmoved": 3})
    street.looked(100, sight("parked", 100, 0.5, 0.7))
    assert street.all_taken(200, 100) == []


def test_what_began_before_is_not_new() -> None:
    street = Street()
    street.looked(0, sight("old", 0, 0.1, 0.3))
    assert street.all_taken(100) == []
    assert street.counts == Counter()


def test_of_a_camera_the_newest_is_taken_once_a_minute() -> None:
    street = Street()
    for second in range(0, 121, 10):
        street.walker(second, f"e{second:03}")
    assert street.all_taken(61) == [(15, "e000")]
    assert street.all_taken(200, 75) == [(75, "e060"), (135, "e120")]
    assert street.counts["replaced"] == 10
    assert street.counts["met"] == street.counts["replaced"] + street.counts["taken"]


def test_tenants_take_turns_whoever_has_more() -> None:
    street = Street()
    for number in range(5):
        street.walker(number, f"ours{number}", CameraKey("default", f"cam{number}"))
    street.walker(0, "theirs", OTHERS)
    order = [street.takes(60) for _ in range(6)]
    assert order[:2] in (["ours4", "theirs"], ["theirs", "ours4"])
    assert order[2:] == ["ours3", "ours2", "ours1", "ours0"]


def test_the_newest_of_a_tenant_comes_first() -> None:
    street = Street()
    street.walker(0, "gate")
    street.takes(14)
    street.walker(2, "yard", YARD)
    street.candidates.choose(15 * S)
    assert [street.takes(17), street.takes(17)] == ["yard", "gate"]


def test_what_waits_too_long_is_not_taken() -> None:
    street = Street()
    street.walker(0, "a")
    street.candidates.choose(20 * S)
    assert street.takes(621) == ""
    assert street.counts == Counter({"met": 1, "stale": 1})
    assert street.candidates.idle


def test_in_a_crowd_some_are_passed_over() -> None:
    street = Street()
    street.looked(0, *(sight(f"e{n}", 0, 0.1, 0.3, opens=True) for n in range(20)))
    assert street.counts == Counter({"met": 20, "crowded": 4})


def test_what_is_put_back_waits_unless_something_newer_does() -> None:
    street = Street()
    street.walker(0, "a")
    chosen = street.candidates.choose(15 * S)
    assert chosen is not None
    street.candidates.take(chosen, 15 * S)
    street.candidates.put_back(chosen)
    assert street.takes(16) == "a"
    street.walker(16, "b")
    street.candidates.choose(31 * S)
    street.candidates.put_back(chosen)
    assert street.all_taken(200, 31) == [(76, "b")]
    assert street.counts == Counter({"met": 2, "taken": 3, "again": 1})


def test_cameras_of_a_partition_that_went_are_forgotten() -> None:
    street = Street()
    street.walker(0, "a")
    chosen = street.candidates.choose(15 * S)
    assert chosen is not None
    street.candidates.drop(GATE.partition)
    assert street.candidates.idle
    street.candidates.put_back(chosen)
    assert street.candidates.idle
