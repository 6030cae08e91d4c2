"""Pages of lists: one more row than asked for is read, which tells whether there are more."""

from collections.abc import Callable, Sequence

from kilocam.fleet.errors import Invalid
from kilocam.fleet.values import Item, Page

_MOST = 500


def check_limit(limit: int) -> int:
    """Return `limit` if a page may be so long.

    Raises:
        Invalid: it is not 1 to 500.
    """
    if not 1 <= limit <= _MOST:
        raise Invalid(f"limit {limit} is not valid: ask for 1 to {_MOST}")
    return limit


def page(items: Sequence[Item], limit: int, cursor_of: Callable[[Item], str]) -> Page[Item]:
    """The page of at most `limit` items, of `items` read with one to spare."""
    more = len(items) > limit
    kept = tuple(items[:limit])
    return Page(items=kept, next_cursor=cursor_of(kept[-1]) if more else None)
