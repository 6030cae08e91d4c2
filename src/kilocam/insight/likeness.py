"""How the objects of events look: kept as vectors, and found again by them.

Only vectors of one model can be compared, within a bounded time: by an index where a day that is
over has one (`closing.py`), else exactly, one by one.
"""

from collections.abc import Sequence
from dataclasses import replace

from kilocam.core import Clock, SystemClock, format_duration
from kilocam.database import Database, Transaction, load_queries
from kilocam.insight.errors import Invalid, NotSeen, NotYet, Unavailable, insight_errors, refusals
from kilocam.insight.finding import LONG_US, bounds_of, events_of, plan_each_time
from kilocam.insight.insight import Insight, check_limit
from kilocam.insight.query import alike
from kilocam.insight.seams import Encoded, Portrait
from kilocam.insight.values import Alike, EventFilter

AROUND_US = 7 * 86_400_000_000
"""Before and after an event likes are looked for, unless a time is given."""
MOST_US = 31 * 86_400_000_000
"""At once."""
_EVER_US = 0
NO_VECTORS = (
    "this database keeps no vectors, for it had no pgvector when its tables were made: "
    "docs/design/insight.md says how to add them"
)


class Likeness:
    """What is kept of how objects look; it may raise `DatabaseError` and be asked again."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._insight = Insight(database)
        self._has_vectors = False

    async def keep(self, portrait: Portrait) -> None:
        """Replace what is kept of an event by the same model.

        Raises:
            NotYet: the database keeps no vectors.
            Refused: there is no place for this one.
        """
        window, model = portrait.window, portrait.model
        with refusals():
            async with self._database.for_tenant(window.tenant) as transaction:
                if not await self._keeps(transaction):
                    raise NotYet(NO_VECTORS)
                await transaction.execute(
                    _sql("drop_likeness"), window.tenant, [portrait.event_id], model
                )
                await transaction.execute(
                    _sql("put_likeness"), window.tenant, window.camera, window.start_us,
                    portrait.event_id, portrait.label, model, portrait.at_us,
                    _written(portrait.vector),
                )  # fmt: skip

    async def keep_all(self, tenant: str, portraits: Sequence[Portrait]) -> None:
        """The same for many events of one tenant, each once, in one transaction: all or none.

        Raises:
            NotYet: the database keeps no vectors.
            Refused: there is no place for one of them.
        """
        with refusals():
            async with self._database.for_tenant(tenant) as transaction:
                if not await self._keeps(transaction):
                    raise NotYet(NO_VECTORS)
                for model in sorted({each.model for each in portraits}):
                    ids = [each.event_id for each in portraits if each.model == model]
                    await transaction.execute(_sql("drop_likeness"), tenant, ids, model)
                await transaction.execute(
                    _sql("put_likenesses"), tenant,
                    [each.window.camera for each in portraits],
                    [each.window.start_us for each in portraits],
                    [each.event_id for each in portraits],
                    [each.label for each in portraits],
                    [each.model for each in portraits],
                    [each.at_us for each in portraits],
                    [_written(each.vector) for each in portraits],
                )  # fmt: skip

    async def similar(
        self,
        tenant: str,
        id_: str,
        *,
        cameras: Sequence[str] = (),
        from_us: int | None = None,
        to_us: int | None = None,
        limit: int = 20,
    ) -> tuple[Alike, ...]:
        """Events whose objects look most like that of one event, the most alike first.

        Of its class or one it is mistaken for; a week around it, unless a time is given.

        Raises:
            NotFound: there is no such event; `NotSeen`: nobody knows how it looks.
            Invalid: the limit or the time cannot be taken.
            Unavailable: the database is away, or keeps no vectors.
        """
        check_limit(limit)
        event = await self._insight.event(tenant, id_)
        if to_us is None:
            to_us = max(event.start_us, from_us or 0) + AROUND_US
        if from_us is None:
            from_us = min(event.start_us, to_us) - AROUND_US
        if to_us - from_us > MOST_US:
            raise Invalid(
                f"{format_duration(to_us - from_us)} are too long a time: "
                f"ask for {format_duration(MOST_US)} at most"
            )
        with insight_errors():
            async with self._database.for_tenant(tenant) as transaction:
                if not await self._keeps(transaction):
                    raise Unavailable(NO_VECTORS)
                one = await transaction.fetchrow(_sql("likeness"), tenant, event.id)
                if one is None:
                    raise NotSeen(
                        f"how event {id_!r} looks is not known: objects are looked at closely "
                        "some seconds after they were seen; texts and speech never are"
                    )
                wanted = EventFilter(
                    cameras=tuple(cameras), labels=alike(event.label), from_us=from_us, to_us=to_us
                )
                look = one["vector"], one["model"]
                return await _nearest(transaction, tenant, look, wanted, limit, but=event.id)

    async def like(
        self, tenant: str, encoded: Encoded, wanted: EventFilter, *, limit: int = 20
    ) -> tuple[Alike, ...]:
        """Events whose objects look most like a vector by the same model, the most alike first.

        Of the last week, unless `wanted` says otherwise; of a long time the newest 31 days.
        Nothing, where the database keeps no vectors.

        Raises:
            Unavailable: the database is away.
        """
        to_us = self._clock.wall_us() if wanted.to_us is None else wanted.to_us
        from_us = to_us - AROUND_US if wanted.from_us is None else wanted.from_us
        wanted = replace(wanted, from_us=max(from_us, to_us - MOST_US), to_us=to_us)
        with insight_errors():
            async with self._database.for_tenant(tenant) as transaction:
                if not await self._keeps(transaction):
                    return ()
                look = _written(encoded.vector), encoded.model
                return await _nearest(transaction, tenant, look, wanted, limit)

    async def _keeps(self, transaction: Transaction) -> bool:
        """Whether the database has a place for vectors; once it has, it keeps it."""
        if not self._has_vectors:
            self._has_vectors = bool(await transaction.fetchval(_sql("has_vectors")))
        return self._has_vectors


async def _nearest(
    transaction: Transaction,
    tenant: str,
    look: tuple[str, str],
    wanted: EventFilter,
    limit: int,
    *,
    but: str | None = None,
) -> tuple[Alike, ...]:
    """The events whose objects look most like a vector by a model; the time is given."""
    vector, model = look
    cameras, labels, from_us, to_us = bounds_of(wanted)
    await plan_each_time(transaction)
    sql = _sql("similar").replace("halfvec(0)", f"halfvec({vector.count(',') + 1})")
    rows = await transaction.fetch(
        sql, tenant, vector, model, but, labels, from_us, to_us, cameras, limit
    )
    near = {row["id"]: 1 - row["distance"] for row in rows}
    at = {row["id"]: row["start_us"] for row in rows}
    within = {id_: (us - LONG_US, us + LONG_US) for id_, us in at.items()}
    found = await events_of(transaction, tenant, within)
    # Few began long before the window of their picture.
    missing = near.keys() - {event.id for event in found}
    found += await events_of(transaction, tenant, {id_: (_EVER_US, at[id_]) for id_ in missing})
    return tuple(
        sorted(
            (Alike(event=event, likeness=near[event.id]) for event in found),
            key=lambda each: (-each.likeness, each.event.id),
        )
    )


def _written(vector: Sequence[float]) -> str:
    """As pgvector reads it."""
    return f"[{','.join(f'{each:.5g}' for each in vector)}]"


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
