"""Sign-in on the page: a one-time link becomes a session cookie (contract: `/v1/session`)."""

from email.utils import formatdate

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from kilocam.api.catalogue import Model
from kilocam.api.identity import COOKIE, Identity, address
from kilocam.api.limits import RateLimit
from kilocam.fleet import Sessions, Unauthenticated


class SignIn(Model):
    """The secret part of a sign-in link."""

    link: str


class SessionOut(Model):
    """Who is signed in."""

    tenant: str
    role: str
    subject: str


def mount_session(app: FastAPI, sessions: Sessions, identity: Identity, limit: RateLimit) -> None:
    """Add sign-in, sign-out and who-am-I."""

    def signed_in(link: str, request: Request, response: Response) -> None:
        limit.take(address(request))
        principal = sessions.redeem(link)
        text = sessions.issue(principal)
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
        response = RedirectResponse("/", status_code=303)
        try:
            signed_in(link, request, response)
        except Unauthenticated:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            # A browser that shows the page says it better, and may be signed in already.
            return RedirectResponse("/#/link-refused", status_code=303)
        return response

    @app.post("/v1/session", operation_id="sign_in", summary="Sign in with a one-time link.")
    async def sign_in(body: SignIn, request: Request) -> Response:
        """A program or the page itself redeems a link."""
        response = JSONResponse({"signed_in": True})
        signed_in(body.link, request, response)
        return response

    @app.get("/v1/session", operation_id="who_am_i", summary="Who is signed in.")
    async def who(request: Request) -> SessionOut:
        """The caller."""
        caller = await identity.caller(request)
        return SessionOut(
            tenant=caller.tenant, role=caller.principal.role, subject=caller.principal.subject
        )

    @app.delete("/v1/session", operation_id="sign_out", summary="Sign out.", status_code=204)
    async def sign_out() -> Response:
        """Forget the cookie."""
        response = Response(status_code=204)
        response.delete_cookie(COOKIE)
        return response


def _http_date(expires_us: int) -> str:
    """An HTTP date (RFC 9110 section 5.6.7)."""
    return formatdate(expires_us / 1e6, usegmt=True)
