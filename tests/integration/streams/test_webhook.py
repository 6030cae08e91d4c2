"""A webhook on a real socket that answers as it likes."""

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
import pytest_asyncio
from tests.fakes.clock import FakeClock
from tests.fakes.language_model import (
    Act,
    ModelServer,
    answers,
    hangs_up,
    keeps_silent,
    model_server,
)
from tests.fakes.receiver import outgoing
from tests.integration.streams.conftest import House, caught_up, running, until

from kilocam.core.settings import StreamSettings
from kilocam.insight import EventFilter
from kilocam.streams import Away, Ledger, Refused
from kilocam.streams.delivery import TRIES
from kilocam.streams.webhook import WebhookReceiver

pytestmark = pytest.mark.asyncio
SECRET = "nobody-may-see-this"
OK = answers(b"", 200)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        server.will(OK)
        yield server


def receiver(server: ModelServer, answer_s: float = 20.0) -> WebhookReceiver:
    url = f"http://127.0.0.1:{server.port}/hook/secret-path"
    stream = StreamSettings(name="hook", kind="webhook", url=url, secret=SECRET)
    return WebhookReceiver(stream, FakeClock(1_795_471_214_000_000), answer_s=answer_s)


async def test_a_receiver_can_check_who_sent_it_and_when(server: ModelServer) -> None:
    server.will(answers(b"thanks", 202))
    async with receiver(server) as hook:
        await hook.deliver([outgoing(1), outgoing(2)], "")
    [asked] = server.asked
    assert asked.path == "/hook/secret-path"
    assert asked.headers["kilocam-stream"] == "hook"
    # As the documents say how a receiver does it.
    parts = dict(part.split("=") for part in asked.headers["kilocam-signature"].split(","))
    expected = hmac.new(SECRET.encode(), f"{parts['t']}.".encode() + asked.raw, sha256).hexdigest()
    assert hmac.compare_digest(parts["v1"], expected)
    assert parts["t"] == "1795471214"
    assert asked.body == {
        "schema": "kilocam.insight",
        "version": 1,
        "items": [{"id": "event-1", "changed": 1}, {"id": "event-2", "changed": 2}],
    }


@pytest.mark.parametrize(
    ("act", "kind", "text", "wait_us"),
    [
        (answers(b"", 400), Refused, "status 400", 0),
        (answers(b"", 413), Refused, "status 413", 0),
        (answers(b"", 422), Refused, "status 422", 0),
        (answers(SECRET.encode(), 401), Away, "status 401", 0),
        (answers(b"", 404), Away, "status 404", 0),
        (answers(b"", 302, "Location: http://127.0.0.1:1/\r\n"), Away, "status 302", 0),
        (answers(b"", 500), Away, "status 500", 0),
        (answers(b"", 429, "Retry-After: 9\r\n"), Away, "status 429", 9_000_000),
        (answers(b"", 503, "Retry-After: later\r\n"), Away, "status 503", 0),
        (keeps_silent, Away, "no answer in 0.3 s", 0),
        (hangs_up, Away, "broke off", 0),
    ],
)
async def test_anything_but_2xx_acknowledges_nothing(
    server: ModelServer, act: Act, kind: type[Exception], text: str, wait_us: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    server.will(act)
    async with receiver(server, 0.3 if act is keeps_silent else 20.0) as hook:
        with pytest.raises(kind, match=text) as caught:
            await hook.deliver([outgoing(1)], "")
    assert getattr(caught.value, "wait_us", 0) == wait_us
    assert len(server.asked) == 1
    for secret in (SECRET, "secret-path"):
        assert secret not in str(caught.value)
        assert secret not in "".join(
            r.getMessage() for r in caplog.records if r.name.startswith(("kilocam", "httpx2"))
        )


async def test_nobody_there_is_away(server: ModelServer) -> None:
    server.port = 1
    async with receiver(server) as hook:
        with pytest.raises(Away, match="cannot be connected to"):
            await hook.deliver([outgoing(1)], "")


async def test_a_request_has_a_bounded_size(server: ModelServer) -> None:
    items = [outgoing(n) for n in range(1, 6)]
    for item in items:
        object.__setattr__(item, "body", {"id": item.id, "text": "x" * 400_000})
    async with receiver(server) as hook:
        await hook.deliver(items, "")
    assert [[i["id"] for i in asked.body["items"]] for asked in server.asked] == [
        ["event-1", "event-2"], ["event-3", "event-4"], ["event-5"],
    ]  # fmt: skip


async def test_a_webhook_that_fails_hangs_and_comes_back_gets_everything(
    server: ModelServer, house: House
) -> None:
    await house.happens(0, 8)
    server.will(answers(b"", 500), keeps_silent, hangs_up, answers(b"", 503), OK)
    async with running(delivery := house.delivery(receiver(server, 0.3))):
        await caught_up(house, delivery)
    [*_, last] = server.asked
    assert len(server.asked) == 5
    assert len(last.body["items"]) == delivery.delivered == 8
    assert delivery.failures == {"away": 4}
    page = await house.insight.events("default", EventFilter())
    assert {item["id"] for item in last.body["items"]} == {event.id for event in page.items}


async def test_what_a_webhook_never_takes_is_a_dead_letter_that_can_be_read(
    server: ModelServer, house: House
) -> None:
    await house.happens(0, 6)
    page = await house.insight.events("default", EventFilter())
    poison = page.items[3].id

    async def picky(writer: asyncio.StreamWriter) -> None:
        ids = [item["id"] for item in server.asked[-1].body["items"]]
        await answers(b"", 422 if poison in ids else 200)(writer)

    server.will(picky)
    async with running(delivery := house.delivery(receiver(server))):
        await until(lambda: delivery.letters > 0 or delivery.delivered > 20)
        await caught_up(house, delivery)
    ledger = Ledger(house.database)
    [letter] = await ledger.letters("default", "out")
    assert (letter.event, letter.camera, letter.body["id"]) == (poison, "gate", poison)
    assert letter.why.endswith("refused (status 422)")
    alone = [a for a in server.asked if [i["id"] for i in a.body["items"]] == [poison]]
    assert len(alone) == TRIES
    taken = {
        item["id"]
        for asked in server.asked
        for item in asked.body["items"]
        if poison not in [i["id"] for i in asked.body["items"]]
    }
    assert taken == {event.id for event in page.items} - {poison}
    assert json.loads(json.dumps(letter.body))["class"] == "person"
