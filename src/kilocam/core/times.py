"""Times, durations and sizes as people write them: RFC 3339 in UTC, `10s`, `36h`, `500MB`."""

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NewType

from kilocam.core.errors import ConfigError

Microseconds = NewType("Microseconds", int)
"""Wall time as microseconds since 1970-01-01 UTC; plain `int` fields named `*_us` hold the same."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""A moment later, or in another zone, can still be written."""
_US = timedelta(microseconds=1)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION_US = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_MOST_WAIT_US = 3_600_000_000
"""However long a server asks to be left alone."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]i?B|B)")


def now_us() -> int:
    """Wall time now, microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def format_time(wall_us: int) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-23T21:40:14.000001Z`."""
    return (_EPOCH + wall_us * _US).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> int:
    """Microseconds since 1970 UTC of an RFC 3339 time; a time without a zone is refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(
            f"time {text!r} is not valid: write it as 2026-11-23T21:40:14Z or with an offset "
            "such as +01:00"
        )
    if not _FIRST <= moment < _LAST:
        raise ConfigError(f"time {text!r} is out of reach: give a year from 1900 to 9998")
    return (moment - _EPOCH) // _US


def parse_duration(text: str) -> int:
    """Microseconds of `10s`, `5m`, `36h`, `7d`; parts may follow each other (`1h30m`)."""
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ConfigError(f"duration {text!r} is not valid: write it as 10s, 5m, 36h or 7d")
    return sum(round(float(n) * _DURATION_US[u]) for n, u in parts)


def format_duration(duration_us: int) -> str:
    """`30d`, `36h`, `90s`, `1500ms`: in the largest unit up to days that is whole."""
    unit = next((u for u in "dhms" if duration_us % _DURATION_US[u] == 0), "ms")
    return f"{duration_us // _DURATION_US[unit]}{unit}"


def parse_size(text: str) -> int:
    """Bytes of `500MB` (powers of 1000) or `2TiB` (powers of 1024)."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ConfigError(f"size {text!r} is not valid: write it as 500MB or 2TiB")
    number, unit = match.groups()
    base = 1024 if "i" in unit else 1000
    return round(float(number) * float(base) ** "BKMGTP".index(unit[0]))


def parse_retry_after(text: str, now_us: int) -> int:
    """Microseconds of `Retry-After` (RFC 9110 section 10.2.3), seconds or a date; at most an hour.

    0 for anything else.
    """
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(int(text) * 1_000_000, _MOST_WAIT_US)
    try:
        date = parsedate_to_datetime(text)
        until_us = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (ValueError, OverflowError):
        return 0
    return max(0, min(until_us - now_us, _MOST_WAIT_US))
