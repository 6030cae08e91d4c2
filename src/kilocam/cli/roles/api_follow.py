"""What a watched camera sends, as it comes, and the hint that has it read with short turns."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Protocol

from kilocam.core import CameraKey, KilocamError, Piece, Session

HINT_EVERY_S = 4.0
HINT_FOR_S = 8.0
_log = logging.getLogger(__name__)


class Recorder(Protocol):
    """Who is followed; `ranges.RangesClient` is one."""

    def follow(self, key: CameraKey) -> AsyncIterator[tuple[Session, Piece]]:
        """Pieces from now on."""
        ...

    async def eager(self, key: CameraKey, seconds: float) -> None:
        """Read this camera with short turns for a while."""
        ...


class EagerFollow:
    """A `playback.FollowSource` that keeps a camera eager while it is followed."""

    def __init__(self, recorder: Recorder, *, every_s: float = HINT_EVERY_S) -> None:
        self._recorder = recorder
        self._every_s = every_s

    async def follow(self, key: CameraKey) -> AsyncIterator[tuple[Session, Piece]]:
        """Pieces from now on; ends when the recorder stops."""
        hinting = asyncio.create_task(self._hint(key))
        try:
            async with aclosing(self._recorder.follow(key)) as parts:  # type: ignore[type-var]  # a generator
                async for part in parts:
                    yield part
        finally:
            hinting.cancel()
            await asyncio.wait({hinting})

    async def _hint(self, key: CameraKey) -> None:
        while True:
            try:
                await self._recorder.eager(key, HINT_FOR_S)
            except KilocamError as error:
                _log.debug("camera %s is read without haste: %s", key, error)
            await asyncio.sleep(self._every_s)
