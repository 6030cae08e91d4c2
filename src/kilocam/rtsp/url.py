"""Camera URLs: credentials split off, a form fit for display, and control URLs joined (quirk 6).

Passwords are met with `%`, `@`, `:` and `/` in them (quirk 12): valid percent escapes are decoded,
all else is taken as it stands, and the last `@` before the host ends them.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from kilocam.rtsp.errors import LocalProtocolError

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322}
_SCHEME = re.compile(r"(?i)(rtsps?)://(.*)", re.DOTALL)
_ABSOLUTE = re.compile(r"(?i)(?:rtsps?://)+")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s/:@?#\[\]]+)(?::(\d{1,5}))?")
_UNFIT = re.compile(r"[\x00-\x20\x7f]")
# Some cameras want the password in the path: `?user=a&password=b`, `/user=a_password=b_channel=1`.
_SECRET = re.compile(
    r"(?i)((?:password|passwd|passw|pass|pwd|token|secret|auth|key)=)"
    r"[^&;/?]*?(?=[&;/?]|_(?:user|channel|stream|subtype)|$)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user and a password; only the user is ever shown."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraUrl:
    """A camera's URL in parts; `str()` of it is fit for display."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    """Path and query, with the leading slash; empty for none."""
    credentials: Credentials | None = field(default=None, repr=False)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "rtsps"

    @property
    def wire(self) -> str:
        """The URL for requests: without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    def __str__(self) -> str:
        return _SECRET.sub(r"\1***", self.wire)


def parse_url(text: str) -> CameraUrl:
    """A camera URL taken apart.

    Raises:
        LocalProtocolError: it is none; the text repeats no part that may hold a password.
    """
    match = _SCHEME.fullmatch(text.strip())
    if match is None:
        raise LocalProtocolError(
            "the camera URL does not begin with rtsp://; write it as rtsp://user:password@host/path"
        )
    scheme, rest = match[1].lower(), match[2]
    userinfo, authority, path = _split(rest)
    host = _HOST.fullmatch(authority)
    if host is None or not 0 < int(host[2] or 1) < 65536 or _UNFIT.search(path):
        raise LocalProtocolError(
            "the camera URL has no valid host, port or path; "
            "write it as rtsp://user:password@host:554/path"
        )
    return CameraUrl(
        scheme=scheme,
        host=host[1].strip("[]"),
        port=int(host[2] or DEFAULT_PORTS[scheme]),
        path=path if not path or path[0] == "/" else f"/{path}",
        credentials=_credentials(userinfo) if userinfo is not None else None,
    )


def _split(rest: str) -> tuple[str | None, str, str]:
    """User and password (or None), host and port, path.

    The authority ends at the first `/` or `?`, unless what stands there is no host: then a slash
    belongs to the password, and the authority goes on to the last `@`.
    """
    end = re.search(r"[/?]|$", rest)
    assert end is not None
    authority, path = rest[: end.start()], rest[end.start() :]
    userinfo, at, host = authority.rpartition("@")
    if not at and "@" in path and not _HOST.fullmatch(host):
        userinfo, at, tail = rest.rpartition("@")
        end = re.search(r"[/?]|$", tail)
        assert end is not None
        host, path = tail[: end.start()], tail[end.start() :]
    return (userinfo if at else None), host, path


def _credentials(userinfo: str) -> Credentials:
    user, _, password = userinfo.partition(":")
    return Credentials(user=_decoded(user), password=_decoded(password))


def _decoded(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def same_peer(a: CameraUrl, b: CameraUrl) -> bool:
    """Whether `b` may be told what `a` was told: the same host, and not without encryption."""
    return a.host.lower() == b.host.lower() and (b.tls or not a.tls)


def join_control(base: str, control: str) -> str:
    """The URL of a medium (RFC 2326 section C.1.1).

    Joined by concatenation as live555 and ffmpeg do, not by RFC 3986: cameras rely on it (quirk 6).
    """
    control = _UNFIT.sub("%20", control.strip())
    if control in ("", "*"):
        return base
    if _ABSOLUTE.match(control):
        return control
    if control.startswith("?"):
        return base + control
    return f"{base.removesuffix('/')}/{control.removeprefix('/')}"


def repair_base(given: str | None, asked: CameraUrl) -> tuple[str, bool]:
    """The base URL that a camera means by its Content-Base, and whether that took a repair.

    Quirk 6: the scheme is missing or doubled, an IPv6 host has no brackets, only a path is given.
    What cannot be understood is replaced by the URL that was asked for.
    """
    if not given:
        return asked.wire, False
    bare = _ABSOLUTE.sub("", given, count=1)
    if bare.startswith("/"):
        bare = f"{_authority(asked)}{bare}"
    try:
        url = parse_url(f"{_scheme_of(given, asked)}://{bare}")
    except LocalProtocolError:
        return asked.wire, True
    base = url.wire
    return base, not given.lower().startswith(f"{url.scheme}://{url.host}")


def absolute(location: str, asked: CameraUrl) -> CameraUrl:
    """The URL of a Location header (RFC 2326 section 12.25).

    Raises:
        LocalProtocolError: it is no camera URL.
    """
    if location.startswith("/"):
        location = f"{asked.scheme}://{_authority(asked)}{location}"
    return parse_url(location)


def _authority(url: CameraUrl) -> str:
    return url.wire.partition("://")[2].removesuffix(url.path)


def _scheme_of(given: str, asked: CameraUrl) -> str:
    match = _SCHEME.match(given)
    return match[1].lower() if match else asked.scheme
