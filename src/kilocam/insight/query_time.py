"""The phrase of time in a question: "yesterday", "last 10 minutes", "24 november", "monday".

Pure: the time now is handed in. Days are of UTC. What speaks of time and cannot be read is refused,
for a question whose time was dropped would be answered with other days.
"""

import calendar
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from kilocam.insight.errors import Invalid

_EPOCH = date(1970, 1, 1)
_DAY_US = 86_400_000_000
_UNIT_US = {
    "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": _DAY_US,
    "week": 7 * _DAY_US, "month": 30 * _DAY_US,
}  # fmt: skip
_SHORT = {"sec": "second", "min": "minute", "hr": "hour"}
_FEW = 5
_LAST = re.compile(
    r"\b(?:in |within |during |over )?(?:the )?(?:last|past)\s+(?:(\d{1,4}|few|couple of)\s+)?"
    r"(second|sec|minute|min|hour|hr|day|week|month)s?\b"
)
_DAY = re.compile(r"\b(today|yesterday)\b")
_WEEKDAYS = [name.lower() for name in calendar.day_name]
_WEEKDAY = re.compile(rf"\b(?:on )?(last )?({'|'.join(_WEEKDAYS)})s?\b")
_MONTHS = [name.lower() for name in calendar.month_name]  # from 1 on
_MONTH = "|".join([*_MONTHS[1:], *(name[:3] for name in _MONTHS[1:]), "sept"])
_ISO = re.compile(r"\b(?:on )?(\d{4})-(\d{1,2})-(\d{1,2})\b")
_DAY_MONTH = re.compile(
    rf"\b(?:on )?(?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\b(?:,? (\d{{4}})\b)?"
)
_MONTH_DAY = re.compile(rf"\b(?:on )?({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (\d{{4}})\b)?")
_UNREAD = re.compile(
    r"\b\d{4}-\d{1,2}-\d{1,2}t\d{1,2}[\d:.]*(?:z|[+-]\d\d:?\d\d)?"
    r"|\b\d{1,2}:\d\d(?::\d\d)?(?: ?[ap]m)?\b|\b\d{1,2} ?[ap]m\b"
    r"|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b"
    rf"|\b(?:{_MONTH}),? \d{{4}}\b"
    r"|\bon (?:mon|sat|sun)\b(?=\W*(?:$|(?:at|in|near|by|on|from)\b))"
)
_OPEN = re.compile(r"\b(?:since|before|until|till|after|between)\s+$")
"""Before a day or a stretch it asks for another than that one."""
_TIMES = (_LAST, _DAY, _ISO, _DAY_MONTH, _MONTH_DAY, _WEEKDAY, _UNREAD)
_UNREAD_WORDS = frozenset(re.findall("[a-z]+", """
    tomorrow tonight morning afternoon evening night noon midnight week weekend month year weeks
    months years ago january february april june july august september october november december
    jan feb apr jun jul aug sep sept oct nov dec tue tues wed thu thur thurs fri
"""))  # fmt: skip
_HOW = "today, yesterday, monday, 24 november, 2026-11-24 or last 10 minutes"


def read_time(text: str, now_us: int) -> tuple[str, int | None, int | None]:
    """The text without its phrase of time, and the time.

    Raises:
        Invalid: the day does not exist, or the time is written in a way that is not understood.
    """
    if match := _LAST.search(text):
        count, unit = match.groups()
        many = int(count) if count and count.isdigit() else _FEW if count else 1
        span_us = many * _UNIT_US[_SHORT.get(unit, unit)]
        return _rest(text, match), now_us - span_us, now_us
    today = datetime.fromtimestamp(now_us // 1_000_000, UTC).date()
    if match := _DAY.search(text):
        day = today if match[1] == "today" else today - timedelta(days=1)
    elif match := _ISO.search(text):
        day = _day(int(match[1]), int(match[2]), int(match[3]))
    elif match := _DAY_MONTH.search(text):
        day = _named(today, match[3], match[2], match[1])
    elif match := _MONTH_DAY.search(text):
        day = _named(today, match[3], match[1], match[2])
    elif match := _WEEKDAY.search(text):
        back = (today.weekday() - _WEEKDAYS.index(match[2])) % 7
        day = today - timedelta(days=back or (7 if match[1] else 0))
    elif match := _UNREAD.search(text):
        raise _unread(match[0])
    else:
        return text, None, None
    from_us = (day - _EPOCH).days * _DAY_US
    return _rest(text, match), from_us, min(from_us + _DAY_US, max(now_us, from_us + 1))


def refuse_unread(words: Iterable[str]) -> None:
    """Raise `Invalid` for a word that speaks of time and was not read."""
    for word in words:
        if word in _UNREAD_WORDS:
            raise _unread(word)


def _unread(what: str) -> Invalid:
    return Invalid(
        f"search cannot read the time {what!r}: write {_HOW}, or restrict it with 'from' and 'to'"
    )


def _named(today: date, year: str | None, month: str, day: str) -> date:
    """A day with a month's name; without a year it is the last one that was."""
    number = next(n for n in range(1, 13) if _MONTHS[n][:3] == month[:3])
    if year:
        return _day(int(year), number, int(day))
    leap = 2000  # it has every day that a year may have
    if not 1 <= int(day) <= calendar.monthrange(leap, number)[1]:
        raise _no_day(f"{day} {_MONTHS[number]}")
    past = (_if_day(today.year - back, number, int(day)) for back in range(9))
    return next(found for found in past if found and found <= today)


def _day(year: int, month: int, day: int) -> date:
    found = _if_day(year, month, day)
    if found is None:
        named = _MONTHS[month] if 1 <= month <= 12 else ""
        raise _no_day(f"{day} {named} {year}" if named else f"{year}-{month:02}-{day:02}")
    return found


def _if_day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _no_day(what: str) -> Invalid:
    return Invalid(f"there is no {what}: mend the day, or write {_HOW}")


def _rest(text: str, match: re.Match[str]) -> str:
    """The text without its time; one that says more about the time is not understood."""
    before, after = text[: match.start()], text[match.end() :]
    if opened := _OPEN.search(before):
        raise _unread(opened[0] + match[0])
    rest = f"{before} {after}"
    for pattern in _TIMES:
        if more := pattern.search(rest):
            raise _unread(more[0].strip())
    return rest
