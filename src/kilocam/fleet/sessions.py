"""Sign-ins as short signed texts: recognised with a key alone, while every database is dead.

`kcs.<key id>.<base64url of JSON claims>.<base64url of HMAC-SHA256>`; the MAC covers all before it.
The one-time link that `kilocam up` prints is the same thing with another use. What is over before
it expires (a link that was used, a session that was signed out) is remembered until then: `Spent`.
"""

import base64
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from kilocam.core import Clock, SystemClock
from kilocam.fleet.errors import Unauthenticated
from kilocam.fleet.keys import Keyring, Use
from kilocam.fleet.spent import Spent
from kilocam.fleet.values import Principal, Role

SESSION_US = 12 * 3_600_000_000
LINK_US = 600_000_000
_PREFIX = "kcs"
_LONGEST = 1000
Purpose = Literal["session", "link"]
_EXPIRED: dict[Purpose, str] = {
    "session": "the sign-in has expired: sign in again",
    "link": "the sign-in link has expired: `kilocam link` on the server prints a new one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A recognised sign-in."""

    id: str
    principal: Principal
    expires_us: int


class Sessions:
    """Makes and recognises sign-ins.

    Args:
        keyring: signs them.
        clock: tells when they expire.
        spent: those that are over before; by default remembered by this process alone.
    """

    def __init__(
        self, keyring: Keyring, clock: Clock | None = None, spent: Spent | None = None
    ) -> None:
        self._keyring = keyring
        self._clock = clock or SystemClock()
        self._spent = Spent(clock=self._clock) if spent is None else spent

    def issue(self, principal: Principal, *, until_us: int | None = None) -> str:
        """A session for `principal`, to stand in a cookie; it ends at `until_us` at the latest."""
        until = self._clock.wall_us() + SESSION_US
        return self._make(principal, until if until_us is None else min(until, until_us), "session")

    def issue_link(self, principal: Principal, *, until_us: int | None = None) -> str:
        """A one-time sign-in for `principal`, to stand in a link.

        The session it opens ends at `until_us` at the latest.
        """
        return self._make(principal, self._clock.wall_us() + LINK_US, "link", until_us)

    def verify(self, text: str) -> Session:
        """Who signed in.

        Raises:
            Unauthenticated: it is not ours, was altered, has expired, or was ended.
        """
        session = self._check(text, "session")
        who = session.principal
        if session.id in self._spent or _everywhere(who.tenant, who.subject) in self._spent:
            raise Unauthenticated("this session was ended: sign in again")
        return session

    def redeem(self, link: str) -> str:
        """The session of whom the one-time link is for; it works once. May block.

        Raises:
            Unauthenticated: it is not ours, was altered, has expired, or was used.
        """
        session, claims = self._read(link, "link")
        if not self._spent.add(session.id, session.expires_us):
            raise Unauthenticated(
                "the sign-in link was used already: `kilocam link` on the server prints a new one"
            )
        return self.issue(session.principal, until_us=claims.get("session_until"))

    def end(self, session: Session) -> None:
        """Sign out: the session opens nothing any more. May block."""
        self._spent.add(session.id, session.expires_us)

    def end_all(self, tenant: str, subject: str) -> None:
        """End every session of this subject, for ever: its token was revoked. May block."""
        self._spent.add(_everywhere(tenant, subject), self._clock.wall_us() + SESSION_US)

    def _make(
        self, principal: Principal, until_us: int, purpose: Purpose, then_us: int | None = None
    ) -> str:
        key = self._keyring.newest(Use.SESSION)
        claims = {
            "id": secrets.token_hex(8),
            "for": purpose,
            "tenant": principal.tenant,
            "role": principal.role,
            "subject": principal.subject,
            "until": until_us,
        } | ({} if then_us is None else {"session_until": then_us})
        body = f"{_PREFIX}.{key.id}.{_encode(json.dumps(claims, separators=(',', ':')).encode())}"
        return f"{body}.{_encode(_mac(key.secret, body))}"

    def _check(self, text: str, purpose: Purpose) -> Session:
        return self._read(text, purpose)[0]

    def _read(self, text: str, purpose: Purpose) -> tuple[Session, dict[str, Any]]:
        """The sign-in and its claims, which are of any JSON."""
        body, _, mac = text.rpartition(".")
        parts = body.split(".")
        if len(text) > _LONGEST or not text.isascii() or len(parts) != 3 or parts[0] != _PREFIX:
            raise Unauthenticated("this is no sign-in of Kilocam: sign in again")
        key = self._keyring.find(Use.SESSION, parts[1])
        if key is None or not hmac.compare_digest(mac, _encode(_mac(key.secret, body))):
            raise Unauthenticated("the sign-in is not valid here: sign in again")
        claims = json.loads(_decode(parts[2]))  # ours, as the MAC says
        if claims["for"] != purpose or claims["until"] <= self._clock.wall_us():
            raise Unauthenticated(_EXPIRED[purpose])
        principal = Principal(
            tenant=claims["tenant"], role=Role(claims["role"]), subject=claims["subject"]
        )
        return Session(id=claims["id"], principal=principal, expires_us=claims["until"]), claims


def _everywhere(tenant: str, subject: str) -> str:
    """The name of all sessions of a subject; no session's id has a slash."""
    return f"{tenant}/{subject}"


def _mac(secret: bytes, body: str) -> bytes:
    return hmac.digest(secret, body.encode(), "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
