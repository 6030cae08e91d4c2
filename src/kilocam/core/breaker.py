"""Fails at once while somebody else's server is known to be down, and probes it now and then."""

import random

from kilocam.core.clock import Clock

_FIRST_US = 250_000
_LONGEST_US = 5_000_000


class Breaker:
    """Closed: every call passes. Open: none passes until a moment; then one probes.

    The wait doubles with each failure, spread by a random factor.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        first_us: int = _FIRST_US,
        longest_us: int = _LONGEST_US,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._first_us, self._longest_us = first_us, longest_us
        self._failures = 0
        self._next_try_us = 0

    @property
    def is_open(self) -> bool:
        """Whether the last that was heard of the server is a failure."""
        return self._failures > 0

    def admit(self) -> bool:
        """Whether a call may go out now; while open, true for one probe at a time."""
        if not self._failures:
            return True
        now = self._clock.monotonic_us()
        if now < self._next_try_us:
            return False
        self._next_try_us = now + self._wait_us()
        return True

    def succeeded(self) -> None:
        """The server answered."""
        self._failures = 0

    def failed(self, least_us: int = 0) -> None:
        """It could not be reached, did not answer, or asked to be left alone for so long."""
        self._failures += 1
        self._next_try_us = self._clock.monotonic_us() + max(self._wait_us(), least_us)

    def _wait_us(self) -> int:
        longest = min(self._first_us << min(self._failures, 10), self._longest_us)
        return int(longest * self._rng.uniform(0.5, 1.0))
