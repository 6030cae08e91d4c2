"""Streams out: each configured one is a task; what is sent has the shape that the API gives.

The database is all it needs. Whoever is away or hangs on the other side delays its own stream.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

from kilocam.api.operations.events import event_out
from kilocam.cli.child import Child
from kilocam.cli.installation import Installation
from kilocam.core import Clock, SystemClock, format_time
from kilocam.core.settings import StreamSettings
from kilocam.database import Database
from kilocam.insight import Cursor, Event, Insight, Withdrawn, expand
from kilocam.streams import BEGINNING, Batch, Delivery, Outgoing, Places, make_receiver

_PAGE = 500
_SHOW_S = 1.0


class InsightSource:
    """What was seen of one tenant, in the order of changes."""

    def __init__(self, insight: Insight, tenant: str, classes: tuple[str, ...] = ()) -> None:
        self._insight = insight
        self._tenant = tenant
        self._labels = {label for word in classes for label in expand(word)}

    async def now_at(self) -> str:
        """The place behind all that is there."""
        return str(await self._insight.now_at(self._tenant))

    async def read(self, after: str, limit: int) -> Batch:
        """At most `limit` changes after a place, less those of classes that are not wanted."""
        place = Cursor.before(0) if after == BEGINNING else Cursor.parse(after)
        items: list[Outgoing] = []
        left, more = limit, True
        while left and more:
            asked = min(left, _PAGE)
            found = await self._insight.news(self._tenant, place, limit=asked)
            items += [
                self._outgoing(e) for e in found if not self._labels or e.label in self._labels
            ]
            place = found[-1].changed if found else place
            left, more = left - len(found), len(found) == asked
        unmoved = left == limit
        return Batch(items=tuple(items), after=after if unmoved else str(place), more=more)

    def _outgoing(self, each: Event | Withdrawn) -> Outgoing:
        changed = each.changed.transaction
        gone = Outgoing(
            tenant=self._tenant, id=each.id, camera=each.camera, label=each.label,
            start_us=each.start_us, end_us=each.start_us, best_us=each.start_us,
            changed=changed, place=str(each.changed), withdrawn=True,
            body={
                "tenant": self._tenant, "id": each.id, "camera": each.camera, "class": each.label,
                "start": format_time(each.start_us), "changed": changed, "withdrawn": True,
            },
        )  # fmt: skip
        if isinstance(each, Withdrawn):
            return gone
        shown = event_out(each).model_dump(by_alias=True)
        body = {"tenant": self._tenant, **shown, "changed": changed, "withdrawn": False}
        return replace(gone, end_us=each.end_us, best_us=each.best_us, withdrawn=False, body=body)


async def main(child: Child) -> None:
    """Deliver until told to stop."""
    installation = Installation.from_json(child.config)
    clock = SystemClock()
    async with Database(installation.shards, installation.database_secrets) as database:
        insight = Insight(database)
        streams = [
            _delivery(each, database, insight, clock) for each in installation.settings.stream
        ]
        _measure(child, streams, clock)
        running = [asyncio.create_task(each.run(), name=each.name) for each in streams]
        showing = asyncio.create_task(_show(child, streams, clock))
        stopping = asyncio.create_task(child.stopping.wait())
        try:
            done, _ = await asyncio.wait(
                {*running, showing, stopping}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done - {stopping}:
                task.result()  # none ends by itself but by an error nobody foresaw
        finally:
            for task in (*running, showing, stopping):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*running, showing, stopping, return_exceptions=True)


def _delivery(
    stream: StreamSettings, database: Database, insight: Insight, clock: Clock
) -> Delivery:
    return Delivery(
        stream.name,
        InsightSource(insight, stream.tenant, stream.classes),
        Places(database, stream.tenant, stream.name),
        make_receiver(stream, clock),
        begins=stream.begins,
        clock=clock,
        rng=random.Random(),  # noqa: S311 - spreads retries
    )


def _measure(child: Child, streams: list[Delivery], clock: Clock) -> None:
    metrics = child.metrics("streams")
    metrics.watch_counters(
        "delivered", "Changes that were acknowledged.", ("stream",),
        lambda: [((each.name,), each.delivered) for each in streams],
    )  # fmt: skip
    metrics.watch_gauges(
        "dead_letters", "What was refused for good, since the stream began.", ("stream",),
        lambda: [((each.name,), each.letters) for each in streams],
    )  # fmt: skip
    metrics.watch_counters(
        "failures", "Turns without an acknowledgement, by what failed.", ("stream", "failed"),
        lambda: [
            ((each.name, kind), many)
            for each in streams
            for kind, many in sorted(each.failures.items())
        ],
    )  # fmt: skip
    metrics.watch_gauges(
        "behind_seconds", "Since when there is more than was acknowledged; 0: nothing waits.",
        ("stream",), lambda: [((each.name,), _behind_s(each, clock)) for each in streams],
    )  # fmt: skip


def _behind_s(stream: Delivery, clock: Clock) -> float:
    since_us = stream.behind_since_us
    return 0.0 if since_us is None else max(0.0, (clock.wall_us() - since_us) / 1e6)


async def _show(child: Child, streams: list[Delivery], clock: Clock) -> None:
    """A receiver that is away makes nobody here unready: its stream waits, and says so."""
    while True:
        waiting = [f"{each.name} waits: {each.problem}" for each in streams if each.problem]
        letters = sum(each.letters for each in streams)
        said = [f"{len(streams)} streams out", *waiting]
        if letters:
            said.append(f"{letters} dead letters")
        child.report(
            "; ".join(said),
            ready=True,
            behind_s=round(max(_behind_s(each, clock) for each in streams), 1),
            dead_letters=letters,
        )
        await asyncio.sleep(_SHOW_S)
