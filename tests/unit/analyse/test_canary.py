"""The rule of trials: what is counted of two detectors, and what follows from the counts."""

from collections import Counter

import pytest

from kilocam.analyse.canary import (
    Agreement,
    Limits,
    Tally,
    Verdict,
    agreement,
    in_share,
    judge,
    sure,
)
from kilocam.core import CameraKey, Detection

LEFT, RIGHT = (0.1, 0.1, 0.1, 0.3), (0.7, 0.1, 0.1, 0.3)
DAY_US = 86_400_000_000
GOOD = Tally(
    looks=2000,
    failed=0,
    kinds={"person": Agreement(known=400, missed=12, found=420, extra=30)},
    cost_us=2000,
    candidate_cost_us=1900,
)


def _seen(
    label: str = "person",
    score: float = 0.9,
    box: tuple[float, float, float, float] = LEFT,
) -> Detection:
    return Detection(label=label, score=score, box=box, at_us=1)


def _verdict(lasted_us: int = DAY_US, **changed: object) -> tuple[Verdict, str]:
    counts = {name: getattr(GOOD, name) for name in GOOD.__slots__} | changed
    return judge(Tally(**counts), lasted_us, Limits())


# What is counted


def test_the_same_is_agreed_upon_whatever_label_of_its_kind_it_has() -> None:
    counts = agreement([_seen("car")], [_seen("truck", box=(0.11, 0.1, 0.1, 0.3))], [])
    assert counts == {"vehicle": Agreement(known=1, found=1)}


def test_another_kind_in_the_same_place_is_no_agreement() -> None:
    counts = agreement([_seen("person")], [_seen("dog")], [])
    assert counts == {
        "person": Agreement(known=1, missed=1),
        "animal": Agreement(found=1, extra=1),
    }


def test_another_place_is_missed_and_extra() -> None:
    counts = agreement([_seen(box=LEFT)], [_seen(box=RIGHT)], [])
    assert counts == {"person": Agreement(known=1, missed=1, found=1, extra=1)}


def test_a_score_just_below_is_no_disagreement_and_one_far_below_is() -> None:
    assert agreement([_seen(score=0.51)], [_seen(score=0.41)], []) == {"person": Agreement(known=1)}
    assert agreement([_seen(score=0.41)], [_seen(score=0.51)], []) == {"person": Agreement(found=1)}
    assert agreement([_seen(score=0.51)], [_seen(score=0.39)], []) == {
        "person": Agreement(known=1, missed=1)
    }
    assert agreement([_seen(score=0.49)], [], []) == {}


def test_one_box_does_not_stand_for_two() -> None:
    near = (0.12, 0.1, 0.1, 0.3)
    counts = agreement([_seen(), _seen(box=near)], [_seen()], [])
    assert counts == {"person": Agreement(known=2, missed=1, found=1)}


def test_what_stood_there_before_is_counted_once() -> None:
    parked, walker = _seen("car"), _seen(box=RIGHT)
    before = sure([parked], [_seen("car", score=0.3, box=RIGHT)])
    assert before == (parked,)
    assert agreement([parked], [], before) == {}
    assert agreement([parked, walker], [], before) == {"person": Agreement(known=1, missed=1)}


def test_tallies_add_up_kind_by_kind() -> None:
    one = Tally(looks=1, kinds={"person": Agreement(known=1)}, cost_us=5, candidate_cost_us=6)
    other = Tally(
        looks=2, failed=3, kinds={"person": Agreement(known=2), "bag": Agreement(found=1)}
    )
    assert one + other == Tally(
        looks=3, failed=3, cost_us=5, candidate_cost_us=6,
        kinds={"bag": Agreement(found=1), "person": Agreement(known=3)},
    )  # fmt: skip
    assert (one + other).all_kinds == Agreement(known=3, found=1)


def test_the_share_of_cameras_is_stable_and_of_its_size() -> None:
    keys = [CameraKey("default", f"cam{n}") for n in range(4000)]
    few = {key for key in keys if in_share(key, 0.1)}
    assert 300 < len(few) < 500
    assert few < {key for key in keys if in_share(key, 0.3)}
    assert all(in_share(key, 1.0) for key in keys)


# What follows


def test_a_like_model_is_promoted_after_its_time() -> None:
    assert _verdict() == (
        Verdict.PROMOTED,
        "in 2000 looks it missed 12 of 400 objects and saw 30 of 420 alone, "
        "for 0.9 times the processor time",
    )
    assert _verdict(lasted_us=DAY_US - 1)[0] is Verdict.UNDECIDED
    assert _verdict(looks=999)[0] is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            {"kinds": {"person": Agreement(known=400, missed=120, found=300)}},
            "it misses 120 of 400 persons that the one in use sees",
        ),
        (
            {"kinds": {"person": Agreement(known=200, found=400, extra=200)}},
            "of 400 persons that it sees the one in use does not see 200",
        ),
        (  # one kind is enough, however well it does with others
            {"kinds": {**GOOD.kinds, "cycle": Agreement(known=40, missed=40)}},
            "it misses 40 of 40 cycles that the one in use sees",
        ),
        ({"looks": 0, "failed": 3, "kinds": {}}, "it failed 3 of 3 looks"),
        ({"failed": 100}, "it failed 100 of 2100 looks"),
        (
            {"candidate_cost_us": 4100},
            "it takes 2.0 times the processor time of the one in use",
        ),
    ],
)
def test_a_bad_one_is_rolled_back_at_once(changed: dict[str, object], why: str) -> None:
    assert _verdict(0, **changed) == (Verdict.ROLLED_BACK, why)


@pytest.mark.parametrize(
    "changed",
    [
        {"kinds": {}},  # nothing was seen
        {"kinds": {"person": Agreement(known=29, missed=29, found=29)}},  # too little
        {"kinds": {"person": Agreement(known=400, missed=40, found=400)}},  # at the limit
        {"kinds": {"person": Agreement(known=400, found=400, extra=120)}},
        {"kinds": {**GOOD.kinds, "animal": Agreement(known=4, missed=2, found=2)}},
        {"looks": 2, "failed": 2},
        {"failed": 20},
        {"looks": 50, "candidate_cost_us": 99_999},
    ],
)
def test_what_is_not_certain_is_left_undecided(changed: dict[str, object]) -> None:
    assert _verdict(DAY_US, **changed) == (Verdict.UNDECIDED, "")


def test_every_reason_differs() -> None:
    reasons = [_verdict(0, failed=100)[1], _verdict(0, candidate_cost_us=9999)[1], _verdict()[1]]
    assert max(Counter(reasons).values()) == 1
