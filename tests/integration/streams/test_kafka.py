"""Kafka that is not there, hangs, comes back, and refuses what is too large."""

import asyncio
import json

import pytest
from tests.fakes.kafka import brokers
from tests.fakes.receiver import outgoing
from tests.integration.streams.conftest import House, caught_up, running, until

from kilocam.core.settings import StreamSettings
from kilocam.insight import Cursor
from kilocam.streams import Away, Refused
from kilocam.streams.kafka import KafkaReceiver

pytestmark = pytest.mark.asyncio


def stream(bootstrap: str) -> StreamSettings:
    return StreamSettings(name="out", kind="kafka", url=f"kafka://{bootstrap}/insights")


async def test_nobody_there_moves_no_place_and_nothing_is_lost(house: House) -> None:
    await house.happens(0, 5)
    lonely = house.delivery(KafkaReceiver(stream("127.0.0.1:1"), delivery_s=1.0))
    async with running(lonely):
        await until(lambda: lonely.failures["away"] >= 2)
    assert "127.0.0.1:1" in lonely.problem
    assert await house.place() == ""
    with brokers() as cluster:
        async with running(met := house.delivery(KafkaReceiver(stream(cluster.bootstrap)))):
            await caught_up(house, met)
        messages = await asyncio.to_thread(cluster.consume, "insights", met.delivered)
    ids = [json.loads(message.value() or b"")["id"] for message in messages]
    assert len(ids) == len(set(ids)) == met.delivered > 4


async def test_brokers_that_hang_are_waited_for(house: House) -> None:
    with brokers() as cluster:
        receiver = KafkaReceiver(stream(cluster.bootstrap), delivery_s=1.0)
        async with running(delivery := house.delivery(receiver)):
            await house.happens(0, 3)
            await caught_up(house, delivery)
            place = await house.place()
            cluster.freeze()
            await house.happens(10, 3)
            await until(lambda: delivery.failures["away"] >= 2)
            assert await house.place() == place
            assert delivery.behind_since_us is not None
            cluster.thaw()
            await caught_up(house, delivery)
            assert delivery.problem == ""
        messages = await asyncio.to_thread(cluster.consume, "insights", delivery.delivered)
    values = [json.loads(message.value() or b"") for message in messages]
    page = await house.insight.changes("default", Cursor.before(0))
    assert {value["id"] for value in values} == {event.id for event in page}


async def test_what_is_too_large_is_refused_and_the_rest_goes_on() -> None:
    big = outgoing(1)
    object.__setattr__(big, "body", {"id": "x", "text": "x" * 2_000_000})
    with brokers() as cluster:
        async with KafkaReceiver(stream(cluster.bootstrap)) as receiver:
            with pytest.raises(Refused, match="MSG_SIZE_TOO_LARGE"):
                await receiver.deliver([outgoing(2), big], "")
            await receiver.deliver([outgoing(2)], "")


async def test_a_delivery_ends_soon_when_the_process_does() -> None:
    receiver = KafkaReceiver(stream("127.0.0.1:1"), delivery_s=3600)
    async with receiver:
        delivering = asyncio.create_task(receiver.deliver([outgoing(1)], ""))
        await asyncio.sleep(0.2)
    with pytest.raises(Away):
        await asyncio.wait_for(delivering, 10)
