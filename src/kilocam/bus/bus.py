"""The one object a process has of the bus."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterable
from types import TracebackType
from typing import TypeVar

import nats.errors

from kilocam.bus.bucket import Bucket
from kilocam.bus.codec import SCHEMA_HEADER, Codec, Schema
from kilocam.bus.connection import BusTarget, Connection, Session
from kilocam.bus.dead import DeadLetters
from kilocam.bus.errors import BusBusy, BusUnavailable
from kilocam.bus.leases import LeaseSet, Mark
from kilocam.bus.publisher import ID_HEADER, Publisher
from kilocam.bus.reader import (
    Delivered,
    First,
    Position,
    Reader,
    Unread,
    read_values,
    unread,
)
from kilocam.bus.streams import GOPS, STREAMS, StreamSpec, bucket_stream, ensure_stream
from kilocam.bus.tasks import Edge
from kilocam.bus.work import Job, WorkOptions, work
from kilocam.core.ids import PARTITIONS
from kilocam.core.metrics import Metrics

_WINDOW = 512
_ACK_S = 5.0
_BUSY_S = 0.05
_SYNC_ASKED_S = 1.0

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Bus:
    """Publish, read, work, keep values, lease partitions. Use it as an asynchronous context.

    Entering returns at once; the connection is made, and made again, beside it.
    """

    def __init__(
        self,
        target: BusTarget,
        schemas: Iterable[Schema],
        *,
        name: str,
        window: int = _WINDOW,
        ack_s: float = _ACK_S,
    ) -> None:
        self._codec = Codec(schemas)
        self._connection = Connection(target, name, self._prepare)
        self._publisher = Publisher(self._connection, window=window, ack_s=ack_s)
        self._buckets: dict[str, StreamSpec] = {}
        self._sync = ""
        self._edge = Edge()
        self._running: asyncio.Task[None] | None = None
        self.dead = DeadLetters(self._connection, self._publisher)

    # Life

    async def __aenter__(self) -> "Bus":
        self._running = asyncio.create_task(self._run(), name="bus")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._edge.keep("the bus's connection", self._connection.keep))
            tasks.create_task(self._edge.keep("the bus's publisher", self._publisher.run))

    async def _prepare(self, session: Session) -> None:
        target = self._connection.target
        for spec in (*STREAMS, *self._buckets.values()):
            await ensure_stream(session.client, spec, ours=target.ours, server=target.shown)
        await self._ask_sync(session)
        await self._publisher.attach(session)

    async def _ask_sync(self, session: Session) -> None:
        """Find out, where the server tells us, when it syncs; it tells its system account only."""
        try:
            msg = await session.client.request(
                "$SYS.REQ.SERVER.PING.JSZ", b'{"config":true}', timeout=_SYNC_ASKED_S
            )
            config = json.loads(msg.data)["data"]["config"]
            always = config.get("sync_always") is True
        except (nats.errors.Error, ValueError, KeyError, TypeError):
            found = "always" if self._connection.target.ours else "unknown"
        else:
            found = "always" if always else "late"
        if found == self._sync:
            return
        self._sync = found
        if found == "late":
            _log.warning(
                "the bus %s acknowledges before it syncs: a power cut can lose acknowledged "
                "messages; set `sync_interval: always` in its jetstream block",
                self._connection.target.shown,
            )
        elif found == "unknown":
            _log.info(
                "whether %s syncs before it acknowledges cannot be known from here",
                self._connection.target.shown,
            )

    @property
    def connected(self) -> bool:
        """There is a connection, and all streams are there."""
        return not self._connection.problem

    @property
    def problem(self) -> str:
        """Why there is none, in one line; empty when connected."""
        return self._connection.problem

    @property
    def sync(self) -> str:
        """`always`, `late` or `unknown`: is what was acknowledged on the server's disk?"""
        return self._sync

    async def wait_connected(self, deadline_s: float) -> None:
        """Until connected.

        Raises:
            BusUnavailable: not in time.
            BusConflict: a stream is not as it must be.
        """
        await self._connection.wait(deadline_s)

    # Streams

    def publish(self, subject: str, value: object, *, id: str) -> asyncio.Future[int]:  # noqa: A002
        """Send a value without waiting; see `Publisher.publish` for what is raised at once.

        The future gives the sequence in the stream, or `BusUnavailable` within `ack_s`: it may be
        stored all the same, so send it again with the same `id`, which within two minutes is
        stored once.
        """
        schema, body = self._codec.encode(value)
        return self._publisher.publish(subject, {SCHEMA_HEADER: schema, ID_HEADER: id}, body)

    async def send(
        self,
        subject: str,
        value: object,
        *,
        id: str,  # noqa: A002
        deadline_s: float = 10.0,
    ) -> int:
        """Send a value and wait until it is stored, over reconnections; returns its sequence.

        Raises:
            BusUnavailable: not before the deadline.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline_s
        while True:
            try:
                await self._connection.wait(max(0.0, until - loop.time()))
                async with asyncio.timeout_at(until):
                    return await self.publish(subject, value, id=id)
            except BusBusy:
                await asyncio.sleep(_BUSY_S)
            except TimeoutError:
                raise BusUnavailable(f"{subject} was not stored in {deadline_s:g} s") from None
            except BusUnavailable:
                if loop.time() + _BUSY_S >= until:
                    raise
                await asyncio.sleep(_BUSY_S)

    def read(
        self, stream: str, subject: str, *, after: Position | None = None, new_only: bool = False
    ) -> AsyncGenerator[Delivered, None]:
        """Values of a subject in order, for ever, over reconnections."""
        first = First.NEW if new_only else First.OLDEST
        reader = Reader(self._connection, stream, subject, after=after, first=first)
        return read_values(reader, self._codec, self.dead, stream)

    def read_partition(
        self, partition: int, *, after: Position | None = None
    ) -> AsyncGenerator[Delivered, None]:
        """References of one partition's cameras, in order."""
        return self.read(GOPS, f"gops.{partition}.>", after=after)

    async def unread_of_partition(
        self, partition: int, *, after: Position | None = None
    ) -> Unread | None:
        """References of one partition's cameras that lie behind a position; None: none do.

        Raises:
            BusUnavailable: not now.
        """
        return await unread(self._connection, GOPS, f"gops.{partition}.>", after)

    def work(
        self,
        stream: str,
        name: str,
        *,
        subject: str,
        max_attempts: int = 5,
        ack_s: float = 30.0,
        at_once: int = 64,
    ) -> AsyncGenerator[Job, None]:
        """Jobs to be done at least once, shared by all processes that take the same `name`."""
        options = WorkOptions(
            stream=stream,
            name=name,
            subject=subject,
            max_attempts=max_attempts,
            ack_s=ack_s,
            at_once=at_once,
        )
        return work(self._connection, self._codec, self.dead, options)

    # Values and leases

    def bucket(self, name: str, kind: type[_T]) -> Bucket[_T]:
        """A key-value bucket; ask for it before entering, so that it is made on connecting."""
        if name not in self._buckets and self._running is not None:
            raise RuntimeError(f"ask for bucket {name} before the bus is entered")
        self._buckets[name] = bucket_stream(name)
        return Bucket(self._connection, self._publisher, name, kind)

    def leases(
        self,
        name: str,
        *,
        holder: str,
        heir_of: str = "",
        ttl_s: float = 10.0,
        partitions: int = PARTITIONS,
    ) -> LeaseSet:
        """Leases of partitions; ask for them before entering."""
        return LeaseSet(
            self.bucket(f"leases_{name}", Mark),
            holder=holder,
            heir_of=heir_of,
            ttl_s=ttl_s,
            partitions=partitions,
            edge=self._edge,
        )

    def watch(self, metrics: Metrics) -> None:
        """Register the bus's metrics."""
        publisher = self._publisher
        metrics.watch_counter("sent", "Messages sent.", lambda: publisher.sent)
        metrics.watch_counter("stored", "Messages acknowledged.", lambda: publisher.stored)
        metrics.watch_counter("duplicates", "Were there already.", lambda: publisher.duplicates)
        metrics.watch_counter("failed", "Messages not acknowledged.", lambda: publisher.failed)
        metrics.watch_counter("buried", "Dead letters made here.", lambda: self.dead.buried)
        metrics.watch_counter("connects", "Connections made.", lambda: self._connection.connects)
        metrics.watch_counter("faults", "Tasks started again.", lambda: self._edge.faults)
        metrics.watch_gauge("pending", "Sent, not acknowledged.", lambda: publisher.pending)
        metrics.watch_gauge("connected", "1 with a connection.", lambda: int(self.connected))
