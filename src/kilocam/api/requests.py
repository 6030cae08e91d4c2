"""What was asked, by whom, how it ended: one log line and a few numbers for each request.

Query strings are never logged (a sign-in link is one), nor the capability in a media URL.
"""

import logging
import time
from typing import TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilocam.core.metrics import Metrics

MEDIA = "/v1/media/"
_BUCKETS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_log = logging.getLogger(__name__)


def spare_terminals(log: TextIO) -> None:
    """On a terminal, say nothing of requests: the sign-in link would scroll away."""
    if log.isatty():
        _log.setLevel(logging.WARNING)


class RequestMeter:
    """The numbers; shared by all requests."""

    def __init__(self, metrics: Metrics) -> None:
        self._answers = metrics.counter(
            "requests", "Answers by operation and status.", ("operation", "status")
        )
        self._seconds = metrics.histogram(
            "request_seconds", "Time until the answer was sent.", _BUCKETS, ("operation",)
        )
        self.sockets = metrics.gauge("sockets", "WebSockets that are open.")

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._answers.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)


class RequestLog:
    """ASGI middleware that logs and counts."""

    def __init__(self, app: ASGIApp, meter: RequestMeter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it ended."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.monotonic()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
                self._meter.sockets.inc()
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._note(scope, status, time.monotonic() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        if status == 101:
            self._meter.sockets.dec()
        else:
            self._meter.answered(_operation(scope), status, seconds)
        method = scope.get("method", "WS")
        path = without_capability(scope["path"])
        actor = scope.get("state", {}).get("actor", "-")
        level = logging.DEBUG if path in _QUIET or path.startswith("/assets/") else logging.INFO
        _log.log(level, "%s %s %d %s %.0f ms", method, path, status, actor, seconds * 1000)


def without_capability(path: str) -> str:
    """The path as it may be logged, on one line."""
    if path.startswith(MEDIA):
        path = f"{MEDIA}***/{path.removeprefix(MEDIA).partition('/')[2]}"
    return path.encode("unicode_escape").decode()[:300]


def _operation(scope: Scope) -> str:
    """The operation's name; never the path, of which there are endlessly many."""
    return getattr(scope.get("endpoint"), "__name__", "none")
