"""What the answer to DESCRIBE means for a client: the URLs to use and the media to set up."""

from collections.abc import Iterator
from dataclasses import dataclass

from kilocam.rtsp.messages import Response
from kilocam.rtsp.quirks import Quirk
from kilocam.rtsp.sdp import Sdp, SdpMedia, parse_sdp, recordable, without_parameter_sets
from kilocam.rtsp.url import CameraUrl, join_control, repair_base

_LAST_STATIC = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a camera offers, and what was odd about how it said so."""

    base: str
    """What control names of media are joined to."""
    aggregate: str
    """The URL of PLAY, keep-alives and TEARDOWN."""
    media: tuple[SdpMedia, ...]
    """To be set up."""
    offered: str
    """All media in words, for a person."""
    quirks: frozenset[Quirk]


def nothing_offered(asked: CameraUrl) -> Offer:
    """Before the answer to DESCRIBE."""
    return Offer(
        base=asked.wire, aggregate=asked.wire, media=(), offered="none", quirks=frozenset()
    )


def read_offer(response: Response, asked: CameraUrl, wanted: frozenset[str]) -> Offer:
    """Content-Base, else Content-Location, else the URL asked for (RFC 2326 section C.1.1).

    A base URL at session level of the SDP wins over all, as in ffmpeg (quirk 6).
    """
    sdp = parse_sdp(response.body)
    given = response.headers.get("Content-Base") or response.headers.get("Content-Location")
    whole = sdp.control.lower().startswith(("rtsp://", "rtsps://"))
    base, repaired = repair_base(sdp.control if whole else given, asked)
    media = recordable(sdp, wanted)
    met = [
        (Quirk.NO_CONTENT_BASE, not given),
        (Quirk.REPAIRED_BASE, repaired),
        (Quirk.NO_CONTENT_TYPE, response.headers.get("Content-Type") is None),
        *_oddities(sdp, media),
    ]
    return Offer(
        base=base,
        aggregate=base if whole else join_control(base, sdp.control),
        media=media,
        offered=", ".join(sorted({f"{m.media} over {m.protocol}" for m in sdp.media})) or "none",
        quirks=frozenset(quirk for quirk, yes in met if yes),
    )


def _oddities(sdp: Sdp, media: tuple[SdpMedia, ...]) -> Iterator[tuple[Quirk, bool]]:
    yield Quirk.UNREADABLE_MEDIUM, sdp.unreadable > 0
    yield Quirk.ALL_BACK_CHANNELS, any(m.direction in ("sendonly", "inactive") for m in media)
    yield (
        Quirk.NO_RTPMAP,
        any(not m.mapped and m.payload_type > _LAST_STATIC for m in media),
    )
    yield Quirk.NO_PARAMETER_SETS, any(without_parameter_sets(m) for m in media)
