"""What the gateway's WebSockets share: they only send, and end with a reason the other side gets.

A problem is told as its JSON object, then the socket closes with 4000 + its status.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from kilocam.api.problems import Problem

STILL_S = 3.0
"""So soon after signing out the last picture is sent."""
SEND_S = 20.0
"""Who takes nothing for so long has gone without a word."""
_REASON_BYTES = 120
"""A close frame holds 123 bytes of reason (RFC 6455 section 5.5)."""


async def send_until_gone(
    socket: WebSocket, sending: Coroutine[Any, Any, None], still: Callable[[], Awaitable[None]]
) -> None:
    """Run `sending` until it ends or the other side goes; raises what `sending` raises.

    `still` is asked now and then whether the other side may go on; it raises when not.
    """
    telling = asyncio.create_task(sending)
    listening = asyncio.create_task(_until_gone(socket))
    try:
        while not await _first_of(telling, listening):
            await still()
    finally:
        for task in (telling, listening):
            task.cancel()
        await asyncio.wait({telling, listening})
    if not telling.cancelled():
        telling.result()


async def _first_of(*tasks: asyncio.Task[None]) -> set[asyncio.Task[None]]:
    done, _ = await asyncio.wait(tasks, timeout=STILL_S, return_when=asyncio.FIRST_COMPLETED)
    return done


async def refuse(socket: WebSocket, problem: Problem) -> None:
    """Tell `problem` and close."""
    # Where the other side is gone there is nobody to tell: starlette raises either, by how it went.
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(SEND_S):
            await socket.send_json(problem.body())
    await close(socket, 4000 + problem.status, str(problem))


async def close(socket: WebSocket, code: int, reason: str = "") -> None:
    """Close with as much of `reason` as a close frame holds; no error where it is closed."""
    short = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code, short)


async def _until_gone(socket: WebSocket) -> None:
    """Whoever listens has nothing to say; what they say is thrown away."""
    with suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
