"""How workers' time is shared by the two lanes: the catch-up lane has a fixed share of it."""

from kilocam.analyse.windows import Lane


class Shares:
    """What each lane has spent; a lane without work saves nothing up."""

    def __init__(self) -> None:
        self._spent = dict.fromkeys(Lane, 0.0)

    def spend(self, lane: Lane, cost_us: float) -> None:
        """Charge a lane, or give back what was charged too much."""
        self._spent[lane] += cost_us

    def catch_up_is_due(self, share: float) -> bool:
        """Whether the catch-up lane has had less than its share."""
        return self._spent[Lane.CATCH_UP] * (1 - share) < self._spent[Lane.FRESH] * share

    def even_out(self, busy: Lane, share: float) -> None:
        """The other lane than `busy` has no work."""
        if busy is Lane.FRESH:
            owed = self._spent[busy] * share / (1 - share)
            self._spent[Lane.CATCH_UP] = max(self._spent[Lane.CATCH_UP], owed)
        else:
            owed = self._spent[busy] * (1 - share) / share
            self._spent[Lane.FRESH] = max(self._spent[Lane.FRESH], owed)
