"""One open transaction, as rooms see it: statements in, rows out, our errors."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from asyncpg import Connection

from kilocam.database.translate import translated

Row = Mapping[str, Any]
"""A row by column name. `Any`: what a column holds is known by the query alone."""


class Transaction:
    """Statements of one transaction; it ends when the block that gave it ends.

    Times (`timestamptz`) are `int` microseconds since 1970 UTC both ways, `jsonb` any JSON value.
    COPY is not offered: the server refuses it on tables with row security. Many rows go in one
    statement: `insert … select … from unnest($1::text[], …)`.
    """

    def __init__(self, connection: "Connection[Any]", where: str, timeout_s: float) -> None:
        self._connection = connection
        self._where = where
        self._timeout_s = timeout_s

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """All rows of a statement."""
        with translated(self._where):
            rows = await self._connection.fetch(sql, *args, timeout=self._timeout_s)
        return [dict(row) for row in rows]

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        """The first row of a statement, or None."""
        with translated(self._where):
            row = await self._connection.fetchrow(sql, *args, timeout=self._timeout_s)
        return None if row is None else dict(row)

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None. `Any`: as in `Row`."""
        with translated(self._where):
            return await self._connection.fetchval(sql, *args, timeout=self._timeout_s)

    async def execute(self, sql: str, *args: object) -> int:
        """Runs a statement; gives the number of rows it touched (0 where none are counted)."""
        with translated(self._where):
            status = await self._connection.execute(sql, *args, timeout=self._timeout_s)
        last = status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    async def execute_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Runs one statement for each of `rows`, sent together."""
        with translated(self._where):
            await self._connection.executemany(sql, rows, timeout=self._timeout_s)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails inside is undone alone; the transaction goes on."""
        with translated(self._where):
            await self._connection.execute("savepoint part", timeout=self._timeout_s)
        try:
            yield
        except Exception:
            with translated(self._where):
                await self._connection.execute(
                    "rollback to savepoint part", timeout=self._timeout_s
                )
            raise
        with translated(self._where):
            await self._connection.execute("release savepoint part", timeout=self._timeout_s)
