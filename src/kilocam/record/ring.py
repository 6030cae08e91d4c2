"""What was accepted and is not yet durable: bounded in bytes, and honest about what it drops (I11).

Owns: the ring between the loop's thread, which pushes, and a lane's writer thread, which takes; and
how far its lane has come, because a lane that is abandoned hands over both at one moment (P9).
"""

import threading
from collections import deque
from dataclasses import replace
from typing import NamedTuple

from kilocam.core import Gap, GapCause, Piece
from kilocam.record.index import TOLERANCE_US
from kilocam.record.source import Opened, Source

_OVERHEAD = 256
_GAPS_PER_CAMERA = 16


class Item(NamedTuple):
    """One thing to store; `opened` is None for a gap."""

    source: Source
    opened: Opened | None
    sequence: int
    value: Piece | Gap


class Mark(NamedTuple):
    """Where a lane stands once all is written that it took in one turn."""

    turn: int
    upto: int
    """Highest sequence pushed before that turn."""


def _size(item: Item) -> int:
    return _OVERHEAD + (len(item.value.payload) if isinstance(item.value, Piece) else 0)


class Ring:
    """A queue of items; when full the oldest give way and a gap with `cause` tells of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.cause = GapCause.DISK_SLOW
        self.filled = threading.Event()
        self.lock = threading.Lock()
        self.pushed = 0
        """Highest sequence pushed."""
        self.dropped = 0
        """Pieces dropped so far."""
        self.synced = 0
        """Everything pushed up to this sequence is on stable storage."""
        self.closed = False
        """The lane was abandoned: push refuses, another lane takes over."""
        self.flight: list[Item] = []
        """Taken, not yet known to be written; the writer thread shortens it."""
        self._turn = 0
        self._owed = 0
        """The turn that takes what another lane handed over: no earlier one proves anything."""
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._lost: dict[Source, list[tuple[int, Gap]]] = {}

    def push(self, item: Item) -> bool:
        """Take an item in; False when the ring is closed."""
        value = item.value
        size = _OVERHEAD + len(value.payload) if isinstance(value, Piece) else _OVERHEAD
        with self.lock:
            if self.closed:
                return False
            if not self._items:
                self.filled.set()
            self._items.append(item)
            self._bytes += size
            self.pushed = item.sequence
            if self._bytes > self.limit:
                self._drop_oldest()
        return True

    def begin(self, sequence: int, *, closed: bool) -> None:
        """All up to `sequence` was pushed and stored before this run."""
        self.pushed = self.synced = sequence
        self.closed = closed

    def take(self) -> Mark:
        """Put all items in flight, gaps for what was dropped first; where that will lead."""
        with self.lock:
            self.flight = [*self._lost_items(), *self._items]
            self._empty()
            self._turn += 1
            return Mark(self._turn, self.pushed)

    def give_back(self) -> None:
        """Return what is in flight to where it came from: it could not be written."""
        with self.lock:
            if not self.closed:  # whoever closed it has them already
                self._put_first(self.flight)
            self.flight = []

    def settle(self, mark: Mark) -> None:
        """Everything that led to `mark` is on stable storage."""
        with self.lock:
            if mark.turn >= self._owed:
                self.synced = max(self.synced, mark.upto)

    def close_into(self, other: "Ring") -> None:
        """Hand everything, flight first, over to another lane's ring and refuse from now on.

        Under both locks, so that no newer item reaches the other ring before these, nothing is
        between flight and ring, and what is owed here is owed there from the same moment.
        """
        with self.lock, other.lock:
            self.closed = True
            if self.synced < self.pushed:
                owes = other.synced < other.pushed
                other.synced = min(other.synced, self.synced) if owes else self.synced
                other.pushed = max(other.pushed, self.pushed)
                other._owed = other._turn + 1
            other._put_first([*self._lost_items(), *self.flight, *self._items])
            self._empty()
            self.flight = []

    def reopen(self) -> None:
        """The disk works again; what was pushed before is in another lane's hands."""
        with self.lock:
            self.flight = []
            self.synced = self.pushed
            self.cause, self.closed = GapCause.DISK_SLOW, False

    def _put_first(self, items: list[Item]) -> None:
        self._items.extendleft(reversed(items))
        self._bytes += sum(_size(item) for item in items)
        if self._items:
            self.filled.set()
        if self._bytes > self.limit:
            self._drop_oldest()

    def __len__(self) -> int:
        return len(self._items) + len(self._lost)

    @property
    def bytes(self) -> int:
        """Bytes held."""
        return self._bytes

    def _lost_items(self) -> list[Item]:
        lost = [
            Item(source, None, sequence, gap)
            for source, gaps in self._lost.items()
            for sequence, gap in gaps
        ]
        return sorted(lost, key=lambda item: item.sequence)

    def _empty(self) -> None:
        self._lost.clear()
        self._items.clear()
        self._bytes = 0
        self.filled.clear()

    def _drop_oldest(self) -> None:
        while self._bytes > self.limit and self._items:
            item = self._items.popleft()
            self._bytes -= _size(item)
            if isinstance(item.value, Piece):
                self.dropped += 1
                gap = Gap(
                    start_us=item.value.wall_us,
                    end_us=item.value.wall_us + item.value.duration_us,
                    cause=self.cause,
                    detail="dropped before it could be written",
                )
            else:
                gap = item.value
            self._note(item.source, item.sequence, gap)

    def _note(self, source: Source, sequence: int, gap: Gap) -> None:
        gaps = self._lost.setdefault(source, [])
        if gaps:
            last = gaps[-1][1]
            near = gap.cause == last.cause and gap.start_us - last.end_us <= TOLERANCE_US
            if near or len(gaps) >= _GAPS_PER_CAMERA:
                start = min(last.start_us, gap.start_us)
                end = max(last.end_us, gap.end_us)
                gaps[-1] = (sequence, replace(last, start_us=start, end_us=end))
                return
        gaps.append((sequence, gap))
