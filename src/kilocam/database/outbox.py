"""Publishes what was committed, at least once, in order within a tenant.

Procedure of one drain: 1. lock up to 16 tenants that have rows, oldest first (one that is locked
belongs to another drainer and is left alone); 2. read their oldest rows; 3. publish each tenant's
rows one after the other, tenants side by side; 4. delete those that were published in a transaction
of its own and commit; 5. let go of the tenants.
Dying anywhere leaves the rows where they were: they are published again.
Locks are advisory and the transaction that holds them changes no row, so it has no number: however
long a frozen queue keeps it open, nobody who waits for older transactions waits for it.
Order is that of ids: two transactions open at once may commit in the other order; what one wrote
after having read the other's row keeps its order.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

import asyncpg

from kilocam.database.directory import Place, search_path
from kilocam.database.errors import DatabaseError
from kilocam.database.pool import Limits, Pool, connect
from kilocam.database.queries import load_queries
from kilocam.database.transaction import Transaction

_log = logging.getLogger(__name__)
_TENANTS = 16
_BATCH = 256
_PUBLISH_S = 20.0
"""A batch may take this long; below the server's idle_in_transaction_session_timeout."""
_POLL_S = 1.0
_LONGEST_WAIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """What waits to be published. `id` is unique in its shard and grows: de-duplicate by it."""

    id: int
    tenant: str
    topic: str
    body: dict[str, Any]
    """JSON; what it means is known to who wrote it."""
    created_us: int


Publish = Callable[[OutboxMessage], Awaitable[None]]


class Outbox:
    """The outbox of one shard."""

    def __init__(self, pool: Pool, url: str) -> None:
        self._pool = pool
        self._url = url
        self._sql = load_queries("kilocam.database")
        self.published = 0
        """Messages published since the start."""
        self.failures = 0
        """Rounds that ended with an error since the start."""

    async def drain(self, publish: Publish) -> int:
        """Publishes one batch; gives how many messages, 0 when none waits.

        When `publish` raises, what was published before is deleted, and then the error is raised.
        """
        failed: list[Exception] = []
        context = {"search_path": search_path(Place())}
        async with self._pool.transaction(context) as holding:
            messages = await self._take(holding)
            done: list[int] = []
            tenants = groupby(messages, key=attrgetter("tenant"))
            by_tenant = [list(of_one) for _, of_one in tenants]
            await asyncio.gather(*(_publish_all(m, publish, done, failed) for m in by_tenant))
            if done:
                async with self._pool.transaction(context) as transaction:
                    await transaction.execute(self._sql["outbox_done"], done)
        self.published += len(done)
        if failed:
            raise failed[0]
        return len(done)

    async def waiting(self) -> tuple[int, int | None]:
        """How many messages wait, and since when the oldest does (microseconds)."""
        async with self._pool.transaction({"search_path": search_path(Place())}) as transaction:
            row = await transaction.fetchrow(self._sql["outbox_waiting"])
        return (row["waiting"], row["oldest_us"]) if row else (0, None)

    async def run(self, publish: Publish) -> None:
        """Drains until cancelled: woken by the database, every second without it.

        An error of the database or of `publish` is counted and logged, and the round repeated
        after a wait that grows to 5 s.
        """
        wait_s = _POLL_S / 4
        while True:
            try:
                async with _Alarm(self._url) as alarm:
                    while True:
                        alarm.reset()
                        while await self.drain(publish):
                            wait_s = _POLL_S / 4
                        await alarm.wait(_POLL_S)
            except Exception as error:  # noqa: BLE001 - the edge of a task; counted, repeated
                self.failures += 1
                _log.warning("outbox: %s; going on in %.2g s", error, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _take(self, transaction: Transaction) -> list[OutboxMessage]:
        """The rows of tenants that are ours now; a later statement sees what others deleted."""
        waiting = [row["tenant"] for row in await transaction.fetch(self._sql["outbox_tenants"])]
        tenants: list[str] = []
        while waiting and len(tenants) < _TENANTS:
            some = waiting[: _TENANTS - len(tenants)]
            del waiting[: len(some)]
            owned = await transaction.fetch(self._sql["outbox_own"], some)
            tenants += [row["tenant"] for row in owned]
        if not tenants:
            return []
        rows = await transaction.fetch(self._sql["outbox_rows"], tenants, _BATCH)
        messages = [OutboxMessage(**row) for row in rows]
        return sorted(messages, key=attrgetter("tenant", "id"))


async def _publish_all(
    messages: list[OutboxMessage], publish: Publish, done: list[int], failed: list[Exception]
) -> None:
    try:
        async with asyncio.timeout(_PUBLISH_S):
            for message in messages:
                await publish(message)
                done.append(message.id)
    except Exception as error:  # noqa: BLE001 - handed to the caller after the commit
        failed.append(error)


class _Alarm:
    """Tells when something was put into the outbox, or when it can no longer tell."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._rang = asyncio.Event()
        self._connection: asyncpg.Connection[Any] | None = None

    async def __aenter__(self) -> "_Alarm":
        self._connection = await connect(self._url, "kilocam-outbox", Limits())
        self._connection.add_termination_listener(lambda _: self._rang.set())
        await self._connection.add_listener("kilocam_outbox", lambda *_: self._rang.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.terminate()

    def reset(self) -> None:
        self._rang.clear()

    async def wait(self, longest_s: float) -> None:
        """Returns when it rings or the time is up.

        Raises:
            DatabaseError: the connection is gone.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._rang.wait()
        if self._connection is None or self._connection.is_closed():
            raise DatabaseError("the database ended the connection that listens")
