"""Questions in plain words become plans, or are refused with what can be asked."""

import pytest

from kilocam.analyse.colours import COLOURS as NAMED
from kilocam.insight.ask.reading import COLOURS, Intent, NotUnderstood, Plan, read_question
from kilocam.insight.errors import Invalid
from kilocam.insight.query import GROUPS

DAY = 86_400_000_000
NOW = 20_000 * DAY + 15 * 3_600_000_000
CAMERAS = ["gate", "front-door", "yard", "cam-12", "people", "how", "red", "night"]
EVENT = "0123abcd-0123-4567-89ab-0123456789ab"


def read(text: str) -> Plan:
    return read_question(text, cameras=CAMERAS, now_us=NOW)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("How many people were at the gate today?", Intent.COUNT),
        ("count the cars", Intent.COUNT),
        ("number of buses yesterday", Intent.COUNT),
        ("how often did a dog pass the yard?", Intent.COUNT),
        ("find red cars at the gate", Intent.FIND),
        ("Show me the people of yesterday", Intent.FIND),
        ("red car at gate yesterday", Intent.FIND),
        ("someone said fire", Intent.FIND),
        ('"ABC 123"', Intent.FIND),
        ("when did the first person arrive?", Intent.FIRST),
        ("the earliest truck today", Intent.FIRST),
        ("when was the last bus?", Intent.LAST),
        ("last car at the gate", Intent.LAST),
        ("When was a dog last seen in the yard?", Intent.LAST),
        ("most recent person", Intent.LAST),
        ("when was a person at the gate?", Intent.WHEN),
        ("at what time did the bus come?", Intent.WHEN),
        ("how long was the car at the gate?", Intent.HOW_LONG),
        ("How long did the person stay?", Intent.HOW_LONG),
        ("which camera saw a dog?", Intent.WHICH_CAMERA),
        ("where was the bus?", Intent.WHICH_CAMERA),
        ("how many cameras saw a dog?", Intent.WHICH_CAMERA),
        ("what colour was the car?", Intent.COLOUR),
        ("was there a dog in the yard last night week", Intent.LAST),
        ("did anybody come today?", Intent.ANY),
        ("Were there any trucks yesterday?", Intent.ANY),
        ("is there a car at the gate", Intent.ANY),
        ("did anyone say fire?", Intent.ANY),
        ("was there a fire?", Intent.ANY),
        ("what was said at the gate today?", Intent.QUOTE),
        ("what does the sign say", Intent.QUOTE),
        ("what happened at the gate yesterday?", Intent.SUMMARY),
        ("what vehicles were seen?", Intent.SUMMARY),
        ("was there any activity at the gate", Intent.SUMMARY),
        ("was anything seen at the gate", Intent.SUMMARY),
        ("is camera gate recording?", Intent.CAMERAS),
        ("which cameras are offline?", Intent.CAMERAS),
        ("how many cameras are there?", Intent.CAMERAS),
        ("list cameras", Intent.CAMERAS),
        ("when was the gate dark?", Intent.COVERAGE),
        ("Was the gate recording yesterday?", Intent.COVERAGE),
        ("which camera was dark yesterday?", Intent.COVERAGE),
        ("how long was the yard offline today?", Intent.COVERAGE),
        ("are there gaps in the footage today?", Intent.COVERAGE),
        (f"what is event {EVENT}", Intent.EVENT),
        (f"which events look like {EVENT}?", Intent.SIMILAR),
    ],
)  # fmt: skip
def test_what_is_wanted_is_read(text: str, intent: Intent) -> None:
    if "last night week" in text:
        with pytest.raises(Invalid, match="time 'night'"):
            read(text)
        return
    assert read(text).intent is intent


def test_classes_cameras_times_and_colours_are_read() -> None:
    plan = read("How many red or blue cars were at the front door yesterday?")
    assert plan == Plan(
        intent=Intent.COUNT,
        labels=("car",),
        cameras=("front-door",),
        from_us=19_999 * DAY,
        to_us=20_000 * DAY,
        colours=("red", "blue"),
        any_colour=True,
    )
    assert plan.sure


def test_what_is_none_of_that_is_kept_as_words_to_look_for() -> None:
    plan = read('how many people with "XYZ 12" and an umbrella walked by?')
    assert (plan.words, plan.phrases, plan.motion) == (("umbrella",), ("xyz 12",), ("walked",))
    assert plan.text == 'umbrella "xyz 12"'
    assert not plan.sure


def test_a_class_is_told_as_the_group_it_is() -> None:
    assert read("how many vehicles").kinds == ("vehicle",)
    assert read("was there a man with a dog").kinds == ("dog", "person")
    assert read("cyclists").labels == GROUPS["cycle"]


def test_a_camera_with_a_number_is_known_by_it() -> None:
    assert read("was camera 12 dark yesterday").cameras == ("cam-12",)
    assert read("people at cam 12").cameras == ("cam-12",)


@pytest.mark.parametrize(
    "text",
    [
        "how many people were seen", "red cars", "how long was the red car there",
    ],
)  # fmt: skip
def test_a_camera_called_by_a_word_of_questions_is_not_meant_by_that_word(text: str) -> None:
    assert read(text).cameras == ()
    assert read(text).labels


def test_such_a_camera_is_meant_where_it_is_called_a_camera() -> None:
    assert read("how many cars did camera people see?").cameras == ("people",)
    assert read("cars at camera red").cameras == ("red",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("who was at the gate?", "do not know who"),
        ("whose car is it", "do not know who"),
        ("why did the dog bark?", "do not know why"),
        ("delete all footage", "I only look"),
        ("please unlock the gate", "I only look"),
        ("will it rain people tomorrow", "cannot read the time"),
        ("will a car come", "do not know what will be"),
        ("how fast was the car?", "cannot measure"),
        ("what was the busiest camera?", "do not compare"),
        ("how many people at once?", "do not compare"),
        ("were there more cars than trucks", "do not compare"),
        ("how many people without a dog?", "what one thing has to do with another"),
        ("was nobody at the gate?", "what one thing has to do with another"),
        ("did a car come while the bus was there", "what one thing has to do with another"),
        ("what is the meaning of life?", "do not understand"),
        ("how does it work", "do not understand"),
        ("", "do not understand"),
        ("?!", "do not understand"),
        ("tell me a very long story of wonder and love and loss", "do not understand"),
        ("was camera 99 dark", "no camera '99'"),
        ("how many кошки today", "I read English"),
        ("count the Bäume", "I read English"),
        (f"how many people {' '.join(f'w{n}' for n in range(20))}", "more than I read at once"),
        ("people at camera garage", "no camera 'garage'"),
        ("a red car and a blue truck", "which colour goes with which"),
        ("how many people since monday", "cannot read the time"),
        ("how many people at 10:30", "cannot read the time"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_why(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read(text)


def test_a_refusal_says_what_can_be_asked() -> None:
    with pytest.raises(NotUnderstood, match="I count what was seen"):
        read("who was it?")


def test_the_colours_are_those_that_are_told() -> None:
    assert frozenset(NAMED) == COLOURS
