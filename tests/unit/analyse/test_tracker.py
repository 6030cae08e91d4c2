from dataclasses import replace

from kilocam.analyse.results import ObjectSeen, event_id
from kilocam.analyse.tracker import MAX_TRACKS, Tracker
from kilocam.core import CameraKey, Detection

KEY = CameraKey("default", "gate")
S = 1_000_000


def _see(
    x: float,
    *,
    at: float,
    label: str = "person",
    score: float = 0.9,
    y: float = 0.4,
    w: float = 0.05,
) -> Detection:
    return Detection(label=label, score=score, box=(x, y, w, 0.2), at_us=round(at * S))


def _tracker(window: float = 0) -> Tracker:
    tracker = Tracker(KEY)
    tracker.begin(round(window * S))
    return tracker


def _step(tracker: Tracker, at: float, *found: Detection) -> None:
    tracker.step(found, round(at * S), 16 / 9)


def _only(tracker: Tracker) -> ObjectSeen:
    [found] = tracker.findings()
    return found


def test_one_clear_sight_opens_an_event_at_once() -> None:
    tracker = _tracker(window=2)
    _step(tracker, 2, _see(0.1, at=2))

    found = _only(tracker)
    assert found.opens
    assert found.event_id == event_id(KEY, 2 * S, 0)


def test_a_doubtful_sight_opens_an_event_only_when_it_is_seen_again() -> None:
    tracker = _tracker()
    _step(tracker, 0, _see(0.1, at=0, score=0.45))
    assert tracker.findings() == ()

    _step(tracker, 0.5, _see(0.1, at=0.5, score=0.45))
    assert len(_only(tracker).boxes) == 2


def test_an_object_has_the_colours_of_most_of_its_sights() -> None:
    tracker = _tracker()
    for second, shares in enumerate(({"red": 0.6}, {"green": 0.3}, {}, {"red": 0.5, "blue": 0.4})):
        _step(tracker, second / 2, replace(_see(0.1, at=second / 2), colours=shares))
    # A third of 1.1 is red; green and blue, each told once, come to less than is worth naming.
    assert _only(tracker).colours == ("red",)
    tracker.begin(2 * S)
    _step(tracker, 2, _see(0.1, at=2))
    assert _only(tracker).colours == ("red",)


def test_a_doubtful_sight_that_is_not_seen_again_is_forgotten() -> None:
    tracker = _tracker()
    _step(tracker, 0, _see(0.1, at=0, score=0.45))
    _step(tracker, 0.5)
    assert tracker.tracks == []


def test_a_weak_detection_continues_a_track_and_never_opens_one() -> None:
    tracker = _tracker()
    _step(tracker, 0, _see(0.1, at=0), _see(0.7, at=0, score=0.3))
    _step(tracker, 0.5, _see(0.1, at=0.5, score=0.3), _see(0.7, at=0.5, score=0.3))

    assert len(_only(tracker).boxes) == 2


def test_a_walker_keeps_the_same_event_through_pictures_and_windows() -> None:
    tracker = _tracker()
    ids = set()
    for window in range(4):
        tracker.begin(window * 2 * S)
        for step in range(4):
            at = window * 2 + step / 2
            _step(tracker, at, _see(0.1 + 0.05 * at, at=at))
        ids.add(_only(tracker).event_id)
        assert _only(tracker).opens == (window == 0)
        assert len(_only(tracker).boxes) == 4
    assert ids == {event_id(KEY, 0, 0)}


def test_a_walker_that_no_longer_overlaps_two_seconds_later_is_the_same() -> None:
    tracker = _tracker()
    _step(tracker, 0, _see(0.10, at=0))
    _step(tracker, 2, _see(0.22, at=2))
    assert len(_only(tracker).boxes) == 2


def test_someone_far_away_is_someone_else() -> None:
    tracker = _tracker()
    _step(tracker, 0, _see(0.1, at=0))
    _step(tracker, 1, _see(0.8, at=1))
    assert [len(each.boxes) for each in tracker.findings()] == [1, 1]


def test_two_who_pass_each_other_keep_their_identities() -> None:
    tracker = _tracker()
    for step in range(11):
        at, left = step / 2, 0.1 + 0.04 * step
        _step(tracker, at, _see(left, at=at), _see(0.6 - left, at=at, y=0.45, score=0.8))

    ends = {
        each.event_id: (each.boxes[0].box[0], each.boxes[-1].box[0]) for each in tracker.findings()
    }
    assert len(ends) == 2
    assert all(abs(b - a) > 0.35 for a, b in ends.values())


def test_a_car_that_is_called_truck_once_stays_one_event_named_by_the_majority() -> None:
    tracker = _tracker()
    for at, label in enumerate(("car", "truck", "car")):
        _step(tracker, at, _see(0.3, at=at, label=label))
    found = _only(tracker)
    assert (found.label, len(found.boxes)) == ("car", 3)


def test_a_person_is_never_taken_for_the_car_that_stood_there() -> None:
    tracker = _tracker()
    _step(tracker, 0, _see(0.3, at=0, label="car"))
    _step(tracker, 1, _see(0.3, at=1, label="person"))
    assert [each.label for each in tracker.findings()] == ["car", "person"]


def test_who_left_is_given_up_and_who_comes_later_is_new() -> None:
    tracker = _tracker()
    _step(tracker, 0, _see(0.1, at=0))
    _step(tracker, 5)
    assert tracker.tracks == []

    tracker.begin(6 * S)
    _step(tracker, 6, _see(0.1, at=6))
    assert _only(tracker).event_id == event_id(KEY, 6 * S, 0)


def test_a_parked_car_survives_pictures_that_miss_it() -> None:
    tracker = _tracker()
    for at in range(0, 14, 2):
        _step(tracker, at, _see(0.3, at=at, label="car"))
    for at in range(14, 60, 2):
        _step(tracker, at)
    _step(tracker, 60, _see(0.3, at=60, label="car"))
    assert len(_only(tracker).boxes) == 8


def test_what_stands_still_contributes_once_in_half_a_minute() -> None:
    tracker = _tracker()
    reported = []
    for at in range(0, 120, 2):
        tracker.begin(at * S)
        _step(tracker, at, _see(0.3, at=at, label="car"))
        reported += [at for each in tracker.findings() if each.still]
    assert reported == [38, 68, 98]
    assert not tracker.moving


def test_a_window_written_twice_contributes_the_same_event() -> None:
    tracker = _tracker(window=2)
    _step(tracker, 2, _see(0.1, at=2))
    first = _only(tracker)
    _step(tracker, 2.5, _see(0.12, at=2.5), _see(0.7, at=2.5))

    again, other = tracker.findings()
    assert (again.event_id, again.boxes[:1]) == (first.event_id, first.boxes)
    assert other.event_id == event_id(KEY, 2 * S, 1)


def test_a_picture_full_of_things_is_bounded() -> None:
    tracker = _tracker()
    _step(tracker, 0, *(_see(i / 200, at=0, w=0.001) for i in range(150)))
    assert len(tracker.tracks) == MAX_TRACKS
