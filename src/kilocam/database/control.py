"""The database as control sees it: schema, all tenants at once, the outbox.

Only the control role holds one. It logs in as `kilocam_migrate`, whose policies let it see every
tenant; api and analysts have a `Database` and no way to reach this.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from kilocam.database.credentials import MIGRATE, DatabaseSecrets, display_url
from kilocam.database.database import Login
from kilocam.database.directory import (
    HOME,
    Mode,
    Place,
    Placement,
    Shard,
    place_of,
    read_placement,
    search_path,
)
from kilocam.database.errors import IsolationError
from kilocam.database.migrations import Room, migrate
from kilocam.database.outbox import Outbox
from kilocam.database.pool import Limits, connect
from kilocam.database.queries import load_queries
from kilocam.database.transaction import Transaction

DATABASE = Room("database")


class ControlDatabase(Login):
    """All tenants; for migrations, assignments, the relay of the outbox, rebuilding."""

    def __init__(
        self,
        shards: tuple[Shard, ...],
        secrets: DatabaseSecrets,
        rooms: Sequence[Room],
        *,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(shards, secrets, MIGRATE, limits)
        self._rooms = tuple(rooms)
        self._sql = load_queries("kilocam.database")

    async def migrate(self) -> list[str]:
        """Brings every shard and every tenant's own schema up to date; then checks isolation.

        Gives the names of the files that were run. `bootstrap` comes before, once a shard.

        Raises:
            MigrationError: a file failed, or an applied one was changed.
            IsolationError: a table is open to other tenants.
        """
        ran: list[str] = []
        for shard in self._shards.all:
            url = self._shards.url(shard.name)
            ran += await migrate(url, Place(shard=shard.name), DATABASE.migrations())
            await self._install_context_key(shard.name)
        for place in await self.places():
            for room in self._rooms:
                ran += await migrate(self._shards.url(place.shard), place, room.migrations())
        await self.check_isolation()
        return ran

    async def prepare_schema(self, tenant: str, shard: str = HOME) -> None:
        """Makes a schema of its own for a tenant that is to be placed with `Mode.SCHEMA`."""
        placement = Placement(region=self._shards.region(shard), shard=shard, mode=Mode.SCHEMA)
        place = place_of(tenant, placement)
        for room in self._rooms:
            await migrate(self._shards.url(shard), place, room.migrations())
        await self.check_isolation()

    async def places(self) -> list[Place]:
        """Every set of tables there is: one a shard, and the schemas of tenants that have one."""
        async with self.everything() as transaction:
            rows = await transaction.fetch(self._sql["own_schemas"])
        own = [place_of(row["tenant"], read_placement(row)) for row in rows]
        return [*(Place(shard=shard.name) for shard in self._shards.all), *own]

    @asynccontextmanager
    async def everything(self, place: Place | None = None) -> AsyncIterator[Transaction]:
        """A transaction that sees the rows of all tenants in `place` (default: home)."""
        place = place or Place()
        context = {"search_path": search_path(place)}
        async with self._shards.pool(place.shard).transaction(context) as transaction:
            yield transaction

    @asynccontextmanager
    async def session(self, place: Place, *, statement_s: float) -> AsyncIterator[Transaction]:
        """Statements in `place` outside any transaction, each with so long a time.

        For what tidies up beside those who write, and takes long: `create index concurrently`,
        `vacuum`. A session's advisory locks end with it.

        Raises:
            DatabaseUnavailable: no connection can be made.
        """
        url = self._shards.url(place.shard)
        connection = await connect(url, "kilocam-tidy", Limits(statement_s=statement_s))
        try:
            transaction = Transaction(connection, display_url(url), statement_s + 1)
            await transaction.execute(self._sql["look_in"], search_path(place))
            yield transaction
        finally:
            connection.terminate()

    async def sizes(self, place: Place | None = None) -> dict[str, tuple[int, int]]:
        """Bytes on disk of each table with all its days: of its rows, and of its indexes."""
        async with self.everything(place) as transaction:
            rows = await transaction.fetch(self._sql["sizes"], (place or Place()).schema)
        return {row["name"]: (row["rows"], row["indexes"]) for row in rows}

    async def make_partition(self, place: Place, table: str, day: str) -> str:
        """Makes the partition of one UTC day (`2026-11-23`) if it is missing; gives its name."""
        async with self.everything(place) as transaction:
            return str(await transaction.fetchval(self._sql["make_partition"], table, day))

    async def check_isolation(self) -> None:
        """Looks at every table that the app can touch, in every shard.

        Raises:
            IsolationError: one is not closed as `kilocam.secure()` closes it.
        """
        for shard in self._shards.all:
            async with self.everything(Place(shard=shard.name)) as transaction:
                exposed = await transaction.fetch(self._sql["exposed"])
            if exposed:
                first = exposed[0]
                raise IsolationError(
                    f"table {first['name']} in database shard {shard.name!r} is open to other "
                    f"tenants: {first['why']}; close it with kilocam.secure()"
                )

    def outboxes(self) -> list[Outbox]:
        """The outbox of each shard."""
        return [
            Outbox(self._shards.pool(shard.name), self._shards.url(shard.name))
            for shard in self._shards.all
        ]

    async def _install_context_key(self, shard: str) -> None:
        async with self.everything(Place(shard=shard)) as transaction:
            key_id = self._signer.key_id
            await transaction.execute(self._sql["context_key"], key_id, *self._signer.pads())
            await transaction.execute(self._sql["forget_other_context_keys"], key_id)
