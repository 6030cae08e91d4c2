"""Messages of one consumer over one connection, as they come, never more than a batch ahead."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from nats.js.manager import JetStreamManager

from kilocam.bus.connection import Session, unavailable
from kilocam.bus.errors import BusUnavailable

_BATCH = 256
_EXPIRES_S = 30
_HEARTBEAT_S = 2
_SILENCE_S = 5.0
_NS = 1_000_000_000


async def make_consumer(
    session: Session, server: str, stream: str, config: ConsumerConfig
) -> tuple[str, int]:
    """Make a consumer, or find the durable one; returns its name and how much waits for it.

    Raises:
        BusUnavailable: not now.
    """
    with unavailable(server):
        info = await JetStreamManager(session.client).add_consumer(stream, config)
    return info.name, info.num_pending or 0


async def pull(
    session: Session, server: str, stream: str, consumer: str
) -> AsyncGenerator[Msg, None]:
    """The messages of a consumer until the connection ends.

    Raises:
        BusUnavailable: connection, stream or consumer is gone; go on with a new session.
    """
    client = session.client
    queue: asyncio.Queue[Msg | None] = asyncio.Queue()  # Bounded by one batch, as asked for.
    lost = asyncio.ensure_future(session.lost.wait())
    lost.add_done_callback(lambda _: queue.put_nowait(None))

    async def take(msg: Msg) -> None:
        queue.put_nowait(msg)

    with unavailable(server):
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=take)
    try:
        while True:
            with unavailable(server):
                await client.publish(
                    f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", _request(), reply=inbox
                )
            async for msg in _answers(server, queue):
                yield msg
    finally:
        lost.cancel()
        if not session.lost.is_set():
            with suppress(OSError, nats.errors.Error):
                await subscription.unsubscribe()


def _request() -> bytes:
    return json.dumps(
        {
            "batch": _BATCH,
            "expires": _EXPIRES_S * _NS,
            "idle_heartbeat": _HEARTBEAT_S * _NS,
        }
    ).encode()


async def _answers(server: str, queue: asyncio.Queue[Msg | None]) -> AsyncGenerator[Msg, None]:
    """What one request brings: messages, heartbeats, at last a status (ADR-13)."""
    received = 0
    while received < _BATCH:
        msg = await _next(server, queue)
        status = msg.headers.get("Status") if msg.headers and not msg.data else None
        if status is None:
            received += 1
            yield msg
        elif status in ("404", "408"):
            return
        elif status != "100":
            text = (msg.headers or {}).get("Description", status)
            raise BusUnavailable(f"the bus {server} ended a consumer: {text}")


async def _next(server: str, queue: asyncio.Queue[Msg | None]) -> Msg:
    try:
        async with asyncio.timeout(_SILENCE_S):
            msg = await queue.get()
    except TimeoutError:
        raise BusUnavailable(f"the connection to {server} is silent") from None
    if msg is None:
        raise BusUnavailable(f"the connection to {server} was lost")
    return msg


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + moment.microsecond
