"""Reading: events by time, camera, class and words; search; counts; what changed since."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

from kilocam.core import Clock, SystemClock
from kilocam.database import Database, Row, Transaction, load_queries
from kilocam.insight.errors import Invalid, NotFound, insight_errors
from kilocam.insight.finding import bounds_of, find, find_alike, plan_each_time, since
from kilocam.insight.query import Query, parse_query
from kilocam.insight.values import (
    LOOKED,
    Answer,
    CameraCounts,
    Cursor,
    Event,
    EventFilter,
    Found,
    Page,
    Sight,
    StageSum,
    Withdrawn,
    read_event,
)

MOST = 500
"""Items of one page."""
_KNOWN_US = 31 * 86_400_000_000
"""Cameras that were offered in this time are understood in a question's words."""
_BELIEVED_US = 3_600_000_000
"""All cameras of a tenant are looked for again after that."""
_BELIEVED_MOST = 1_000


class Insight:
    """Everything acts for one tenant, given first.

    Any operation raises `Unavailable` while the database is away and `NotFound` for a tenant that
    does not exist.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._trigrams: bool | None = None
        self._cameras_of: OrderedDict[str, tuple[int, frozenset[str]]] = OrderedDict()

    async def events(
        self,
        tenant: str,
        wanted: EventFilter,
        *,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Event]:
        """A page of events, newest first.

        Raises:
            Invalid: the cursor or the limit cannot be taken.
        """
        after = _parse_place(cursor) if cursor else (None, None)
        async with self._for(tenant) as transaction:
            await plan_each_time(transaction)
            rows = await transaction.fetch(
                _sql("events"), tenant, *bounds_of(wanted), wanted.text or None, *after,
                list(wanted.zones) or None, check_limit(limit) + 1, since(wanted),
            )  # fmt: skip
        events = tuple(read_event(row) for row in rows[:limit])
        return Page(items=events, next_cursor=_place(events[-1]) if len(rows) > limit else None)

    async def event(self, tenant: str, id_: str) -> Event:
        """One event.

        Raises:
            NotFound: there is none with this id, or none any more.
        """
        async with self._for(tenant) as transaction:
            row = await transaction.fetchrow(_sql("event"), tenant, _uuid(id_))
        if row is None:
            raise NotFound(f"event {id_!r} does not exist; its footage may be over its retention")
        return read_event(row)

    async def sights(self, tenant: str, id_: str) -> tuple[Sight, ...]:
        """Where the event's object was, moment by moment."""
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(_sql("sights"), tenant, _uuid(id_))
        return tuple(
            Sight(at_us=at, score=score, box=(box[0], box[1], box[2], box[3]))
            for row in rows
            for at, score, box in row["sights"]
        )

    async def search(
        self, tenant: str, text: str, wanted: EventFilter, *, limit: int = 20
    ) -> Answer:
        """The events that fit a question in plain words best; `wanted` restricts them further.

        Raises:
            Invalid: the question speaks of a time that cannot be read.
        """
        check_limit(limit)
        now_us = self._clock.wall_us()
        async with self._for(tenant) as transaction:
            cameras = await self._cameras(transaction, tenant, now_us)
            query = parse_query(text, cameras=cameras, now_us=now_us)
            if query.words:
                meant = await transaction.fetch(_sql("meant"), list(query.words))
                query = replace(query, words=tuple(row["word"] for row in meant))
            narrowed = query.narrow(wanted)
            found = (
                []
                if narrowed is None
                else await self._find(transaction, tenant, query, narrowed, limit)
            )
        found.sort(key=lambda each: (-each.score, -each.event.start_us, each.event.id))
        best = tuple(found[:limit])
        matched = frozenset[str]().union(*(each.matched for each in best))
        unmatched = tuple(word for word in query.words if word not in matched)
        return Answer(found=best, unmatched=unmatched, words=query.words, wanted=narrowed)

    async def seen(self, tenant: str, cameras: Collection[str]) -> frozenset[str]:
        """Those of `cameras` of which an event or an account is left, removed ones too."""
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(_sql("seen"), tenant, list(cameras))
        return frozenset(row["camera"] for row in rows)

    async def counts(
        self, tenant: str, *, since_us: int, cameras: Sequence[str] = ()
    ) -> tuple[CameraCounts, ...]:
        """How many windows of each camera were looked at, and in what stages, or skipped and why.

        Whole hours: from the beginning of the hour that `since_us` lies in.
        """
        asked = (tenant, since_us, list(cameras) or None)
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(_sql("counts"), *asked)
            sums = await transaction.fetch(_sql("stages"), *asked)
        by_camera: dict[str, list[Row]] = {}
        for row in rows:
            if row["windows"]:
                by_camera.setdefault(row["camera"], []).append(row)
        stages: dict[str, dict[str, StageSum]] = {}
        for row in sums:
            stages.setdefault(row["camera"], {})[row["stage"]] = StageSum(
                seen=row["seen"], passed=row["passed"], cost_us=row["cost_us"]
            )
        return tuple(
            _counts(camera, of_one, stages.get(camera, {})) for camera, of_one in by_camera.items()
        )

    async def now_at(self, tenant: str) -> Cursor:
        """The place in the order of changes after all that is committed."""
        async with self._for(tenant) as transaction:
            return Cursor.before(await transaction.fetchval(_sql("now_at")))

    async def changes(self, tenant: str, after: Cursor, *, limit: int = 100) -> tuple[Event, ...]:
        """Events that were opened or extended after `after`, each as it is now.

        In the order of changes; go on after the last one's `changed`. None is ever left out: what
        a transaction still open may yet add is not passed by.
        """
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(
                _sql("changes"), tenant, after.transaction, after.event, check_limit(limit)
            )
        return tuple(read_event(row) for row in rows)

    async def news(
        self, tenant: str, after: Cursor, *, limit: int = 100
    ) -> tuple[Event | Withdrawn, ...]:
        """`changes`, and among them in order what was withdrawn; for whoever keeps a copy."""
        place = (after.transaction, after.event)
        async with self._for(tenant) as transaction:
            # Each statement sees more than the one before: what the first could not see waits.
            bound = await transaction.fetchval(_sql("now_at"))
            gone = await transaction.fetch(_sql("withdrawals"), tenant, *place, bound, limit)
            rows = await transaction.fetch(_sql("changes"), tenant, *place, check_limit(limit))
        events = {e.changed: e for e in map(read_event, rows) if e.changed.transaction < bound}
        # What one transaction withdrew and made again is there.
        withdrawn = (w for w in map(_withdrawn, gone) if w.changed not in events)
        found: list[Event | Withdrawn] = [*events.values(), *withdrawn]
        return tuple(sorted(found, key=lambda each: each.changed)[:limit])

    async def _cameras(self, transaction: Transaction, tenant: str, now_us: int) -> tuple[str, ...]:
        """Those of the last month: all are looked for once an hour, new ones each time."""
        await plan_each_time(transaction)
        asked_us, known = self._cameras_of.get(tenant, (0, frozenset[str]()))
        if not 0 <= now_us - asked_us < _BELIEVED_US:
            asked_us, known = now_us, frozenset()
        since_us = asked_us - (_BELIEVED_US if known else _KNOWN_US)
        rows = await transaction.fetch(_sql("cameras"), tenant, since_us)
        await transaction.execute(_sql("plan_once"))
        known |= {row["camera"] for row in rows}
        self._cameras_of[tenant] = (asked_us, known)
        self._cameras_of.move_to_end(tenant)
        if len(self._cameras_of) > _BELIEVED_MOST:
            self._cameras_of.popitem(last=False)
        return tuple(sorted(known))

    async def _find(
        self,
        transaction: Transaction,
        tenant: str,
        query: Query,
        wanted: EventFilter,
        limit: int,
    ) -> list[Found]:
        found = await find(transaction, tenant, query, wanted, limit)
        only_words = bool(query.words) and not query.restricts
        if not found and only_words and await self._has_trigrams(transaction):
            return await find_alike(transaction, tenant, query, wanted)
        return found

    async def _has_trigrams(self, transaction: Transaction) -> bool:
        if self._trigrams is None:
            self._trigrams = bool(await transaction.fetchval(_sql("has_trigrams")))
        return self._trigrams

    @asynccontextmanager
    async def _for(self, tenant: str) -> AsyncIterator[Transaction]:
        with insight_errors():
            async with self._database.for_tenant(tenant) as transaction:
                yield transaction


def _counts(camera: str, rows: Sequence[Row], stages: Mapping[str, StageSum]) -> CameraCounts:
    looked = next((row for row in rows if row["outcome"] == LOOKED), None)
    return CameraCounts(
        camera=camera,
        looked=int(looked["windows"]) if looked else 0,
        skipped={r["outcome"]: int(r["windows"]) for r in rows if r["outcome"] != LOOKED},
        last_look_us=looked["last_us"] if looked else None,
        stages=stages,
    )


def _withdrawn(row: Row) -> Withdrawn:
    return Withdrawn(
        id=row["id"],
        camera=row["camera"],
        label=row["label"],
        start_us=row["start_us"],
        changed=Cursor(row["changed"], row["id"]),
    )


def _place(event: Event) -> str:
    """Where a page ends: start and id of its last event."""
    return f"{event.start_us}-{UUID(event.id).hex}"


def _parse_place(text: str) -> tuple[int, str]:
    place = Cursor.parse(text)  # a number and an id as well
    return place.transaction, place.event


def check_limit(limit: int) -> int:
    """A limit, if it may be one."""
    if not 1 <= limit <= MOST:
        raise Invalid(f"limit {limit} is not valid: ask for 1 to {MOST}")
    return limit


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise NotFound(f"event {text[:80]!r} does not exist") from None


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
