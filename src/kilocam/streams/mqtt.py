"""To an MQTT broker, at quality of service 1; Home Assistant finds the cameras by itself.

    kilocam/<tenant>/<camera>/event      each version of an event, JSON
    kilocam/<tenant>/<camera>/person     ON while somebody is seen; vehicle as well
    kilocam/<tenant>/<stream>/status     online, offline (retained; the broker says offline for us)

Home Assistant turns `person` off by itself `OFF_DELAY_S` after the last ON. What is over `RECENT_S`
old when it gets here turns nothing on: nobody wants the lights of last night.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Self
from urllib.parse import urlsplit

import aiomqtt

from kilocam.core import Clock
from kilocam.core.settings import StreamSettings
from kilocam.streams.errors import Away
from kilocam.streams.seams import Outgoing

ACKNOWLEDGED_S = 20.0
OFF_DELAY_S = 30
RECENT_S = 60.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KINDS = {
    "person": (frozenset(("person",)), "occupancy"),
    "vehicle": (frozenset(("car", "truck", "bus", "motorcycle")), "motion"),
}
"""What a camera has a sensor for: labels, and Home Assistant's class of the sensor."""


class MqttReceiver:
    """A broker."""

    most = 100
    rest_s = 1.0

    def __init__(
        self, stream: StreamSettings, clock: Clock, *, acknowledged_s: float = ACKNOWLEDGED_S
    ) -> None:
        parts = urlsplit(stream.url)
        self._stream = stream
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._tls = ssl.create_default_context() if parts.scheme == "mqtts" else None
        self._shown = f"MQTT broker at {parts.netloc}"
        self._status = f"kilocam/{stream.tenant}/{stream.name}/status"
        self._clock = clock
        self._acknowledged_s = acknowledged_s
        self._connection = AsyncExitStack()
        self._client: aiomqtt.Client | None = None
        self._watching: asyncio.Task[None] | None = None
        self._introduced: set[str] = set()
        """Cameras whose sensors this connection has told of."""

    async def __aenter__(self) -> Self:
        """Connected is with the first batch."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say goodbye, soon."""
        try:
            async with asyncio.timeout(2):
                if self._client is not None:
                    await self._client.publish(self._status, "offline", qos=1, retain=True)
        except (aiomqtt.MqttError, TimeoutError):
            pass  # the broker says it for us
        await self._leave()

    async def idle(self) -> None:
        """Be there and show it, or Home Assistant takes all sensors for unavailable."""
        async with self._acknowledged():
            await self._connected()

    async def deliver(self, items: Sequence[Outgoing], after: str) -> None:
        """Return once the broker has acknowledged all."""
        del after
        async with self._acknowledged():
            client = await self._connected()
            for item in items:
                await self._introduce(client, item.camera)
            # Sent in this order; the acknowledgements are waited for together.
            await asyncio.gather(*(
                client.publish(topic, payload, qos=1)
                for item in items
                for topic, payload in self._messages(item)
            ))  # fmt: skip

    @asynccontextmanager
    async def _acknowledged(self) -> AsyncIterator[None]:
        """Whatever is done inside is acknowledged in time, or the connection is given up."""
        try:
            async with asyncio.timeout(self._acknowledged_s):
                yield
        except TimeoutError:
            await self._leave()
            raise Away(
                f"{self._shown} did not acknowledge within {self._acknowledged_s:g} s"
            ) from None
        except aiomqtt.MqttError as error:
            await self._leave()
            raise Away(f"{self._shown}: {str(error)[:200]}") from None

    def _messages(self, item: Outgoing) -> list[tuple[str, str]]:
        base = f"kilocam/{item.tenant}/{item.camera}"
        messages = [(f"{base}/event", json.dumps(dict(item.body)))]
        recent = self._clock.wall_us() - item.end_us < RECENT_S * 1e6
        if recent and not item.withdrawn:
            messages += [
                (f"{base}/{kind}", "ON")
                for kind, (labels, _) in _KINDS.items()
                if item.label in labels
            ]
        return messages

    async def _connected(self) -> aiomqtt.Client:
        if self._watching is not None and self._watching.done():
            await self._leave()
        if self._client is None:
            client = aiomqtt.Client(
                self._host,
                self._port,
                username=self._stream.user or None,
                password=self._stream.secret or None,
                identifier=f"kilocam-{self._stream.tenant}-{self._stream.name}",
                tls_context=self._tls,
                will=aiomqtt.Will(self._status, "offline", qos=1, retain=True),
            )
            await self._connection.enter_async_context(client)
            self._client = client
            self._watching = asyncio.create_task(_until_it_ends(client))
            self._introduced.clear()
            await client.publish(self._status, "online", qos=1, retain=True)
        return self._client

    async def _leave(self) -> None:
        connection, self._connection = self._connection, AsyncExitStack()
        watching, self._watching = self._watching, None
        self._client = None
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])
        try:
            async with asyncio.timeout(2):
                await connection.aclose()
        except (aiomqtt.MqttError, TimeoutError):
            pass  # it is gone already

    async def _introduce(self, client: aiomqtt.Client, camera: str) -> None:
        """Tell Home Assistant of a camera's sensors (MQTT discovery), once a connection."""
        if camera in self._introduced:
            return
        tenant = self._stream.tenant
        unique = f"kilocam_{tenant}_{camera}"
        for kind, (_, device_class) in _KINDS.items():
            config = {
                "name": kind,
                "unique_id": f"{unique}_{kind}",
                "device_class": device_class,
                "state_topic": f"kilocam/{tenant}/{camera}/{kind}",
                "payload_on": "ON",
                "off_delay": OFF_DELAY_S,
                "availability_topic": self._status,
                "device": {
                    "identifiers": [unique],
                    "name": camera,
                    "manufacturer": "Kilocam",
                },
            }
            topic = f"homeassistant/binary_sensor/{unique}/{kind}/config"
            await client.publish(topic, json.dumps(config), qos=1, retain=True)
        self._introduced.add(camera)


async def _until_it_ends(client: aiomqtt.Client) -> None:
    """Nothing is subscribed to: this returns when the connection is gone, by our pings too."""
    with suppress(aiomqtt.MqttError):
        async for _ in client.messages:
            pass
