"""The gateway's application: the catalogue's faces, sign-in, health, metrics, the page."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from typing_extensions import override

from kilocam import __version__
from kilocam.api.catalogue import Catalogue
from kilocam.api.identity import Identity
from kilocam.api.known import KnownCameras
from kilocam.api.limits import BodyLimit, RateLimit
from kilocam.api.live import LivePictures
from kilocam.api.mcp import ModelFace
from kilocam.api.media import FOREVER, mount_media
from kilocam.api.operations.events import INSIGHT_PROBLEMS
from kilocam.api.operations.streams import STREAM_PROBLEMS
from kilocam.api.problems import CONTENT_TYPE, SCHEMA, Problem, Translator, install
from kilocam.api.requests import RequestLog, RequestMeter
from kilocam.api.rest import mount
from kilocam.api.session import mount_session
from kilocam.core import KilocamError
from kilocam.core.metrics import Metrics, collect_metrics
from kilocam.fleet import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Sessions,
    Tokens,
    Unauthenticated,
    Unavailable,
    Unsealable,
)
from kilocam.playback import (
    Busy,
    CapabilityRefused,
    NoPicture,
    NoSuchSegment,
    NotPlayable,
    Playback,
    PlaybackError,
)

_log = logging.getLogger(__name__)

PROBLEMS: dict[type[KilocamError], tuple[int, str]] = {
    NotFound: (404, "not-found"),
    Conflict: (409, "conflict"),
    Invalid: (422, "invalid"),
    Unauthenticated: (401, "unauthenticated"),
    Forbidden: (403, "forbidden"),
    Unavailable: (503, "unavailable"),
    Unsealable: (500, "unsealable"),
    NoPicture: (404, "no-picture"),
    NoSuchSegment: (404, "not-found"),
    CapabilityRefused: (403, "forbidden"),
    NotPlayable: (409, "not-playable"),
    Busy: (503, "busy"),
    PlaybackError: (503, "no-pictures"),
    **INSIGHT_PROBLEMS,
    **STREAM_PROBLEMS,
}
"""Status and kind of the errors of the rooms below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the gateway knows of its house.

    Attributes:
        roles: Readiness of each role, by process name.
        metrics_dir: Where the processes write their metrics.
    """

    roles: Callable[[], Awaitable[Mapping[str, bool]]]
    metrics_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """All that the application is made of.

    Attributes:
        catalogue: All operations.
        tokens, sessions: Recognise callers.
        limit: What one of them may ask.
        playback, cameras: For live pictures and media segments.
        health: For `/readyz` and `/metrics`.
        metrics: Where the gateway's own numbers go.
        page: Directory of the built page.
    """

    catalogue: Catalogue
    tokens: Tokens
    sessions: Sessions
    limit: RateLimit
    playback: Playback
    cameras: KnownCameras
    health: Health
    metrics: Metrics
    page: Path


def make_app(gateway: Gateway) -> FastAPI:
    """The whole gateway."""
    app = FastAPI(
        title="Kilocam",
        version=__version__,
        openapi_url=None,  # it asks who calls, like all the rest
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={
            "default": {"description": "A problem.", "content": {CONTENT_TYPE: {"schema": SCHEMA}}}
        },
    )
    translator = Translator(PROBLEMS)
    identity = Identity(gateway.tokens, gateway.sessions, gateway.limit)
    install(app, translator)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestLog, meter=RequestMeter(gateway.metrics))
    _mount_health(app, identity, gateway.health)
    mount_session(app, gateway.tokens, gateway.sessions, identity, gateway.limit)
    mount(app, gateway.catalogue, identity.caller)
    ModelFace(gateway.catalogue, identity, translator).mount(app)
    mount_media(app, gateway.playback, gateway.limit)
    LivePictures(gateway.playback, gateway.cameras, identity, translator).mount(app)
    _mount_page(app, gateway.page)
    return app


def _mount_health(app: FastAPI, identity: Identity, health: Health) -> None:
    @app.get("/healthz", operation_id="alive", summary="This process answers.")
    async def alive() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", operation_id="ready", summary="Readiness of each role.")
    async def ready() -> Response:
        try:
            roles = await health.roles()
        except (OSError, ValueError, KeyError) as error:
            _log.warning("the roles' state cannot be read: %s", error)
            raise Problem(
                503, "unavailable", "the roles' state cannot be read: see the server's log"
            ) from None
        if all(roles.values()):
            return JSONResponse({"roles": dict(roles)})
        waiting = ", ".join(sorted(name for name, is_ready in roles.items() if not is_ready))
        raise Problem(503, "not-ready", f"not ready: {waiting}", roles=dict(roles))

    @app.get("/metrics", operation_id="metrics", summary="All processes, for Prometheus.")
    async def metrics(request: Request) -> Response:
        await identity.caller(request)
        return PlainTextResponse(
            await asyncio.to_thread(collect_metrics, health.metrics_dir),
            media_type="text/plain; version=0.0.4; charset=utf-8",
        )

    @app.get("/v1/openapi.json", operation_id="openapi", summary="This description.")
    async def openapi(request: Request) -> Response:
        await identity.caller(request)
        return JSONResponse(app.openapi())


class _Assets(StaticFiles):
    """The page's files, which carry a hash of their content in their names."""

    @override
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = FOREVER
        return response


def _mount_page(app: FastAPI, page: Path) -> None:
    """Static files need no sign-in; whatever else is not known is a problem, not the page."""

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        file = page / "index.html"
        if not file.is_file():
            raise Problem(404, "not-found", "the page is not built; reinstall Kilocam")
        return FileResponse(file, headers={"Cache-Control": "no-cache", **_PAGE_HEADERS})

    if (page / "assets").is_dir():
        app.mount("/assets", _Assets(directory=page / "assets"), name="assets")


_PAGE_HEADERS = {
    # Nothing of elsewhere is loaded; blob: is what media sources play from.
    "Content-Security-Policy": (
        "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; "
        "img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
