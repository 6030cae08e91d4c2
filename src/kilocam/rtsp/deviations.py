"""How our server misbehaves on demand, so that the client meets each quirk in tests.

Everything here edits what a well-behaved server would say; `server.py` asks it at a few places.
"""

import re
from enum import StrEnum

from kilocam.rtsp.messages import Headers, Response, encode


class ServerQuirk(StrEnum):
    """A deviation the server acts out; the number is that of the catalogue of quirks.

    Those of the last group are acted out by whoever writes the packets.
    """

    OTHER_CHANNELS = "13-other-channels"
    SINGLE_CHANNEL = "13-single-channel"
    PLAIN_PROFILE = "13-plain-profile"
    NO_OPTIONS = "4-no-options"
    LF_ONLY = "24-lf-only"
    LOWER_CASE_CSEQ = "3-lower-case-cseq"
    EMPTY_REASON = "3-empty-reason"
    NO_CONTENT_BASE = "6-no-content-base"
    DOUBLED_SCHEME = "6-doubled-scheme"
    MISSING_SCHEME = "6-missing-scheme"
    NO_SESSION_TIMEOUT = "8-no-session-timeout"
    SILENT_KEEP_ALIVE = "8-silent-keep-alive"
    CALLS_CLIENT = "9-calls-client"
    SEVERAL_CHALLENGES = "1-several-challenges"
    SHORT_NONCE = "8-short-nonce"
    CHANGING_SESSION = "7-changing-session"
    NO_RTP_INFO = "20-no-rtp-info"
    WRONG_RTP_INFO = "20-wrong-rtp-info"
    NO_PARAMETER_SETS = "26-no-parameter-sets"
    FMTP_SEMICOLON = "33-fmtp-semicolon"
    NO_CONTENT_TYPE = "24-no-content-type"

    RTP_BEFORE_PLAY = "14-rtp-before-play"
    UNASSIGNED_CHANNEL = "14-unassigned-channel"
    CRLF_BEFORE_FRAMES = "15-crlf-before-frames"
    GARBAGE = "15-garbage"


Quirks = frozenset[ServerQuirk]

_SPROP = re.compile(rb"; *sprop-[a-z-]+=[^;\r\n]*|sprop-[a-z-]+=[^;\r\n]*;? *")
_FMTP_LINE = re.compile(rb"(a=fmtp:[^\r\n]*[^;\r\n])(?=\r?\n|$)")


def bent_sdp(sdp: bytes, quirks: Quirks) -> bytes:
    """The description, with what the quirks do to it."""
    if ServerQuirk.NO_PARAMETER_SETS in quirks:
        sdp = _SPROP.sub(b"", sdp)
    if ServerQuirk.FMTP_SEMICOLON in quirks:
        sdp = _FMTP_LINE.sub(rb"\1;", sdp)
    return sdp


def bent_base(base: str, quirks: Quirks) -> str | None:
    """The Content-Base; None to leave it out."""
    if ServerQuirk.NO_CONTENT_BASE in quirks:
        return None
    if ServerQuirk.DOUBLED_SCHEME in quirks:
        return f"rtsp://{base}"
    if ServerQuirk.MISSING_SCHEME in quirks:
        return base.partition("://")[2]
    return base


def bent_transport(rtp: int, rtcp: int, quirks: Quirks) -> str:
    """The Transport of an answer to SETUP."""
    channels = f"{rtp}" if ServerQuirk.SINGLE_CHANNEL in quirks else f"{rtp}-{rtcp}"
    if ServerQuirk.PLAIN_PROFILE in quirks:
        return f"RTP/AVP;ssrc= 0A1B2C;unicast;interleaved={channels}"
    return f"RTP/AVP/TCP;unicast;interleaved={channels}"


def encode_bent(response: Response, quirks: Quirks) -> bytes:
    """The answer as bytes."""
    fields = response.headers.items
    if ServerQuirk.LOWER_CASE_CSEQ in quirks:
        fields = tuple(("cseq", f"{v} ") if k == "CSeq" else (k, v) for k, v in fields)
    reason = "" if ServerQuirk.EMPTY_REASON in quirks else response.reason
    bent = Response(status=response.status, reason=reason, headers=Headers(fields))
    head = encode(bent)
    if ServerQuirk.EMPTY_REASON in quirks:
        head = head.replace(b" \r\n", b"\r\n", 1)
    if ServerQuirk.LF_ONLY in quirks:
        head = head.replace(b"\r\n", b"\n")
    return head + response.body
