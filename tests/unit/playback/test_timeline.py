from collections.abc import Iterable, Iterator

import pytest

from kilocam.core import CameraKey, Gap, GapCause, Piece, Session, Span
from kilocam.playback import NoFootage, footage
from kilocam.playback.timeline import gap_at, newest
from kilocam.record import PieceMark

GATE = CameraKey("default", "gate")
S = 1_000_000


class Known:
    """A source of which only the coverage is known."""

    def __init__(self, spans: list[Span], gaps: list[Gap]) -> None:
        self._spans, self._gaps = spans, gaps

    def coverage(self, key: CameraKey, from_us: int, to_us: int) -> tuple[list[Span], list[Gap]]:
        spans = [
            Span(start_us=max(s.start_us, from_us), end_us=min(s.end_us, to_us))
            for s in self._spans
            if s.start_us < to_us and s.end_us > from_us
        ]
        return spans, [g for g in self._gaps if g.start_us < to_us and g.end_us > from_us]

    def pieces(
        self, key: CameraKey, from_us: int, to_us: int, *, exact: bool = False
    ) -> Iterator[tuple[Session, Piece]]:
        return iter(())

    def marks(self, key: CameraKey, from_us: int, to_us: int) -> list[PieceMark]:
        return []

    def read(self, marks: Iterable[PieceMark]) -> Iterator[tuple[Session, Piece]]:
        return iter(())


SOURCE = Known(
    [Span(start_us=10 * S, end_us=20 * S), Span(start_us=30 * S, end_us=60 * S)],
    [Gap(start_us=20 * S, end_us=30 * S, cause=GapCause.REFUSED)],
)


def test_every_second_is_recorded_or_a_gap_with_its_cause() -> None:
    found = footage(SOURCE, GATE, 0, 100 * S, 200 * S)

    parts = sorted(
        [(r.start_us, r.end_us) for r in found.ranges]
        + [(g.start_us, g.end_us) for g in found.gaps]
    )
    assert parts == [(0, 10 * S), (10 * S, 20 * S), (20 * S, 30 * S), (30 * S, 60 * S),
                     (60 * S, 100 * S)]  # fmt: skip
    assert [g.cause for g in found.gaps] == [GapCause.UNKNOWN, GapCause.REFUSED, GapCause.UNKNOWN]
    assert found.coverage == pytest.approx(0.4)


def test_the_future_is_no_gap() -> None:
    found = footage(SOURCE, GATE, 40 * S, 1000 * S, 61 * S)
    assert found.gaps == ()
    assert found.coverage == 1.0
    assert footage(SOURCE, GATE, 70 * S, 80 * S, 61 * S).ranges == ()


def test_a_camera_of_which_nothing_is_known_is_one_gap() -> None:
    found = footage(Known([], []), GATE, 0, 10 * S, 20 * S)
    assert [(g.start_us, g.end_us, g.cause) for g in found.gaps] == [(0, 10 * S, GapCause.UNKNOWN)]
    assert found.coverage == 0


def test_a_moment_lies_in_footage_or_in_a_gap() -> None:
    assert gap_at(SOURCE, GATE, 15 * S) is None
    gap = gap_at(SOURCE, GATE, 25 * S)
    assert gap is not None
    assert gap.cause is GapCause.REFUSED


def test_the_newest_moment_is_the_last_with_footage() -> None:
    assert newest(SOURCE, GATE, 62 * S) == 60 * S - 1
    with pytest.raises(NoFootage, match="'gate' has no footage of the last minute"):
        newest(SOURCE, GATE, 500 * S)
