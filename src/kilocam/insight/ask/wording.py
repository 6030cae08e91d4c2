"""Numbers, times and lists as words; all times in UTC."""

from collections.abc import Iterable, Sequence

from kilocam.core import format_time, parse_time

_SECOND_US = 1_000_000


def clock(at: int | str) -> str:
    """`2026-11-28 22:00:05`."""
    text = at if isinstance(at, str) else format_time(at)
    return text[:19].replace("T", " ")


def span(start: str, end: str) -> int:
    """Microseconds between two times."""
    return parse_time(end) - parse_time(start)


def lasting(duration_us: int) -> str:
    """`2 h 3 min`, `4 min 10 s`, `8 s`."""
    seconds = round(duration_us / _SECOND_US)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {seconds} s"
    return f"{seconds} s" if seconds else "less than 1 s"


def counted(many: int, of: str) -> str:
    """`1 event`, `2 events`."""
    return f"{many} {of}" if many == 1 else f"{many} {of}s"


def share(part: float) -> str:
    """`98.6 %`; never 100 % of what is not whole."""
    text = f"{part:.1%}"
    return "over 99.9 %" if text == "100.0%" and part < 1 else text.replace("%", " %")


def listed(parts: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    return f" {last} ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def together_us(spans: Iterable[tuple[int, int]]) -> int:
    """Microseconds that at least one of some stretches covers."""
    total = end = 0
    for start_us, end_us in sorted(spans):
        total += max(0, end_us - max(start_us, end))
        end = max(end, end_us)
    return total
