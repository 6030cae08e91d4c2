"""To a webhook: a signed POST of JSON; any 2xx acknowledges all of it.

    POST /path
    Kilocam-Stream: NAME
    Kilocam-Signature: t=1795471214,v1=HEX      HMAC-SHA256 of "t." and the body, by the secret
    {"schema": "kilocam.insight", "version": 1, "items": [...]}

The time is signed with the body, so that a receiver can refuse what somebody kept and sends again.
400, 413, 415 and 422 say that the body will never do; any other status, redirects too, that
something has to be put right first.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import ssl
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit

import httpx2

from kilocam.core import Clock, parse_retry_after
from kilocam.core.settings import StreamSettings
from kilocam.streams.errors import Away, Refused
from kilocam.streams.seams import SCHEMA, VERSION, Outgoing

CONNECT_S, ANSWER_S = 10.0, 30.0
_NEVER = frozenset((400, 413, 415, 422))
_MOST_BYTES = 1 << 20
"""Of a request; one message of more goes alone."""


class WebhookReceiver:
    """One address."""

    most = 100
    rest_s = 1.0

    def __init__(self, stream: StreamSettings, clock: Clock, *, answer_s: float = ANSWER_S) -> None:
        self._name = stream.name
        self._url = stream.url
        self._shown = f"webhook at {urlsplit(stream.url).netloc}"
        self._secret = stream.secret.encode()
        self._clock = clock
        self._answer_s = answer_s
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Get ready."""
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # its lines show whole addresses
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(self._answer_s, connect=CONNECT_S),
            trust_env=False,  # what is not configured gets nothing
            verify=ssl.create_default_context(),
            follow_redirects=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.aclose()

    async def idle(self) -> None:
        """Nothing has to be kept alive."""

    async def deliver(self, items: Sequence[Outgoing], after: str) -> None:
        """Return once it has answered 2xx to all of it."""
        del after
        for body in _bodies(items):
            await self._post(body)

    async def _post(self, body: bytes) -> None:
        assert self._client is not None
        moment = self._clock.wall_us() // 1_000_000
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "kilocam",
            "Kilocam-Stream": self._name,
            "Kilocam-Signature": f"t={moment},v1={signature(self._secret, moment, body)}",
        }
        try:
            async with (
                asyncio.timeout(self._answer_s),
                self._client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                status, wait = answer.status_code, answer.headers.get("retry-after", "")
        except (TimeoutError, httpx2.TimeoutException):
            raise Away(f"{self._shown} gave no answer in {self._answer_s:g} s") from None
        except httpx2.ConnectError:
            raise Away(f"{self._shown} cannot be connected to") from None
        except httpx2.HTTPError as error:
            raise Away(f"{self._shown} broke off ({type(error).__name__})") from None
        if status in _NEVER:
            raise Refused(f"{self._shown} refused (status {status})")
        if not 200 <= status < 300:
            wait_us = parse_retry_after(wait, self._clock.wall_us())
            raise Away(f"{self._shown} answered with status {status}", wait_us=wait_us)


def signature(secret: bytes, moment: int, body: bytes) -> str:
    """What a receiver computes, too, and compares in constant time; 64 hex digits."""
    return hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def _bodies(items: Sequence[Outgoing]) -> list[bytes]:
    head = json.dumps({"schema": SCHEMA, "version": VERSION})[:-1].encode() + b', "items": ['
    parts = [json.dumps(dict(item.body)).encode() for item in items]
    bodies: list[list[bytes]] = [[]]
    size = 0
    for part in parts:
        if bodies[-1] and size + len(part) > _MOST_BYTES:
            bodies.append([])
            size = 0
        bodies[-1].append(part)
        size += len(part)
    return [head + b", ".join(body) + b"]}" for body in bodies]
