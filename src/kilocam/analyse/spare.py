"""Time for what is done only if there is time for it: a token bucket of workers' time."""

from kilocam.core import Clock


class SpareTime:
    """Earns a share of the time that passes; what is spent beyond it has to be earned first.

    Args:
        share: earned, of the time that passes; over 1 with several workers.
        most_us: saved up at most, and there from the beginning.
        clock: tells how much passes.
    """

    def __init__(self, share: float, most_us: int, clock: Clock) -> None:
        self._share = share
        self._most_us = float(most_us)
        self._left_us = self._most_us
        self._clock = clock
        self._at_us = clock.monotonic_us()

    @property
    def left(self) -> bool:
        """Whether there is any."""
        now_us = self._clock.monotonic_us()
        earned_us = (now_us - self._at_us) * self._share
        self._left_us = min(self._most_us, self._left_us + earned_us)
        self._at_us = now_us
        return self._left_us > 0

    def spend(self, cost_us: int) -> None:
        """Something was done that took so much of a worker's time."""
        self._left_us -= cost_us
