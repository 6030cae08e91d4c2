"""Events as they happen: server-sent events and a WebSocket; the long poll is an operation.

Both tell the same things in the same order, each with its place. Whoever was cut off goes on from
there: a browser's EventSource sends `Last-Event-ID` by itself, a WebSocket is opened with
`?after=`. A listener holds nothing here but its place, so a slow one costs nobody anything.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import FastAPI
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from kilocam.api.identity import Identity
from kilocam.api.known import KnownCameras
from kilocam.api.operations.events import Restricted, event_out, filter_of, refuse_unknown
from kilocam.api.problems import Problem, Translator
from kilocam.api.sockets import SEND_S, close, refuse, send_until_gone
from kilocam.api.texts import check_texts
from kilocam.core import KilocamError
from kilocam.fleet import Role, Unauthenticated
from kilocam.insight import Cursor, Event, EventFilter, Feed, Unavailable, admits

QUIET_S = 15.0
"""After so long without news a sign of life is sent, or proxies would close the connection."""
AGAIN_S = 2.0
LISTENERS = 500
STREAM, SOCKET = "/v1/events/stream", "/v1/events/ws"
_News = AsyncGenerator[tuple[Cursor, Event | None], None]


class EventStreams:
    """The faces of a feed.

    Args:
        feed: where news come from.
        cameras: which there are.
        identity: recognises callers, and refuses another site's use of a cookie.
        translator: turns errors into problems.
        listeners: at most so many at once.
    """

    def __init__(
        self,
        feed: Feed,
        cameras: KnownCameras,
        identity: Identity,
        translator: Translator,
        *,
        listeners: int = LISTENERS,
    ) -> None:
        self._feed = feed
        self._cameras = cameras
        self._identity = identity
        self._translator = translator
        self._listeners = listeners
        self._listening = 0

    def mount(self, app: FastAPI) -> None:
        """Add the routes, before `/v1/events/{id}`, which would take them for ids."""
        app.add_api_websocket_route(SOCKET, self.socket, name="events_socket")
        app.add_api_route(
            STREAM,
            self.stream,
            operation_id="stream_events",
            summary="Events as they happen (server-sent events).",
            response_class=StreamingResponse,
            responses={200: {"content": {"text/event-stream": {}}}},
        )
        routes = app.router.routes
        routes.insert(0, routes.pop())

    async def stream(self, request: Request) -> Response:
        """Server-sent events (WHATWG HTML, section 9.2)."""
        tenant, wanted, after = await self._begin(request, "stream_events")
        return StreamingResponse(
            self._sse(request, self._news(tenant, wanted, after)),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def socket(self, socket: WebSocket) -> None:
        """One listener, from the handshake to the end."""
        await socket.accept()
        try:
            tenant, wanted, after = await self._begin(socket, "events_socket")
            await send_until_gone(
                socket,
                _tell(socket, self._news(tenant, wanted, after)),
                lambda: self._identity.check_still(socket),
            )
        except KilocamError as error:
            await refuse(socket, self._translator.problem(error))
        except TimeoutError:
            await close(socket, 1008, "the listener takes nothing")
        except WebSocketDisconnect:
            pass

    async def _begin(
        self, connection: HTTPConnection, operation: str
    ) -> tuple[str, EventFilter, Cursor]:
        """Whose events, which of them, and from where on."""
        caller = await self._identity.caller(connection)
        caller.need(Role.VIEWER, operation)
        asked = connection.query_params
        check_texts(asked)
        wanted = filter_of(Restricted(camera=asked.get("camera", ""), label=asked.get("class", "")))
        refuse_unknown(caller.tenant, await self._cameras.unknown(caller.tenant, wanted.cameras))
        place = connection.headers.get("last-event-id") or asked.get("after")
        after = Cursor.parse(place) if place else await self._feed.now_at(caller.tenant)
        if self._listening >= self._listeners:
            raise Problem(503, "busy", f"{self._listeners} listen already; try again in a moment")
        return caller.tenant, wanted, after

    async def _news(self, tenant: str, wanted: EventFilter, after: Cursor) -> _News:
        """Places, each with its event, or without one as a sign of life."""
        self._listening += 1
        try:
            yield after, None
            while not self._feed.ended:
                try:
                    events = await self._feed.next(tenant, after, QUIET_S)
                except Unavailable:
                    await asyncio.sleep(AGAIN_S)
                    events = ()
                for event in events:
                    after = event.changed
                    if admits(wanted, event):
                        yield after, event
                if not events:
                    yield after, None
        finally:
            self._listening -= 1

    async def _sse(self, request: Request, news: _News) -> AsyncIterator[str]:
        async with aclosing(news):
            async for place, event in news:
                try:
                    await self._identity.check_still(request)
                except Unauthenticated:
                    return  # the browser comes again, and is told why it may not
                if event is None:
                    yield f": nothing new\nid: {place}\n\n"
                else:
                    yield f"id: {place}\nevent: event\ndata: {_json(event)}\n\n"


async def _tell(socket: WebSocket, news: _News) -> None:
    async with aclosing(news):
        async for place, event in news:
            body = "null" if event is None else _json(event)
            async with asyncio.timeout(SEND_S):
                await socket.send_text(f'{{"after": "{place}", "event": {body}}}')


def _json(event: Event) -> str:
    return event_out(event).model_dump_json(by_alias=True)


def mount_streams(
    app: FastAPI, feed: Feed, cameras: KnownCameras, identity: Identity, translator: Translator
) -> None:
    """Add server-sent events and the WebSocket to the gateway."""
    EventStreams(feed, cameras, identity, translator).mount(app)
