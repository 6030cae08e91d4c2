"""Live pictures over a WebSocket: JSON with the MIME type, then fragmented MP4 as it comes.

Each JSON message begins a stream: `{"mime": …}`, then binary messages, the first of which is the
init segment. A problem is told as its JSON object and the socket closed with 4000 + its status.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import FastAPI
from starlette.websockets import WebSocket, WebSocketDisconnect

from kilocam.api.identity import Identity
from kilocam.api.known import KnownCameras
from kilocam.api.problems import Problem, Translator
from kilocam.api.sockets import SEND_S, close, refuse, send_until_gone
from kilocam.core import KilocamError
from kilocam.fleet import Role
from kilocam.playback import LiveInit, LiveMessage, Playback

VIEWERS = 500


class LivePictures:
    """The WebSocket's side of live pictures.

    Args:
        playback: muxes, and drops what slow viewers do not take up to the next key frame.
        cameras: which there are.
        identity: recognises callers, and refuses another site's use of a cookie.
        translator: turns errors into problems.
        viewers: at most so many at once.
    """

    def __init__(
        self,
        playback: Playback,
        cameras: KnownCameras,
        identity: Identity,
        translator: Translator,
        *,
        viewers: int = VIEWERS,
    ) -> None:
        self._playback = playback
        self._cameras = cameras
        self._identity = identity
        self._translator = translator
        self._viewers = viewers
        self._watching = 0

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        app.add_api_websocket_route("/v1/cameras/{id}/live", self.watch, name="watch_live")

    async def watch(self, socket: WebSocket) -> None:
        """One viewer, from the handshake to the end."""
        await socket.accept()
        self._watching += 1
        try:
            await self._serve(socket)
            await close(socket, 1000)
        except KilocamError as error:
            await refuse(socket, self._translator.problem(error))
        except TimeoutError:
            await close(socket, 1008, "the viewer takes no pictures")
        except WebSocketDisconnect:
            pass
        finally:
            self._watching -= 1

    async def _serve(self, socket: WebSocket) -> None:
        if self._watching > self._viewers:
            raise Problem(
                503, "busy", f"{self._viewers} viewers watch already; try again in a moment"
            )
        caller = await self._identity.caller(socket)
        caller.need(Role.VIEWER, "watch_live")
        key = await self._cameras.key(caller.tenant, str(socket.path_params["id"]))
        await send_until_gone(
            socket,
            _send(socket, self._playback.live(key)),
            lambda: self._identity.check_still(socket),
        )


async def _send(socket: WebSocket, messages: AsyncIterator[LiveMessage]) -> None:
    async with aclosing(messages):  # type: ignore[type-var]  # a generator, declared by its use
        async for message in messages:
            async with asyncio.timeout(SEND_S):
                if isinstance(message, LiveInit):
                    await socket.send_json({"mime": message.mime})
                await socket.send_bytes(message.data)
