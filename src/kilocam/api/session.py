"""Sign-in on the page: a one-time link or an API token becomes a session cookie (`/v1/session`).

A link needs no database, a token does unless it was seen within the last hour.
"""

import asyncio
from email.utils import formatdate
from typing import Annotated, Self

from fastapi import FastAPI
from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from kilocam.api.catalogue import Model
from kilocam.api.identity import COOKIE, Identity, address
from kilocam.api.limits import RateLimit
from kilocam.fleet import Sessions, Tokens, Unauthenticated


class SignIn(Model):
    """One of the two secrets."""

    link: Annotated[str, Field(repr=False, description="The secret part of a link.")] = ""
    token: Annotated[str, Field(repr=False, description="An API token.")] = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.link.strip()) == bool(self.token.strip()):
            raise ValueError("give either 'link' or 'token'")
        return self


class SessionOut(Model):
    """Who is signed in."""

    tenant: str
    role: str
    subject: str


def mount_session(
    app: FastAPI, tokens: Tokens, sessions: Sessions, identity: Identity, limit: RateLimit
) -> None:
    """Add sign-in, sign-out and who-am-I."""

    def let_in(text: str, request: Request, response: Response) -> None:
        response.set_cookie(
            COOKIE,
            text,
            expires=_http_date(sessions.verify(text).expires_us),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )

    @app.get("/v1/session/link", include_in_schema=False)
    async def follow(link: str, request: Request) -> Response:
        """A person opens the link that the server printed; the page follows without it."""
        limit.take(address(request))
        response = RedirectResponse("/", status_code=303)
        try:
            let_in(await asyncio.to_thread(sessions.redeem, link), request, response)
        except Unauthenticated:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            # A browser that shows the page says it better, and may be signed in already.
            return RedirectResponse("/#/link-refused", status_code=303)
        return response

    @app.post(
        "/v1/session",
        operation_id="sign_in",
        summary="Sign in with an API token or a one-time link.",
    )
    async def sign_in(body: SignIn, request: Request) -> Response:
        """A program or the page itself; guesses count for the address."""
        limit.take(address(request))
        response = JSONResponse({"signed_in": True})
        if link := body.link.strip():
            let_in(await asyncio.to_thread(sessions.redeem, link), request, response)
        else:
            token = await tokens.recognise(body.token.strip())
            text = sessions.issue(token.principal, until_us=token.expires_us)
            let_in(text, request, response)
        return response

    @app.get("/v1/session", operation_id="who_am_i", summary="Who is signed in.")
    async def who(request: Request) -> SessionOut:
        """The caller."""
        caller = await identity.caller(request)
        return SessionOut(
            tenant=caller.tenant, role=caller.principal.role, subject=caller.principal.subject
        )

    @app.delete("/v1/session", operation_id="sign_out", summary="Sign out.", status_code=204)
    async def sign_out(request: Request) -> Response:
        """The session opens nothing any more, whoever has its cookie."""
        limit.take(address(request))
        try:
            session = identity.session(request)
        except Unauthenticated:
            session = None  # over already
        if session is not None:
            await asyncio.to_thread(sessions.end, session)
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response


def _http_date(expires_us: int) -> str:
    """An HTTP date (RFC 9110 section 5.6.7)."""
    return formatdate(expires_us / 1e6, usegmt=True)
