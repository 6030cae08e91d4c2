"""Whoever wishes, in whatever order: each wish comes to one end, and few wait."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kilocam.analyse.likening import BETTER, Wish, Wishes
from kilocam.analyse.results import BoxAt, ObjectSeen
from kilocam.core import Window

MOST = 3
WINDOW = Window(tenant="default", camera="gate", start_us=0, end_us=2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 6), st.integers(40, 100)),
        st.sampled_from(["keep", "lose"]),
    ),
    max_size=60,
)


def _wish(event: int, score: int) -> Wish:
    box = BoxAt(at_us=0, box=(0.1, 0.1, 0.1, 0.1), score=score / 100)
    return Wish(
        window=WINDOW,
        seen=ObjectSeen(event_id=str(event), opens=True, label="car", still=False, boxes=(box,)),
    )


@given(STEPS)
def test_each_wish_comes_to_one_end_and_no_vector_is_made_for_little(
    steps: list[tuple[int, int] | str],
) -> None:
    counts: Counter[str] = Counter()
    wishes = Wishes(counts, MOST)
    taken = 0
    made: dict[str, float] = {}
    for step in steps:
        if isinstance(step, tuple):
            wishes.add(_wish(*step))
        elif (wish := wishes.take()) is not None:
            taken += 1
            event = wish.seen.event_id
            assert wish.score >= made.get(event, 0) + (BETTER if event in made else 0) - 1e-9
            if step == "keep":
                wishes.kept(wish)
                made[event] = wish.score
        assert len(wishes) <= MOST
        ends = counts["replaced"] + counts["crowded_out"] + taken + len(wishes)
        assert counts["wished"] == ends
