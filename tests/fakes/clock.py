"""A clock that the test moves."""


class FakeClock:
    """Wall and monotonic time that only go on when told."""

    def __init__(self, wall_us: int = 1_774_550_000_000_000) -> None:
        self.now = wall_us

    def wall_us(self) -> int:
        return self.now

    def monotonic_us(self) -> int:
        return self.now

    def advance(self, us: int) -> None:
        self.now += us
