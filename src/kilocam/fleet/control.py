"""What control does with all tenants at once: the declared cameras, assignments, rebuilding."""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kilocam.core import CameraKey
from kilocam.core.settings import CameraSettings
from kilocam.database import ControlDatabase, Place, Transaction
from kilocam.fleet.camera_state import CameraStates
from kilocam.fleet.errors import Unsealable, fleet_errors
from kilocam.fleet.events import project, sql
from kilocam.fleet.fleet import Fleet
from kilocam.fleet.keys import Keyring
from kilocam.fleet.sealing import Seal
from kilocam.fleet.values import DEFAULT_TENANT, Assignment, CameraInput, FleetEvent

_log = logging.getLogger(__name__)
_REBUILD_BATCH = 500
_Opened = tuple[tuple[object, ...], Assignment]
CONFIG = "configuration file"
"""The actor of what the configuration file declares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What applying the configuration file changed."""

    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignments:
    """Every enabled camera, and those whose address cannot be read with the keys there are."""

    cameras: tuple[Assignment, ...]
    sealed: tuple[CameraKey, ...]


class FleetControl:
    """All tenants; held by the control role only."""

    def __init__(self, control: ControlDatabase, fleet: Fleet, keyring: Keyring) -> None:
        self._control = control
        self._fleet = fleet
        self._states = CameraStates(Seal(keyring))
        self._opened: dict[CameraKey, _Opened] = {}
        """Of the last assignments, each with the row it was made of: they are asked for again and
        again, and to unseal a thousand takes a while."""

    async def apply_declared(self, cameras: Sequence[CameraSettings]) -> Declared:
        """Makes the declared cameras of all tenants those of the configuration file.

        Adds the tenants it names, and the default one. Repeating it changes nothing.
        """
        wanted: dict[str, list[CameraInput]] = defaultdict(list)
        for camera in cameras:
            wanted[camera.tenant].append(_input(camera))
        for tenant in sorted({*wanted, DEFAULT_TENANT}):
            await self._fleet.ensure_tenant(tenant, actor=CONFIG)
        totals = [0, 0, 0]
        for tenant in sorted({*wanted, *await self._with_declared()}):
            counts = await self._fleet.declare(tenant, wanted[tenant], actor=CONFIG)
            totals = [total + count for total, count in zip(totals, counts, strict=True)]
        return Declared(added=totals[0], changed=totals[1], removed=totals[2])

    async def assignments(self) -> Assignments:
        """What recorders are to record, with credentials."""
        cameras: list[Assignment] = []
        sealed: list[CameraKey] = []
        opened: dict[CameraKey, _Opened] = {}
        for place in await self._places():
            async with self._everything(place) as transaction:
                rows = await transaction.fetch(sql("enabled_cameras"))
            for row in rows:
                key, stored = CameraKey(row["tenant"], row["id"]), tuple(row.values())
                known, assignment = self._opened.get(key, ((), None))
                try:
                    if assignment is None or known != stored:
                        assignment = self._states.assignment(row)
                except Unsealable as error:
                    _log.warning("%s", error)
                    sealed.append(key)
                else:
                    opened[key] = stored, assignment
                    cameras.append(assignment)
        self._opened = opened
        return Assignments(cameras=tuple(cameras), sealed=tuple(sealed))

    async def rebuild(self) -> int:
        """Makes tenants, cameras and tokens again from the event store; how many events it read.

        One transaction a place: nobody sees half of it, and whoever writes meanwhile waits.
        """
        count = 0
        for place in await self._places():
            async with self._everything(place) as transaction:
                count += await _rebuild(transaction)
        return count

    async def _with_declared(self) -> set[str]:
        tenants: set[str] = set()
        for place in await self._places():
            async with self._everything(place) as transaction:
                rows = await transaction.fetch(sql("tenants_with_declared_cameras"))
            tenants |= {row["tenant"] for row in rows}
        return tenants

    async def _places(self) -> list[Place]:
        with fleet_errors():
            return await self._control.places()

    @asynccontextmanager
    async def _everything(self, place: Place) -> AsyncIterator[Transaction]:
        with fleet_errors():
            async with self._control.everything(place) as transaction:
                yield transaction


async def _rebuild(transaction: Transaction) -> int:
    for statement in (
        "hold_projections",
        "clear_tenants",
        "clear_cameras",
        "clear_tokens",
        "clear_rules",
    ):
        await transaction.execute(sql(statement))
    count, last = 0, 0
    while rows := await transaction.fetch(sql("events_after"), last, _REBUILD_BATCH):
        for row in rows:
            await project(transaction, FleetEvent(**row))
        count, last = count + len(rows), rows[-1]["id"]
    return count


def _input(camera: CameraSettings) -> CameraInput:
    return CameraInput(
        id=camera.id,
        url=camera.url,
        detect_url=camera.detect_url,
        transport=camera.transport,
        keep_us=camera.keep,
        weight=camera.weight,
    )
