"""Reading a stream in order and for ever, from a position that the caller keeps."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError
from nats.js.manager import JetStreamManager

from kilocam.bus.codec import SCHEMA_HEADER, Codec
from kilocam.bus.connection import Connection, Session, unavailable
from kilocam.bus.dead import DeadLetters
from kilocam.bus.errors import BusError, BusUnavailable, Unreadable
from kilocam.bus.pull import make_consumer, microseconds, pull

_AGAIN_S = 0.5
_FORGOTTEN_AFTER_S = 30.0
_UNREAD_S = 5.0

_log = logging.getLogger(__name__)


class Position(NamedTuple):
    """A place in a stream; `epoch` tells a stream from one made anew under the same name.

    A tuple: the windows of each message are counted under its place, and settled by it.
    """

    epoch: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Of `str(position)`.

        Raises:
            ValueError: it is not one.
        """
        epoch, sequence = text.split("-")
        return cls(int(epoch), int(sequence))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One value of a stream."""

    value: object
    subject: str
    position: Position
    published_us: int
    pending: int
    """How many for this reader lie behind it in the stream."""


@dataclass(frozen=True, slots=True)
class RawDelivered:
    """One message before its content is looked at; None in place of it: nothing more for now."""

    msg: Msg | None
    position: Position
    published_us: int
    pending: int
    fresh: bool
    """The first one over a new connection."""


class First(Enum):
    """Where a reader without a position begins."""

    OLDEST = "oldest"
    NEW = "new"
    LAST_OF_EACH = "last of each subject"


class Reader:
    """An ordered reader of the messages of one subject."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        subject: str,
        *,
        after: Position | None,
        first: First = First.OLDEST,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._subject = subject
        self._after = after
        self._first = first

    async def messages(self) -> AsyncGenerator[RawDelivered, None]:
        """Endless; where nothing waits at the start of a connection, a message of None says so."""
        while True:
            try:
                session = await self._connection.wait(None)
                async with aclosing(self._one_session(session)) as delivered:
                    async for item in delivered:
                        self._after = item.position
                        yield item
            except BusError as error:
                _log.info("reading %s again soon: %s", self._subject, error)
            await asyncio.sleep(_AGAIN_S)

    async def _one_session(self, session: Session) -> AsyncGenerator[RawDelivered, None]:
        server = self._connection.target.shown
        config, start = await self._consumer(session)
        name, waiting = await make_consumer(session, server, self._stream, config)
        if waiting == 0:
            yield RawDelivered(None, start, 0, 0, fresh=True)
        count = 0
        async with aclosing(pull(session, server, self._stream, name)) as msgs:
            async for msg in msgs:
                count += 1
                meta = msg.metadata
                if meta.sequence.consumer != count:
                    raise BusUnavailable(f"a message of {self._subject} was lost on the way")
                yield RawDelivered(
                    msg,
                    Position(start.epoch, meta.sequence.stream),
                    microseconds(meta.timestamp),
                    meta.num_pending,
                    fresh=count == 1 and waiting > 0,
                )

    async def _consumer(self, session: Session) -> tuple[ConsumerConfig, Position]:
        with unavailable(self._connection.target.shown):
            info = await JetStreamManager(session.client).stream_info(self._stream)
        epoch = microseconds(info.created) if info.created else 0
        after = self._after or self._start(epoch, info.state.last_seq)
        if after and (after.epoch != epoch or after.sequence > info.state.last_seq):
            _log.warning("stream %s was made anew: reading it from its start", self._stream)
            after = None
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE if after else self._policy(),
            opt_start_seq=after.sequence + 1 if after else None,
            ack_policy=AckPolicy.NONE,
            filter_subject=self._subject,
            inactive_threshold=_FORGOTTEN_AFTER_S,
            mem_storage=True,
            num_replicas=1,
            max_deliver=1,
        )
        return config, after or Position(epoch, 0)

    def _start(self, epoch: int, last: int) -> Position | None:
        return Position(epoch, last) if self._first is First.NEW else None

    def _policy(self) -> DeliverPolicy:
        last_only = self._first is First.LAST_OF_EACH
        return DeliverPolicy.LAST_PER_SUBJECT if last_only else DeliverPolicy.ALL


@dataclass(frozen=True, slots=True)
class Unread:
    """What of a subject lies behind a position."""

    since_us: int
    """When the oldest of it was published."""
    upto: Position
    """Where the newest of it is."""


async def unread(
    connection: Connection, stream: str, subject: str, after: Position | None
) -> Unread | None:
    """What a reader that goes on `after` a position has before it; None: nothing.

    Raises:
        BusUnavailable: not now.
    """
    session = await connection.wait(_UNREAD_S)
    manager = JetStreamManager(session.client)
    with unavailable(connection.target.shown):
        info = await manager.stream_info(stream)
        epoch = microseconds(info.created) if info.created else 0
        begin = after.sequence + 1 if after is not None and after.epoch == epoch else 1
        try:
            oldest = await manager.get_msg(stream, seq=begin, subject=subject, next=True)
            newest = await manager.get_last_msg(stream, subject)
        except NotFoundError:
            return None
    if oldest.time is None or newest.seq is None:
        return None
    return Unread(microseconds(oldest.time), Position(epoch, newest.seq))


async def read_values(
    reader: Reader, codec: Codec, dead: DeadLetters, stream: str
) -> AsyncGenerator[Delivered, None]:
    """Values; what cannot be read is buried, and only then left behind."""
    async with aclosing(reader.messages()) as messages:
        async for raw in messages:
            if raw.msg is None:
                continue
            headers = raw.msg.headers or {}
            try:
                value = codec.decode(headers.get(SCHEMA_HEADER), raw.msg.data)
            except Unreadable as error:
                await _bury(dead, stream, raw, str(error))
                continue
            yield Delivered(
                value=value,
                subject=raw.msg.subject,
                position=raw.position,
                published_us=raw.published_us,
                pending=raw.pending,
            )


async def _bury(dead: DeadLetters, stream: str, raw: RawDelivered, reason: str) -> None:
    if raw.msg is None:
        return
    while True:
        try:
            await dead.bury(
                origin=f"{stream}:{raw.position}",
                subject=raw.msg.subject,
                headers=raw.msg.headers or {},
                body=raw.msg.data,
                reason=reason,
            )
        except BusUnavailable:
            await asyncio.sleep(_AGAIN_S)
        else:
            return
