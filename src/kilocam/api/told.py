"""Long answers over REST: as server-sent events where those are asked for; ended when nobody waits.

Server-sent events as WHATWG HTML, section 9.2, has them; each has a name and one line of JSON.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

EVENT_STREAM = "text/event-stream"
Told = AsyncGenerator[tuple[str, str], None]
T = TypeVar("T")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


def wants_stream(request: Request) -> bool:
    """Whether the client asks for server-sent events."""
    return EVENT_STREAM in request.headers.get("accept", "")


async def stream(request: Request, told: Told) -> Response:
    """The answer as it comes; what fails before its first event is still a problem.

    Raises:
        ClientGone: before there was any.
    """
    first = await while_there(request, _first(told))
    return StreamingResponse(
        _events(first, told),
        media_type=EVENT_STREAM,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(first: tuple[str, str], told: Told) -> AsyncIterator[str]:
    async with aclosing(told):
        yield _event(*first)
        async for name, body in told:
            yield _event(name, body)


async def _first(told: Told) -> tuple[str, str]:
    try:
        return await anext(told)
    except BaseException:
        await told.aclose()
        raise


def _event(name: str, body: str) -> str:
    return f"event: {name}\ndata: {body}\n\n"


async def while_there(request: Request, working: Coroutine[Any, Any, T]) -> T:
    """What `working` gives; it is cancelled when the client goes away.

    Raises:
        ClientGone: it went.
    """
    work = asyncio.create_task(working)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientGone
        return work.result()
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Until the client has gone; its body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
