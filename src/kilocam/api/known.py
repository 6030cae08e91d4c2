"""Which cameras there are, for those who must know it while the database is dead."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from kilocam.core import CameraKey, check_id
from kilocam.fleet import Fleet


class RecordedCameras(Protocol):
    """Cameras that recorders speak of now."""

    async def figures(self) -> Mapping[CameraKey, object]:
        """Each of them, with what is said of it."""
        ...


class KnownCameras:
    """Asks those who need no database first: the recorders, the log, and only then the fleet.

    Args:
        recorded: what recorders speak of.
        stored: cameras of which footage is stored (blocking).
        fleet: every camera.
    """

    def __init__(
        self,
        recorded: RecordedCameras,
        stored: Callable[[], Collection[CameraKey]],
        fleet: Fleet,
    ) -> None:
        self._recorded = recorded
        self._stored = stored
        self._fleet = fleet

    async def key(self, tenant: str, camera: str) -> CameraKey:
        """The camera's key.

        Raises:
            ConfigError: the id is malformed.
            NotFound: there is no such camera, and no footage of one.
            Unavailable: nobody but the database could know it, and that is away.
        """
        key = CameraKey(tenant, check_id("camera", camera))
        if key in await self._recorded.figures():
            return key
        if key not in await asyncio.to_thread(self._stored):
            await self._fleet.camera(tenant, camera)
        return key
