"""How far a partition is settled: the position from which a restart has to read again."""

from collections import OrderedDict
from dataclasses import dataclass

from kilocam.bus import Position


class _Run:
    """Positions of one reader: read in growing order, settled in any."""

    def __init__(self, position: Position | None) -> None:
        self.position = position
        """Up to here all is settled."""
        self._last_read = position
        self._open: OrderedDict[Position, int] = OrderedDict()

    def read(self, position: Position, windows: int) -> None:
        self._last_read = position
        if windows:
            self._open[position] = windows

    def settle(self, position: Position) -> None:
        if self._open.get(position, 0) > 1:
            self._open[position] -= 1
        else:
            self._open.pop(position, None)
        first = next(iter(self._open), None)
        if first is None:
            self.position = self._last_read
        else:
            self.position = Position(first.epoch, first.sequence - 1)

    @property
    def settled(self) -> bool:
        """All that was read."""
        return not self._open


@dataclass(slots=True)
class _Behind:
    """What an outage left."""

    run: _Run
    upto: Position
    """What comes after that is another reader's."""
    read: bool = False
    """All of it is."""


class Progress:
    """Positions of one partition.

    After an outage two read it at once (`split`): one what lies behind a position, one what comes.
    A restart has to read again all that the first has left, however far the second is.
    """

    def __init__(self, position: Position | None) -> None:
        self._live = _Run(position)
        self._told = position
        self._behind: _Behind | None = None

    def split(self, upto: Position) -> None:
        """What was read goes on up to `upto`; what comes after that is read beside it."""
        self._behind, self._live = _Behind(self._live, upto), _Run(upto)

    def read_up(self) -> None:
        """What lies behind is read."""
        if self._behind is not None:
            self._behind.read = True
        self._join()

    def read(self, position: Position, windows: int = 1) -> None:
        """So many windows were read there."""
        self._of(position).read(position, windows)

    def settle(self, position: Position) -> None:
        """One of them was looked at or skipped, and that is kept."""
        self._of(position).settle(position)
        self._join()

    def news(self) -> Position | None:
        """The position up to which all is settled, if it has changed since the last `told`."""
        position = (self._behind.run if self._behind is not None else self._live).position
        return position if position != self._told else None

    def told(self, position: Position) -> None:
        """It is kept."""
        self._told = position

    def _of(self, position: Position) -> _Run:
        behind = self._behind
        return behind.run if behind is not None and position <= behind.upto else self._live

    def _join(self) -> None:
        if self._behind is not None and self._behind.read and self._behind.run.settled:
            self._behind = None
