"""The MCP face of the catalogue: the way in for language models.

Model Context Protocol over streamable HTTP, in its form without sessions: each POST is one message
and ends with its answer, so nothing is kept between two of them and nothing is left of a client
that goes away. Who calls is established as everywhere; what they may do is in `tools.py`, which is
loaded when the first one comes: the SDK takes a second and 18 MB.
"""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import override

from kilocam.api.catalogue import Catalogue
from kilocam.api.identity import Identity, refuse_cross_site
from kilocam.api.problems import Problem, Translator

if TYPE_CHECKING:
    from kilocam.api.tools import Tools

PATH = "/mcp"
EXCHANGES = 32
"""At once; more would only hold memory."""
EXCHANGE_S = 60.0


class ModelFace:
    """One route.

    Args:
        catalogue: all operations; those marked as tools are offered.
        identity: recognises callers.
        translator: turns errors into problems.
        exchanges: at most so many at once.
        within_s: at most so long each.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        identity: Identity,
        translator: Translator,
        *,
        exchanges: int = EXCHANGES,
        within_s: float = EXCHANGE_S,
    ) -> None:
        self._catalogue = catalogue
        self._identity = identity
        self._translator = translator
        self._exchanges = exchanges
        self._within_s = within_s
        self._running = 0
        self._tools: Tools | None = None

    def mount(self, app: FastAPI) -> None:
        """Add it."""
        app.add_api_route(
            PATH,
            self.mcp,
            methods=["POST"],
            operation_id="mcp",
            summary="Model Context Protocol (streamable HTTP), for language models.",
            response_class=Response,
        )

    async def mcp(self, request: Request) -> Response:
        """One message of a client."""
        request.state.caller = await self._identity.caller(request)
        refuse_cross_site(request)
        asked = await request.body()
        if self._running >= self._exchanges:
            many = self._exchanges
            raise Problem(503, "busy", f"{many} models are answered already; try again in a moment")
        return _Exchange(self, asked)

    async def exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it; all that is started for it ends here."""
        self._running += 1
        try:
            async with asyncio.timeout(self._within_s):
                if self._tools is None:
                    module = await asyncio.to_thread(import_module, "kilocam.api.tools")
                    self._tools = module.Tools(self._catalogue, self._translator)
                await self._tools.answer(scope, receive, send)
        except TimeoutError:
            raise Problem(
                503, "busy", f"no answer within {self._within_s:g} s: ask for less, or again"
            ) from None
        finally:
            self._running -= 1


class _Exchange(Response):
    """The answer to one message, which the SDK writes."""

    def __init__(self, face: ModelFace, asked: bytes) -> None:
        super().__init__()
        self._face = face
        self._asked: bytes | None = asked

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def once_more() -> Message:
            if self._asked is None:
                return await receive()
            body, self._asked = self._asked, None
            return {"type": "http.request", "body": body, "more_body": False}

        await self._face.exchange(scope, once_more, send)
