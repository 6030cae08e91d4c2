"""The time by which footage is old (P10): never what a clock says that has just stepped.

A clock set eight days ahead by mistake must not delete a week. So time passes here as the boot-time
clock does, and a wall clock more than `TOLERANCE_US` off is believed only once it has stood so for
`CONFIRM_US` of running. Where this time stood is remembered beside the log, since footage recorded
by a wrong clock would vouch for it after a restart.
"""

import logging
import time

from kilocam.core import Clock, SystemClock

TOLERANCE_US = 600 * 1_000_000
"""NTP sets a clock, a machine reboots: what is believed at once."""
CONFIRM_US = 24 * 3600 * 1_000_000
"""A day in which somebody may notice; after a long power-off footage goes a day later."""
_log = logging.getLogger(__name__)


class SleepingClock(SystemClock):
    """Counts the time a machine sleeps: each night's would else be a step of the wall clock."""

    def monotonic_us(self) -> int:
        """CLOCK_BOOTTIME in microseconds."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class AgeClock:
    """Never ahead of the wall clock; when in doubt behind it, so that footage is kept for longer.

    Of a clock that is behind (no battery, not yet set) the same is held: believed at once in that
    nothing is old by it, but what was known before stands until it has been behind for long.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._trusted: int | None = None
        self._doubt = 0
        """How long the wall clock has been off, of time in which a recorder ran."""
        self._off = 0
        self._ticked: int | None = None

    def resume(self, memory: bytes) -> None:
        """Go on from what was remembered; of several memories, and of own time, the newest."""
        try:
            trusted, doubt = map(int, memory.split())
        except ValueError:
            return  # a new path, or one torn by a power cut: the newest footage has to do
        if self._trusted is None or trusted > self._trusted:
            self._trusted, self._doubt = trusted, doubt

    def memory(self) -> bytes:
        """To be remembered; of one length, so that it is overwritten in place."""
        return f"{self._trusted or 0:020d} {self._doubt:020d}\n".encode()

    def tick(self, newest_us: int | None) -> int:
        """The time now; `newest_us` is the newest moment stored, where nothing is remembered."""
        wall, ticked = self._clock.wall_us(), self._clock.monotonic_us()
        first = self._ticked is None
        elapsed = 0 if self._ticked is None else ticked - self._ticked
        self._ticked = ticked
        if self._trusted is None:
            self._trusted = wall if newest_us is None else newest_us
        self._trusted += elapsed
        off = wall - self._trusted
        if abs(off - self._off) > TOLERANCE_US:
            self._stepped(off, first=first)
        if abs(off) > TOLERANCE_US:
            self._doubt += elapsed
        if abs(off) <= TOLERANCE_US or self._doubt >= CONFIRM_US:
            self._trusted, self._doubt, off = wall, 0, 0
        self._off = off
        return min(self._trusted, wall)

    def _stepped(self, off: int, *, first: bool) -> None:
        if not first:  # a restart does not end a doubt: some machines are off each night
            self._doubt = 0
        if off > TOLERANCE_US:
            _log.warning(
                "the clock is %d minutes ahead of the log: what is too old by it is deleted after "
                "a day of running; set the clock if it is wrong",
                off // 60_000_000,
            )
