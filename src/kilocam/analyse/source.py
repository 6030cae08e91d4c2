"""Offered windows from the queue: leases of partitions, and an ordered reader of each."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from kilocam.bus import Bus, LeaseChange, LeaseSet, Position, Unread
from kilocam.core import GopRef, GopRefs

LEASES = "analyse"

_log = logging.getLogger(__name__)


class BusWindows:
    """A `WindowSource` over the bus; both are entered and left by their owner."""

    def __init__(self, bus: Bus, leases: LeaseSet) -> None:
        self._bus = bus
        self._leases = leases

    async def next(self) -> LeaseChange:
        """What happens next to our partitions."""
        return await self._leases.next()

    async def release(self, partition: int) -> None:
        """Give a partition back."""
        await self._leases.release(partition)

    async def read(
        self, partition: int, after: Position | None
    ) -> AsyncGenerator[tuple[Sequence[GopRef], Position]]:
        """Windows of a partition, endlessly."""
        async with aclosing(self._bus.read_partition(partition, after=after)) as messages:
            async for delivered in messages:
                match delivered.value:
                    case GopRefs(refs=refs):
                        yield refs, delivered.position
                    case GopRef() as ref:
                        yield (ref,), delivered.position
                    case _:
                        _log.warning("%s holds something else than windows", delivered.subject)

    async def unread(self, partition: int, after: Position | None) -> Unread | None:
        """Windows of a partition that lie behind a position."""
        return await self._bus.unread_of_partition(partition, after=after)
