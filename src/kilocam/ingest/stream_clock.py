"""From media time to wall time: when was this frame really taken?

Camera clocks step, drift and lie (quirks 21 and 22), so only arrival is believed. The start of the
media timeline is the minimum, over a sliding minute, of (arrival - media time): the packet that was
delayed least. The mapping follows that minimum by at most 500 ppm, so that time never visibly
stretches, and steps only when it is off by over a second, which is a discontinuity of the media.
After Moonfire NVR's `design/time.md`.
"""

from collections import deque

WINDOW_US = 60_000_000
BUCKET_US = 5_000_000
MAX_BEND_PPM = 500
STEP_US = 1_000_000
SETTLING_US = 5_000_000


class StreamClock:
    """Maps the media time of one session's reference track to wall time; all in microseconds."""

    __slots__ = ("_buckets", "_last_us", "_low", "_low_until", "_offset", "_started_us", "_steady")

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int]] = deque()
        self._started_us = self._last_us = 0
        self._low = self._low_until = 0
        self._offset: int | None = None
        self._steady = False
        """The mapping is where it should be; only a new minimum or bucket can move it."""

    def observe(self, media_us: int, arrival_us: int) -> bool:
        """Learn that `media_us` had arrived by `arrival_us`; True when the mapping had to step."""
        delta = arrival_us - media_us
        if self._steady and delta >= self._low and arrival_us < self._low_until:
            self._last_us = arrival_us
            return False
        if self._offset is None:
            self._restart(delta, arrival_us)
            return False
        # Runs for every piece: comparisons, cheaper than `min` and `max`.
        if delta < self._low:  # noqa: PLR1730
            self._low = delta
        target = self._low
        if self._buckets and self._buckets[0][1] < target:
            target = self._buckets[0][1]
        turned = arrival_us >= self._low_until
        if turned:
            self._turn_bucket(delta, arrival_us)
        error = target - self._offset
        if -STEP_US <= error <= STEP_US:
            if error < 0 and arrival_us - self._started_us < SETTLING_US:
                self._offset = target  # a server's opening burst: still finding the least delay
            else:
                bend = (arrival_us - self._last_us) * MAX_BEND_PPM // 1_000_000
                self._offset += max(-bend, min(bend, error))
            self._last_us = arrival_us
            self._steady = self._offset == target and not turned
            return False
        self._restart(min(delta, self._low), arrival_us)
        return True

    def restart(self, media_us: int, arrival_us: int) -> None:
        """Begin anew: the media time jumped."""
        self._restart(arrival_us - media_us, arrival_us)

    def wall_us(self, media_us: int) -> int:
        """Wall time at which `media_us` was taken; `observe` must have been called before."""
        if self._offset is None:
            raise RuntimeError("wall_us before the first observe")
        return media_us + self._offset

    def _restart(self, delta: int, arrival_us: int) -> None:
        self._offset = self._low = delta
        self._buckets.clear()
        self._started_us = self._last_us = arrival_us
        self._steady = False
        self._low_until = arrival_us + BUCKET_US

    def _turn_bucket(self, delta: int, arrival_us: int) -> None:
        # A monotonic queue: its front is the minimum of all buckets that are not too old.
        while self._buckets and self._buckets[-1][1] >= self._low:
            self._buckets.pop()
        self._buckets.append((arrival_us, self._low))
        while self._buckets[0][0] < arrival_us - WINDOW_US:
            self._buckets.popleft()
        self._low, self._low_until = delta, arrival_us + BUCKET_US


class ArrivalClock:
    """Wall time that never jumps: the monotonic clock, bent after the wall clock by 500 ppm.

    A wall clock that was set (over a second off) is followed at once; stream clocks then step and
    mark the discontinuity.
    """

    def __init__(self, wall_us: int, monotonic_us: int) -> None:
        self._offset = wall_us - monotonic_us
        self._last_us = monotonic_us

    def correct(self, wall_us: int, monotonic_us: int) -> None:
        """Compare with the wall clock; call about once a second."""
        error = wall_us - monotonic_us - self._offset
        bend = (monotonic_us - self._last_us) * MAX_BEND_PPM // 1_000_000
        if abs(error) > STEP_US:
            self._offset += error
        else:
            self._offset += max(-bend, min(bend, error))
        self._last_us = monotonic_us

    def at(self, monotonic_us: int) -> int:
        """Wall time at a moment of the monotonic clock."""
        return monotonic_us + self._offset
