"""Owns: where the blocks of a connection lie among its bytes, until they have arrived.

Blocks that were sent one right after the other are one stretch: where each of them lies follows
from where they lie in the loop, so nothing is noted for a block that is sent as it is.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from kilocam.simulate.content import Block, Content
from kilocam.simulate.record import ConnectionRecord, Mark
from kilocam.simulate.wire import Wire

_BYTES_BEFORE = attrgetter("bytes_before")


class _Stretch(NamedTuple):
    """Blocks of one loop handed to the wire one right after the other."""

    block: int
    """Number of the first."""
    start: int
    end: int
    """Where they begin and end, in bytes of the connection."""
    ends: tuple[int, ...] | None
    """Of a single block: ends of its packets from `start`, where it is not as in the content."""


class Trail:
    """What was handed to the wire and is not yet known to have arrived."""

    def __init__(
        self, record: ConnectionRecord, content: Content, blocks: Sequence[Block], wire: Wire
    ) -> None:
        """`blocks`: the content's, as this connection sends them."""
        self._record = record
        self._content = content
        self._blocks = blocks
        self._wire = wire
        self._past: deque[_Stretch] = deque()
        self._block = record.first
        self._start = wire.queued
        self._arrived = 0
        wire.answered = 0

    def begin(self, block: int) -> None:
        """A stretch begins with `block`: it does not follow the last one, or is of another loop."""
        self._past += self._going_on()
        self._begin(block)

    def composed(self, block: int, ends: tuple[int, ...]) -> None:
        """`block`, with which a stretch began, was not sent as the content has it."""
        if ends:
            self._past.append(_Stretch(block, self._start, self._wire.queued, ends))
        self._begin(block + 1)

    def _begin(self, block: int) -> None:
        self._block, self._start = block, self._wire.queued
        self._wire.answered = 0

    def sample(self, following: int, *, exact: bool) -> None:
        """Note in the record how far the kernels are.

        Args:
            following: number of the block that comes after all that were handed over.
            exact: count packets within a block too.
        """
        record, past, written = self._record, self._past, self._wire.written()
        self._arrived = arrived = max(self._arrived, self._wire.acknowledged())
        if arrived == self._wire.queued:
            past.clear()
            record.acknowledged = record.written = Mark(following)
            return
        while past and past[0].end <= arrived:
            past.popleft()
        waiting = [*past, *self._going_on()]
        acknowledged = self._mark(waiting, arrived, following, exact=exact)
        record.acknowledged = max(record.acknowledged, acknowledged)
        record.written = self._mark(waiting, written, following, exact=exact)

    def _going_on(self) -> Sequence[_Stretch]:
        """The stretch that the next block may follow, unless nothing of it was sent."""
        end = self._wire.queued - self._wire.answered
        return [_Stretch(self._block, self._start, end, None)] if end > self._start else []

    def _mark(
        self, stretches: Iterable[_Stretch], offset: int, following: int, *, exact: bool
    ) -> Mark:
        """The place of a byte of the connection."""
        stretch = next((one for one in stretches if one.end > offset), None)
        if stretch is None:
            return Mark(following)
        block, start, _, ends = stretch
        offset = max(offset, start)
        if ends is None:
            block, start = self._find(block, start, offset)
        if not exact or offset == start:
            return Mark(block)
        if ends is not None:
            return Mark(block, bisect_right(ends, offset - start))
        return Mark(block, self._record.packets_within(self._content, block, offset - start))

    def _find(self, block: int, start: int, offset: int) -> tuple[int, int]:
        """The block that `offset` is in, and where it begins; `block` begins at `start`."""
        first = block % len(self._blocks)
        before = self._blocks[first].bytes_before
        place = before + offset - start
        index = bisect_right(self._blocks, place, key=_BYTES_BEFORE) - 1
        return block - first + index, start - before + self._blocks[index].bytes_before
