from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.cli.supervise_spec import Backoff


def test_first_replacement_is_at_once_and_further_ones_ever_later() -> None:
    backoff = Backoff(first_s=0.5, most_s=30.0)
    assert [backoff.delay(n, 1.0) for n in range(1, 10)] == [
        0.0,
        0.5,
        1.0,
        2.0,
        4.0,
        8.0,
        16.0,
        30.0,
        30.0,
    ]


@settings(max_examples=50)
@given(
    failures=st.integers(0, 10_000),
    random=st.floats(0, 1, exclude_max=True),
)
def test_delay_is_between_half_and_all_of_a_bounded_step(failures: int, random: float) -> None:
    backoff = Backoff()
    full = backoff.delay(failures, 1.0)
    assert full <= backoff.most_s
    assert full / 2 <= backoff.delay(failures, random) <= full
