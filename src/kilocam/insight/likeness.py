"""How the objects of events look: kept as vectors, and found again by them.

Vectors are compared exactly, one by one, within a bounded time; only those of one model can be.
"""

from collections.abc import Sequence

from kilocam.core import Clock, SystemClock, format_duration
from kilocam.database import Database, Row, Transaction, load_queries
from kilocam.insight.errors import Invalid, NotSeen, NotYet, Unavailable, insight_errors, refusals
from kilocam.insight.insight import Insight, bounds_of, check_limit
from kilocam.insight.query import alike
from kilocam.insight.seams import Encoded, Portrait
from kilocam.insight.values import Alike, EventFilter, read_event

AROUND_US = 7 * 86_400_000_000
"""Before and after an event likes are looked for, unless a time is given."""
MOST_US = 31 * 86_400_000_000
"""At once: every vector of that time is compared."""
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

    async def keep(self, portrait: Portrait) -> None:
        """Replace what is kept of an event by the same model.

        Raises:
            NotYet: the database keeps no vectors.
            Refused: there is no place for this one.
        """
        window, model = portrait.window, portrait.model
        with refusals():
            async with self._database.for_tenant(window.tenant) as transaction:
                if not await _has_vectors(transaction):
                    raise NotYet(NO_VECTORS)
                await transaction.execute(
                    _sql("drop_likeness"), window.tenant, [portrait.event_id], model
                )
                await transaction.execute(
                    _sql("put_likeness"), window.tenant, window.camera, window.start_us,
                    portrait.event_id, portrait.label, model, portrait.at_us,
                    _written(portrait.vector),
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
                if not await _has_vectors(transaction):
                    raise Unavailable(NO_VECTORS)
                one = await transaction.fetchrow(_sql("likeness"), tenant, event.id)
                if one is None:
                    raise NotSeen(
                        f"how event {id_!r} looks is not known: objects are looked at closely "
                        "some seconds after they were seen; texts and speech never are"
                    )
                rows = await transaction.fetch(
                    _sql("similar"), tenant, one["vector"], one["model"], event.id,
                    list(alike(event.label)), from_us, to_us, list(cameras) or None, limit,
                )  # fmt: skip
        return tuple(Alike(event=read_event(row), likeness=row["likeness"]) for row in rows)

    async def like(
        self, tenant: str, encoded: Encoded, wanted: EventFilter, *, limit: int = 20
    ) -> tuple[Alike, ...]:
        """Events whose objects look most like a vector by the same model, the most alike first.

        Of the last week, unless `wanted` says otherwise; of a long time the newest 31 days.
        Nothing, where the database keeps no vectors.

        Raises:
            Unavailable: the database is away.
        """
        cameras, labels, from_us, to_us = bounds_of(wanted)
        if to_us is None:
            to_us = self._clock.wall_us()
        from_us = max(to_us - AROUND_US if from_us is None else from_us, to_us - MOST_US)
        with insight_errors():
            async with self._database.for_tenant(tenant) as transaction:
                if not await _has_vectors(transaction):
                    return ()
                rows = await transaction.fetch(
                    _sql("similar"), tenant, _written(encoded.vector), encoded.model, None,
                    labels, from_us, to_us, cameras, limit,
                )  # fmt: skip
        return _alike(rows)


def _alike(rows: Sequence[Row]) -> tuple[Alike, ...]:
    return tuple(Alike(event=read_event(row), likeness=row["likeness"]) for row in rows)


def _written(vector: Sequence[float]) -> str:
    """As pgvector reads it."""
    return f"[{','.join(f'{each:.5g}' for each in vector)}]"


async def _has_vectors(transaction: Transaction) -> bool:
    return bool(await transaction.fetchval(_sql("has_vectors")))


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
