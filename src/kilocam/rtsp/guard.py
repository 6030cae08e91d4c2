"""Whom our server lets in: challenges, and the verdict on what clients answer to them."""

from kilocam.rtsp.auth import Challenge, Verdict, verify
from kilocam.rtsp.deviations import ServerQuirk
from kilocam.rtsp.messages import Request
from kilocam.rtsp.url import Credentials

_SHORT_NONCE_REQUESTS = 4


class Guard:
    """Stands before one connection; without credentials it lets all in.

    Args:
        credentials: what a client must know.
        realm: named in challenges.
        nonce: for Digest; hard to guess.
        digest: challenge with Digest; else with Basic.
        quirks: how to misbehave.
    """

    def __init__(
        self,
        credentials: Credentials | None,
        *,
        realm: str,
        nonce: str,
        digest: bool,
        quirks: frozenset[ServerQuirk],
    ) -> None:
        self._credentials = credentials
        self._realm = realm
        self._first_nonce = nonce
        self._digest = digest
        self._quirks = quirks
        self._admitted = 0
        self._stale = False

    def admits(self, request: Request) -> bool:
        """Whether the request may be served; OPTIONS always is, as most servers do."""
        if self._credentials is None or request.method == "OPTIONS":
            return True
        verdict = verify(
            request.headers.get("Authorization"),
            request.method,
            self._credentials,
            self._challenges(),
            nonce=self._nonce,
        )
        self._stale = verdict is Verdict.STALE
        self._admitted += verdict is Verdict.RIGHT
        return verdict is Verdict.RIGHT

    def challenges(self) -> list[tuple[str, str]]:
        """The header fields of a 401 to the request just judged."""
        return [("WWW-Authenticate", _shown(challenge)) for challenge in self._challenges()]

    @property
    def _nonce(self) -> str:
        if ServerQuirk.SHORT_NONCE in self._quirks:
            return f"{self._first_nonce}{self._admitted // _SHORT_NONCE_REQUESTS}"
        return self._first_nonce

    def _challenges(self) -> tuple[Challenge, ...]:
        algorithms: tuple[str, ...] = ("MD5",) if self._digest else ("BASIC",)
        if ServerQuirk.SEVERAL_CHALLENGES in self._quirks:
            algorithms = ("BASIC", "SHA-256", "MD5")
        return tuple(
            Challenge(algorithm=a, realm=self._realm, nonce=self._nonce, stale=self._stale)
            for a in algorithms
        )


def _shown(challenge: Challenge) -> str:
    if challenge.algorithm == "BASIC":
        return f'Basic realm="{challenge.realm}"'
    algorithm = "" if challenge.algorithm == "MD5" else f", algorithm={challenge.algorithm}"
    stale = ", stale=true" if challenge.stale else ""
    return f'Digest realm="{challenge.realm}", nonce="{challenge.nonce}"{algorithm}{stale}'
