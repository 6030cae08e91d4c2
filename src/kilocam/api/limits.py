"""How much one caller may ask: requests a second, bytes of a body.

A caller is a token or a signed-in person; whoever is neither is known by the address alone. Buckets
are kept in memory, per process, for the callers seen last.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilocam.api.problems import Problem, problem_response
from kilocam.core import Clock, SystemClock

BODY_BYTES = 1 << 20
"""Far above what any operation takes: bodies are descriptions, never media."""
_CALLERS = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at_us: int


class RateLimit:
    """A token bucket for each caller (RFC 6585 section 4 for what is said when it is empty).

    Args:
        per_s: requests a second in the long run.
        burst: requests at once.
        clock: tells how much time has passed.
    """

    def __init__(self, *, per_s: float = 100, burst: int = 400, clock: Clock | None = None) -> None:
        self._per_s, self._burst = per_s, burst
        self._clock = clock or SystemClock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count one request.

        Raises:
            Problem: 429, the caller has used up what it may ask.
        """
        now = self._clock.monotonic_us()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = _Bucket(self._burst, now)
            if len(self._buckets) > _CALLERS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(caller)
        passed_s = (now - bucket.at_us) / 1_000_000
        bucket.left, bucket.at_us = min(self._burst, bucket.left + passed_s * self._per_s), now
        if bucket.left < 1:
            wait_s = math.ceil((1 - bucket.left) / self._per_s)
            raise Problem(
                429,
                "too-many-requests",
                f"more than {self._per_s:g} requests a second; wait {wait_s} s and ask less often",
                headers={"Retry-After": str(wait_s)},
            )
        bucket.left -= 1


class BodyLimit:
    """ASGI middleware that reads no body beyond a size, whether its length is announced or not."""

    def __init__(self, app: ASGIApp, limit: int = BODY_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._limit:
            problem = Problem(413, "too-large", self._text())
            await problem_response(problem)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise HTTPException(413, self._text())
            return message

        await self._app(scope, counted, send)

    def _text(self) -> str:
        return f"the body is larger than {self._limit} bytes; send less"
