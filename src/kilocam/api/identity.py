"""Who calls: a bearer token, or the session cookie of somebody who signed in on the page.

Only the address of `/healthz`, `/readyz`, the page's static files, sign-in and URLs that carry
their own capability answer without it.
"""

from contextlib import suppress
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from kilocam.api.catalogue import Caller
from kilocam.api.limits import RateLimit
from kilocam.api.problems import Problem, unauthenticated
from kilocam.core import check_id
from kilocam.fleet import (
    SYSTEM,
    Principal,
    Session,
    Sessions,
    Tokens,
    Unauthenticated,
    Unavailable,
)

COOKIE = "kilocam_session"
_SAFE = frozenset({"GET", "HEAD"})


class Identity:
    """Recognises callers; sessions need no database, tokens are remembered for a while."""

    def __init__(self, tokens: Tokens, sessions: Sessions, limit: RateLimit) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._limit = limit

    async def caller(self, request: HTTPConnection) -> Caller:
        """Who calls, acting in `?tenant=` or its own tenant.

        Raises:
            Problem: 401 without a token or session, 403 for a cross-site use of the cookie, 429
                when the caller, or the address of those who are nobody, asks too often.
            FleetError: the token is not good, or the tenant is not the caller's.
        """
        try:
            principal, until_us = await self._principal(request)
        except (Problem, Unauthenticated):
            self._limit.take(address(request))
            raise
        self._limit.take(f"{principal.tenant} {principal.subject}")
        request.state.actor = principal.subject
        wanted = request.query_params.get("tenant")
        if wanted is not None and wanted != SYSTEM:  # whether it may act there, it says itself
            check_id("tenant", wanted)
        return Caller(tenant=principal.tenant_for(wanted), principal=principal, until_us=until_us)

    async def _principal(self, request: HTTPConnection) -> tuple[Principal, int | None]:
        """Who calls, and until when."""
        if bearer := _bearer(request):
            token = await self._tokens.recognise(bearer)
            return token.principal, token.expires_us
        session = self.session(request)
        if session is None:
            raise unauthenticated(
                "sign in first: send 'Authorization: Bearer TOKEN', or open the sign-in link that "
                "the server printed at its start (`kilocam link` prints a new one)"
            )
        return session.principal, session.expires_us

    async def check_still(self, request: HTTPConnection) -> None:
        """Raise `Unauthenticated` when the session or token that a long answer began with is over.

        Does not count, and needs no database: while that is away a token counts as good.
        """
        if not (bearer := _bearer(request)):
            self.session(request)
            return
        with suppress(Unavailable):
            await self._tokens.recognise(bearer)

    def session(self, request: HTTPConnection) -> Session | None:
        """The session of the cookie; None without a cookie.

        Raises:
            Problem: 403, another site's page uses the cookie.
            Unauthenticated: the session is over, or none of ours.
        """
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            return None
        refuse_cross_site(request)
        return self._sessions.verify(cookie)


def _bearer(request: HTTPConnection) -> str:
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if kind.lower() == "bearer" else ""


def address(request: HTTPConnection) -> str:
    """Who somebody is of whom nothing else is known."""
    return f"address {request.client.host if request.client else ''}"


def refuse_cross_site(request: HTTPConnection) -> None:
    """Another site's page must not act with this browser's cookie.

    The cookie is SameSite=Lax already; this also covers WebSockets and sibling ports.
    """
    origin = request.headers.get("origin")
    reads = request.scope["type"] == "http" and request.scope["method"] in _SAFE
    if origin is None or reads:
        return
    if urlsplit(origin).netloc != request.headers.get("host"):
        raise Problem(403, "forbidden", f"origin {origin} may not use this session")
