"""When to try again, and how many at once: backoff with full jitter, limits and breakers.

A site that comes back after a power cut meets a thousand handshakes; a camera that answers 401 must
not be hammered into locking its account. Full jitter after Brooker, "Exponential Backoff And
Jitter" (2015).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from kilocam.core import Clock, GapCause

HANDSHAKES_PER_HOST = 50
HANDSHAKES_PER_SECOND = 500
"""A recorder that starts again has 1000 cameras back in 2 s."""
BASE_S = 0.5
CAP_S = 8.0
CALM_S = {GapCause.UNAUTHORIZED: 120.0, GapCause.NOT_FOUND: 30.0}
PROBE_US = 30_000_000
"""A prober that has not reported by then was removed; another camera may try."""
HOST_CAUSES = frozenset({GapCause.REFUSED, GapCause.TIMED_OUT})


def backoff_s(failures: int, cause: GapCause, random: Random) -> float:
    """Seconds to wait after `failures` failures in a row, the last one with `cause`."""
    calm = CALM_S.get(cause)
    if calm is not None:
        return random.uniform(calm / 2, calm)
    if cause is GapCause.SILENT:  # 10 s and more were waited for it already
        failures = 0
    return random.uniform(0, min(CAP_S, BASE_S * 2.0 ** min(failures, 10)))


class _Host:
    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(HANDSHAKES_PER_HOST)
        self.failing_since_us = 0
        self.probing_since_us = 0
        self.users = 0


class Pacing:
    """Hands out permission to shake hands: per host and per second.

    While a whole host refuses or does not answer, one camera at a time finds out whether it is
    back; the others learn it from that one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hosts: dict[str, _Host] = {}
        self._next_us = 0

    @asynccontextmanager
    async def permit(self, host: str) -> AsyncIterator[None]:
        """Hold one of the host's slots, at most `HANDSHAKES_PER_SECOND` new ones a second."""
        entry = self._hosts.setdefault(host, _Host())
        entry.users += 1
        try:
            async with entry.slots:
                await self._tick()
                yield
        finally:
            entry.users -= 1
            if not entry.users and not entry.failing_since_us:
                self._hosts.pop(host, None)

    def may_try(self, host: str) -> bool:
        """Whether a camera of `host` may try now; while the host fails, only one prober may."""
        entry = self._hosts.get(host)
        if entry is None or not entry.failing_since_us:
            return True
        now = self._clock.monotonic_us()
        if entry.probing_since_us and now - entry.probing_since_us < PROBE_US:
            return False
        entry.probing_since_us = now
        return True

    def report(self, host: str, cause: GapCause | None) -> None:
        """Tell how an attempt on `host` ended; None is success."""
        entry = self._hosts.get(host)
        if cause in HOST_CAUSES:
            entry = entry or self._hosts.setdefault(host, _Host())
            entry.failing_since_us = entry.failing_since_us or self._clock.monotonic_us()
            entry.probing_since_us = 0
        elif entry is not None:
            entry.failing_since_us = 0
            entry.probing_since_us = 0
            if not entry.users:
                self._hosts.pop(host, None)

    async def _tick(self) -> None:
        now = self._clock.monotonic_us()
        self._next_us = max(self._next_us, now) + 1_000_000 // HANDSHAKES_PER_SECOND
        wait = self._next_us - now
        if wait > 1000:  # less is below the loop's resolution
            await asyncio.sleep(wait / 1e6)
