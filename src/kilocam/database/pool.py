"""Connections of one login to one server: few, bounded in number and in time, renewed by itself.

Procedure of a transaction (each step has its deadline, see `Limits`):
1. wait for a free place; 2. ask the breaker; 3. take or open a connection; 4. BEGIN and set the
context; 5. the caller's statements; 6. COMMIT, or ROLLBACK when anything was raised; 7. give the
connection back. A connection that did not answer in time is cut off, never reused.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg

from kilocam.core import Breaker, Clock, SystemClock
from kilocam.database.credentials import display_url
from kilocam.database.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable
from kilocam.database.transaction import Transaction
from kilocam.database.translate import LOST, translated, unavailable

_PG_EPOCH_US = 946_684_800_000_000
_IDLE_IN_TRANSACTION_MS = 60_000
_ROLLBACK_S = 1.0
_KEEP_IDLE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many connections a process holds to one server, and how long it waits."""

    connections: int = 8
    free_place_s: float = 5.0
    connect_s: float = 3.0
    begin_s: float = 3.0
    statement_s: float = 10.0
    """The server ends a statement then; we cut the connection 1 s later."""


class Pool:
    """Transactions for one login of one server."""

    def __init__(
        self, url: str, *, application: str, limits: Limits, clock: Clock | None = None
    ) -> None:
        self.where = display_url(url)
        self._url = url
        self._application = application
        self._limits = limits
        self._free = asyncio.Semaphore(limits.connections)
        self._breaker = Breaker(clock or SystemClock(), random.Random())  # noqa: S311 - jitter
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Ends all connections, those in use as well."""
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self, context: Mapping[str, str]) -> AsyncIterator[Transaction]:
        """One transaction with `context` set for as long as it lasts."""
        async with self._place(), self._connection() as connection:
            await self._begin(connection, context)
            timeout_s = self._limits.statement_s + 1
            try:
                yield Transaction(connection, self.where, timeout_s)
            except BaseException as error:
                await self._undo(connection, error)
                raise
            await self._commit(connection)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.free_place_s):
                await self._free.acquire()
        except TimeoutError:
            raise DatabaseBusy(
                f"all {self._limits.connections} connections to the database {self.where} were "
                f"in use for {self._limits.free_place_s:g} s: ask for less at a time"
            ) from None
        try:
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        if not self._breaker.admit():
            raise DatabaseUnavailable(
                f"database {self.where} did not answer a moment ago; "
                "it is tried again within seconds"
            )
        try:
            with translated(self.where):
                async with asyncio.timeout(self._limits.connect_s):
                    pool = await self._opened()
                    connection = await pool.acquire()
        except DatabaseError:
            self._breaker.failed()
            raise
        try:
            yield connection  # type: ignore[misc]  # the proxy has the connection's methods
        finally:
            await self._give_back(pool, connection)

    async def _give_back(self, pool: "asyncpg.Pool[asyncpg.Record]", connection: Any) -> None:
        # `Any`: the driver's proxy type is private to it.
        try:
            await pool.release(connection, timeout=self._limits.begin_s)
        except LOST:  # the driver has cut it off; the next caller opens another
            self._breaker.failed()

    async def _begin(
        self, connection: "asyncpg.Connection[Any]", context: Mapping[str, str]
    ) -> None:
        settings = ", ".join(
            f"set_config(${2 * i + 1}, ${2 * i + 2}, true)" for i in range(len(context))
        )
        pairs = [part for pair in context.items() for part in pair]
        try:
            with translated(self.where):
                async with asyncio.timeout(self._limits.begin_s):
                    await connection.execute("begin")
                    # As parameters: others of our login see the text of statements.
                    await connection.execute(f"select {settings}", *pairs)
        except BaseException as error:
            await self._undo(connection, error)
            raise
        self._breaker.succeeded()

    async def _commit(self, connection: "asyncpg.Connection[Any]") -> None:
        try:
            with translated(self.where):
                status = await connection.execute("commit", timeout=self._limits.statement_s)
        except BaseException as error:
            await self._undo(connection, error)
            raise
        if status != "COMMIT":
            raise DatabaseError(
                f"database {self.where}: an error inside the transaction was passed over, "
                "so nothing was stored"
            )

    async def _undo(self, connection: "asyncpg.Connection[Any]", error: BaseException) -> None:
        if isinstance(error, DatabaseUnavailable):
            self._breaker.failed()
            _cut(connection)
            return
        try:
            async with asyncio.timeout(_ROLLBACK_S):
                await connection.execute("rollback")
        except (*LOST, asyncpg.PostgresError):
            _cut(connection)
        except asyncio.CancelledError:
            _cut(connection)
            raise

    async def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=self._limits.connections,
                    timeout=self._limits.connect_s,
                    command_timeout=self._limits.statement_s + 1,
                    max_inactive_connection_lifetime=_KEEP_IDLE_S,
                    init=prepare_connection,
                    reset=_leave,
                    server_settings=server_settings(self._application, self._limits),
                )
            return self._pool


def _cut(connection: "asyncpg.Connection[Any]") -> None:
    with suppress(asyncpg.InterfaceError):  # the driver saw its end and has let go of it already
        connection.terminate()


def server_settings(application: str, limits: Limits) -> dict[str, str]:
    """What every connection of ours asks of the server."""
    return {
        "application_name": application,
        "statement_timeout": str(int(limits.statement_s * 1000)),
        "lock_timeout": str(int(limits.statement_s * 1000)),
        "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
        "timezone": "UTC",
        "jit": "off",  # our statements are short
        # Without it a tenant of 1 % gets 9 of 20 nearest rows; unknown to a server without
        # pgvector, which then keeps it as a name without meaning.
        "hnsw.iterative_scan": "strict_order",
    }


async def _leave(connection: "asyncpg.Connection[Any]") -> None:
    """Nothing outlives a transaction here, as settings are its own.

    So the driver's statement that takes back what might is spared: one round trip of a dozen.
    """
    del connection


async def prepare_connection(connection: "asyncpg.Connection[Any]") -> None:
    """Times as microseconds since 1970 UTC, JSON as values."""
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=lambda wall_us: (wall_us - _PG_EPOCH_US,),
        decoder=lambda value: value[0] + _PG_EPOCH_US,
        format="tuple",
    )
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )


async def connect(url: str, application: str, limits: Limits) -> "asyncpg.Connection[Any]":
    """One connection outside any pool, for what needs a session of its own.

    Raises:
        DatabaseUnavailable: it cannot be made within the limit.
    """
    with translated(display_url(url)):
        async with asyncio.timeout(limits.connect_s):
            connection = await asyncpg.connect(
                url,
                command_timeout=limits.statement_s + 1,
                server_settings=server_settings(application, limits),
            )
            await prepare_connection(connection)
    return connection


async def ping(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a new login is served: true, or false while the server starts or recovers.

    Raises:
        DatabaseUnavailable: it does not answer within `timeout_s`; a frozen server does not.
    """
    try:
        async with asyncio.timeout(timeout_s):
            connection = await asyncpg.connect(url)
            try:
                return bool(await connection.fetchval("select true"))
            finally:
                connection.terminate()
    except asyncpg.CannotConnectNowError:
        return False
    except LOST as error:
        raise unavailable(display_url(url), error) from error
