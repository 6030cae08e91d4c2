"""Answers out of events: each says what was counted, where, when, and what it does not tell.

Pure. What a camera read or heard stands in quotation marks, shortened, and nowhere else.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kilocam.insight.ask.coverage import is_whole, missing
from kilocam.insight.ask.reading import Intent, Plan
from kilocam.insight.ask.values import CameraCoverage, Seen
from kilocam.insight.ask.wording import clock, counted, lasting, listed, together_us
from kilocam.insight.query import expand

MOST_CITED = 10
_MOST_QUOTED = 160
_MOST_TIMES = 6
_UNPRINTED = re.compile(r'[\x00-\x1f\x7f"“”\u2028-\u202e\u2066-\u2069]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of looking for a plan."""

    plan: Plan
    events: Sequence[Seen]
    """Newest first."""
    every: bool
    """These are all."""
    where: str
    when: str
    coverage: Sequence[CameraCoverage]
    cameras: int
    """Whose coverage would have to be known."""
    rule: str = ""
    """The zone in which they were."""
    from_us: int | None = None
    to_us: int

    @property
    def whole(self) -> bool:
        """Nothing of the time is missing."""
        return is_whole(self.coverage, self.cameras)

    @property
    def lacks(self) -> str:
        """What is missing."""
        return missing(self.coverage, self.cameras)


def answer_of(found: Found) -> tuple[str, list[Seen]]:
    """The answer, and the events that it cites."""
    if not found.events:
        return _none(found), []
    text, cited = _ANSWERS[found.plan.intent](found)
    return " ".join([text, *_notes(found.plan)]), cited[:MOST_CITED]


def quoted(text: str) -> str:
    """What a camera read or heard, as a quotation on one line."""
    plain = _UNPRINTED.sub(" ", text).strip()
    return f'"{plain[:_MOST_QUOTED]}…"' if len(plain) > _MOST_QUOTED else f'"{plain}"'


def things(plan: Plan, many: int = 2) -> str:
    """`red car events`."""
    colours = (" or " if plan.any_colour else " and ").join(plan.colours)
    noun = " ".join(filter(None, [colours, " or ".join(plan.kinds), "event"]))
    return noun if many == 1 else f"{noun}s"


def _what(found: Found, many: int) -> str:
    """`2 person events at gate between … and …`."""
    rule = f" in zone {found.rule}" if found.rule else ""
    what = f"{things(found.plan, many)}{_holding(found.plan)}{rule}"
    return f"{many} {what} {found.where} {found.when}"


def _one(found: Found) -> str:
    return f"{things(found.plan, 1)}{_holding(found.plan)} {found.where} {found.when}"


def _holding(plan: Plan) -> str:
    held = [*plan.words, *plan.phrases]
    return f" that hold {listed([quoted(each) for each in held])}" if held else ""


def _notes(plan: Plan) -> list[str]:
    notes = []
    if plan.words:
        notes.append(_LOOKED_FOR.format(words=listed([quoted(each) for each in plan.words], "or")))
    if plan.motion:
        words = listed([quoted(each) for each in plan.motion], "or")
        notes.append(f"{words} was left aside: an event does not tell how something moved.")
    return notes


_LOOKED_FOR = (
    "{words} is no class, colour or camera that is known here, so it was looked for in what was "
    "read, heard or described."
)
_ONE = "An event is one object as long as it could be followed: one person or car may be several."


def _none(found: Found) -> str:
    rule = f" in zone {found.rule}" if found.rule else ""
    what = f"No {things(found.plan, 1)}{_holding(found.plan)}{rule}"
    text = f"{what} was found {found.where} {found.when}"
    open_ = [found.lacks] if not found.whole else []
    if found.plan.words:
        open_.append("what nobody read, heard or described cannot be found by words")
    if open_:
        text += f", but {listed(open_)}, so this is not proven"
    return " ".join([f"{text}.", *_notes(found.plan)])


def _count(found: Found) -> tuple[str, list[Seen]]:
    many = len(found.events)
    least = "" if found.every and found.whole else "At least "
    parts = [f"{least}{_what(found, many)}.", _ONE]
    if not found.whole:
        parts.append(f"There may have been more: {found.lacks}.")
    return " ".join([*parts, *_shares(found)]), list(found.events)


def _shares(found: Found) -> list[str]:
    """By class and by camera, where there are several."""
    parts = []
    for name, of in (("class", [e.label for e in found.events]),
                     ("camera", [e.camera for e in found.events])):  # fmt: skip
        counts = Counter(of)
        if len(counts) > 1:
            each = [f"{key} {many}" for key, many in sorted(counts.items(), key=_most_first)]
            rest = f", {len(each) - 12} others" if len(each) > 12 else ""
            parts.append(f"By {name}: {', '.join(each[:12])}{rest}.")
    return parts


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _any(found: Found) -> tuple[str, list[Seen]]:
    kinds = found.plan.kinds
    if len(kinds) > 1:
        parts = []
        for kind in kinds:
            many = sum(each.label in expand(kind) for each in found.events)
            parts.append(f"{kind}: {counted(many, 'event') if many else 'none was found'}")
        lacks = "" if found.whole else f" Not all was seen: {found.lacks}."
        text = (
            f"{'; '.join(parts)} {found.where} {found.when}. Whether they were there together was "
            f"not looked at.{lacks}"
        )
        return text, list(found.events)
    return f"Yes: {_what(found, len(found.events))}, {_ends(found)}.", list(found.events)


def _ends(found: Found) -> str:
    first, last = _first(found.events), _last(found.events)
    if first.id == last.id:
        return f"seen from {clock(first.start)} to {clock(first.end)} at {first.camera}"
    return (
        f"the first from {clock(first.start)} at {first.camera}, "
        f"the last until {clock(last.end)} at {last.camera}"
    )


def _first_of(found: Found) -> tuple[str, list[Seen]]:
    first = _first(found.events)
    text = f"The first {_one(found)}: {_seen(first)}."
    if not found.whole:
        text += f" An earlier one is not ruled out: {found.lacks}."
    return text, [first]


def _last_of(found: Found) -> tuple[str, list[Seen]]:
    last = _last(found.events)
    text = f"The last {_one(found)}: {_seen(last)}."
    if not found.whole:
        text += f" A later one is not ruled out: {found.lacks}."
    return text, [last]


def _seen(event: Seen) -> str:
    return f"{_titled(event)}, from {clock(event.start)} to {clock(event.end)} UTC"


def _titled(event: Seen) -> str:
    """Its class, colours and camera; what was read or said in quotation marks."""
    what = " ".join([*event.colours, event.label])
    said = f" {quoted(event.text)}" if event.text else ""
    return f"{what}{said} at {event.camera}"


def _when(found: Found) -> tuple[str, list[Seen]]:
    many = len(found.events)
    times = [
        f"{clock(each.start)} to {clock(each.end)} at {each.camera}"
        for each in found.events[:_MOST_TIMES]
    ]
    newest = "" if many <= _MOST_TIMES else f" The newest {_MOST_TIMES}:"
    text = f"{_what(found, many)}, {_ends(found)}.{newest} {'; '.join(times) if many > 1 else ''}"
    return f"{text.rstrip()}{'.' if many > 1 else ''}", list(found.events)


def _how_long(found: Found) -> tuple[str, list[Seen]]:
    spans = {
        each.id: (
            max(each.start_us, found.from_us or 0),
            min(each.end_us, found.to_us),
        )
        for each in found.events
    }
    longest = max(found.events, key=lambda each: spans[each.id][1] - spans[each.id][0])
    start_us, end_us = spans[longest.id]
    if len(found.events) == 1:
        text = f"{lasting(end_us - start_us)}: {_seen(longest)}."
    else:
        all_us = together_us(spans.values())
        text = (
            f"{lasting(all_us)} altogether, counting the time when at least one was in view: "
            f"{_what(found, len(found.events))}. The longest, {lasting(end_us - start_us)}: "
            f"{_seen(longest)}."
        )
    text += " That is from the first to the last look that saw it."
    if not found.whole:
        text += f" It may have been longer: {found.lacks}."
    others = [each for each in found.events if each.id != longest.id]
    return text, [longest, *others]


def _which_camera(found: Found) -> tuple[str, list[Seen]]:
    by_camera: dict[str, list[Seen]] = {}
    for each in found.events:
        by_camera.setdefault(each.camera, []).append(each)
    order = sorted(by_camera.items(), key=lambda item: (-len(item[1]), item[0]))
    shown = [f"{camera} ({counted(len(events), 'event')})" for camera, events in order[:12]]
    rest = f" and {len(order) - 12} others" if len(order) > 12 else ""
    text = f"{listed(shown)}{rest}: {_what(found, len(found.events))}."
    if not found.whole:
        text += f" Others are not ruled out: {found.lacks}."
    return text, [events[0] for _, events in order]


def _colour(found: Found) -> tuple[str, list[Seen]]:
    many = Counter(" and ".join(each.colours) or "colour not told" for each in found.events)
    shown = [f"{colour} ({count})" for colour, count in sorted(many.items(), key=_most_first)[:12]]
    return f"{listed(shown)}: {_what(found, len(found.events))}.", list(found.events)


def _quote(found: Found) -> tuple[str, list[Seen]]:
    told = [each for each in found.events if each.text]
    shown = told[:MOST_CITED]
    quotes = [
        f"{clock(each.start)} {each.label} at {each.camera}: {quoted(each.text)}" for each in shown
    ]
    newest = "" if len(told) == len(shown) else f" The newest {len(shown)}:"
    text = (
        f"{_what(found, len(found.events))}.{newest} {'; '.join(quotes)}. "
        "That is what was understood; words may be misread or misheard."
    )
    return text, shown


def _summary(found: Found) -> tuple[str, list[Seen]]:
    parts = [f"{_what(found, len(found.events))}, {_ends(found)}.", *_shares(found), _ONE]
    if not found.whole:
        parts.append(f"There may have been more: {found.lacks}.")
    return " ".join(parts), list(found.events)


def _find(found: Found) -> tuple[str, list[Seen]]:
    shown = found.events[:MOST_CITED]
    least = "" if found.every else "At least "
    newest = "" if len(shown) == len(found.events) else f" The newest {len(shown)}:"
    text = f"{least}{_what(found, len(found.events))}.{newest} {'; '.join(map(_seen, shown))}."
    return text, list(shown)


def _first(events: Sequence[Seen]) -> Seen:
    return min(events, key=lambda each: (each.start, each.id))


def _last(events: Sequence[Seen]) -> Seen:
    return max(events, key=lambda each: (each.end, each.id))


_ANSWERS = {
    Intent.COUNT: _count,
    Intent.FIND: _find,
    Intent.ANY: _any,
    Intent.FIRST: _first_of,
    Intent.LAST: _last_of,
    Intent.WHEN: _when,
    Intent.HOW_LONG: _how_long,
    Intent.WHICH_CAMERA: _which_camera,
    Intent.COLOUR: _colour,
    Intent.QUOTE: _quote,
    Intent.SUMMARY: _summary,
}
