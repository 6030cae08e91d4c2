"""The edge of endless tasks: whatever one raises is counted and logged, and it starts again.

An odd answer of the server must not end what nobody looks at any more: a bus that is never
connected again, leases that are never renewed and never revoked.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

_REST_S = 1.0
_TELL_EVERY = 10

_log = logging.getLogger(__name__)


class Edge:
    """Keeps endless work going; `faults` counts how often it had to."""

    def __init__(self, rest_s: float = _REST_S) -> None:
        self._faults: Counter[str] = Counter()
        self._rest_s = rest_s

    @property
    def faults(self) -> int:
        """How often anything had to be started again."""
        return self._faults.total()

    async def keep(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` for ever."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - the edge of a task
                await self.note(what, error)
            else:
                await self.note(what, RuntimeError("it ended by itself"))

    async def note(self, what: str, error: Exception) -> None:
        """Count and log what `work` did not expect, and rest a little."""
        if self._faults[what] % _TELL_EVERY == 0:
            _log.error("%s failed and starts again", what, exc_info=error)
        self._faults[what] += 1
        await asyncio.sleep(self._rest_s)
