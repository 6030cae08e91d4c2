"""How a handshake ends: what it found, or why it failed."""

from dataclasses import dataclass
from enum import StrEnum


class FailureReason(StrEnum):
    """Why a camera could not be brought to play."""

    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"
    PROTOCOL = "protocol"
    REDIRECT_LOOP = "redirect_loop"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSetup:
    """One medium that was set up; `index` counts the media that were."""

    index: int
    media: str
    codec: str
    payload_type: int
    clock_rate: int
    channels: int
    rtp_channel: int
    rtcp_channel: int
    fmtp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Playing:
    """The camera plays."""

    sdp: bytes
    media: tuple[MediaSetup, ...]
    session_timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirected:
    """Close, connect to `address`, call `start()` again."""

    address: tuple[str, int]
    tls: bool
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """It will not play; `text` is one line for a person."""

    reason: FailureReason
    text: str
