"""What a camera's rules find, kept: made again whenever events change, or asked for the past.

Procedure of `judge`, in the transaction that changed events: 1. read the camera's rules; 2. take
away what these events did; 3. add what they do by their sights of now; 4. say which zones they were
in; 5. make again the minutes in which the window's sights have a say in what several do together.
Everything follows from contributions and rules, so any number of writes in any order of the same
windows gives the same rows, as long as the rules stay the same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from kilocam.core import CameraKey, Window
from kilocam.core.rules import Rule, Zone
from kilocam.database import Database, Row, Transaction, load_queries
from kilocam.insight.errors import Invalid, NotFound, insight_errors
from kilocam.insight.together import (
    MINUTE_US,
    TOGETHER,
    hits_together,
    minutes_touched,
    reach_us,
)
from kilocam.insight.tracks import Hit, Seen, Track, hits_of, joined, labels_of, zones_of
from kilocam.insight.values import Page

RulesOf = Callable[[Transaction, str, str], Awaitable[Sequence[Rule]]]
"""The rules of a tenant's camera, as that transaction sees them."""

MOST_US = 86_400_000_000
"""Of the past that is evaluated by one request."""
BATCH_EVENTS = 100
BATCH_MINUTES = 10
"""What one transaction evaluates of the past; the camera's partition is held as long."""
MOST_HITS = 500
_NOBODY = str(UUID(int=0))


async def judge(
    transaction: Transaction, rules_of: RulesOf, window: Window, touched: Sequence[str]
) -> None:
    """Make again what the rules find of events that a window just changed."""
    tenant, camera = window.tenant, window.camera
    if not touched:
        return
    rules = await rules_of(transaction, tenant, camera)
    alone = [rule for rule in rules if rule.kind not in TOGETHER]
    await _judge_events(transaction, CameraKey(tenant, camera), alone, rules, touched)
    for rule in rules:
        if rule.kind in TOGETHER:
            minutes = minutes_touched(rule, window.start_us, window.end_us)
            await _judge_minutes(transaction, CameraKey(tenant, camera), rule, rules, minutes)


@dataclass(frozen=True, slots=True, kw_only=True)
class HitCount:
    """How often a rule found something."""

    rule: str
    kind: str
    direction: str | None
    label: str
    hits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What evaluating a rule over the past came to."""

    events: int
    """Whose sights were looked at again."""
    hits: int
    """Of the rule in the time that was asked for, as they are now."""


class RuleHits:
    """Reading what rules found, and evaluating them over the past; one tenant, given first."""

    def __init__(self, database: Database, rules_of: RulesOf) -> None:
        self._database = database
        self._rules_of = rules_of
        self._evaluating = asyncio.Lock()
        """One at a time: each holds a connection while it waits for its camera's partition."""

    async def hits(
        self, tenant: str, camera: str, *, rule: str | None = None, from_us: int | None = None,
        to_us: int | None = None, cursor: str | None = None, limit: int = 100,
    ) -> Page[Hit]:  # fmt: skip
        """A page of hits, newest first.

        Raises:
            Invalid: the cursor or the limit cannot be taken.
        """
        if not 1 <= limit <= MOST_HITS:
            raise Invalid(f"limit {limit} is not valid: ask for 1 to {MOST_HITS}")
        after = _parse_place(cursor) if cursor else (None, None, None, None)
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(
                _sql("hits"), tenant, camera, rule, from_us, to_us, *after, limit + 1
            )
        hits = tuple(Hit(**row) for row in rows[:limit])
        return Page(items=hits, next_cursor=_place(hits[-1]) if len(rows) > limit else None)

    async def counts(
        self, tenant: str, camera: str, *, rule: str | None = None, from_us: int, to_us: int
    ) -> tuple[HitCount, ...]:
        """How many hits there are in [from, to), by rule, direction and class."""
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(_sql("count_hits"), tenant, camera, rule, from_us, to_us)
        return tuple(HitCount(**row) for row in rows)

    async def evaluate(
        self, tenant: str, camera: str, rule: str, *, from_us: int, to_us: int
    ) -> Evaluated:
        """Apply a rule as it is now to what was seen in [from, to); decodes nothing.

        Whole events: what they did before and after that time is made again too. In batches, each
        of them complete; repeating it changes nothing.

        Raises:
            NotFound: the camera has no such rule.
            Invalid: the time is longer than a day, or ends before it begins.
        """
        if not 0 < to_us - from_us <= MOST_US:
            raise Invalid("a rule is evaluated over up to 24 hours at a time: ask day by day")
        async with self._evaluating:
            return await self._evaluate(CameraKey(tenant, camera), rule, from_us, to_us)

    async def _evaluate(self, key: CameraKey, rule: str, from_us: int, to_us: int) -> Evaluated:
        tenant, camera = key.tenant, key.camera
        async with self._held(key) as transaction:
            found, _ = await self._rule(transaction, key, rule)
            await transaction.execute(
                _sql("drop_hits_of_other_kinds"), tenant, camera, rule, found.kind, from_us, to_us
            )
        if found.kind in TOGETHER:
            events = 0
            await self._minutes(key, rule, from_us, to_us)
        else:
            events = await self._events(key, rule, from_us, to_us)
        counts = await self.counts(tenant, camera, rule=rule, from_us=from_us, to_us=to_us)
        return Evaluated(events=events, hits=sum(each.hits for each in counts))

    async def _events(self, key: CameraKey, name: str, from_us: int, to_us: int) -> int:
        last, count = _NOBODY, 0
        while True:
            async with self._held(key) as transaction:
                rule, rules = await self._rule(transaction, key, name)
                rows = await transaction.fetch(
                    _sql("events_between"), key.tenant, key.camera, from_us, to_us, last,
                    BATCH_EVENTS,
                )  # fmt: skip
                batch = [row["id"] for row in rows]
                if batch:
                    await _judge_events(transaction, key, [rule], rules, batch)
            count += len(batch)
            if len(batch) < BATCH_EVENTS:
                return count
            last = batch[-1]

    async def _minutes(self, key: CameraKey, name: str, from_us: int, to_us: int) -> None:
        first = from_us // MINUTE_US * MINUTE_US
        for start in range(first, to_us, BATCH_MINUTES * MINUTE_US):
            async with self._held(key) as transaction:
                rule, rules = await self._rule(transaction, key, name)
                end = min(to_us, start + BATCH_MINUTES * MINUTE_US)
                await _judge_minutes(transaction, key, rule, rules, range(start, end, MINUTE_US))

    async def _rule(
        self, transaction: Transaction, key: CameraKey, name: str
    ) -> tuple[Rule, Sequence[Rule]]:
        rules = await self._rules_of(transaction, key.tenant, key.camera)
        found = next((rule for rule in rules if rule.name == name), None)
        if found is None:
            raise NotFound(f"camera {key.camera!r} has no rule {name!r}")
        return found, rules

    @asynccontextmanager
    async def _held(self, key: CameraKey) -> AsyncIterator[Transaction]:
        """A transaction beside which no window of the camera is written."""
        async with self._for(key.tenant) as transaction:
            hold = load_queries("kilocam.insight")["hold"]
            await transaction.execute(hold, key.tenant, [key.partition])
            yield transaction

    @asynccontextmanager
    async def _for(self, tenant: str) -> AsyncIterator[Transaction]:
        with insight_errors():
            async with self._database.for_tenant(tenant) as transaction:
                yield transaction


async def _judge_events(
    transaction: Transaction,
    key: CameraKey,
    applied: Sequence[Rule],
    rules: Sequence[Rule],
    events: Sequence[str],
) -> None:
    """Make again what events did by some rules; hits of others, and of removed ones, stay."""
    if not applied:  # as of most cameras
        return
    names = [rule.name for rule in applied]
    await transaction.execute(_sql("drop_hits_of"), key.tenant, events, list(TOGETHER), names)
    rows = await transaction.fetch(_sql("sights_of"), key.tenant, events)
    # A track of an hour takes a tenth of a second; who asked waits, and nobody else.
    hits = await asyncio.to_thread(_hits_alone, rows, applied, zones_of(rules))
    await _put(transaction, key, hits)
    await transaction.execute(_sql("put_zones"), key.tenant, events)


async def _judge_minutes(
    transaction: Transaction,
    key: CameraKey,
    rule: Rule,
    rules: Sequence[Rule],
    minutes: range,
) -> None:
    before_us, after_us = reach_us(rule)
    end = minutes[-1] + MINUTE_US
    await transaction.execute(
        _sql("drop_hits_between"), key.tenant, key.camera, rule.name, minutes.start, end
    )
    rows = await transaction.fetch(
        _sql("sights_between"), key.tenant, key.camera, minutes.start - before_us, end + after_us,
        list(labels_of(rule)) or None,
    )  # fmt: skip
    hits = await asyncio.to_thread(_hits_together, rows, rule, zones_of(rules), minutes)
    await _put(transaction, key, hits)


def _hits_alone(
    rows: Sequence[Row], applied: Sequence[Rule], zones: Mapping[str, Zone]
) -> list[Hit]:
    return [
        hit for track in tracks(rows) for rule in applied for hit in hits_of(track, rule, zones)
    ]


def _hits_together(
    rows: Sequence[Row], rule: Rule, zones: Mapping[str, Zone], minutes: range
) -> list[Hit]:
    return hits_together(tracks(rows), rule, zones, minutes)


def tracks(rows: Iterable[Row]) -> list[Track]:
    """Tracks of rows with sights, which come by event and window; a label is the last told."""
    found = []
    for event, group in groupby(rows, key=lambda row: str(row["event"])):
        parts = list(group)
        sights = (
            Seen(at_us=at, box=(box[0], box[1], box[2], box[3]), label=part["label"])
            for part in parts
            for at, _, box in part["sights"]
        )
        found.append(joined(event, parts[-1]["label"], sights))
    return found


async def _put(transaction: Transaction, key: CameraKey, hits: Sequence[Hit]) -> None:
    rows = [
        (
            key.tenant, key.camera, hit.rule, hit.at_us, hit.event or _NOBODY, hit.ordinal,
            hit.kind, hit.version, hit.label, hit.direction, hit.value, hit.uncertainty,
        )
        for hit in hits
    ]  # fmt: skip
    if rows:
        await transaction.execute_many(_sql("put_hit"), rows)


def _place(hit: Hit) -> str:
    """Where a page ends."""
    return f"{hit.at_us}.{UUID(hit.event or _NOBODY).hex}.{hit.ordinal}.{hit.rule}"


def _parse_place(text: str) -> tuple[int, str, str, int]:
    try:
        at, event, ordinal, rule = text.split(".")
        return int(at), rule, str(UUID(event)), int(ordinal)
    except ValueError:
        raise Invalid(f"cursor {text[:80]!r} is not one of ours: give it as received") from None


def _sql(name: str) -> str:
    return load_queries("kilocam.insight", "rules.sql")[name]
