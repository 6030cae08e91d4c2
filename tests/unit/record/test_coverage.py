import time

from kilocam.core import Gap, GapCause, Span
from kilocam.record.coverage import tile

S = 1_000_000


def span(start: float, end: float) -> Span:
    return Span(start_us=int(start * S), end_us=int(end * S))


def gap(start: float, end: float, cause: GapCause = GapCause.SILENT) -> Gap:
    return Gap(start_us=int(start * S), end_us=int(end * S), cause=cause)


def test_neighbours_are_one_span_and_jitter_is_no_gap() -> None:
    footage = [span(0, 0.5), span(0.52, 1), span(0.9, 2), span(3.5, 4)]
    assert tile(footage, [], 0, 4 * S) == ([span(0, 4)], [])


def test_a_hole_over_the_tolerance_is_a_gap_of_unknown_cause() -> None:
    spans, gaps = tile([span(0, 1), span(4, 5)], [], 0, 5 * S)
    assert spans == [span(0, 1), span(4, 5)]
    assert gaps == [gap(1, 4, GapCause.UNKNOWN)]


def test_a_short_typed_gap_cuts_a_span() -> None:
    spans, gaps = tile([span(0, 1), span(1.6, 3)], [gap(1, 1.6)], 0, 3 * S)
    assert spans == [span(0, 1), span(1.6, 3)]
    assert gaps == [gap(1, 1.6)]


def test_footage_wins_over_a_gap_that_another_recorder_saw() -> None:
    spans, gaps = tile([span(0, 3), span(5, 8)], [gap(2, 6)], 0, 8 * S)
    assert spans == [span(0, 3), span(5, 8)]
    assert gaps == [gap(3, 5)]


def test_a_sliver_left_of_a_gap_is_jitter() -> None:
    assert tile([span(0, 3), span(5, 8)], [gap(3, 5.05), gap(7.95, 8)], 0, 8 * S) == (
        [span(0, 3), span(5, 8)],
        [gap(3, 5)],
    )


def test_gaps_told_in_parts_are_one() -> None:
    parts = [gap(1, 61), gap(61, 121), gap(121, 130, GapCause.REFUSED)]
    _, gaps = tile([span(0, 1), span(130, 131)], parts, 0, 131 * S)
    assert gaps == [gap(1, 121), gap(121, 130, GapCause.REFUSED)]


def test_a_hole_at_either_end_is_named() -> None:
    spans, gaps = tile([span(10, 11)], [], 0, 20 * S)
    assert spans == [span(10, 11)]
    assert gaps == [gap(0, 10, GapCause.UNKNOWN), gap(11, 20, GapCause.UNKNOWN)]


def test_nothing_known_is_one_gap() -> None:
    assert tile([], [], 0, 5 * S) == ([], [gap(0, 5, GapCause.UNKNOWN)])


def test_of_gaps_that_overlap_the_one_that_began_first_is_told() -> None:
    told = [gap(1, 20), gap(5, 10, GapCause.REFUSED), gap(12, 22, GapCause.DISK_SLOW)]
    _, gaps = tile([span(0, 1), span(7, 8), span(22, 23)], told, 0, 23 * S)
    assert gaps == [gap(1, 7), gap(8, 20), gap(20, 22, GapCause.DISK_SLOW)]


def test_a_week_of_outages_is_tiled_while_somebody_waits() -> None:
    minutes = range(0, 120_000, 6)
    footage = [span(minute, minute + 3) for minute in minutes]
    outages = [gap(minute + 3, minute + 6) for minute in minutes]
    started = time.process_time()
    spans, gaps = tile(footage, outages, 0, 120_000 * S)
    assert (spans, gaps) == (footage, outages)
    assert time.process_time() - started < 2
