import copy
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.analyse.detector import KIND_OF
from kilocam.analyse.tracker import MAX_TRACKS, Tracker
from kilocam.core import CameraKey, Detection

KEY = CameraKey("default", "gate")
_unit = st.floats(0, 0.9)


@st.composite
def _pictures(draw: st.DrawFn) -> list[tuple[int, list[Detection]]]:
    times = sorted(draw(st.sets(st.integers(0, 60_000_000), min_size=1, max_size=12)))
    return [
        (
            at,
            sorted(
                (
                    Detection(
                        label=draw(st.sampled_from(sorted(KIND_OF))),
                        score=draw(st.floats(0.2, 1)),
                        box=(draw(_unit), draw(_unit), draw(st.floats(0.01, 0.5)), 0.1),
                        at_us=at,
                    )
                    for _ in range(draw(st.integers(0, 4)))
                ),
                key=lambda each: -each.score,
            ),
        )
        for at in times
    ]


def _run(tracker: Tracker, pictures: Sequence[tuple[int, list[Detection]]]) -> None:
    for at, found in pictures:
        if at // 2_000_000 * 2_000_000 != tracker.window_us:
            tracker.begin(at // 2_000_000 * 2_000_000)
        tracker.step(found, at, 16 / 9)


@settings(max_examples=60, deadline=None)
@given(_pictures(), st.integers(0, 12))
def test_tracks_are_the_same_wherever_the_state_was_carried_over(
    pictures: list[tuple[int, list[Detection]]], cut: int
) -> None:
    whole = Tracker(KEY)
    _run(whole, pictures)

    first = Tracker(KEY)
    _run(first, pictures[:cut])
    second = copy.deepcopy(first)
    _run(second, pictures[cut:])

    assert second.findings() == whole.findings()
    assert second == whole


@settings(max_examples=60, deadline=None)
@given(_pictures())
def test_each_sight_belongs_to_one_event_and_each_event_to_one_object(
    pictures: list[tuple[int, list[Detection]]],
) -> None:
    tracker = Tracker(KEY)
    sights = set()
    for at, found in pictures:
        _run(tracker, [(at, found)])
        objects = tracker.findings()
        assert len({each.event_id for each in objects}) == len(objects)
        assert len(tracker.tracks) <= MAX_TRACKS
        now = [(b.at_us, b.box, b.score) for each in objects for b in each.boxes if b.at_us == at]
        assert len(now) <= len(found)
        assert {(d.at_us, d.box, d.score) for d in found} >= set(now)
        assert all(b.at_us >= tracker.window_us for each in objects for b in each.boxes)
        sights |= {each.event_id for each in objects if each.opens}
    assert all(sights)
