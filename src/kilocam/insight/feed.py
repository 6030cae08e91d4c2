"""Live changes of a tenant's events for any number of listeners, with one reader of the database.

Whoever listens keeps nothing but its place in the order of changes, so there is no queue that could
fill: a slow listener reads on from where it is, out of the last changes in memory or, when it is
further behind, out of the database. The queue only rings a bell; what is told always comes from the
database, in its order, so a listener can go on after any interruption and anywhere.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from kilocam.core import KilocamError
from kilocam.insight.errors import NotFound
from kilocam.insight.insight import Insight
from kilocam.insight.values import Cursor, Event

_log = logging.getLogger(__name__)

KEPT = 1_000
"""Changes of a tenant kept in memory."""
BATCH = 200
POLL_S = 1.0
"""Without a bell."""
REST_S = 0.2
"""Between two readings, so that a burst costs few of them."""
LINGER_S = 30.0
"""A reader without listeners stays so long: a page that reloads finds it."""
AGAIN_S = 2.0

Bell = Callable[[str], AsyncGenerator[object, None]]
"""Gives something whenever events of a tenant change; may fall silent."""


@dataclass(slots=True)
class _Channel:
    """A tenant's last changes: all in (since, now_at]."""

    reader: asyncio.Task[None] | None = None
    since: Cursor | None = None
    changes: list[Event] = field(default_factory=list)
    listeners: int = 0
    idle_since: float = 0.0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced by a new one, when something was added."""

    def add(self, more: tuple[Event, ...]) -> None:
        self.changes.extend(more)
        surplus = len(self.changes) - KEPT
        if surplus > 0:
            self.since = self.changes[surplus - 1].changed
            del self.changes[:surplus]
        self.tell()

    def tell(self) -> None:
        """Let every listener look again."""
        self.news.set()
        self.news = asyncio.Event()


class Feed:
    """One process's live changes; an asynchronous context that owns its readers."""

    def __init__(self, insight: Insight, bell: Bell | None = None) -> None:
        self._insight = insight
        self._bell = bell
        self._channels: dict[str, _Channel] = {}
        self.ended = False

    def end(self) -> None:
        """Let nobody wait any more: whoever does gets nothing, at once."""
        self.ended = True
        for channel in self._channels.values():
            channel.news.set()

    async def __aenter__(self) -> "Feed":
        return self

    async def __aexit__(self, *_: object) -> None:
        readers = [c.reader for c in self._channels.values() if c.reader is not None]
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        self._channels.clear()

    async def now_at(self, tenant: str) -> Cursor:
        """Where a listener begins who wants new changes only."""
        return await self._insight.now_at(tenant)

    async def next(self, tenant: str, after: Cursor, wait_s: float) -> tuple[Event, ...]:
        """Changes after a place, at once if there are any; empty when none came in time.

        Raises:
            InsightError: the database is away, or there is no such tenant.
        """
        channel = self._listen(tenant)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    while True:
                        news = channel.news
                        found = await self._after(tenant, channel, after)
                        if found or self.ended:
                            return found
                        await news.wait()
            return ()
        finally:
            channel.listeners -= 1
            channel.idle_since = asyncio.get_running_loop().time()

    async def _after(self, tenant: str, channel: _Channel, after: Cursor) -> tuple[Event, ...]:
        if channel.since is None or after < channel.since:
            return await self._insight.changes(tenant, after, limit=BATCH)
        at = bisect_right(channel.changes, after, key=lambda event: event.changed)
        return tuple(channel.changes[at : at + BATCH])

    def _listen(self, tenant: str) -> _Channel:
        channel = self._channels.setdefault(tenant, _Channel())
        channel.listeners += 1
        if channel.reader is None or channel.reader.done():
            channel.reader = asyncio.create_task(self._read(tenant, channel), name=f"feed {tenant}")
        return channel

    async def _read(self, tenant: str, channel: _Channel) -> None:
        """Keep a channel going for as long as somebody listens, and a little longer."""
        rung = asyncio.Event()
        ringing = asyncio.create_task(self._ring(tenant, rung))
        channel.idle_since = asyncio.get_running_loop().time()
        try:
            while self._wanted(channel):
                rung.clear()
                try:
                    await self._take(tenant, channel)
                except NotFound:
                    return
                except KilocamError as error:
                    _log.info("events of %s are told later: %s", tenant, error)
                    await asyncio.sleep(AGAIN_S)
                except Exception:  # noqa: BLE001 - the edge of a task
                    _log.exception("events of %s are told later", tenant)
                    await asyncio.sleep(AGAIN_S)
                await asyncio.sleep(REST_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await rung.wait()
        finally:
            ringing.cancel()
            self._channels.pop(tenant, None)

    def _wanted(self, channel: _Channel) -> bool:
        quiet_s = asyncio.get_running_loop().time() - channel.idle_since
        return channel.listeners > 0 or quiet_s < LINGER_S

    async def _take(self, tenant: str, channel: _Channel) -> None:
        if channel.since is None:
            channel.since = await self._insight.now_at(tenant)
            channel.tell()  # what came between a listener's look and this is in no batch
        while True:
            last = channel.changes[-1].changed if channel.changes else channel.since
            more = await self._insight.changes(tenant, last, limit=BATCH)
            if more:
                channel.add(more)
            if len(more) < BATCH:
                return

    async def _ring(self, tenant: str, rung: asyncio.Event) -> None:
        if self._bell is None:
            return
        while True:
            try:
                async with aclosing(self._bell(tenant)) as rings:
                    async for _ in rings:
                        rung.set()
            except Exception as error:  # noqa: BLE001 - the edge of a task; news come each second
                _log.warning("the bell of %s is silent for a while: %s", tenant, error)
            await asyncio.sleep(AGAIN_S)
