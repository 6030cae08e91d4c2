"""Matching, precision, AP and IDF1 against cases computed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilocam.cli.bench.quality.labels import Box, LabelledPicture, Seen, Unclear
from kilocam.cli.bench.quality.scores import (
    Found,
    average_precision,
    identities,
    match,
    tally,
)

LEFT: Box = (0.1, 0.1, 0.1, 0.2)
RIGHT: Box = (0.6, 0.1, 0.1, 0.2)
NEARLY_LEFT: Box = (0.12, 0.1, 0.1, 0.2)  # 8 of 12 parts in common: .67
BARELY_LEFT: Box = (0.15, 0.1, 0.1, 0.2)  # 5 of 15: .33


def picture(*seen: Seen, number: int = 0, unclear: tuple[Unclear, ...] = ()) -> LabelledPicture:
    return LabelledPicture(number=number, seen=seen, unclear=unclear)


def person(id_: str, box: Box) -> Seen:
    return Seen(id=id_, kind="person", box=box)


def found(box: Box, score: float = 1.0, id_: str = "", kind: str = "person") -> Found:
    return Found(kind=kind, box=box, score=score, id=id_)


def test_the_best_takes_what_it_overlaps_and_the_next_is_wrong() -> None:
    weak, strong = found(LEFT, 0.5), found(NEARLY_LEFT, 0.9)
    judged = match(picture(person("a", LEFT)), [weak, strong])
    assert judged.right == ((person("a", LEFT), strong),)
    assert judged.wrong == (weak,)
    assert judged.missed == ()


@pytest.mark.parametrize("wrong", [found(BARELY_LEFT), found(LEFT, kind="vehicle")])
def test_what_overlaps_too_little_or_is_of_another_kind_finds_nothing(wrong: Found) -> None:
    judged = match(picture(person("a", LEFT)), [wrong])
    assert (judged.right, judged.wrong, judged.missed) == ((), (wrong,), (person("a", LEFT),))


def test_nobody_is_blamed_for_what_is_unclear_unless_it_is_of_another_kind() -> None:
    hidden = Unclear(kind="person", box=LEFT, region=False)
    region = Unclear(kind="person", box=(0.5, 0.0, 0.5, 1.0), region=True)
    some = [found(NEARLY_LEFT), found(RIGHT), found(BARELY_LEFT), found(RIGHT, kind="animal")]
    judged = match(picture(unclear=(hidden, region)), some)
    assert judged.wrong == (some[2], some[3])


def test_precision_and_recall_of_one_kind() -> None:
    cars = Seen(id="v", kind="vehicle", box=RIGHT)
    one = match(picture(person("a", LEFT), cars), [found(LEFT), found(RIGHT)])
    two = match(picture(person("a", LEFT), person("b", RIGHT)), [found(LEFT)])
    people = tally([one, two], "person")
    assert (people.right, people.wrong, people.missed) == (2, 1, 1)
    assert people.precision == pytest.approx(2 / 3)
    assert people.recall == pytest.approx(2 / 3)
    assert tally([one, two], "vehicle").recall == 0


def test_average_precision_of_four_found_among_five() -> None:
    # Right, wrong, right; one of three is never found: precision 1 up to recall 1/3, then 2/3 up
    # to recall 2/3, then nothing: 34 steps of 101 at 1 (0 to .33), 33 at 2/3 (.34 to .66).
    pictures = [
        match(picture(person("a", LEFT)), [found(LEFT, 0.9)]),
        match(picture(), [found(LEFT, 0.8)]),
        match(picture(person("a", LEFT), person("b", RIGHT)), [found(RIGHT, 0.7)]),
    ]
    assert average_precision(pictures, "person") == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert average_precision(pictures[:1], "person") == 1
    assert average_precision([], "person") == 0


def test_idf1_when_two_who_cross_are_taken_for_each_other() -> None:
    # Both seen in four pictures; tracks are right in the first and swapped in the other three.
    # Each person is given the track it had longest: 3 of 4 kept, IDF1 = 2 * 6 / (8 + 8).
    pictures = []
    for number in range(4):
        a, b = (LEFT, RIGHT) if number == 0 else (RIGHT, LEFT)
        there = picture(person("a", LEFT), person("b", RIGHT), number=number)
        pictures.append((there, [found(a, id_="1"), found(b, id_="2")]))
    kept = identities(pictures, "person")
    assert (kept.there, kept.given, kept.kept) == (8, 8, 6)
    assert kept.idf1 == pytest.approx(0.75)


def test_idf1_of_one_person_in_three_tracks_with_one_sight_missed() -> None:
    # Six pictures: track 1 twice, track 2 once, missed once, track 3 twice; one false track 4.
    given_ = ["1", "1", "2", None, "3", "3"]
    pictures = [
        (picture(person("a", LEFT), number=n), [found(LEFT, id_=id_)] if id_ else [])
        for n, id_ in enumerate(given_)
    ]
    pictures[0][1].append(found(RIGHT, id_="4"))
    kept = identities(pictures, "person")
    assert (kept.there, kept.given, kept.kept, kept.objects, kept.tracks) == (6, 6, 2, 1, 4)
    assert kept.idf1 == pytest.approx(2 * 2 / 12)


def test_one_track_on_two_people_is_given_to_one_of_them() -> None:
    pictures = [
        (picture(person(id_, LEFT), number=n), [found(LEFT, id_="1")])
        for n, id_ in enumerate(["a", "a", "b"])
    ]
    assert identities(pictures, "person").kept == 2


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), max_size=6))
def test_idf1_is_one_exactly_when_each_keeps_its_own_track(present: list[list[bool]]) -> None:
    boxes = [LEFT, RIGHT, (0.3, 0.6, 0.2, 0.2)]
    pictures = []
    for number, row in enumerate(present):
        there = [who for who, here in enumerate(row) if here]
        seen = (person(str(who), boxes[who]) for who in there)
        pictures.append(
            (
                picture(*seen, number=number),
                [found(boxes[who], id_=f"track {who}") for who in there],
            )
        )
    assert identities(pictures, "person").idf1 == 1
    if any(any(row) for row in present):
        pictures[-1][1].append(found((0.8, 0.8, 0.1, 0.1), id_="none"))
        assert identities(pictures, "person").idf1 < 1
