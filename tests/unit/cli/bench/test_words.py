import pytest

from kilocam.cli.bench.quality.words import edits, letters


@pytest.mark.parametrize(
    ("wanted", "found", "many"),
    [
        ("", "", 0),
        ("abc", "abc", 0),
        ("abc", "", 3),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("a b c", "a x c", 1),
    ],
)
def test_edits_are_the_least_changes(wanted: str, found: str, many: int) -> None:
    assert edits(list(wanted), list(found)) == many


def test_words_are_compared_whole() -> None:
    assert edits(["stop", "the", "red", "car"], ["stop", "that", "red"]) == 2


def test_case_and_signs_are_no_letters() -> None:
    assert letters("  KX-29, TLC!\n") == "kx 29 tlc"
