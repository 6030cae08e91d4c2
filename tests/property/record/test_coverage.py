from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.core import Gap, GapCause, Span
from kilocam.record.coverage import _SLIVER_US, merge, tile

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


def left_of(gap: Gap, footage: Sequence[Span]) -> list[Gap]:
    """What footage leaves of one gap (C2), by looking at all of it."""
    left: list[Gap] = []
    start = gap.start_us
    for span in footage:
        if span.end_us <= start or span.start_us >= gap.end_us:
            continue
        if span.start_us - start >= _SLIVER_US:
            left.append(replace(gap, start_us=start, end_us=span.start_us))
        start = max(start, span.end_us)
    if start == gap.start_us or gap.end_us - start >= _SLIVER_US:
        left.append(replace(gap, start_us=start))
    return [part for part in left if part.end_us > part.start_us]


def without_overlap(gaps: Sequence[Gap]) -> list[Gap]:
    """Each gap less all that began before it, by looking at all of them."""
    ordered = sorted(gaps, key=lambda gap: (gap.start_us, gap.end_us))
    apart = []
    for number, gap in enumerate(ordered):
        told = max((earlier.end_us for earlier in ordered[:number]), default=gap.start_us)
        apart.append(replace(gap, start_us=max(gap.start_us, told)))
    return [gap for gap in apart if gap.end_us > gap.start_us]


causes = st.sampled_from([GapCause.SILENT, GapCause.REFUSED, GapCause.DISK_SLOW])
edges = st.one_of(times, st.integers(0, 60).map(lambda second: second * 1_000_000))
lengths = st.one_of(st.integers(0, 300_000), st.integers(0, 20_000_000))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(edges, lengths), max_size=12),
    st.lists(st.tuples(edges, lengths, causes), max_size=12),
)
def test_tiling_is_what_comparing_each_gap_with_all_footage_gives(
    footage: list[tuple[int, int]], typed: list[tuple[int, int, GapCause]]
) -> None:
    spans = [Span(start_us=start, end_us=start + length) for start, length in footage]
    gaps = [Gap(start_us=start, end_us=start + length, cause=c) for start, length, c in typed]
    simple = [part for gap in without_overlap(gaps) for part in left_of(gap, merge(spans))]
    assert tile(spans, gaps, 0, 90_000_000) == tile(spans, simple, 0, 90_000_000)
