"""Writing what was read in pictures, heard in sound and said of pictures by a model.

Text read in a window replaces what was read in it before. Speech has no windows: a camera's sound
is listened to in *stretches*, and what was said is kept in the transaction that moves the stretch
past it. So it is kept once, whoever else listens to the same. An event is described once; that is
counted before anybody is asked, so a tenant's budget of a day holds whoever dies meanwhile.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto

from kilocam.core import CameraKey, Window
from kilocam.database import Database, DatabaseError, load_queries
from kilocam.insight.contributions import (
    Sense,
    changes_between,
    replace_contributions,
    tell_changes,
)
from kilocam.insight.errors import Refused, refusals
from kilocam.insight.seams import ObjectSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Of a camera's sound: heard from `start_us` up to `until_us`, to be heard up to `ends_us`."""

    start_us: int
    until_us: int
    ends_us: int | None
    """None: the live one."""


class Grant(Enum):
    """Whether a description may be asked for."""

    GIVEN = auto()
    """It is counted: ask, or give it back."""
    NEEDLESS = auto()
    """The event is gone, or described already."""
    SPENT = auto()
    """The tenant's budget of that day is."""


class Told:
    """What analysis read, heard and was told of.

    Every call may raise `DatabaseError` and be made again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, window: Window, texts: Sequence[ObjectSeen]) -> None:
        """In one transaction replace all that was read in a window.

        Raises:
            Refused: there is no place for it.
        """
        with refusals():
            async with self._database.for_tenant(window.tenant) as transaction:
                await replace_contributions(transaction, window, Sense.READ, texts)

    async def stretches(self, key: CameraKey) -> tuple[Stretch, ...]:
        """What of a camera's sound is being listened to, in order of time.

        Raises:
            Refused: there is no place for it.
        """
        with refusals():
            async with self._database.for_tenant(key.tenant) as transaction:
                rows = await transaction.fetch(_sql("stretches"), key.tenant, key.camera)
        return tuple(
            Stretch(start_us=row["start_us"], until_us=row["until_us"], ends_us=row["ends_us"])
            for row in rows
        )

    async def begin(self, key: CameraKey, at_us: int, instead_of: int | None = None) -> None:
        """A live stretch from `at_us` on; the one that began at `instead_of` ends there.

        Where another one is live, nothing happens: somebody else has begun it.

        Raises:
            Refused: there is no place for it.
        """
        with refusals():
            async with self._database.for_tenant(key.tenant) as transaction:
                if instead_of is not None:
                    await transaction.execute(
                        _sql("end_stretch"), key.tenant, key.camera, at_us, instead_of
                    )
                await transaction.execute(_sql("begin_stretch"), key.tenant, key.camera, at_us)

    async def heard(
        self,
        key: CameraKey,
        start_us: int,
        from_us: int,
        until_us: int,
        said: Sequence[ObjectSeen],
    ) -> bool:
        """This was said in the stretch that began at `start_us`: it is heard up to `until_us` now.

        False: it was heard beyond `from_us` before; nothing is kept, and where to go on is to be
        asked anew.

        Raises:
            Refused: there is no place for it.
        """
        at = (key.tenant, key.camera, start_us, from_us, until_us)
        with refusals():
            return await self._heard(key, at, said)

    async def _heard(
        self, key: CameraKey, at: tuple[object, ...], said: Sequence[ObjectSeen]
    ) -> bool:
        async with self._database.for_tenant(key.tenant) as transaction:
            ours = await transaction.fetchval(_sql("move_stretch"), *at)
            if ours:
                at_once: dict[int, list[ObjectSeen]] = defaultdict(list)
                for each in said:  # two sounds may begin at one moment
                    at_once[each.boxes[0].at_us].append(each)
                for start_us, group in at_once.items():
                    end_us = max(each.boxes[-1].at_us for each in group)
                    window = Window(
                        tenant=key.tenant, camera=key.camera, start_us=start_us, end_us=end_us
                    )
                    await replace_contributions(transaction, window, Sense.HEARD, group)
        return bool(ours)

    async def silent(self, silences: Sequence[tuple[CameraKey, int, int]]) -> None:
        """Stretches (camera, start) are heard up to here; a transaction a tenant."""
        by_tenant: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        for key, start_us, until_us in sorted(silences):
            by_tenant[key.tenant].append((key.camera, start_us, until_us))
        failure: DatabaseError | None = None
        for tenant, group in by_tenant.items():
            columns = map(list, zip(*group, strict=True))
            try:
                with suppress(Refused), refusals():  # a tenant that is gone needs no note
                    async with self._database.for_tenant(tenant) as transaction:
                        await transaction.execute(_sql("note_silence"), tenant, *columns)
            except DatabaseError as error:
                failure = error  # one that is away keeps out no others
        if failure is not None:
            raise failure

    async def drop(self, key: CameraKey) -> None:
        """A camera's stretches that are heard to their end are done with."""
        with refusals():
            async with self._database.for_tenant(key.tenant) as transaction:
                await transaction.execute(_sql("drop_stretches"), key.tenant, key.camera)

    async def may_describe(self, key: CameraKey, event_id: str, day: date, budget: int) -> Grant:
        """Count one more description of an event of the camera, if it needs one and may have it.

        Args:
            key: whose event.
            event_id: the event.
            day: by UTC; the same for all who share the budget.
            budget: descriptions that the tenant may have on a day, one at least.

        Raises:
            Refused: the tenant is gone.
        """
        with refusals():
            async with self._database.for_tenant(key.tenant) as transaction:
                if not await transaction.fetchval(_sql("undescribed"), key.tenant, event_id):
                    return Grant.NEEDLESS
                at = (key.tenant, day)
                asked = await transaction.fetchval(_sql("reserve_description"), *at, budget)
                if asked == 1:
                    await transaction.execute(_sql("forget_budgets"), *at)
        return Grant.GIVEN if asked is not None else Grant.SPENT

    async def give_back(self, tenant: str, day: date) -> None:
        """What was granted was asked of nobody, or refused: it does not count."""
        with refusals():
            async with self._database.for_tenant(tenant) as transaction:
                await transaction.execute(_sql("return_description"), tenant, day)

    async def describe(self, key: CameraKey, event_id: str, said: str, by: str) -> bool:
        """An event of the camera looks like this, says a model; whether it is kept.

        False: the event is gone meanwhile, or somebody else's description came first.

        Raises:
            Refused: there is no place for it.
        """
        with refusals():
            async with self._database.for_tenant(key.tenant) as transaction:
                # No window is written meanwhile: it would make the event again without this.
                await transaction.execute(_sql("hold"), key.tenant, [key.partition])
                row = await transaction.fetchrow(_sql("describe"), key.tenant, event_id, said, by)
                if row is not None:
                    told = changes_between(key.tenant, [{**row, "description": ""}], [row])
                    await tell_changes(transaction, key.camera, told)
        return row is not None


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
