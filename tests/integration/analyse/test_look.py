"""The cascade on real footage with the real model."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from av import VideoFrame
from tests.fakes.stored_footage import T0, Recording, encode, pictures_of, record

from kilocam.analyse.detector import Detector
from kilocam.analyse.errors import FootageError
from kilocam.analyse.look import SPARE_US, Looker, LookOutcome, LookTask, Memory
from kilocam.analyse.results import ObjectSeen, StageCount
from kilocam.analyse.stored import StoredPictures
from kilocam.core import Window
from kilocam.media import Picture

S = 1_000_000


def _window(camera: Recording, second: int) -> Window:
    start = T0 + second * S
    return Window(
        tenant=camera.key.tenant, camera=camera.key.camera, start_us=start, end_us=start + 2 * S
    )


def _task(
    camera: Recording,
    second: int,
    memory: Memory | None = None,
    *,
    before: bool = False,
    whole: bool = False,
) -> LookTask:
    window = _window(camera, second)
    from_us = window.start_us - 2 * S if before else window.start_us
    to_us = window.end_us if whole else window.start_us + 600_000
    return LookTask(
        key=camera.key,
        window=window,
        before=_window(camera, second - 2) if before else None,
        whole=whole,
        footage=camera.between(from_us, to_us),
        memory=memory or Memory(),
    )


@pytest.fixture
def looker(detector: Detector) -> Looker:
    return Looker(detector, StoredPictures())


def _people(objects: tuple[ObjectSeen, ...]) -> dict[str, ObjectSeen]:
    return {each.event_id: each for each in objects if each.label == "person"}


def test_a_first_look_at_a_busy_street_finds_people_by_its_key_frame(
    looker: Looker, busy: Recording
) -> None:
    outcome = looker.look(_task(busy, 0))

    people = _people(outcome.findings.objects)
    assert len(people) >= 3
    assert all(each.opens and each.first_us == T0 for each in people.values())
    assert outcome.found
    assert not outcome.changed  # from what, nobody knows yet
    assert outcome.stages["detector"].seen == 1
    assert "whole" not in outcome.stages


def test_the_next_look_goes_through_the_rest_of_the_window_before(
    looker: Looker, busy: Recording
) -> None:
    first = looker.look(_task(busy, 0))
    second = looker.look(_task(busy, 2, first.memory, before=True))

    assert second.before is not None
    assert second.before.window == _window(busy, 0)
    assert second.before.changed == first.findings.changed
    again = _people(second.before.objects)
    assert set(_people(first.findings.objects)) <= set(again)
    times = sorted({b.at_us - T0 for each in again.values() for b in each.boxes})
    assert times == [0, 500_000, 1_000_000, 1_500_000]
    assert second.stages["whole"].seen == 3
    assert second.before.stages["detector"].seen == 1
    carried_on = set(again) & set(_people(second.findings.objects))
    assert len(carried_on) >= 3
    assert not any(o.opens for o in second.findings.objects if o.event_id in carried_on)


def test_people_keep_their_event_from_window_to_window(looker: Looker, busy: Recording) -> None:
    memory, windows = Memory(), []
    for second in range(0, 20, 2):
        outcome = looker.look(_task(busy, second, memory, before=second > 0))
        memory = outcome.memory
        windows.append(set(_people(outcome.findings.objects)))
    everyone = set.union(*windows)
    assert 5 <= len(everyone) <= 20
    assert max(sum(one in window for window in windows) for one in everyone) >= 7


def test_a_window_caught_up_later_is_looked_at_whole_in_one_look(
    looker: Looker, busy: Recording
) -> None:
    outcome = looker.look(_task(busy, 4, whole=True))
    times = {b.at_us - T0 for each in outcome.findings.objects for b in each.boxes}
    assert times == {4_000_000, 4_500_000, 5_000_000, 5_500_000}
    assert outcome.before is None


def test_a_window_looked_at_late_shows_a_picture_a_second(looker: Looker, busy: Recording) -> None:
    task = dataclasses.replace(_task(busy, 4, whole=True), sample_us=SPARE_US)
    outcome = looker.look(task)
    times = {b.at_us - T0 for each in outcome.findings.objects for b in each.boxes}
    assert times == {4_000_000, 5_000_000}
    assert outcome.stages["decode"].seen < 20


def test_the_same_look_gives_the_same_result(looker: Looker, busy: Recording) -> None:
    def objects(outcome: LookOutcome) -> tuple[ObjectSeen, ...]:
        return outcome.findings.objects

    memory = looker.look(_task(busy, 0)).memory
    task = _task(busy, 2, memory, before=True)
    assert objects(looker.look(task)) == objects(looker.look(task))


def test_a_still_scene_costs_a_decode_and_a_difference_and_no_detector(
    looker: Looker, still: Recording
) -> None:
    memory = looker.look(_task(still, 0)).memory
    outcome = looker.look(_task(still, 2, memory))

    assert not outcome.changed
    assert not outcome.found
    assert outcome.findings.objects == ()
    assert outcome.stages["difference"].seen == 1
    assert outcome.stages["difference"].passed == 0
    assert "detector" not in outcome.stages


@pytest.mark.parametrize("scene", ["still", "busy"])
def test_an_audit_shows_all_of_the_window_to_the_detector_and_says_what_it_found(
    looker: Looker, scene: str, request: pytest.FixtureRequest
) -> None:
    camera: Recording = request.getfixturevalue(scene)
    memory = looker.look(_task(camera, 0)).memory
    task = dataclasses.replace(_task(camera, 2, memory, whole=True), audit=True)
    outcome = looker.look(task)

    assert outcome.stages["detector"].seen == 1
    assert outcome.stages["whole"].seen == 3
    found = StageCount(seen=1, passed=int(scene == "busy"))
    assert outcome.stages["audit"] == outcome.findings.stages["audit"] == found


def test_the_detector_runs_now_and_then_though_nothing_seems_to_change(
    looker: Looker, still: Recording
) -> None:
    memory = looker.look(_task(still, 0)).memory
    long_ago = dataclasses.replace(memory, detected_us=T0 - 60 * S)
    task = _task(still, 2, long_ago)
    assert looker.look(task).stages["detector"].seen == 1
    outcome = looker.look(dataclasses.replace(task, spare=False))
    assert "detector" not in outcome.stages
    assert outcome.memory.detected_us == long_ago.detected_us


def test_footage_without_the_key_frame_is_refused_in_one_line(
    looker: Looker, busy: Recording
) -> None:
    task = dataclasses.replace(_task(busy, 2), footage=())
    with pytest.raises(FootageError, match=r"camera default/street: no picture at \d+ can be"):
        looker.look(task)


def test_a_later_picture_is_never_taken_for_the_window_s_own(
    looker: Looker, busy: Recording
) -> None:
    later = busy.between(T0 + 10 * S, T0 + 12 * S)
    with pytest.raises(FootageError):
        looker.look(dataclasses.replace(_task(busy, 2), footage=later))


def test_the_rest_of_a_window_that_is_not_remembered_is_left_out(
    looker: Looker, busy: Recording
) -> None:
    outcome = looker.look(_task(busy, 2, Memory(), before=True))
    assert outcome.before is None
    assert outcome.found


@pytest.fixture(scope="module")
def far_away(street: Path) -> Recording:
    """A wall of 1280x720 for 2 s, then people before it who are a sixteenth of its height."""
    wall: Picture = np.full((720, 1280, 3), 110, np.uint8)
    shown = [wall] * 20
    for each in pictures_of(street, 540, 20):
        shown.append(wall.copy())
        shown[-1][340:556, 700:988] = each.reformat(288, 216).to_ndarray(format="rgb24")
    frames = [VideoFrame.from_ndarray(each, format="rgb24") for each in shown]
    return record("far-away", encode(frames, size=(1280, 720)))


def test_who_is_small_in_a_large_picture_is_seen_in_enlarged_parts(
    looker: Looker, far_away: Recording
) -> None:
    memory = looker.look(_task(far_away, 0)).memory
    task = _task(far_away, 2, memory, whole=True)
    parts, whole = looker.look(task), looker.look(dataclasses.replace(task, enlarge=False))
    assert 4 <= parts.stages["tiles"].seen <= 8
    assert parts.stages["whole"].seen == whole.stages["whole"].seen == 3
    assert "tiles" not in whole.stages
    few, many = (_people(each.findings.objects) for each in (whole, parts))
    assert len(few) <= 2
    assert len(many) >= 4


def test_small_pictures_have_no_enlarged_parts(looker: Looker, busy: Recording) -> None:
    first = looker.look(_task(busy, 0))
    second = looker.look(_task(busy, 2, first.memory, whole=True))
    assert second.changed
    assert "tiles" not in second.stages
