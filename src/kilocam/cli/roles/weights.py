"""How much sooner than others a camera is looked at where time is short.

A tenant's weight stands in the configuration, a camera's in the database: that is asked for the
tenants whose cameras are looked at, now and then; while it is away the weights known last hold.
"""

import asyncio
import logging
from collections.abc import Mapping

from kilocam.analyse import Glance
from kilocam.core import CameraKey
from kilocam.database import Database, DatabaseError
from kilocam.fleet import weights_of

_log = logging.getLogger(__name__)
_AGAIN_S = 30.0


class Weights:
    """A `Companion` of the analyst; `run` it beside.

    Args:
        database: where cameras are.
        of_tenants: 1 where a tenant is missing.
    """

    def __init__(self, database: Database, of_tenants: Mapping[str, float]) -> None:
        self._database = database
        self._of_tenants = of_tenants
        self._tenants: set[str] = set()
        self._of_cameras: dict[CameraKey, float] = {}
        self._problem = ""

    def of(self, key: CameraKey) -> float:
        """A camera's weight, times that of its tenant."""
        # Few different weights keep the scheduler's queues few.
        weight = self._of_tenants.get(key.tenant, 1.0) * self._of_cameras.get(key, 1.0)
        return round(weight, 2)

    def looked(self, glance: Glance) -> None:
        """A look was done: its tenant has cameras here."""
        self._tenants.add(glance.key.tenant)

    def dropped(self, partition: int) -> None:
        """Others may have cameras of the same tenants: they stay known."""

    async def run(self) -> None:
        """Keep them up to date until cancelled."""
        while True:
            await asyncio.sleep(_AGAIN_S if self._tenants else 1.0)
            await self.refresh()

    async def refresh(self) -> None:
        """Ask for all known tenants."""
        for tenant in sorted(self._tenants):
            try:
                async with self._database.for_tenant(tenant) as transaction:
                    found = await weights_of(transaction)
            except DatabaseError as error:
                if str(error) != self._problem:
                    _log.warning("weights of cameras of tenant %r stay: %s", tenant, error)
                self._problem = str(error)
                continue
            others = {k: v for k, v in self._of_cameras.items() if k.tenant != tenant}
            ours = {CameraKey(tenant, camera): weight for camera, weight in found.items()}
            self._of_cameras = others | ours
