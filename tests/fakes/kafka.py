"""Kafka brokers that speak the real protocol over TCP: librdkafka's mock cluster, in a process of
its own, so that it can be frozen and killed; and a consumer of its own.

No Apache broker can be had here. The mock keeps messages in memory, makes topics when asked for
them, knows groups, and has no TLS and no logins.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, Message, Producer

_CLUSTER = "import sys; from tests.fakes.kafka import serve; serve()"


def serve() -> None:
    """The brokers' process: says where they are, and stays until its standard input ends."""
    cluster = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "ignored"})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
    sys.stdin.read()


class Brokers:
    """Three of them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.bootstrap = self._process.stdout.readline().strip()
        assert self.bootstrap

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def consume(self, topic: str, until: int, seconds: float = 30.0) -> list[Message]:
        """Everything of a topic, at least so many messages (blocking)."""
        consumer = Consumer({
            "bootstrap.servers": self.bootstrap,
            "group.id": f"test-{time.monotonic_ns()}",
            "auto.offset.reset": "earliest",
        })  # fmt: skip
        consumer.subscribe([topic])
        found: list[Message] = []
        give_up = time.monotonic() + seconds
        try:
            while time.monotonic() < give_up:
                message = consumer.poll(0.5 if len(found) < until else 1.0)
                if message is None:
                    if len(found) >= until:
                        return found
                    continue
                if (error := message.error()) is not None:
                    # The topic comes with its first message.
                    assert error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART, error
                    continue
                found.append(message)
        finally:
            consumer.close()
        raise AssertionError(f"{len(found)} of {until} messages came in {seconds} s")


@contextmanager
def brokers() -> Iterator[Brokers]:
    """They run until the end of the block."""
    cluster = Brokers()
    try:
        yield cluster
    finally:
        cluster.close()
