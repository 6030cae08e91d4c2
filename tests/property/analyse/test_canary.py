"""Laws of the rule of trials."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kilocam.analyse.canary import Agreement, Limits, Tally, Verdict, agreement, judge
from kilocam.analyse.detector import KIND_OF
from kilocam.core import Detection

LEAST_US = 1000
LIMITS = Limits(promoting_us=LEAST_US)
COUNT = st.integers(0, 3000)


@st.composite
def agreements(draw: st.DrawFn) -> Agreement:
    missed, extra = draw(COUNT), draw(COUNT)
    return Agreement(
        known=missed + draw(COUNT), missed=missed, found=extra + draw(COUNT), extra=extra
    )


TALLIES = st.builds(
    Tally,
    looks=COUNT,
    failed=st.integers(0, 60),
    kinds=st.dictionaries(st.sampled_from(["person", "vehicle", "bag"]), agreements(), max_size=3),
    cost_us=st.integers(0, 100_000),
    candidate_cost_us=st.integers(0, 300_000),
)
LIKE = st.builds(
    lambda looks, known, off: Tally(
        looks=looks, cost_us=looks, candidate_cost_us=looks,
        kinds={"person": Agreement(known=known, missed=off, found=known, extra=off)},
    ),
    st.integers(900, 3000), st.integers(50, 3000), st.integers(0, 20),
)  # fmt: skip
"""Many of these are promoted, which few of any kind are."""
LASTED = st.sampled_from([0, LEAST_US])
WORSE = st.sampled_from(["missed", "extra", "failed", "cost"])


def _worse(tally: Tally, how: str, by: int) -> Tally:
    kinds = dict(tally.kinds)
    person = kinds.get("person", Agreement())
    match how:
        case "missed":
            person += Agreement(known=by, missed=by)
        case "extra":
            person += Agreement(found=by, extra=by)
        case "failed":
            return replace(tally, failed=tally.failed + by)
        case _:
            return replace(tally, candidate_cost_us=tally.candidate_cost_us + by * 1000)
    return replace(tally, kinds={**kinds, "person": person})


@given(TALLIES | LIKE, LASTED, WORSE, st.integers(1, 500))
def test_more_against_it_never_saves_it(tally: Tally, lasted_us: int, how: str, by: int) -> None:
    before, _ = judge(tally, lasted_us, LIMITS)
    after, _ = judge(_worse(tally, how, by), lasted_us, LIMITS)
    if before is Verdict.ROLLED_BACK:
        assert after is Verdict.ROLLED_BACK
    if how in ("missed", "failed", "cost"):  # an extra object may be the last of the least needed
        assert after is not Verdict.PROMOTED or before is Verdict.PROMOTED


@given(TALLIES | LIKE)
def test_time_alone_rolls_nothing_back_and_nothing_is_promoted_before_it(tally: Tally) -> None:
    early, _ = judge(tally, LEAST_US - 1, LIMITS)
    late, _ = judge(tally, LEAST_US, LIMITS)
    assert early is not Verdict.PROMOTED
    assert (early is Verdict.ROLLED_BACK) == (late is Verdict.ROLLED_BACK)


@given(TALLIES | LIKE, LASTED)
def test_every_verdict_says_why(tally: Tally, lasted_us: int) -> None:
    verdict, why = judge(tally, lasted_us, LIMITS)
    assert bool(why) == (verdict is not Verdict.UNDECIDED)


@given(st.lists(TALLIES, max_size=5))
def test_the_order_of_tallies_does_not_matter(tallies: list[Tally]) -> None:
    assert sum(tallies, Tally()) == sum(reversed(tallies), Tally())


FRACTION = st.floats(0.01, 0.5)
DETECTIONS = st.lists(
    st.builds(
        Detection,
        label=st.sampled_from(sorted(KIND_OF)),
        score=st.floats(0.2, 1),
        box=st.tuples(FRACTION, FRACTION, FRACTION, FRACTION),
        at_us=st.just(0),
    ),
    max_size=6,
)


@given(DETECTIONS, DETECTIONS, DETECTIONS)
def test_two_detectors_are_compared_alike_from_both_sides(
    one: list[Detection], other: list[Detection], before: list[Detection]
) -> None:
    there, back = agreement(one, other, before), agreement(other, one, before)
    assert there.keys() == back.keys()
    for kind, of in there.items():
        mirrored = back[kind]
        assert (of.known, of.found) == (mirrored.found, mirrored.known)
        assert of.missed <= of.known
        assert of.extra <= of.found


@given(DETECTIONS, DETECTIONS)
def test_a_detector_agrees_with_itself(seen: list[Detection], before: list[Detection]) -> None:
    for of in agreement(seen, seen, before).values():
        assert (of.missed, of.extra) == (0, 0)
        assert of.known == of.found
