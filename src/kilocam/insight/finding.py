"""Finding the best of millions of events: few narrow candidates first, whole rows for those shown.

A question's candidates are the newest events that hold one of its words and, where it names more
than words, the newest that fit at all; both are ranked by the database. Only days in which an
answer may begin are read: those of the time asked for and the one before it. What lasts longer than
a day has an index of its own.
"""

from collections.abc import Mapping

from kilocam.database import Row, Transaction, load_queries
from kilocam.insight.query import Query, expand
from kilocam.insight.values import Event, EventFilter, Found, read_event

CANDIDATES = 2_000
"""Newest events that fit, among which a search takes the best."""
LONG_US = 86_400_000_000
"""An event that lasts longer is looked for by itself (`search_lasting`)."""

Bounds = tuple[list[str] | None, list[str] | None, int | None, int | None]


def bounds_of(wanted: EventFilter) -> Bounds:
    """Cameras, labels, from and to as queries take them."""
    labels = [label for word in wanted.labels for label in expand(word)]
    return (list(wanted.cameras) or None, labels or None, wanted.from_us, wanted.to_us)


def since(wanted: EventFilter) -> int | None:
    """When events begin that are looked for by their days; None: whenever."""
    return None if wanted.from_us is None else wanted.from_us - LONG_US


async def plan_each_time(transaction: Transaction) -> None:
    """Plan what follows for its own values: other days' tables are not even opened."""
    await transaction.execute(_sql("plan_each_time"))


async def find(
    transaction: Transaction, tenant: str, query: Query, wanted: EventFilter, limit: int
) -> list[Found]:
    """The events that fit a question best, in no order; a few more than `limit`."""
    words, only_words = list(query.words), bool(query.words) and not query.restricts
    named, terms = query.named, max(query.named + len(words), 1)
    rank = (named, float(terms), limit)
    bounds = bounds_of(wanted)
    since_us = since(wanted)
    either = " or ".join(words) or None
    rows: list[Row] = []
    if since_us is not None:
        rows += await transaction.fetch(
            _sql("search_lasting"), tenant, *bounds, since_us, words, CANDIDATES, only_words, *rank
        )
    await plan_each_time(transaction)
    if words:
        rows += await transaction.fetch(
            _sql("search_words"), tenant, *bounds, words, since_us, either, CANDIDATES, *rank
        )
    if not only_words:
        rows += await transaction.fetch(
            _sql("search_others"), tenant, *bounds, since_us, either, CANDIDATES, limit
        )
    matched = {row["id"]: frozenset[str](row["matched"]) for row in rows}
    between = {row["id"]: (row["start_us"], row["start_us"]) for row in rows}
    events = await events_of(transaction, tenant, between)
    return [
        Found(event=each, score=query.score(each, len(matched[each.id])), matched=matched[each.id])
        for each in events
    ]


async def find_alike(
    transaction: Transaction, tenant: str, query: Query, wanted: EventFilter
) -> list[Found]:
    """Events whose class, camera or text is nearly a word of the question; pg_trgm."""
    rows = await transaction.fetch(
        _sql("search_like"), tenant, *bounds_of(wanted), list(query.words), CANDIDATES,
        since(wanted),
    )  # fmt: skip
    return [
        Found(event=event, score=query.score(event, 1) / 2, matched=frozenset())
        for event in map(read_event, rows)
    ]


async def events_of(
    transaction: Transaction, tenant: str, between: Mapping[str, tuple[int, int]]
) -> list[Event]:
    """Events by their ids; of each between what moments it begins."""
    if not between:
        return []
    await transaction.execute(_sql("plan_once"))
    since_us, until_us = zip(*between.values(), strict=True)
    rows = await transaction.fetch(
        _sql("found"), tenant, list(between), list(since_us), list(until_us)
    )
    return [read_event(row) for row in rows]


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
