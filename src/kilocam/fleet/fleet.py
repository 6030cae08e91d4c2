"""Tenants and cameras: what may be done with them, each time noted in the event store."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from kilocam.core import Clock, SystemClock, check_id
from kilocam.database import SYSTEM, Database, Row, Transaction
from kilocam.fleet.camera_state import CameraStates, shown
from kilocam.fleet.errors import Conflict, Invalid, NotFound, fleet_errors
from kilocam.fleet.events import (
    CAMERA_ADDED,
    CAMERA_CHANGED,
    CAMERA_REMOVED,
    TENANT_ADDED,
    append,
    sql,
)
from kilocam.fleet.keys import Keyring
from kilocam.fleet.paging import check_limit, page
from kilocam.fleet.rules import Rules
from kilocam.fleet.sealing import Seal
from kilocam.fleet.tokens import Tokens
from kilocam.fleet.values import (
    Camera,
    CameraChange,
    CameraInput,
    FleetEvent,
    Page,
    Tenant,
)

_NAME_MOST = 200
_LAST = 2**63 - 1


async def weights_of(transaction: Transaction) -> Mapping[str, float]:
    """Weights of the tenant's cameras that differ from 1."""
    return {row["id"]: row["weight"] for row in await transaction.fetch(sql("weights"))}


class Fleet:
    """Everything acts for one tenant, given first; `actor` is noted in the event store.

    Any operation raises `Unavailable` while the database is away and `NotFound` for a tenant that
    does not exist.
    """

    def __init__(self, database: Database, keyring: Keyring, clock: Clock | None = None) -> None:
        self._database = database
        self._states = CameraStates(Seal(keyring))
        self.tokens = Tokens(database, clock or SystemClock())
        self.rules = Rules(database)

    # Tenants

    async def ensure_tenant(self, tenant: str, *, actor: str, name: str = "") -> bool:
        """Adds a tenant unless it exists; whether it was added.

        Repeating it after a crash completes what was begun.
        """
        try:
            await self.add_tenant(tenant, actor=actor, name=name)
        except Conflict:
            return False
        return True

    async def add_tenant(self, tenant: str, *, actor: str, name: str = "") -> Tenant:
        """Adds a tenant in the home shard.

        Raises:
            Conflict: it exists.
            Invalid: its id or name cannot be taken.
        """
        with fleet_errors():
            check_id("tenant", tenant)
            if len(name) > _NAME_MOST:
                raise Invalid(f"tenant {tenant!r}: the name is longer than {_NAME_MOST} characters")
            await self._database.place(tenant)
        aggregate = f"tenant/{tenant}"
        async with self._for(SYSTEM) as transaction:
            if await transaction.fetchval(sql("last_version"), SYSTEM, aggregate):
                raise Conflict(f"tenant {tenant!r} exists already")
            event = await append(
                transaction, tenant=SYSTEM, aggregate=aggregate, version=1, kind=TENANT_ADDED,
                data={"name": name}, actor=actor,
            )  # fmt: skip
        return Tenant(id=tenant, name=name, created_us=event.at_us)

    async def tenants(self, *, cursor: str | None = None, limit: int = 100) -> Page[Tenant]:
        """A page of all tenants by id."""
        async with self._for(SYSTEM) as transaction:
            rows = await transaction.fetch(
                sql("tenants"), SYSTEM, cursor or "", check_limit(limit) + 1
            )
        return page([Tenant(**row) for row in rows], limit, lambda tenant: tenant.id)

    # Cameras

    async def add_camera(
        self, tenant: str, camera: CameraInput, *, actor: str, declared: bool = False
    ) -> Camera:
        """Adds a camera.

        Raises:
            Conflict: the id is taken.
            Invalid: an id, an address or a duration cannot be taken.
        """
        with fleet_errors():
            check_id("camera", camera.id)
        data = {**self._states.state(tenant, camera), "declared": declared}
        aggregate = f"camera/{camera.id}"
        async with self._for(tenant) as transaction:
            # The version first: who adds the same camera meanwhile is either seen or takes it.
            version = 1 + await transaction.fetchval(sql("last_version"), tenant, aggregate)
            if await transaction.fetchrow(sql("camera"), tenant, camera.id):
                raise Conflict(f"camera {camera.id!r} exists already in tenant {tenant!r}")
            await append(
                transaction, tenant=tenant, aggregate=aggregate, version=version,
                kind=CAMERA_ADDED, data=data, actor=actor,
            )  # fmt: skip
            return shown(await self._row(transaction, tenant, camera.id))

    async def cameras(
        self, tenant: str, *, cursor: str | None = None, limit: int = 100
    ) -> Page[Camera]:
        """A page of the tenant's cameras by id."""
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(
                sql("cameras"), tenant, cursor or "", check_limit(limit) + 1
            )
        return page([shown(row) for row in rows], limit, lambda camera: camera.id)

    async def camera(self, tenant: str, camera: str) -> Camera:
        """One camera.

        Raises:
            NotFound: there is none with this id.
        """
        async with self._for(tenant) as transaction:
            return shown(await self._row(transaction, tenant, camera))

    async def update_camera(
        self,
        tenant: str,
        camera: str,
        change: CameraChange,
        *,
        actor: str,
        expected: int | None = None,
    ) -> Camera:
        """Changes a camera; `expected` is the version the change was decided on.

        An address given back as it was shown (without credentials) stays as it is.

        Raises:
            NotFound: there is none with this id.
            Conflict: its version is not `expected`, or it is declared in the configuration file.
            Invalid: a value cannot be taken.
        """
        async with self._for(tenant) as transaction:
            row = await self._row(transaction, tenant, camera)
            _check_free(row, expected)
            wanted = self._states.changed(row, change)
            await self._store(transaction, row, wanted, declared=False, actor=actor)
            return shown(await self._row(transaction, tenant, camera))

    async def remove_camera(
        self, tenant: str, camera: str, *, actor: str, expected: int | None = None
    ) -> None:
        """Removes a camera; its footage stays as long as its retention says.

        Raises:
            NotFound: there is none with this id.
            Conflict: its version is not `expected`, or it is declared in the configuration file.
        """
        async with self._for(tenant) as transaction:
            row = await self._row(transaction, tenant, camera)
            _check_free(row, expected)
            await _remove(transaction, row, actor)

    async def history(
        self,
        tenant: str,
        *,
        aggregate: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[FleetEvent, ...]:
        """What happened, newest first: the audit log. `before` is an event's id."""
        async with self._for(tenant) as transaction:
            rows = await transaction.fetch(
                sql("events_before"), tenant, _LAST if before is None else before, aggregate,
                check_limit(limit),
            )  # fmt: skip
        return tuple(FleetEvent(**row) for row in rows)

    async def declare(
        self, tenant: str, cameras: Sequence[CameraInput], *, actor: str
    ) -> tuple[int, int, int]:
        """Makes the tenant's declared cameras exactly these: added, changed, removed.

        What is declared wins over what was there under its id; a camera declared before and not
        now is removed; cameras that were never declared are left alone.
        """
        added = changed = removed = 0
        async with self._for(tenant) as transaction:
            before = {row["id"] for row in await transaction.fetch(sql("declared_cameras"), tenant)}
            for camera in cameras:
                row = await transaction.fetchrow(sql("camera"), tenant, camera.id)
                if row is None:
                    added += 1
                    await self._declare_new(transaction, tenant, camera, actor)
                elif await self._store(transaction, row, camera, declared=True, actor=actor):
                    changed += 1
            for vanished in sorted(before - {camera.id for camera in cameras}):
                removed += 1
                await _remove(transaction, await self._row(transaction, tenant, vanished), actor)
        return added, changed, removed

    # What they are made of

    @asynccontextmanager
    async def _for(self, tenant: str) -> AsyncIterator[Transaction]:
        with fleet_errors():
            async with self._database.for_tenant(tenant) as transaction:
                yield transaction

    async def _row(self, transaction: Transaction, tenant: str, camera: str) -> Row:
        row = await transaction.fetchrow(sql("camera"), tenant, camera)
        if row is None:
            raise NotFound(f"camera {camera!r} does not exist in tenant {tenant!r}")
        return row

    async def _declare_new(
        self, transaction: Transaction, tenant: str, camera: CameraInput, actor: str
    ) -> None:
        aggregate = f"camera/{camera.id}"
        version = 1 + await transaction.fetchval(sql("last_version"), tenant, aggregate)
        await append(
            transaction, tenant=tenant, aggregate=aggregate, version=version, kind=CAMERA_ADDED,
            data={**self._states.state(tenant, camera), "declared": True}, actor=actor,
        )  # fmt: skip

    async def _store(
        self,
        transaction: Transaction,
        row: Row,
        wanted: CameraInput,
        *,
        declared: bool,
        actor: str,
    ) -> bool:
        """Notes the change, if it is one."""
        if self._states.same(row, wanted) and row["declared"] == declared:
            return False
        await append(
            transaction,
            tenant=row["tenant"],
            aggregate=f"camera/{row['id']}",
            version=row["version"] + 1,
            kind=CAMERA_CHANGED,
            data={**self._states.state(row["tenant"], wanted), "declared": declared},
            actor=actor,
        )
        return True


def _check_free(row: Row, expected: int | None) -> None:
    """The camera may be changed by hand, and is the one that was read."""
    if row["declared"]:
        raise Conflict(
            f"camera {row['id']!r} is declared in the configuration file: change it there"
        )
    if expected is not None and row["version"] != expected:
        raise Conflict(
            f"camera {row['id']!r} has version {row['version']}, not {expected}: "
            "read it again and repeat"
        )


async def _remove(transaction: Transaction, row: Row, actor: str) -> None:
    await append(
        transaction,
        tenant=row["tenant"],
        aggregate=f"camera/{row['id']}",
        version=row["version"] + 1,
        kind=CAMERA_REMOVED,
        data={},
        actor=actor,
    )
