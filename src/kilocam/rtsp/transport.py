"""The Transport and Session headers (RFC 2326 sections 12.39 and 12.37), as cameras write them.

The channels that a client asks for are only a wish: those of the answer count (quirk 13).
"""

import re
from dataclasses import dataclass

from kilocam.rtsp.quirks import Quirk

_CHANNELS = re.compile(
    r"(?i)(?:^|[;,])\s*interleaved\s*=\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*(?=[;,]|$)"
)
_UDP = re.compile(r"(?i)RTP/AVP/UDP|(?:client|server)_port\s*=|;\s*multicast")
_TIMEOUT = re.compile(r"(?i)timeout\s*=\s*(\d{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The channels that a server will use."""

    rtp_channel: int
    rtcp_channel: int
    quirks: frozenset[Quirk] = frozenset()


def asked_transport(channel: int) -> str:
    """Transport of a SETUP; without `mode`, which breaks some servers (quirk 11)."""
    return f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"


def read_transport(text: str | None, asked: int) -> Answer | None:
    """What the answer to SETUP means; None if it is not TCP."""
    text = text or ""
    channels = parse_channels(text)
    if channels is None:
        if _UDP.search(text):
            return None
        return Answer(
            rtp_channel=asked, rtcp_channel=asked + 1, quirks=frozenset({Quirk.NO_CHANNELS})
        )
    rtp, rtcp = channels
    met = {
        Quirk.OTHER_CHANNELS: rtp != asked or rtcp not in (None, asked + 1),
        Quirk.SINGLE_CHANNEL: rtcp is None,
        Quirk.PLAIN_PROFILE: "RTP/AVP/TCP" not in text.upper(),
    }
    if rtcp is None or rtcp == rtp:
        rtcp = rtp + 1 if rtp < 255 else rtp - 1
    return Answer(
        rtp_channel=rtp, rtcp_channel=rtcp, quirks=frozenset(q for q, yes in met.items() if yes)
    )


def parse_channels(text: str) -> tuple[int, int | None] | None:
    """The channels of `interleaved=`; None if there are none that can be."""
    match = _CHANNELS.search(text)
    if match is None:
        return None
    rtp, rtcp = int(match[1]), int(match[2]) if match[2] else None
    return (rtp, rtcp) if rtp < 256 and (rtcp or 0) < 256 else None


def parse_session(text: str | None) -> tuple[str | None, int | None]:
    """Session id and timeout in seconds, each None when not said."""
    session, _, rest = (text or "").partition(";")
    timeout = _TIMEOUT.search(rest)
    return session.strip() or None, int(timeout[1]) or None if timeout else None
