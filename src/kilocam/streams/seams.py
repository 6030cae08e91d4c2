"""What a stream is made of, and what it needs of others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

SCHEMA, VERSION = "kilocam.insight", 1
"""Of what is sent; told beside it where a protocol has a place for that."""
BEGINNING = ""
"""The place before everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One version of an event, or that it is gone, on its way out.

    `tenant`, `id` and `changed` tell it from others. Of two with one id the greater
    `changed` holds.
    """

    tenant: str
    id: str
    camera: str
    label: str
    start_us: int
    end_us: int
    best_us: int
    changed: int
    """Grows with each version of an event."""
    place: str
    """In the order of changes, just behind it."""
    withdrawn: bool
    """A second look did not see it: it is to be forgotten."""
    body: Mapping[str, Any]
    """What is sent; `Any`: JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What comes after a place."""

    items: tuple[Outgoing, ...]
    """In order; what the stream does not want is left out."""
    after: str
    """The place behind all that was looked at."""
    more: bool
    """There may be more behind that already."""


class Source(Protocol):
    """Where a stream comes from."""

    async def now_at(self) -> str:
        """The place behind all that is there."""
        ...

    async def read(self, after: str, limit: int) -> Batch:
        """At most `limit` changes after a place."""
        ...


class Receiver(Protocol):
    """Who a stream goes to; an asynchronous context manager that is entered once."""

    most: int
    """Of one batch."""
    rest_s: float
    """Between two looks for news."""

    async def __aenter__(self) -> Self:
        """Get ready; nothing is connected yet."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close connections, soon."""
        ...

    async def idle(self) -> None:
        """Nothing waits; keep alive what has to be.

        Raises:
            Away: it cannot be.
        """
        ...

    async def deliver(self, items: Sequence[Outgoing], after: str) -> None:
        """Return once all are acknowledged, each of a camera after those before it.

        Args:
            items: at least one; from `after` on, without a gap.
            after: the place before them; the same if they are delivered again.

        Raises:
            Away: not all of them are, for now.
            Refused: one of them never will be.
        """
        ...
