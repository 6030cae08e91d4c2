"""Basic and Digest authentication (RFC 7617, RFC 7616), both sides.

Of several challenges the strongest is taken: Digest over Basic, SHA-256 over MD5 (quirk 1). The
client's nonce is an argument: the room has no random source.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from kilocam.rtsp.url import Credentials

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_STRENGTH = ("BASIC", "MD5", "SHA-256")
_SCHEMES = re.compile(r"(?i)(?:^|,)\s*(basic|digest)\b(?!\s*=)")
_PARAMETER = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One WWW-Authenticate challenge."""

    algorithm: str
    """`BASIC`, `MD5` or `SHA-256`."""
    realm: str = ""
    nonce: str = ""
    opaque: str | None = None
    qop: bool = False
    """Whether `qop=auth` is offered."""
    named: bool = False
    """Whether the algorithm was named, so that the answer names it too."""
    stale: bool = False


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges that we can answer, in order, whatever the spaces between them (quirk 3)."""
    found: list[Challenge] = []
    for value in values:
        starts = list(_SCHEMES.finditer(value))
        ends = [start.start() for start in starts[1:]] + [len(value)]
        for start, end in zip(starts, ends, strict=False):  # starts may be none
            challenge = _challenge(start[1].lower(), parse_parameters(value[start.end() : end]))
            if challenge is not None:
                found.append(challenge)
    return tuple(found)


def _challenge(scheme: str, given: dict[str, str]) -> Challenge | None:
    realm = given.get("realm", "")
    if scheme == "basic":
        return Challenge(algorithm="BASIC", realm=realm)
    algorithm = given.get("algorithm", "MD5").upper()
    qop = {text.strip().lower() for text in given.get("qop", "").split(",")} - {""}
    if algorithm not in _HASHES or (qop and "auth" not in qop):
        return None
    return Challenge(
        algorithm=algorithm,
        realm=realm,
        nonce=given.get("nonce", ""),
        opaque=given.get("opaque"),
        qop=bool(qop),
        named="algorithm" in given,
        stale=given.get("stale", "").lower() == "true",
    )


def parse_parameters(text: str) -> dict[str, str]:
    """`name="value", name=value` with zero or many spaces; names in lower case, first one wins."""
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(text):
        found.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) if quoted else bare)
    return found


def strongest(challenges: Iterable[Challenge], *, basic: bool = True) -> Challenge | None:
    """The challenge to answer; without `basic` never one that sends the password itself."""
    usable = [c for c in challenges if basic or c.algorithm != "BASIC"]
    return max(usable, key=lambda c: _STRENGTH.index(c.algorithm), default=None)


class Authenticator:
    """The client's side: remembers the challenge and signs requests.

    Args:
        credentials: what to sign with.
        cnonce: the client's nonce (RFC 7616 section 3.3), new for each connection.
        basic: whether the peer may be sent the password itself.
    """

    def __init__(self, credentials: Credentials, *, cnonce: str, basic: bool = True) -> None:
        self._credentials = credentials
        self._cnonce = cnonce
        self._basic = basic
        self._challenge: Challenge | None = None
        self._count = 0

    def challenged(self, values: Iterable[str]) -> bool:
        """Take the challenges of a 401; whether another try may succeed."""
        chosen = strongest(parse_challenges(values), basic=self._basic)
        if chosen is None:
            return False
        before = self._challenge
        self._challenge = chosen
        self._count = 0
        return before is None or chosen.stale or chosen.nonce != before.nonce

    def header(self, method: str, url: str) -> str | None:
        """The Authorization of a request, or None before the first challenge."""
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.algorithm == "BASIC":
            pair = _bytes(f"{self._credentials.user}:{self._credentials.password}")
            return f"Basic {base64.b64encode(pair).decode()}"
        self._count += 1
        count = f"{self._count:08x}" if challenge.qop else ""
        response = digest(
            challenge, self._credentials, method, url, count=count, cnonce=self._cnonce
        )
        fields = [
            f'username="{_quoted(self._credentials.user)}"',
            f'realm="{_quoted(challenge.realm)}"',
            f'nonce="{_quoted(challenge.nonce)}"',
            f'uri="{_quoted(url)}"',
            f'response="{response}"',
        ]
        if challenge.named:
            fields.append(f"algorithm={challenge.algorithm}")
        if challenge.opaque is not None:
            fields.append(f'opaque="{_quoted(challenge.opaque)}"')
        if challenge.qop:
            fields.append(f'qop=auth, nc={count}, cnonce="{_quoted(self._cnonce)}"')
        return "Digest " + ", ".join(fields)


def digest(
    challenge: Challenge,
    credentials: Credentials,
    method: str,
    url: str,
    *,
    count: str,
    cnonce: str,
) -> str:
    """The response of RFC 7616 section 3.4.1; with an empty `count` that of RFC 2069."""

    def hashed(*parts: str) -> str:
        return _HASHES[challenge.algorithm](_bytes(":".join(parts))).hexdigest()

    secret = hashed(credentials.user, challenge.realm, credentials.password)
    asked = hashed(method, url)
    if not count:
        return hashed(secret, challenge.nonce, asked)
    return hashed(secret, challenge.nonce, count, cnonce, "auth", asked)


class Verdict(Enum):
    """What the server thinks of an Authorization."""

    RIGHT = "right"
    WRONG = "wrong"
    STALE = "stale"
    """The password is right, the nonce is an older one of ours."""


def verify(
    header: str | None,
    method: str,
    credentials: Credentials,
    challenges: Iterable[Challenge],
    *,
    nonce: str,
) -> Verdict:
    """The server's side: judge an Authorization against the challenges that were sent."""
    scheme, _, rest = (header or "").strip().partition(" ")
    if scheme.lower() == "basic":
        if not any(c.algorithm == "BASIC" for c in challenges):
            return Verdict.WRONG
        return _verdict(_basic_is_right(rest, credentials), stale=False)
    given = parse_parameters(rest)
    algorithm = given.get("algorithm", "MD5").upper()
    asked = next((c for c in challenges if c.algorithm == algorithm), None)
    if scheme.lower() != "digest" or asked is None:
        return Verdict.WRONG
    count = given.get("nc", "") if "qop" in given else ""
    expected = digest(
        Challenge(algorithm=algorithm, realm=asked.realm, nonce=given.get("nonce", "")),
        credentials,
        method,
        given.get("uri", ""),
        count=count,
        cnonce=given.get("cnonce", ""),
    )
    right = hmac.compare_digest(_bytes(expected), _bytes(given.get("response", "").lower()))
    right = right and given.get("username") == credentials.user
    return _verdict(right, stale=given.get("nonce") != nonce)


def _verdict(right: bool, *, stale: bool) -> Verdict:
    if not right:
        return Verdict.WRONG
    return Verdict.STALE if stale else Verdict.RIGHT


def _basic_is_right(text: str, credentials: Credentials) -> bool:
    try:
        pair = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(pair, _bytes(f"{credentials.user}:{credentials.password}"))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
