"""Trying again until it works: what is away comes back, and windows wait meanwhile."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final, TypeVar

from kilocam.analyse.errors import FootageError, NotYet, Refused
from kilocam.analyse.pictures import Footage
from kilocam.analyse.seams import FootageSource
from kilocam.core import CameraKey, KilocamError

_log = logging.getLogger(__name__)

PASSING = (KilocamError, OSError, TimeoutError)
"""What a queue, a database or a recorder that is away raises; tried again."""
TELL_EVERY = 10
"""Of failures in a row, one in so many is written to the log."""

ATTEMPTS = 5
"""To keep what can be gone without: who is away for longer does not get it."""

_T = TypeVar("_T")


class Outcome(Enum):
    """Of an attempt that gives nothing."""

    FAILED = auto()


FAILED: Final = Outcome.FAILED


async def read_footage(
    source: FootageSource, key: CameraKey, from_us: int, to_us: int, limit_s: float
) -> Footage:
    """Stored footage, or why there is none now.

    Raises:
        FootageError: it takes longer than `limit_s`, or whoever has it is away.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await source.read(key, from_us, to_us)
    except PASSING as error:
        raise FootageError(f"camera {key}: footage cannot be read: {error}") from error


class Patience:
    """Counts failures by what failed, tells them now and then, waits a little longer each time.

    Args:
        limit_s: what one attempt may take.
        again_s: waits after the first failure in a row, the second ...; the last one stays.
    """

    def __init__(self, limit_s: float, again_s: tuple[float, ...]) -> None:
        self._limit_s = limit_s
        self._again_s = again_s
        self._failures: dict[str, int] = {}
        self.troubles: Counter[str] = Counter()
        """What had to be tried again, by what it was."""

    async def attempt(self, what: str, call: Awaitable[_T]) -> _T | Outcome:
        """What the call gives; `FAILED` after a failure that passes, counted and waited over.

        Raises:
            NotYet, Refused: it is about what was handed in, not about who takes it.
        """
        try:
            async with asyncio.timeout(self._limit_s):
                given = await call
        except (NotYet, Refused):
            raise
        except PASSING as error:
            await self.after(what, error)
            return FAILED
        self._failures.pop(what, None)
        return given

    async def insist(self, what: str, call: Callable[[], Awaitable[_T]]) -> _T | Outcome:
        """What the call gives, made some times over; `FAILED` when it failed each time.

        Raises:
            NotYet, Refused: as of `attempt`.
        """
        for _ in range(ATTEMPTS):
            given = await self.attempt(what, call())
            if not isinstance(given, Outcome):
                return given
        return FAILED

    async def after(self, what: str, error: Exception) -> None:
        """Wait after a failure."""
        self.troubles[what] += 1
        failures = self._failures.get(what, 0)
        self._failures[what] = failures + 1
        if failures % TELL_EVERY == 0:
            reason = str(error) or type(error).__name__
            _log.warning("analysis: %s failed, trying again: %s", what, reason)
        await asyncio.sleep(self._again_s[min(failures, len(self._again_s) - 1)])
