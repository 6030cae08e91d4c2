"""Capabilities: media URLs that anyone who has them may read, and nobody can make.

A token is bound to one resource (tenant, camera and range in one string) and expires at a full six
hours, so that all viewers of a range share its URL and with it every cache on the way.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from kilocam.core import format_time
from kilocam.playback.errors import CapabilityRefused

PERIOD_US = 6 * 3_600_000_000
_MAC_BYTES = 16
_PURPOSE = b"kilocam media capability 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityKeys:
    """Signing keys by id; `current` signs, all verify, so that keys can be rotated.

    Ids are letters and digits.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)


def sign(keys: CapabilityKeys, resource: str, now_us: int) -> str:
    """The token for a resource; valid for at least six hours, at most twelve."""
    expires = now_us // PERIOD_US + 2
    return f"{keys.current}.{expires}.{_mac(keys.keys[keys.current], resource, expires)}"


def verify(keys: CapabilityKeys, token: str, resource: str, now_us: int) -> None:
    """Check a token for a resource.

    Raises:
        CapabilityRefused: it is forged, expired, or signed with a key that is not here.
    """
    key_id, _, rest = token.partition(".")
    expires_text, _, mac = rest.partition(".")
    key = keys.keys.get(key_id)
    if key is None or not expires_text.isascii() or not expires_text.isdigit():
        raise CapabilityRefused("this media link is not valid; reload the page for a new one")
    expires = int(expires_text[:12])
    # A forger may send what is no Unicode; it is refused like all else.
    given = mac.encode(errors="surrogatepass")
    if not hmac.compare_digest(_mac(key, resource, expires).encode(), given):
        raise CapabilityRefused("this media link is not valid; reload the page for a new one")
    if now_us >= expires * PERIOD_US:
        raise CapabilityRefused(
            f"this media link expired at {format_time(expires * PERIOD_US)}; reload the page for "
            "a new one"
        )


def _mac(key: bytes, resource: str, expires: int) -> str:
    message = b"\0".join((_PURPOSE, str(expires).encode(), resource.encode()))
    digest = hmac.digest(key, message, "sha256")[:_MAC_BYTES]
    return text_of(digest)


def text_of(data: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    """The bytes of `text_of`.

    Raises:
        ValueError: it is none.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if text_of(data) != text:
        raise ValueError("not canonical")
    return data
