"""What was accepted and is not yet written: bounded in bytes, and honest about what it drops (I11).

Owns: the ring between the loop's thread, which pushes, and a lane's writer thread, which takes.
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
        self.closed = False
        """The lane was abandoned: push refuses, another lane takes over."""
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

    def take(self) -> tuple[list[Item], int]:
        """All items, gaps for what was dropped first, and the highest sequence among them."""
        with self.lock:
            items = [*self._lost_items(), *self._items]
            self._empty()
            return items, self.pushed

    def put_back(self, items: list[Item]) -> None:
        """Return items that could not be written to where they came from."""
        with self.lock:
            if self.closed:
                return  # whoever closed it has them already
            self._items.extendleft(reversed(items))
            self._bytes += sum(_size(item) for item in items)
            if self._items:
                self.filled.set()
            if self._bytes > self.limit:
                self._drop_oldest()

    def close_into(self, other: "Ring", flight: list[Item]) -> None:
        """Hand everything, `flight` first, over to another lane's ring and refuse from now on.

        Under this ring's lock, so that no newer item reaches the other ring before these.
        """
        with self.lock:
            self.closed = True
            other.put_back([*self._lost_items(), *flight, *self._items])
            self._empty()
            with other.lock:
                other.pushed = max(other.pushed, self.pushed)

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
