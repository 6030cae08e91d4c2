"""The tenants' database as api and analysts see it: one tenant at a time."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from kilocam.core import Clock, SystemClock
from kilocam.database.context import ContextSigner
from kilocam.database.credentials import APP, DatabaseSecrets, with_login
from kilocam.database.directory import (
    HOME,
    SYSTEM,
    Mode,
    Place,
    Placement,
    Shard,
    check_shards,
    check_tenant,
    place_of,
    read_placement,
    search_path,
)
from kilocam.database.errors import UnknownShard, UnknownTenant
from kilocam.database.pool import Limits, Pool
from kilocam.database.queries import load_queries
from kilocam.database.transaction import Transaction

_KNOWN_US = 10_000_000
"""A placement is believed for 10 s: a tenant that moved is found again by then."""
_KNOWN_MOST = 10_000


class Shards:
    """The pools of one login, one for each shard, opened when first used."""

    def __init__(
        self, shards: tuple[Shard, ...], secrets: DatabaseSecrets, role: str, limits: Limits
    ) -> None:
        self._shards = check_shards(shards)
        self._secrets = secrets
        self._role = role
        self._limits = limits
        self._pools: dict[str, Pool] = {}

    @property
    def all(self) -> tuple[Shard, ...]:
        """The shards, home first."""
        rest = (shard for name, shard in sorted(self._shards.items()) if name != HOME)
        return (self._shards[HOME], *rest)

    def url(self, name: str) -> str:
        """The address of shard `name` with our login.

        Raises:
            UnknownShard: it is not configured here.
        """
        if name not in self._shards:
            raise UnknownShard(
                f"database shard {name!r} is not configured on this machine: "
                "add it as [[database.shard]]"
            )
        return with_login(self._shards[name].url, self._role, self._secrets.password(self._role))

    def region(self, name: str) -> str:
        """The region of shard `name`."""
        self.url(name)
        return self._shards[name].region

    def pool(self, name: str) -> Pool:
        """The pool of shard `name`."""
        if name not in self._pools:
            application = self._role.replace("_", "-")
            self._pools[name] = Pool(self.url(name), application=application, limits=self._limits)
        return self._pools[name]

    async def close(self) -> None:
        """Ends all connections."""
        for pool in self._pools.values():
            await pool.close()


class Login:
    """All shards seen by one login; an asynchronous context that ends its connections."""

    def __init__(
        self, shards: tuple[Shard, ...], secrets: DatabaseSecrets, role: str, limits: Limits | None
    ) -> None:
        self._shards = Shards(shards, secrets, role, limits or Limits())
        self._signer = ContextSigner(secrets.context_key())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all connections."""
        await self._shards.close()


class Database(Login):
    """Every transaction acts for one tenant and proves it; there is no way around it here."""

    def __init__(
        self,
        shards: tuple[Shard, ...],
        secrets: DatabaseSecrets,
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(shards, secrets, APP, limits)
        self._clock = clock or SystemClock()
        self._known: OrderedDict[str, tuple[int, Placement]] = OrderedDict()

    @asynccontextmanager
    async def for_tenant(self, tenant: str) -> AsyncIterator[Transaction]:
        """A transaction that sees and writes rows of `tenant` only, where it lives.

        Raises:
            UnknownTenant: the directory has no such tenant.
            DatabaseUnavailable: its database cannot be reached, or does not answer in time.
        """
        place = place_of(tenant, await self.placement(tenant))
        async with self._acting_for(tenant, place) as transaction:
            yield transaction

    async def placement(self, tenant: str) -> Placement:
        """Where `tenant` lives.

        Raises:
            UnknownTenant: the directory has no such tenant.
        """
        if check_tenant(tenant) == SYSTEM:
            return Placement(region=self._shards.region(HOME))
        known = self._known.get(tenant)
        if known is not None and self._clock.monotonic_us() - known[0] < _KNOWN_US:
            return known[1]
        async with self._acting_for(tenant, Place()) as transaction:
            row = await transaction.fetchrow(_sql("placement"), tenant)
        if row is None:
            self._known.pop(tenant, None)
            raise UnknownTenant(tenant)
        return self._remember(tenant, read_placement(row))

    async def place(self, tenant: str, *, shard: str = HOME, mode: Mode = Mode.ROWS) -> Placement:
        """Gives a new tenant its place; a tenant that has one keeps it.

        For a schema of its own, `ControlDatabase.prepare_schema` comes first.
        """
        region = self._shards.region(shard)
        async with self._acting_for(check_tenant(tenant), Place()) as transaction:
            await transaction.execute(_sql("place"), tenant, region, shard, mode)
        return await self.placement(tenant)

    @asynccontextmanager
    async def _acting_for(self, tenant: str, place: Place) -> AsyncIterator[Transaction]:
        context: Mapping[str, str] = {
            "search_path": search_path(place),
            "kilocam.tenant": tenant,
            # Wall time of the machine, as the database's own `now()` is; never a test's clock.
            "kilocam.proof": self._signer.proof(tenant, int(time.time())),
        }
        async with self._shards.pool(place.shard).transaction(context) as transaction:
            yield transaction

    def _remember(self, tenant: str, placement: Placement) -> Placement:
        self._known[tenant] = (self._clock.monotonic_us(), placement)
        self._known.move_to_end(tenant)
        if len(self._known) > _KNOWN_MOST:
            self._known.popitem(last=False)
        return placement


def _sql(name: str) -> str:
    return load_queries("kilocam.database")[name]
