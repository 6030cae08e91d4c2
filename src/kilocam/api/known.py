"""Which cameras there are, for those who must know it while the database is dead."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from kilocam.core import CameraKey, check_id
from kilocam.fleet import Fleet, NotFound


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
        seen: which of a tenant's cameras something is known of that was seen, removed ones too.
    """

    def __init__(
        self,
        recorded: RecordedCameras,
        stored: Callable[[], Collection[CameraKey]],
        fleet: Fleet,
        seen: Callable[[str, Collection[str]], Awaitable[Collection[str]]] | None = None,
    ) -> None:
        self._recorded = recorded
        self._stored = stored
        self._fleet = fleet
        self._seen = seen

    async def unknown(self, tenant: str, cameras: Collection[str]) -> tuple[str, ...]:
        """Those of `cameras` of which nobody knows and nothing was ever seen.

        Raises:
            ConfigError: an id is malformed.
            Unavailable: nobody but the database could know it, and that is away.
        """
        recorded = await self._recorded.figures()
        keys = [CameraKey(tenant, check_id("camera", camera)) for camera in cameras]
        keys = [key for key in keys if key not in recorded]
        if keys:
            stored = await asyncio.to_thread(self._stored)
            keys = [key for key in keys if key not in stored]
        names = [key.camera for key in keys if not await self._in_fleet(key)]
        if names and self._seen is not None:
            seen = await self._seen(tenant, names)
            names = [name for name in names if name not in seen]
        return tuple(names)

    async def _in_fleet(self, key: CameraKey) -> bool:
        try:
            await self._fleet.camera(key.tenant, key.camera)
        except NotFound:
            return False
        return True

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
