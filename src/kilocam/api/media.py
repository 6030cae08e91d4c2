"""Media segments: whoever has the URL may read it, and every cache on the way may keep it."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from kilocam.api.identity import address
from kilocam.api.limits import RateLimit
from kilocam.api.requests import MEDIA
from kilocam.core import CameraKey
from kilocam.playback import Playback

FOREVER = "public, max-age=31536000, immutable"


def mount_media(app: FastAPI, playback: Playback, limit: RateLimit) -> None:
    """Add the one route; it asks nobody who calls, and no database."""

    @app.get(
        MEDIA + "{token}/{tenant}/{camera}/{name}",
        operation_id="get_media",
        summary="A segment that a playlist names; its URL carries the capability.",
        response_class=Response,
        responses={200: {"content": {"video/mp4": {}}}},
    )
    async def get_media(
        request: Request, token: str, tenant: str, camera: str, name: str
    ) -> Response:
        limit.take(address(request))
        data = await playback.media(token, CameraKey(tenant, camera), name)
        return Response(data, media_type="video/mp4", headers={"Cache-Control": FOREVER})
