"""To Kafka: an idempotent producer, acks=all, key `tenant/camera`; a batch is acknowledged or not.

librdkafka has threads of its own and calls that block: all are made in one thread of ours.
A producer that failed to bring a batch out is thrown away with what it still holds. What it had
sent may arrive all the same, and again with the next one: a record can be there twice, or an older
version of an event after a newer one; `changed` tells which holds.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from urllib.parse import urlsplit

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from kilocam.core.settings import StreamSettings
from kilocam.streams.errors import Away, Refused
from kilocam.streams.seams import SCHEMA, VERSION, Outgoing

DELIVERY_S = 30.0
_POLL_S = 0.1
_HEADERS: list[tuple[str, str | bytes | None]] = [
    ("schema", SCHEMA), ("version", str(VERSION)), ("content-type", "application/json"),
]  # fmt: skip
_POISON = frozenset(
    (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD)
)


class KafkaReceiver:
    """A topic."""

    most = 500
    rest_s = 1.0

    def __init__(self, stream: StreamSettings, *, delivery_s: float = DELIVERY_S) -> None:
        parts = urlsplit(stream.url)
        self._topic = parts.path.removeprefix("/")
        self._name = stream.name
        self._shown = f"kafka topic {self._topic} at {parts.netloc}"
        self._config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": parts.netloc,
            "client.id": f"kilocam-{stream.name}",
            "enable.idempotence": True,  # which demands acks=all and keeps order over retries
            "acks": "all",
            "delivery.timeout.ms": int(delivery_s * 1000),
            "linger.ms": 5,
            "compression.type": "lz4",
            "log_level": 2,  # what it cannot reach is told by us, once
            "security.protocol": "ssl" if parts.scheme == "kafkas" else "plaintext",
        }
        if stream.user:
            self._config |= {
                "security.protocol": "sasl_ssl",
                "sasl.mechanism": "PLAIN",
                "sasl.username": stream.user,
                "sasl.password": stream.secret,
            }
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{stream.name}")
        self._producer: Producer | None = None
        self._delivery_s = delivery_s
        self._leaving = threading.Event()
        self._noted = ""
        """What the library last said was in its way: `_AUTHENTICATION`, `_RESOLVE`."""

    async def __aenter__(self) -> Self:
        """The producer is made with the first batch."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave what is under way; its place has not moved."""
        self._leaving.set()
        self._thread.submit(self._discard)
        self._thread.shutdown(wait=False)

    async def idle(self) -> None:
        """Nothing has to be kept alive."""

    async def deliver(self, items: Sequence[Outgoing], after: str) -> None:
        """Return once the brokers have acknowledged all."""
        del after
        values = [(_key(item), json.dumps(dict(item.body)).encode()) for item in items]
        await asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, values)

    def _deliver(self, values: Sequence[tuple[bytes, bytes]]) -> None:
        if self._producer is None:
            self._producer = Producer(
                self._config,
                logger=logging.getLogger(f"{__name__}.{self._name}"),
                error_cb=self._note,
            )
        self._noted = ""
        told: list[KafkaError | None] = []

        def tell(error: KafkaError | None, _: Message) -> None:
            told.append(error)

        try:
            self._send(self._producer, values, tell, told)
        except KafkaException as error:
            self._discard()
            raise self._error(error.args[0]) from None
        if len(told) < len(values):
            self._discard()
            text = f"{self._shown} does not acknowledge within {self._delivery_s:g} s"
            raise Away(f"{text} ({self._noted})" if self._noted else text)
        failed = [error for error in told if error is not None]
        if failed:
            self._discard()
            # What will never be taken decides: the rest is delivered again either way.
            raise self._error(next((e for e in failed if e.code() in _POISON), failed[0]))

    def _send(
        self,
        producer: Producer,
        values: Sequence[tuple[bytes, bytes]],
        tell: Callable[[KafkaError | None, Message], None],
        told: Sequence[KafkaError | None],
    ) -> None:
        for key, value in values:
            producer.produce(self._topic, key=key, value=value, headers=_HEADERS, on_delivery=tell)
        until = time.monotonic() + self._delivery_s
        while len(told) < len(values) and time.monotonic() < until and not self._leaving.is_set():
            producer.poll(_POLL_S)

    def _note(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # which follows upon the reason
            self._noted = error.name()

    def _discard(self) -> None:
        """In the thread: a producer that gave up on a batch has a state nobody wants to inherit."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.poll(0)

    def _error(self, error: KafkaError) -> Away | Refused:
        kind = Refused if error.code() in _POISON else Away
        return kind(f"{self._shown}: {error.name()}")


def _key(item: Outgoing) -> bytes:
    return f"{item.tenant}/{item.camera}".encode()
