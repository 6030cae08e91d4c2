"""The shipped tracker and the reference over labelled pictures that are made up."""

from kilocam.cli.bench.quality.labels import Box, LabelledPicture, Labels, Seen, Span
from kilocam.cli.bench.quality.scores import Found, identities
from kilocam.cli.bench.quality.seeing import (
    Pictures,
    Watched,
    judge,
    overlapping,
    tracked,
    tracker_section,
)
from kilocam.core import Detection

FPS = 10


def walk(step: float, score: float = 0.9) -> list[tuple[LabelledPicture, list[Detection]]]:
    """One person who goes to the right, found in each picture."""
    pictures = []
    for at in range(8):
        box: Box = (0.1 + at * step, 0.4, 0.05, 0.2)
        number = at * 5
        detection = Detection(label="person", score=score, box=box, at_us=number * 1_000_000 // FPS)
        seen = Seen(id="p", kind="person", box=box)
        pictures.append((LabelledPicture(number=number, seen=(seen,), unclear=()), [detection]))
    return pictures


def idf1(shown: Pictures, sights: list[list[Found]]) -> float:
    pairs = [(picture, each) for (picture, _), each in zip(shown, sights, strict=True)]
    return identities(pairs, "person").idf1


def watched(pictures: Pictures) -> Watched:
    span = Span(use="judging", pictures=tuple(picture for picture, _ in pictures))
    labels = Labels(
        film="made up", fps=FPS, kinds=frozenset({"person"}), identities=True, covers=(),
        spans=(span,),
    )  # fmt: skip
    return Watched(labels=labels, span=span, aspect=16 / 9, pictures=pictures)


def test_a_walker_is_one_event_where_boxes_no_longer_overlap() -> None:
    shown = walk(step=0.07)
    assert idf1(shown, tracked(shown, FPS, 16 / 9, 4)) == 1
    assert idf1(shown, overlapping(shown)) < 0.3


def test_what_scores_too_little_is_no_event() -> None:
    assert not any(tracked(walk(step=0.01, score=0.3), FPS, 16 / 9, 4))
    assert not any(overlapping(walk(step=0.01, score=0.3)))


def test_a_window_at_the_end_that_is_not_full_counts() -> None:
    shown = walk(step=0.01)[:6]
    assert [len(each) for each in tracked(shown, FPS, 16 / 9, 4)] == [1] * 6


def test_kinds_without_labels_are_not_judged() -> None:
    (picture, (person,)) = walk(step=0.1)[0]
    bag = Detection(label="handbag", score=0.9, box=(0.7, 0.7, 0.1, 0.1), at_us=0)
    (judged,) = judge(watched([(picture, [person, bag])]), 0.4)
    assert judged.wrong == ()
    assert len(judged.right) == 1


def test_the_section_has_both_rates_beside_the_reference() -> None:
    section = tracker_section([watched(walk(step=0.07))])
    names = [figure.name.removeprefix("made up, judging, ") for figure in section.figures]
    assert names[0] == "2 pictures a second: IDF1"
    assert names[2] == "key frames alone: IDF1"
    assert section.figures[0].value == 1
    assert section.figures[0].reference is not None
    assert section.figures[0].reference < 0.3
    assert "1 people became 1 events" in section.notes[0]
