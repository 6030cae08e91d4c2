"""Questions in plain words become filters."""

import pytest

from kilocam.insight.errors import Invalid
from kilocam.insight.query import GROUPS, Query, parse_query
from kilocam.insight.values import EventFilter

DAY = 86_400_000_000
NOW = 20_000 * DAY + 15 * 3_600_000_000
CAMERAS = ["gate", "front-door", "front", "cam-1"]


def ask(text: str) -> Query:
    return parse_query(text, cameras=CAMERAS, now_us=NOW)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("people", ("person",)),
        ("Show me all the cars!", ("car",)),
        ("vehicles", GROUPS["vehicle"]),
        ("vehicels", GROUPS["vehicle"]),
        ("a man with a dog", ("person", "dog")),
        ("buses and lorries", ("bus", "truck")),
        ("cyclists", ("bicycle", "motorcycle")),
    ],
)
def test_words_for_classes_are_understood(text: str, labels: tuple[str, ...]) -> None:
    query = ask(text)
    assert query.labels == labels
    assert query.words == ()


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("today", (20_000 * DAY, NOW)),
        ("yesterday", (19_999 * DAY, 20_000 * DAY)),
        ("in the last 10 minutes", (NOW - 600_000_000, NOW)),
        ("past 2 hrs", (NOW - 7_200_000_000, NOW)),
        ("last hour", (NOW - 3_600_000_000, NOW)),
        ("over the last few days", (NOW - 5 * DAY, NOW)),
        ("last week", (NOW - 7 * DAY, NOW)),
        ("on 2024-10-01", (19_997 * DAY, 19_998 * DAY)),
        ("on 2 october", (19_998 * DAY, 19_999 * DAY)),
        ("2nd of oct 2024", (19_998 * DAY, 19_999 * DAY)),
        ("October 2, 2024", (19_998 * DAY, 19_999 * DAY)),
        ("on 5 october", (19_635 * DAY, 19_636 * DAY)),
        ("on the 29th of february", (19_782 * DAY, 19_783 * DAY)),
        ("on friday", (20_000 * DAY, NOW)),
        ("last friday", (19_993 * DAY, 19_994 * DAY)),
        ("on thursday", (19_999 * DAY, 20_000 * DAY)),
        ("on 2030-01-01", (21_915 * DAY, 21_915 * DAY + 1)),
    ],
)
def test_phrases_of_time_are_understood(text: str, span: tuple[int, int]) -> None:
    query = ask(f"person {text} at the gate")
    assert (query.from_us, query.to_us) == span
    assert query.words == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("31 february", "there is no 31 february:"),
        ("on 29 february 2025", "there is no 29 february 2025:"),
        ("0 may", "there is no 0 may:"),
        ("2024-02-31", "there is no 31 february 2024:"),
        ("2024-13-01", "there is no 2024-13-01:"),
        ("at 10:30", "cannot read the time '10:30':"),
        ("at 5pm", "cannot read the time '5pm':"),
        ("on 24.11.2026", "cannot read the time '24.11.2026':"),
        ("10 minutes ago", "cannot read the time 'ago':"),
        ("this morning", "cannot read the time 'morning':"),
        ("in february", "cannot read the time 'february':"),
        ("yesterday at 5 pm", "cannot read the time '5 pm':"),
        ("in the last week at 10:30", "cannot read the time '10:30':"),
        ("2024-10-01T10:00", "cannot read the time '2024-10-01t10:00':"),
        ("at 2024-10-01T10:00:00.5+02:00", "the time '2024-10-01t10:00:00.5\\+02:00':"),
        ("2024-10-01 10:00", "cannot read the time '10:00':"),
        ("in nov 2025", "cannot read the time 'nov 2025':"),
        ("march 2025", "cannot read the time 'march 2025':"),
        ("in may, 2025", "cannot read the time 'may, 2025':"),
        ("in oct", "cannot read the time 'oct':"),
        ("on tue", "cannot read the time 'tue':"),
        ("on sun", "cannot read the time 'on sun':"),
        ("since monday", "cannot read the time 'since monday':"),
        ("before 2 october", "cannot read the time 'before 2 october':"),
        ("until yesterday", "cannot read the time 'until yesterday':"),
        ("after 2024-10-01", "cannot read the time 'after 2024-10-01':"),
        ("since last week", "cannot read the time 'since last week':"),
        ("yesterday and today", "cannot read the time 'today':"),
        ("on 2 october or 3 october", "cannot read the time '3 october':"),
    ],
)
def test_a_time_that_cannot_be_read_is_refused_and_not_dropped(text: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        ask(f"person {text} at the gate")


def test_a_camera_may_be_called_by_a_word_of_time() -> None:
    query = parse_query("person at the night yard", cameras=["night-yard"], now_us=NOW)
    assert query.cameras == ("night-yard",)
    query = parse_query("person on sun terrace", cameras=["sun-terrace"], now_us=NOW)
    assert query.cameras == ("sun-terrace",)


@pytest.mark.parametrize(
    ("text", "cameras"),
    [
        ("gate", ("gate",)),
        ("somebody at the front door", ("front-door",)),
        ("front-door", ("front-door",)),
        ("front and front door", ("front-door", "front")),
        ("cam 1", ("cam-1",)),
        ("garden", ()),
    ],
)
def test_cameras_are_known_by_name(text: str, cameras: tuple[str, ...]) -> None:
    assert ask(text).cameras == cameras


def test_what_is_nothing_else_is_a_word_to_look_for() -> None:
    assert ask("a red car with XYZ-123 at the gate yesterday").words == ("red", "xyz-123")


def test_filters_and_question_that_exclude_each_other_find_nothing() -> None:
    assert ask("cars").narrow(EventFilter(labels=("person",))) is None
    assert ask("at the gate").narrow(EventFilter(cameras=("front",))) is None
    narrowed = ask("cars at the gate today").narrow(
        EventFilter(labels=("vehicle",), from_us=5, to_us=NOW - 1)
    )
    assert narrowed == EventFilter(
        labels=("car",), cameras=("gate",), from_us=20_000 * DAY, to_us=NOW - 1
    )


@pytest.mark.parametrize("text", ["", "?!", "the", "\0\n", "x" * 100_000, "last last last"])
def test_nonsense_is_no_error(text: str) -> None:
    assert len(ask(text).words) <= 16


@pytest.mark.parametrize("word", ["spraying", "staying", "littering", "swaying", "singing"])
def test_words_alike_to_those_of_speech_and_text_ask_for_neither(word: str) -> None:
    query = parse_query(f"someone {word}", cameras=(), now_us=0)
    assert query.labels == ("person",)
    assert query.words == (word,)
