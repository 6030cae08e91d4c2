"""How far each stream came, and what its receiver refused: rows of the tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kilocam.database import Database, load_queries, told_outside
from kilocam.streams.errors import Moved, NotFound, Unavailable
from kilocam.streams.seams import Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a stream came."""

    at: str
    delivered: int
    letters: int
    """Dead ones, since it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter: what a receiver refused for good."""

    place: str
    event: str
    camera: str
    why: str
    body: dict[str, Any]
    """As it was refused; `Any`: JSON."""
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a stream stands."""

    name: str
    delivered: int
    letters: int
    updated_us: int
    """When its place last moved, or it began."""


class Places:
    """Of one stream of one tenant. Anything raises a `DatabaseError` while there is no database."""

    def __init__(self, database: Database, tenant: str, stream: str) -> None:
        self._database = database
        self._who = (tenant, stream)

    async def now(self) -> Place | None:
        """Where the stream is; None: it has not begun."""
        async with self._database.for_tenant(self._who[0]) as transaction:
            row = await transaction.fetchrow(_sql("place"), *self._who)
        if row is None:
            return None
        return Place(at=row["place"], delivered=row["delivered"], letters=row["letters"])

    async def begin(self, at: str) -> None:
        """The stream begins here, if it has not begun."""
        async with self._database.for_tenant(self._who[0]) as transaction:
            await transaction.execute(_sql("begin"), *self._who, at)

    async def move(
        self, before: str, after: str, *, delivered: int = 0, refused: Sequence[Letter] = ()
    ) -> None:
        """All between two places is done with; dead letters are kept in the same transaction.

        Raises:
            Moved: the stream is not at `before`.
        """
        async with self._database.for_tenant(self._who[0]) as transaction:
            moved = await transaction.fetchval(
                _sql("move"), *self._who, before, after, delivered, len(refused)
            )
            if not moved:
                raise Moved(
                    f"stream {self._who[1]!r} was moved on by somebody else: "
                    "let one machine only have it in its configuration"
                )
            for each in refused:
                await transaction.execute(
                    _sql("put_letter"), *self._who, each.place, each.event, each.camera, each.why,
                    each.body,
                )  # fmt: skip
            if refused:
                await transaction.execute(_sql("forget_letters"), *self._who)


class Ledger:
    """How the streams of a tenant stand, for who asks from outside.

    Anything raises `Unavailable` while there is no database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standings(self, tenant: str) -> tuple[Standing, ...]:
        """Every stream that has begun, configured still or not.

        Raises:
            NotFound: there is no such tenant.
        """
        with told_outside(NotFound, NotFound, Unavailable):
            async with self._database.for_tenant(tenant) as transaction:
                rows = await transaction.fetch(_sql("standings"), tenant)
        return tuple(Standing(**row) for row in rows)

    async def letters(self, tenant: str, stream: str, limit: int = 100) -> tuple[Letter, ...]:
        """The newest dead letters of a stream.

        Raises:
            NotFound: no such stream has begun.
        """
        with told_outside(NotFound, NotFound, Unavailable):
            async with self._database.for_tenant(tenant) as transaction:
                known = await transaction.fetchrow(_sql("place"), tenant, stream)
                rows = await transaction.fetch(_sql("letters"), tenant, stream, limit)
        if known is None:
            raise NotFound(
                f"stream {stream!r} has not begun: GET /v1/streams lists those that have"
            )
        return tuple(Letter(**row) for row in rows)


def letter(item: Outgoing, why: str, at_us: int) -> Letter:
    """Of what was refused."""
    return Letter(
        place=item.place, event=item.id, camera=item.camera, why=why, body=dict(item.body),
        at_us=at_us,
    )  # fmt: skip


def _sql(name: str) -> str:
    return load_queries("kilocam.streams")[name]
