"""The clock as a value that is handed in, so that tests own the time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall and monotonic time in microseconds."""

    def wall_us(self) -> int:
        """Microseconds since 1970 UTC; may step."""
        ...

    def monotonic_us(self) -> int:
        """Microseconds since some fixed moment; never steps back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall_us(self) -> int:
        """Microseconds since 1970 UTC."""
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        """CLOCK_MONOTONIC in microseconds."""
        return time.monotonic_ns() // 1000
