"""What is done once a day is over: nobody but stragglers writes to it any more.

Procedure of `close_days`, control's work, for each day that ended two hours ago, the newest first:
1. tidy its tables (`vacuum`), so that reading them needs no look at rows that are in an index, and
plans know what is in them; 2. for each tenant with many vectors by one model make an index over
them, beside those who write, one after the other and with as long a pause after each.
An index that a death left half built is dropped and made again. One tenant's index has nobody
else's vectors: the graph is not searched for one in a hundred (which finds 9 of 20).
"""

import asyncio
import logging
import time
from datetime import date, timedelta

from blake3 import blake3

from kilocam.database import ControlDatabase, DatabaseError, Place, Transaction, load_queries
from kilocam.insight.days import day_of, start_of

_log = logging.getLogger(__name__)

CROWD = 500
"""Vectors of a tenant by one model on a day that are worth an index; fewer are compared at once."""
_LATE_US = 2 * 3_600_000_000
"""After its end a day is still written to: windows are told of for an hour."""
_TIDIED = ("event", "contribution", "window_count", "likeness")
_STATEMENT_S = 3_600.0
_LOCK = 0x6B_63_76_78  # "kcvx"
_MEMORY = "128MB"
"""Of a build; what does not fit takes longer."""
_LONGEST_PAUSE_S = 60.0
_DIMENSIONS_MOST = 4_000
"""Of halfvec in an index of pgvector."""


class Closer:
    """Closes days; remembers which are, so that an hour without news costs nothing."""

    def __init__(self, control: ControlDatabase, *, pausing: bool = True) -> None:
        self._control = control
        self._pausing = pausing
        self._closed: set[tuple[Place, date]] = set()

    async def close_days(self, now_us: int, since_us: int) -> int:
        """Close the days between two moments that are over; gives how many indexes were made.

        Raises:
            DatabaseError: it is away, or something could not be made; go on later.
        """
        made = 0
        for place in await self._control.places():
            days = [d for d in _days_over(now_us, since_us) if (place, d) not in self._closed]
            if not days:
                continue
            async with self._control.session(place, statement_s=_STATEMENT_S) as session:
                if not await session.fetchval(_sql("try_to_own"), _LOCK):
                    continue  # another control is at it
                await session.execute(_sql("tidy_modestly"), _MEMORY)
                for day in days:
                    made += await self._close(session, day)
                    self._closed.add((place, day))
        return made

    async def _close(self, session: Transaction, day: date) -> int:
        from_us, until_us = start_of(day), start_of(day + timedelta(days=1))
        for name in [f"{table}_{day:%Y%m%d}" for table in _TIDIED]:
            if await session.fetchval(_sql("is_tidied"), name, until_us + _LATE_US) is False:
                await session.execute(f"vacuum (analyze) {name}")
        if not await session.fetchval(_sql("has_vectors")):
            return 0
        crowds = await session.fetch(_sql("crowds"), from_us, until_us, CROWD)
        made = 0
        for crowd in crowds:
            begun = time.monotonic()
            made += await self._index(
                session, day, crowd["tenant"], crowd["model"], (from_us, until_us)
            )
            if self._pausing:
                await asyncio.sleep(min(time.monotonic() - begun, _LONGEST_PAUSE_S))
        return made

    async def _index(
        self, session: Transaction, day: date, tenant: str, model: str, within: tuple[int, int]
    ) -> bool:
        name = index_name(day, tenant, model)
        whole = await session.fetchval(_sql("is_index_whole"), name)
        if whole:
            return False
        if whole is False:
            await session.execute(f"drop index concurrently {name}")
        length = await session.fetchval(_sql("vector_length"), tenant, model, *within)
        if length > _DIMENSIONS_MOST:
            return False
        table = f"likeness_{day:%Y%m%d}"
        statement = await session.fetchval(_sql("vector_index"), name, table, length, tenant, model)
        try:
            await session.execute(statement)
        except DatabaseError as error:
            # What was begun stays behind, invalid: it would cost writers and help nobody.
            await session.execute(f"drop index concurrently if exists {name}")
            _log.warning("%s has no index over vectors by %s: %s", table, model, error)
            return False
        return True


def index_name(day: date, tenant: str, model: str) -> str:
    """Of the index over a tenant's vectors of a day by one model."""
    of = blake3(f"{tenant}\0{model}".encode()).hexdigest(8)
    return f"likeness_{day:%Y%m%d}_near_{of}"


def _days_over(now_us: int, since_us: int) -> list[date]:
    """Days that nobody writes to any more, the newest first."""
    today, first = day_of(now_us - _LATE_US).date(), day_of(since_us).date()
    return [today - timedelta(days=back) for back in range(1, (today - first).days + 1)]


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
