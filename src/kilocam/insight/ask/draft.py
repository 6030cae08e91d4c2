"""What a language model wants to answer, held against what the operations gave it.

It is told what cameras read and heard, and may take that for orders or make things up. So a draft
counts only as far as it can be checked here:

1. it cites only events that an operation gave in this conversation; others are dropped, and one
   that says that something was seen and cites none of them falls;
2. each time of day and date in it is one that an operation gave, and each other number, in digits
   or as a word from two to twelve, was in the question or is a count or a duration that one gave;
3. what stands in quotation marks was read, heard or described, or asked; and nothing longer than
   three words of what was read, heard or described stands outside of them;
4. it holds no address, link or markup, and is not long;
5. where the built-in planner understood every word of the question, both agree: on whether there is
   any, on how many, on which was first or last, and on which events fit.

Not checked: whether a number that is among those given belongs where it stands, and whether words
between the numbers are true, where the planner did not understand the question.
"""

import calendar
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kilocam.insight.ask.reading import Intent, Plan
from kilocam.insight.ask.values import Seen

MOST_CHARACTERS = 1200
_NUMBER = re.compile(r"\d+")
_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_LINK = re.compile(r"[a-z][a-z0-9+.-]*://|\]\(|<[a-z/!]|\bwww\.|data:", re.IGNORECASE)
_QUOTES = re.compile(r'"([^"]*)"|“([^”]*)”')
_CLOCK = re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b|\b\d{4}-\d\d-\d\d")
_MONTHS = "|".join(name.lower() for name in (*calendar.month_name[1:], *calendar.month_abbr[1:]))
_DAY = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?:{_MONTHS})\b(?:,? \d{{4}}\b)?"
    rf"|\b(?:{_MONTHS}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?"
)
_TOKEN = re.compile(r"[\w:-]+")
_RUN = 4
"""So many words of a text in a row are no chance."""


class DraftKind(StrEnum):
    """What a draft says it is."""

    ANSWERED = "answered"
    NOTHING_FOUND = "nothing_found"
    CANNOT = "cannot"


class Unusable(ValueError):
    """The draft falls; the text says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """As the model hands it in."""

    kind: DraftKind
    text: str
    events: tuple[str, ...]

    @classmethod
    def read(cls, arguments: str) -> "Draft":
        """Of the arguments of `answer`.

        Raises:
            Unusable: they are not of the shape agreed.
        """
        try:
            given = json.loads(arguments)
            kind, text = DraftKind(given["kind"]), given["answer"]
            events = given.get("event_ids") or ()
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise Unusable("its answer was not of the shape agreed") from None
        if not isinstance(text, str) or not isinstance(events, list | tuple):
            raise Unusable("its answer was not of the shape agreed")
        return cls(kind=kind, text=text.strip(), events=tuple(map(str, events)))


@dataclass(slots=True)
class Given:
    """What operations gave in one conversation."""

    events: dict[str, Seen] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)
    """Counts and durations."""
    times: set[str] = field(default_factory=set)
    """Dates, and times of day to the second and to the minute."""
    texts: list[str] = field(default_factory=list)
    """What was read, heard or described, and other words that are not ours."""
    names: set[str] = field(default_factory=set)
    """Cameras, rules and zones, which may have numbers in them."""
    empty: bool = False
    """Some operation found no event."""

    def take(self, value: object) -> None:
        """Take in all numbers of an operation's answer, as it was told."""
        if isinstance(value, Mapping):
            for each in value.values():
                self.take(each)
        elif isinstance(value, list | tuple):
            for each in value:
                self.take(each)
        elif isinstance(value, bool) or value is None:
            return
        elif isinstance(value, int | float):
            self.numbers |= _numbers(f"{value}")
        elif isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
            day, clock = value[:10], value[11:19]
            self.times |= {day, clock, clock[:5]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the built-in planner came to, where it understood every word; all events that fit."""

    plan: Plan
    found: tuple[Seen, ...]


def checked(
    draft: Draft, question: str, given: Given, expected: Expected | None
) -> tuple[list[Seen], int]:
    """The events that the draft may cite, and how many it may not.

    Raises:
        Unusable: it falls.
    """
    _check_words(draft.text, question, given)
    cited = [given.events[each] for each in dict.fromkeys(draft.events) if each in given.events]
    if expected is not None:
        fitting = {each.id for each in expected.found}
        cited = [each for each in cited if each.id in fitting]
        _check_expected(draft, cited, expected)
    if draft.kind is DraftKind.ANSWERED and not cited:
        raise Unusable("it cited no event that an operation gave")
    if draft.kind is DraftKind.NOTHING_FOUND and (cited or not given.empty):
        raise Unusable("it said that there was nothing, which no operation did")
    return cited, len(set(draft.events)) - len(cited)


def _check_words(text: str, question: str, given: Given) -> None:
    if not text or len(text) > MOST_CHARACTERS:
        raise Unusable("its answer was empty or too long")
    if _LINK.search(text):
        raise Unusable("its answer held an address or markup")
    known = f" {_plain(' '.join([question, *given.texts]))} "
    for one, other in _QUOTES.findall(text):
        if f" {_plain(one or other)} " not in known:
            raise Unusable("it quoted what nobody read, said or asked")
    bare = _QUOTES.sub(" ", text)
    runs = {run for each in given.texts for run in _runs(each)}
    if runs & set(_runs(bare)) - set(_runs(question)):
        raise Unusable("it repeated what was read, heard or described without quoting it")
    bare = " ".join(part for part in _TOKEN.findall(bare) if part.lower() not in given.names)
    bare = _without_times(bare.lower(), question.lower(), given)
    made_up = _numbers(bare) - given.numbers - _numbers(question)
    if made_up:
        raise Unusable("it held a number that no operation gave")


def _without_times(bare: str, question: str, given: Given) -> str:
    """The text without its times and dates, all of which were given."""
    asked = {*_CLOCK.findall(question), *(m[0] for m in _DAY.finditer(question))}
    days = {int(time[8:]) for time in given.times if "-" in time}
    wrong = [time for time in _CLOCK.findall(bare) if time.zfill(5) not in given.times | asked]
    bare = _CLOCK.sub(" ", bare)
    wrong += [
        match[0]
        for match in _DAY.finditer(bare)
        if int(match[1] or match[2]) not in days and match[0] not in asked
    ]
    if wrong:
        raise Unusable("it held a time that no operation gave")
    return _DAY.sub(" ", bare)


def _check_expected(draft: Draft, cited: Sequence[Seen], expected: Expected) -> None:
    if draft.kind is DraftKind.CANNOT:
        raise Unusable("it gave up what can be answered")
    found, intent = expected.found, expected.plan.intent
    if bool(found) != (draft.kind is DraftKind.ANSWERED):
        raise Unusable("it does not agree with what is there")
    if found and intent is Intent.COUNT and len(found) not in _numbers(draft.text):
        raise Unusable("it counted otherwise than the events do")
    if found and intent in (Intent.FIRST, Intent.LAST):
        if intent is Intent.FIRST:
            best = min(found, key=lambda each: (each.start, each.id))
        else:
            best = max(found, key=lambda each: (each.end, each.id))
        if best.id not in {each.id for each in cited}:
            raise Unusable(f"it did not cite the {intent} one")


def _numbers(text: str) -> set[int]:
    words = {_WORDS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _WORDS}
    return words | {int(number[:18]) for number in _NUMBER.findall(text)}


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _runs(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    return [" ".join(words[n : n + _RUN]) for n in range(len(words) - _RUN + 1)]


def told_event(event: Seen) -> dict[str, Any]:
    """An event as a model is told of it; what is not ours stands apart."""
    told: dict[str, Any] = {
        "id": event.id,
        "camera": event.camera,
        "class": event.label,
        "colours": list(event.colours),
        "start": event.start,
        "end": event.end,
        "seconds": round((event.end_us - event.start_us) / 1_000_000),
    }
    if event.text or event.description:
        told["untrusted"] = {"text": event.text[:300], "description": event.description[:300]}
    return told
