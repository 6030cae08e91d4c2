"""Work that is done at least once: shared by all who take one name, retried, at last buried."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from kilocam.bus.codec import SCHEMA_HEADER, Codec
from kilocam.bus.connection import Connection, Session, unavailable
from kilocam.bus.dead import DeadLetters
from kilocam.bus.errors import BusError, Unreadable
from kilocam.bus.pull import make_consumer, pull

_AGAIN_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions:
    """How one kind of work is handed out.

    Attributes:
        stream: Where it comes from.
        name: Who does it; all with the same name share it, and it outlives them.
        subject: Which messages.
        max_attempts: After so many it is buried.
        ack_s: Whoever has not said done, retry or bury by then is taken for dead.
        at_once: How many one name may have in hand, over all its processes.
    """

    stream: str
    name: str
    subject: str
    max_attempts: int = 5
    ack_s: float = 30.0
    at_once: int = 64

    def consumer(self) -> ConsumerConfig:
        """Unlimited redelivery by the server: attempts are counted by who receives them.

        The server's own limit would only stop deliveries and tell whoever listens at that moment;
        counted here, a message that kills its worker is buried by the next one, for sure.
        """
        return ConsumerConfig(
            name=self.name,
            durable_name=self.name,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_s,
            max_ack_pending=self.at_once,
            filter_subject=self.subject,
        )


class Job:
    """One piece of work; exactly one of `done`, `retry` and `bury` ends it.

    If saying so fails (`BusUnavailable`), the job comes again; work is idempotent.
    """

    def __init__(
        self, msg: Msg, value: object, options: WorkOptions, dead: DeadLetters, server: str
    ) -> None:
        self.value = value
        self.subject = msg.subject
        self.attempt = msg.metadata.num_delivered
        self._msg = msg
        self._options = options
        self._dead = dead
        self._server = server

    async def done(self) -> None:
        """It is done; returns once the server knows."""
        with unavailable(self._server):
            await self._msg.ack_sync()

    async def retry(self, delay_s: float) -> None:
        """It failed for now; after the last attempt it is buried."""
        if self.attempt >= self._options.max_attempts:
            await self.bury(f"failed {self.attempt} times")
            return
        with unavailable(self._server):
            await self._msg.nak(delay_s)

    async def keep(self) -> None:
        """It takes longer: count `ack_s` from now."""
        with unavailable(self._server):
            await self._msg.in_progress()

    async def bury(self, reason: str) -> None:
        """It can never be done: into the dead letters."""
        sequence = self._msg.metadata.sequence.stream
        await self._dead.bury(
            origin=f"{self._options.stream}:{self._options.name}:{sequence}",
            subject=self.subject,
            headers=self._msg.headers or {},
            body=self._msg.data,
            reason=f"{self._options.name}: {reason}",
        )
        await self.done()


async def work(
    connection: Connection, codec: Codec, dead: DeadLetters, options: WorkOptions
) -> AsyncGenerator[Job, None]:
    """Endless jobs, over reconnections."""
    while True:
        try:
            session = await connection.wait(None)
            async with aclosing(_one_session(connection, session, codec, dead, options)) as jobs:
                async for job in jobs:
                    yield job
        except BusError as error:
            _log.info("asking for work %s again soon: %s", options.name, error)
        await asyncio.sleep(_AGAIN_S)


async def _one_session(
    connection: Connection, session: Session, codec: Codec, dead: DeadLetters, options: WorkOptions
) -> AsyncGenerator[Job, None]:
    server = connection.target.shown
    await make_consumer(session, server, options.stream, options.consumer())
    async with aclosing(pull(session, server, options.stream, options.name)) as msgs:
        async for msg in msgs:
            job = Job(msg, None, options, dead, server)
            if job.attempt > options.max_attempts:
                await job.bury(f"no answer after {options.max_attempts} attempts")
                continue
            try:
                job.value = codec.decode((msg.headers or {}).get(SCHEMA_HEADER), msg.data)
            except Unreadable as error:
                await job.bury(str(error))
                continue
            yield job
