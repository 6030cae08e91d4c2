"""Addresses of cameras: which are taken, and how they are shown without credentials."""

import re
from urllib.parse import urlsplit

from kilocam.fleet.errors import Invalid

_LONGEST = 2000
_SECRETS = re.compile(
    # Some cameras take the login as a parameter, in the query or in the path, parted by '&' or by
    # '_' (XMEye: rtsp://host/user=admin_password=secret_channel=1_stream=0.sdp).
    r"((?:user(?:name)?|usr|login|pass(?:word|wd|wort)?|pwd|pw|token|auth|key|secret)=)"
    r".*?(?=[&/?#;]|_[a-z]+=|$)",
    re.IGNORECASE,
)


def check_address(camera: str, url: str) -> str:
    """Return `url` if a camera can be reached by it.

    Raises:
        Invalid: it is no RTSP address; the message does not repeat credentials.
    """
    problem = _problem(url)
    if problem:
        raise Invalid(
            f"camera {camera!r}: address {display_address(url)!r} {problem}: write it as "
            "rtsp://user:password@host:554/path"
        )
    return url


def _problem(url: str) -> str:
    if len(url) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    if any(character.isspace() or not character.isprintable() for character in url):
        return "holds a space or a control character"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        hint = " (in a password write / as %2F, ? as %3F, # as %23)" if "@" in url else ""
        return f"has a host or port that is not valid{hint}"
    if parts.scheme != "rtsp":
        return "is not rtsp://"
    return "" if host else "names no host"


def display_address(url: str) -> str:
    """`url` as it may be shown: no login, and parameters that look like one masked."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return "***" if "@" in url else _SECRETS.sub(r"\1***", url)
    # A password may hold '/', '?' or '#' that somebody forgot to escape: the last '@' counts.
    return f"{scheme}://" + _SECRETS.sub(r"\1***", rest.rpartition("@")[2])
