"""Coverage: footage and gaps of a camera as stretches that tile the time (promise 7).

A pure function of intervals; log.md, "Coverage", argues the rules C1 to C4.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kilocam.core import Gap, GapCause, Span
from kilocam.record.index import TOLERANCE_US

_SLIVER_US = 100_000
"""What footage leaves over of a typed gap counts from this length on."""


def tile(
    footage: Iterable[Span], gaps: Iterable[Gap], lower_us: int, upper_us: int
) -> tuple[list[Span], list[Gap]]:
    """Spans and gaps that fill [lower_us, upper_us) without overlap."""
    merged = merge(footage)
    parts: list[Span | Gap] = [*merged, *_remaining(gaps, merged)]
    parts.sort(key=lambda part: (part.start_us, part.end_us))
    spans: list[Span] = []
    holes: list[Gap] = []
    end = lower_us
    for part in _filled(parts, lower_us, upper_us):
        start, stop = max(part.start_us, end), min(part.end_us, upper_us)
        if stop <= start:
            continue
        end = stop
        if isinstance(part, Gap):
            _add_gap(holes, replace(part, start_us=start, end_us=stop))
        elif spans and spans[-1].end_us == start:
            spans[-1] = Span(start_us=spans[-1].start_us, end_us=stop)
        else:
            spans.append(Span(start_us=start, end_us=stop))
    return spans, holes


def merge(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch or overlap become one (C1)."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start_us <= merged[-1].end_us:
            end = max(span.end_us, merged[-1].end_us)
            merged[-1] = Span(start_us=merged[-1].start_us, end_us=end)
        else:
            merged.append(span)
    return merged


def _remaining(gaps: Iterable[Gap], footage: list[Span]) -> list[Gap]:
    """Typed gaps less the footage, for footage wins (C2)."""
    remaining: list[Gap] = []
    first = 0
    for gap in _apart(gaps):
        while first < len(footage) and footage[first].end_us <= gap.start_us:
            first += 1
        start = gap.start_us
        for number in range(first, len(footage)):
            span = footage[number]
            if span.start_us >= gap.end_us:
                break
            if span.start_us - start >= _SLIVER_US:
                remaining.append(replace(gap, start_us=start, end_us=span.start_us))
            start = max(start, span.end_us)
        if start == gap.start_us or gap.end_us - start >= _SLIVER_US:
            remaining.append(replace(gap, start_us=start))
    return [gap for gap in remaining if gap.end_us > gap.start_us]


def _apart(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """Typed gaps without overlap: of two that do the one that began first is told.

    So each stretch of footage is looked at once, however many recorders told of one outage.
    """
    end: int | None = None
    for gap in sorted(gaps, key=lambda gap: (gap.start_us, gap.end_us)):
        if end is None or gap.start_us >= end:
            yield gap
        elif gap.end_us > end:
            yield replace(gap, start_us=end)
        end = gap.end_us if end is None else max(end, gap.end_us)


def _filled(parts: list[Span | Gap], lower_us: int, upper_us: int) -> list[Span | Gap]:
    """Holes filled: short ones by what is before them (C3), others as UNKNOWN (C4)."""
    filled: list[Span | Gap] = []
    end = lower_us
    for part in parts:
        if part.start_us > end:
            if filled and part.start_us - end <= TOLERANCE_US:
                filled[-1] = replace(filled[-1], end_us=part.start_us)
            elif filled or part.start_us - end > TOLERANCE_US:
                filled.append(Gap(start_us=end, end_us=part.start_us, cause=GapCause.UNKNOWN))
            else:
                part = replace(part, start_us=end)  # noqa: PLW2901
        if part.end_us > end:
            filled.append(part)
            end = part.end_us
    if upper_us - end > TOLERANCE_US or (upper_us > end and not filled):
        filled.append(Gap(start_us=end, end_us=upper_us, cause=GapCause.UNKNOWN))
    elif upper_us > end:
        filled[-1] = replace(filled[-1], end_us=upper_us)
    return filled


def _add_gap(gaps: list[Gap], gap: Gap) -> None:
    if gaps:
        last = gaps[-1]
        if last.end_us == gap.start_us and (last.cause, last.detail) == (gap.cause, gap.detail):
            gaps[-1] = replace(last, end_us=gap.end_us)
            return
    gaps.append(gap)
