from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.core import Gap, GapCause, Span
from kilocam.record.coverage import tile

times = st.integers(0, 60_000_000)
stretches = st.lists(st.tuples(times, st.integers(1, 8_000_000)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(stretches, stretches)
def test_spans_and_gaps_tile_the_time_without_overlap(
    footage: list[tuple[int, int]], typed: list[tuple[int, int]]
) -> None:
    spans, gaps = tile(
        [Span(start_us=start, end_us=start + length) for start, length in footage],
        [
            Gap(start_us=start, end_us=start + length, cause=GapCause.SILENT)
            for start, length in typed
        ],
        0,
        70_000_000,
    )
    parts = [(span.start_us, span.end_us) for span in spans]
    parts = sorted([*parts, *((gap.start_us, gap.end_us) for gap in gaps)])
    assert parts[0][0] == 0
    assert parts[-1][1] == 70_000_000
    assert all(one[1] == two[0] for one, two in pairwise(parts))
    for start, length in footage:
        middle = start + length // 2
        assert any(span.start_us <= middle < span.end_us for span in spans)
