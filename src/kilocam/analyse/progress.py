"""How far a partition is settled: the position from which a restart has to read again."""

from collections import OrderedDict

from kilocam.bus import Position


class Progress:
    """Positions of one partition: read in growing order, settled in any."""

    def __init__(self, position: Position | None) -> None:
        self._settled = self._told = self._last_read = position
        self._open: OrderedDict[Position, int] = OrderedDict()

    def read(self, position: Position, windows: int = 1) -> None:
        """So many windows were read there."""
        self._last_read = position
        if windows:
            self._open[position] = windows

    def settle(self, position: Position) -> None:
        """One of them was looked at or skipped, and that is kept."""
        if self._open.get(position, 0) > 1:
            self._open[position] -= 1
        else:
            self._open.pop(position, None)
        first = next(iter(self._open), None)
        if first is None:
            self._settled = self._last_read
        else:
            self._settled = Position(first.epoch, first.sequence - 1)

    def news(self) -> Position | None:
        """The position up to which all is settled, if it has changed since the last `told`."""
        return self._settled if self._settled != self._told else None

    def told(self, position: Position) -> None:
        """It is kept."""
        self._told = position
