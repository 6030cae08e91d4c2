"""Writing: what a window came to and what it adds to events, replaced in one transaction.

Procedure of `write`: 1. hold the tenant's part of the partition; 2. note the window as looked at
and move its count; 3. take away what it added before; 4. add what it adds now; 5. make the events
that lost or gained something again from their contributions; 6. tell the outbox what changed;
7. apply the camera's rules to them (`hits.py`); 8. commit. Events are folds of contributions, so
any order of any number of writes gives the same rows.
"""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from kilocam.bus import Position
from kilocam.core import CameraKey, Clock, ConfigError, SystemClock, Window, check_id
from kilocam.database import (
    SYSTEM,
    Database,
    DatabaseError,
    DatabaseUnavailable,
    NoPartition,
    Rejected,
    Row,
    TookTooLong,
    Transaction,
    UnknownShard,
    UnknownTenant,
    load_queries,
)
from kilocam.insight.contributions import Sense, add_contributions, add_many
from kilocam.insight.days import day_of, possible_day
from kilocam.insight.errors import NotYet, Refused
from kilocam.insight.hits import RulesOf, judge
from kilocam.insight.homes import Homes
from kilocam.insight.seams import LookedWindow, OfferedWindow, SkippedWindow

_log = logging.getLogger(__name__)

_NO_DATE = "its date is none that a clock shows"
_RECENT_US = 70 * 60_000_000
"""The queue keeps windows for an hour: older ones are not offered again."""

_Offered = TypeVar("_Offered", bound=OfferedWindow)
_Looked = TypeVar("_Looked", bound=LookedWindow)
_Skipped = TypeVar("_Skipped", bound=SkippedWindow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Where to go on in a partition."""

    position: Position | None
    windows: frozenset[tuple[CameraKey, int]]
    """Camera and start of windows after `position` that are settled too."""


class Windows:
    """Keeps what analysis tells, for one version of its pipeline; safe to repeat."""

    def __init__(
        self,
        database: Database,
        version: str,
        clock: Clock | None = None,
        rules_of: RulesOf | None = None,
    ) -> None:
        self._database = database
        self._version = version
        self._rules_of = rules_of
        self._clock = clock or SystemClock()
        self._homes = Homes(database, self._clock)
        self._members: set[tuple[int, str]] = set()
        self.homeless = 0
        """Windows of tenants that do not exist any more; kept nowhere."""
        self.refused = 0
        """Skipped windows that can never be kept: there is no such day, or a value is broken."""

    async def prepared(self) -> bool:
        """Whether control has made tenants' places and today's partitions."""
        table = f"window_state_{day_of(self._clock.wall_us()):%Y%m%d}"
        async with self._database.for_tenant(SYSTEM) as transaction:
            return bool(await transaction.fetchval(_sql("has_day"), table))

    async def write(self, result: LookedWindow) -> None:
        """In one transaction replace all that (camera, window start) came to and added.

        Raises:
            NotYet: its tenant or its day has no place yet; others can be kept.
            Refused: it can never be kept.
            DatabaseError: nothing can be kept for the moment.
        """
        tenant, day = result.window.tenant, possible_day(result.window.start_us)
        if day is None:
            raise Refused(_NO_DATE)
        try:
            async with self._of_partitions(tenant, [result]) as transaction:
                lost = await _note_looked(transaction, result)
                touched = await add_contributions(
                    transaction, result.window, Sense.SEEN, result.objects, lost
                )
                if self._rules_of is not None:
                    await judge(transaction, self._rules_of, result.window, touched)
        except UnknownTenant:
            self._homes.without_tenant(tenant)
            self.homeless += 1
        except UnknownShard as error:
            raise NotYet(str(error)) from error
        except NoPartition:
            await self._homes.without_day({day, *_days(result)})
        except (Rejected, ConfigError) as error:
            raise Refused(str(error)) from error
        except (DatabaseUnavailable, TookTooLong):
            raise
        except DatabaseError as error:
            self._homes.doubt(result.window, error)
        else:
            self._homes.found(tenant, day, result.window)

    async def note(self, results: Sequence[_Looked]) -> tuple[list[_Looked], list[_Looked]]:
        """Keep what many windows came to and added, of which nothing is known; fast where most are.

        A transaction a tenant and day. Gives back those to be written one by one (what is known of
        them already may have to be taken away, or something about one of them keeps out the
        others), and those to be handed in again as they are: their tenant's database is away.

        Raises:
            DatabaseError: none could be kept for the moment.
        """
        groups, alone = _by_day(results)
        later: list[_Looked] = []
        failure: DatabaseError | None = None
        for (tenant, _), group in groups:
            try:
                noted = await self._note(tenant, group)
            except (DatabaseUnavailable, TookTooLong) as error:
                failure = error
                later += group
            except (DatabaseError, ConfigError):
                alone += group  # each by itself gets its own answer
            else:
                alone += [each for each in group if each.window not in noted]
        if failure is not None and len(later) == len(results):
            raise failure
        return alone, later

    async def skip(self, windows: Sequence[_Skipped]) -> list[_Skipped]:
        """Count windows as skipped, each once; one transaction a tenant and day.

        Gives back those that cannot be kept yet: hand them in again. What can never be kept is
        counted (`homeless`, `refused`) and done with.

        Raises:
            DatabaseError: none could be kept for the moment.
        """
        groups, undated = _by_day(windows)
        later: list[_Skipped] = []
        failure: DatabaseError | None = None
        for (tenant, day), group in groups:
            try:
                self.refused += await self._skip_group(tenant, day, group)
            except NotYet:
                later += group
            except DatabaseError as error:
                failure = error
                later += group
        if failure is not None and len(later) == len(windows) - len(undated):
            raise failure
        self.refused += len(undated)
        return later

    async def advance(self, positions: Mapping[int, Position]) -> None:
        """In these partitions all windows up to these positions are settled."""
        texts = [str(position) for position in positions.values()]
        async with self._database.for_tenant(SYSTEM) as transaction:
            await transaction.execute(
                _sql("put_checkpoint"), SYSTEM, self._version, list(positions), texts
            )

    async def resume(self, partition: int) -> Settled:
        """What is kept of a partition."""
        async with self._database.for_tenant(SYSTEM) as transaction:
            text = await transaction.fetchval(_sql("checkpoint"), SYSTEM, partition, self._version)
            members = await transaction.fetch(_sql("members"), SYSTEM, partition)
        position = Position.parse(text) if text else None
        settled: set[tuple[CameraKey, int]] = set()
        for row in members:
            try:
                settled |= await self._settled(row["member"], partition, position)
            except (UnknownTenant, UnknownShard):
                continue  # It is gone, and so are its windows.
        return Settled(position=position, windows=frozenset(settled))

    async def _settled(
        self, tenant: str, partition: int, position: Position | None
    ) -> set[tuple[CameraKey, int]]:
        since_us = self._clock.wall_us() - _RECENT_US
        async with self._database.for_tenant(tenant) as transaction:
            rows = await transaction.fetch(
                _sql("settled"), tenant, partition, self._version, since_us
            )
        return {
            (CameraKey(tenant, row["camera"]), row["start_us"])
            for row in rows
            if position is None or Position(row["queue_epoch"], row["queue_sequence"]) > position
        }

    async def _meet(self, partition: int, tenant: str) -> None:
        """Remember whose windows a partition has, before the first of them is kept."""
        check_id("tenant", tenant)  # Who takes the partition over has to ask for it.
        async with self._database.for_tenant(SYSTEM) as transaction:
            await transaction.execute(_sql("put_member"), SYSTEM, partition, tenant)
        self._members.add((partition, tenant))

    async def _note(self, tenant: str, group: Sequence[LookedWindow]) -> set[Window]:
        """Those that are noted now; the others were known before, and nothing of them changed."""
        ordered = sorted(group, key=_place)
        async with self._of_partitions(tenant, ordered) as transaction:
            rows = await transaction.fetch(
                _sql("note"), tenant,
                [each.window.camera for each in ordered],
                [each.window.start_us for each in ordered],
                [each.version for each in ordered],
                [each.window.end_us for each in ordered],
                [each.partition for each in ordered],
                [each.position.epoch for each in ordered],
                [each.position.sequence for each in ordered],
                [each.looked_us for each in ordered],
                [each.changed for each in ordered],
                [_stages(each) for each in ordered],
            )  # fmt: skip
            new = {(row["camera"], row["start_us"]) for row in rows}
            noted = [e for e in group if (e.window.camera, e.window.start_us) in new]
            added = [(each.window, seen) for each in noted for seen in each.objects]
            await add_many(transaction, tenant, Sense.SEEN, added)
            if self._rules_of is not None:
                for each in noted:
                    touched = sorted({seen.event_id for seen in each.objects})
                    await judge(transaction, self._rules_of, each.window, touched)
        return {each.window for each in noted}

    async def _skip_group(self, tenant: str, day: date, group: Sequence[SkippedWindow]) -> int:
        """Keeps what can be kept; gives how many never can."""
        try:
            await self._skip(tenant, group)
        except UnknownTenant:
            self._homes.without_tenant(tenant)
            self.homeless += len(group)
        except UnknownShard as error:
            raise NotYet(str(error)) from error
        except NoPartition:
            try:
                await self._homes.without_day([day])
            except Refused as error:
                return _refuse(group, error)
        except (Rejected, ConfigError) as error:
            if len(group) == 1:
                return _refuse(group, error)
            half = len(group) // 2  # One broken window keeps out no others.
            refused = await self._skip_group(tenant, day, group[:half])
            return refused + await self._skip_group(tenant, day, group[half:])
        else:
            self._homes.found(tenant, day)
        return 0

    async def _skip(self, tenant: str, skipped: Iterable[SkippedWindow]) -> None:
        ordered = sorted(skipped, key=_place)
        async with self._of_partitions(tenant, ordered) as transaction:
            await transaction.execute(
                _sql("skip"), tenant,
                [each.window.camera for each in ordered],
                [each.window.start_us for each in ordered],
                [each.version for each in ordered],
                [each.window.end_us for each in ordered],
                [str(each.reason) for each in ordered],
                [each.partition for each in ordered],
                [each.position.epoch for each in ordered],
                [each.position.sequence for each in ordered],
            )  # fmt: skip

    @asynccontextmanager
    async def _of_partitions(
        self, tenant: str, windows: Iterable[OfferedWindow]
    ) -> AsyncIterator[Transaction]:
        """A transaction that holds the tenant's part of the partitions of some windows."""
        partitions = sorted({each.partition for each in windows})
        for partition in partitions:
            if (partition, tenant) not in self._members:
                await self._meet(partition, tenant)
        async with self._database.for_tenant(tenant) as transaction:
            await transaction.execute(_sql("hold"), tenant, partitions)
            yield transaction


def _by_day(
    windows: Iterable[_Offered],
) -> tuple[list[tuple[tuple[str, date], list[_Offered]]], list[_Offered]]:
    """Windows by tenant and day, in this order, and those of no day that a clock shows."""
    groups: dict[tuple[str, date], list[_Offered]] = defaultdict(list)
    undated: list[_Offered] = []
    for each in windows:
        day = possible_day(each.window.start_us)
        (undated if day is None else groups[each.window.tenant, day]).append(each)
    return sorted(groups.items(), key=lambda item: item[0]), undated


def _place(offered: OfferedWindow) -> tuple[int, str, int]:
    """The order in which one tenant's windows are written."""
    return offered.partition, offered.window.camera, offered.window.start_us


def _refuse(group: Sequence[SkippedWindow], error: Exception) -> int:
    first = group[0].window
    _log.warning(
        "%d skipped windows of tenant %r from %d on can never be counted: %s",
        len(group), first.tenant, first.start_us, error,
    )  # fmt: skip
    return len(group)


async def _note_looked(transaction: Transaction, result: LookedWindow) -> list[Row]:
    """Note the window; gives the events that lose what it added before."""
    window = result.window
    return await transaction.fetch(
        _sql("put_looked"), window.tenant, window.camera, window.start_us, result.version,
        window.end_us, result.partition, result.position.epoch, result.position.sequence,
        result.looked_us, result.changed, _stages(result),
    )  # fmt: skip


def _stages(result: LookedWindow) -> dict[str, list[int]]:
    return {name: [s.seen, s.passed, s.cost_us] for name, s in result.stages.items()}


def _days(result: LookedWindow) -> set[date]:
    """The days on which an event may begin that a window adds to."""
    days = {possible_day(seen.boxes[0].at_us) for seen in result.objects}
    return {day for day in days if day is not None}


def _sql(name: str) -> str:
    return load_queries("kilocam.insight")[name]
