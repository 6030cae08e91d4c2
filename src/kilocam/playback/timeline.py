"""What exists of a camera and what is missing, as the page's timeline shows it."""

from dataclasses import dataclass

from kilocam.core import CameraKey, Gap, GapCause, Span
from kilocam.playback.errors import NoFootage
from kilocam.playback.source import FootageSource

LAG_US = 3_000_000
"""Footage of the last moments is still on its way to the disk: no gap."""

_LATELY_US = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """Ranges and gaps of [from, to), and the share that exists of what could."""

    ranges: tuple[Span, ...]
    gaps: tuple[Gap, ...]
    coverage: float


def footage(
    source: FootageSource, key: CameraKey, from_us: int, to_us: int, now_us: int
) -> Footage:
    """Every second of [from_us, to_us) that has passed: recorded, or a gap with its cause."""
    to_us = min(to_us, now_us)
    if to_us <= from_us:
        return Footage(ranges=(), gaps=(), coverage=1.0)
    spans, gaps = source.coverage(key, from_us, to_us)
    known: list[Span | Gap] = [*spans, *gaps]
    start = min((part.start_us for part in known), default=to_us)
    end = max((part.end_us for part in known), default=to_us)
    if start > from_us:
        gaps = [_unknown(from_us, start, "nothing is known from before"), *gaps]
    if known and to_us - end > LAG_US:
        gaps = [*gaps, _unknown(end, to_us, "nothing is known from after")]
    recorded = sum(span.end_us - span.start_us for span in spans)
    missing = sum(gap.end_us - gap.start_us for gap in gaps)
    total = recorded + missing
    return Footage(
        ranges=tuple(spans), gaps=tuple(gaps), coverage=recorded / total if total else 1.0
    )


def _unknown(start_us: int, end_us: int, detail: str) -> Gap:
    return Gap(start_us=start_us, end_us=end_us, cause=GapCause.UNKNOWN, detail=detail)


def gap_at(source: FootageSource, key: CameraKey, at_us: int) -> Gap | None:
    """The gap around a moment, or None when footage exists there."""
    spans, gaps = source.coverage(key, at_us, at_us + 1)
    if spans:
        return None
    return gaps[0] if gaps else _unknown(at_us, at_us + 1, "nothing is recorded there")


def newest(source: FootageSource, key: CameraKey, now_us: int) -> int:
    """The last moment of which there is footage.

    Raises:
        NoFootage: nothing was recorded lately; the error says why.
    """
    spans, gaps = source.coverage(key, now_us - _LATELY_US, now_us + LAG_US)
    if spans:
        return spans[-1].end_us - 1
    gap = gaps[-1] if gaps else _unknown(now_us - 1, now_us, "nothing is recorded")
    raise NoFootage(f"camera {key.camera!r} has no footage of the last minute ({gap.cause})", gap)
