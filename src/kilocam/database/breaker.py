"""Fails at once while the database is known to be down, and probes it with one call at a time."""

import random

from kilocam.core import Clock

_FIRST_US = 250_000
_LONGEST_US = 5_000_000


class Breaker:
    """Closed: every call passes. Open: none passes until a moment; then one probes.

    The wait doubles with each failure up to 5 s, spread by a random factor.
    """

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._failures = 0
        self._next_try_us = 0

    @property
    def is_open(self) -> bool:
        """Whether the last that was heard of the database is a failure."""
        return self._failures > 0

    def admit(self) -> bool:
        """Whether a call may go to the database now; while open, true for one probe at a time."""
        if not self._failures:
            return True
        now = self._clock.monotonic_us()
        if now < self._next_try_us:
            return False
        self._next_try_us = now + self._wait_us()
        return True

    def succeeded(self) -> None:
        """The database answered."""
        self._failures = 0

    def failed(self) -> None:
        """The database could not be reached or did not answer."""
        self._failures += 1
        self._next_try_us = self._clock.monotonic_us() + self._wait_us()

    def _wait_us(self) -> int:
        longest = min(_FIRST_US << min(self._failures, 10), _LONGEST_US)
        return int(longest * self._rng.uniform(0.5, 1.0))
