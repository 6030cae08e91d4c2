"""MQTT by a real broker, which NATS is when it is told to be one."""

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.receiver import outgoing
from tests.integration.streams.conftest import House, caught_up, running, until

from kilocam.cli.engines.nats import find_server
from kilocam.core.settings import StreamSettings
from kilocam.streams import Away, Outgoing
from kilocam.streams.mqtt import RECENT_S, MqttReceiver

pytestmark = pytest.mark.asyncio
PASSWORD = "nobody-may-see-this"


class Broker:
    """NATS with MQTT in front; can be killed and come back with what it kept."""

    def __init__(self, folder: Path) -> None:
        self.port, client = _free_port(), _free_port()
        self._folder = folder
        (folder / "nats.conf").write_text(f"""
            server_name: broker
            listen: "127.0.0.1:{client}"
            jetstream {{ store_dir: "{folder}/store" }}
            mqtt {{ listen: "127.0.0.1:{self.port}" }}
            authorization {{ user: kilocam, password: "{PASSWORD}" }}
        """)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(find_server()), "-c", str(self._folder / "nats.conf")], stdout=log, stderr=log
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def serves(self) -> None:
        async with asyncio.timeout(20):
            while True:
                try:
                    async with self.client("probe"):
                        return
                except aiomqtt.MqttError:
                    await asyncio.sleep(0.05)

    def client(self, name: str) -> aiomqtt.Client:
        return aiomqtt.Client(
            "127.0.0.1", self.port, username="kilocam", password=PASSWORD, identifier=name
        )

    def stream(self, **more: str) -> StreamSettings:
        login = {"user": "kilocam", "secret": PASSWORD, **more}
        return StreamSettings.model_validate(
            {"name": "home", "kind": "mqtt", "url": f"mqtt://127.0.0.1:{self.port}", **login}
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


Heard = list[tuple[str, bytes]]


@asynccontextmanager
async def listening(broker: Broker, pattern: str, name: str = "ear") -> AsyncIterator[Heard]:
    """What a subscriber hears in the block."""
    heard: Heard = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            heard.append((str(message.topic), message.payload))

    async with broker.client(name) as client:
        await client.subscribe(pattern, qos=1)
        task = asyncio.create_task(listen(client))
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.wait([task])


def at(clock: FakeClock, number: int, *, ago_s: float = 1.0, label: str = "person") -> Outgoing:
    end_us = clock.wall_us() - round(ago_s * 1e6)
    return replace(outgoing(number), end_us=end_us, label=label)


async def test_home_assistant_finds_the_cameras_and_sees_who_comes(broker: Broker) -> None:
    await broker.serves()
    clock = FakeClock()
    async with (
        listening(broker, "homeassistant/#") as found,
        listening(broker, "kilocam/#", "other-ear") as heard,
        MqttReceiver(broker.stream(), clock) as receiver,
    ):
        old = at(clock, 2, ago_s=RECENT_S + 1)
        gone = replace(at(clock, 3), withdrawn=True)
        items = [at(clock, 1), old, gone, at(clock, 4, label="truck"), at(clock, 5, label="dog")]
        await receiver.deliver(items, "")
        await receiver.deliver([at(clock, 6)], "")
        await until(lambda: len(heard) >= 10 and len(found) >= 2)
    events = [json.loads(body)["id"] for topic, body in heard if topic.endswith("/event")]
    assert events == [f"event-{n}" for n in range(1, 7)]
    assert [t for t, body in heard if body == b"ON"] == [
        "kilocam/default/gate/person", "kilocam/default/gate/vehicle",
        "kilocam/default/gate/person",
    ]  # fmt: skip
    assert [body for topic, body in heard if topic.endswith("/status")] == [b"online", b"offline"]
    assert [topic for topic, _ in found] == [
        "homeassistant/binary_sensor/kilocam_default_gate/person/config",
        "homeassistant/binary_sensor/kilocam_default_gate/vehicle/config",
    ]
    person = json.loads(found[0][1])
    assert person["state_topic"] == "kilocam/default/gate/person"
    assert person["availability_topic"] == "kilocam/default/home/status"
    assert (person["payload_on"], person["off_delay"]) == ("ON", 30)


async def test_who_dies_is_said_to_be_offline(broker: Broker) -> None:
    await broker.serves()
    clock = FakeClock()
    async with listening(broker, "kilocam/default/home/status") as heard:
        receiver = MqttReceiver(broker.stream(), clock)
        await receiver.idle()
        await until(lambda: heard != [])
        client = receiver._client
        assert client is not None
        # As when the process is killed: the connection ends without a word.
        connection = client._client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        await until(lambda: len(heard) == 2)
        await receiver.idle()
        await until(lambda: len(heard) == 3)
        await receiver.__aexit__()
    bodies = [body for _, body in heard]
    assert bodies[:3] == [b"online", b"offline", b"online"]


async def test_a_broker_that_is_away_or_refuses_keeps_the_place(
    house: House, broker: Broker
) -> None:
    await broker.serves()
    broker.kill()
    await house.happens(0, 4)
    clock = FakeClock()
    async with running(delivery := house.delivery(MqttReceiver(broker.stream(), clock))):
        await until(lambda: delivery.failures["away"] >= 2)
        assert await house.place() == ""
        assert PASSWORD not in delivery.problem
        broker.start()
        await broker.serves()
        async with listening(broker, "kilocam/+/+/event") as heard:
            await caught_up(house, delivery)
            await house.happens(20, 2)
            await caught_up(house, delivery)
            await until(lambda: len({json.loads(body)["id"] for _, body in heard}) >= 2)
    wrong = MqttReceiver(broker.stream(secret="wrong"), clock)
    async with wrong:
        with pytest.raises(Away, match="ot authori"):
            await wrong.deliver([outgoing(1)], "")
