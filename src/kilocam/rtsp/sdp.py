"""Session descriptions (RFC 4566): a parser that takes what cameras send, and a builder.

The parser never fails: lines that cannot be understood are skipped, and a medium whose `m=` line
is broken is left out together with its attributes (quirk 24). Missing or odd payload formats are
filled in from the static types of RFC 3551 and from cameras met (quirk 25).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_MEDIA = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpMedia:
    """One medium; `codec` is the lower-case RTP encoding name, empty when it is not known."""

    media: str
    payload_type: int
    codec: str
    clock_rate: int
    channels: int = 1
    fmtp: str = ""
    control: str
    direction: str = ""
    """`sendonly`, `recvonly`, `sendrecv`, `inactive`, or empty when not said."""
    protocol: str = "RTP/AVP"
    mapped: bool = True
    """Whether a readable `a=rtpmap` named the codec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdp:
    """A description; `unreadable` media were left out."""

    media: tuple[SdpMedia, ...]
    control: str = ""
    unreadable: int = 0


# RFC 3551 section 6: codec, clock rate, channels of static payload types.
_STATIC = {
    0: ("pcmu", 8000, 1),
    3: ("gsm", 8000, 1),
    4: ("g723", 8000, 1),
    5: ("dvi4", 8000, 1),
    6: ("dvi4", 16000, 1),
    7: ("lpc", 8000, 1),
    8: ("pcma", 8000, 1),
    9: ("g722", 8000, 1),
    10: ("l16", 44100, 2),
    11: ("l16", 44100, 1),
    12: ("qcelp", 8000, 1),
    13: ("cn", 8000, 1),
    14: ("mpa", 90000, 1),
    15: ("g728", 8000, 1),
    16: ("dvi4", 11025, 1),
    17: ("dvi4", 22050, 1),
    18: ("g729", 8000, 1),
    25: ("celb", 90000, 1),
    26: ("jpeg", 90000, 1),
    28: ("nv", 90000, 1),
    31: ("h261", 90000, 1),
    32: ("mpv", 90000, 1),
    33: ("mp2t", 90000, 1),
    34: ("h263", 90000, 1),
    35: ("h264", 90000, 1),  # Bosch, quirk 25
}
_DIRECTIONS = frozenset({"sendonly", "recvonly", "sendrecv", "inactive"})
_MEDIUM = re.compile(r"([A-Za-z]+)\s+\d+(?:/\d+)?\s+([A-Za-z0-9/]+)\s+(\d{1,3})(?:\s.*)?")
_RTPMAP = re.compile(r"\s*(\d{1,3})\s+([^/\s]+)\s*(?:/\s*(\d{1,9}))?\s*(?:/\s*(\d{1,3}))?.*")
_FMTP = re.compile(r"\s*(\d{1,3})(?:\s+(.*))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(slots=True)
class _Section:
    """One `m=` line and the attributes below it."""

    media: str
    protocol: str
    payload_type: int
    rtpmap: re.Match[str] | None = None
    fmtp: dict[int, str] = field(default_factory=dict)
    control: str = ""
    direction: str = ""


def parse_sdp(data: bytes) -> Sdp:
    """What a description says of its media; never fails."""
    head = _Section("", "", -1)
    sections: list[_Section] = []
    section: _Section | None = head
    unreadable = 0
    for line in data.decode("utf-8", "replace").split("\n"):
        kind, text = line.strip()[:2], _CONTROL.sub(" ", line.strip()[2:]).strip()
        if kind == "m=":
            section = _section(text) if len(sections) < MAX_MEDIA else None
            if section is None:
                unreadable += 1
            else:
                sections.append(section)
        elif kind == "a=" and section is not None:
            _attribute(section, text)
    media = tuple(_medium(section, head, sections) for section in sections)
    return Sdp(media=media, control=head.control, unreadable=unreadable)


def _section(text: str) -> _Section | None:
    match = _MEDIUM.fullmatch(text)
    if match is None or int(match[3]) > 127:
        return None
    return _Section(match[1].lower(), match[2].upper(), int(match[3]))


def _attribute(section: _Section, text: str) -> None:
    name, _, value = text.partition(":")
    name = name.strip().lower()
    if name in _DIRECTIONS:
        section.direction = name
    elif name == "control":
        section.control = section.control or value.strip()
    elif name == "rtpmap":
        match = _RTPMAP.fullmatch(value)
        if match and int(match[1]) == section.payload_type and section.rtpmap is None:
            section.rtpmap = match
    elif name == "fmtp" and (match := _FMTP.fullmatch(value)):
        section.fmtp.setdefault(int(match[1]), (match[2] or "").strip())


def _medium(section: _Section, head: _Section, sections: Sequence[_Section]) -> SdpMedia:
    codec, clock_rate, channels = _format(section)
    return SdpMedia(
        media=section.media,
        payload_type=section.payload_type,
        codec=codec,
        clock_rate=clock_rate,
        channels=channels,
        fmtp=_parameters(section, sections),
        control=section.control,
        direction=section.direction or head.direction,
        protocol=section.protocol,
        mapped=section.rtpmap is not None,
    )


def _format(section: _Section) -> tuple[str, int, int]:
    fallback = _STATIC.get(section.payload_type)
    if fallback is None:
        fallback = ("", 8000 if section.media == "audio" else 90000, 1)
    if section.rtpmap is None:
        return fallback
    codec = section.rtpmap[2].lower()
    if codec == "opus":  # RFC 7587 section 4.1, whatever the camera says (quirk 25)
        return "opus", 48000, 2
    return codec, int(section.rtpmap[3] or 0) or fallback[1], int(section.rtpmap[4] or 0) or 1


def _parameters(section: _Section, sections: Iterable[_Section]) -> str:
    """Its own `a=fmtp`, else one that stands below another medium (quirk 24)."""
    wanted = section.payload_type
    if wanted in section.fmtp:
        return section.fmtp[wanted]
    strays = (s.fmtp[wanted] for s in sections if s.payload_type != wanted and wanted in s.fmtp)
    return next(strays, "")


def build_sdp(media: Sequence[SdpMedia], *, name: str = "Kilocam") -> bytes:
    """A description for our server (RFC 2326 appendix C)."""
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 0.0.0.0",
        f"s={name}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
    ]
    for medium in media:
        channels = f"/{medium.channels}" if medium.channels > 1 else ""
        encoding = medium.codec.upper()
        lines += [
            f"m={medium.media} 0 {medium.protocol} {medium.payload_type}",
            f"a=rtpmap:{medium.payload_type} {encoding}/{medium.clock_rate}{channels}",
        ]
        if medium.fmtp:
            lines.append(f"a=fmtp:{medium.payload_type} {medium.fmtp}")
        if medium.direction:
            lines.append(f"a={medium.direction}")
        lines.append(f"a=control:{medium.control}")
    return "\r\n".join((*lines, "")).encode()


def recordable(sdp: Sdp, wanted: frozenset[str]) -> tuple[SdpMedia, ...]:
    """The media to set up, over plain RTP.

    `a=sendonly` audio is a back channel, from the client to the camera (ONVIF streaming, section
    5.3), and `inactive` sends nothing; but cameras that mark all they have like that are not taken
    at their word, and video is never given up for a mark (quirk 11).
    """
    media = tuple(m for m in sdp.media if m.media in wanted and m.protocol.startswith("RTP/AVP"))
    if all(_is_back_channel(m) for m in media):
        return media
    return tuple(m for m in media if m.media == "video" or not _is_back_channel(m))


def _is_back_channel(medium: SdpMedia) -> bool:
    return medium.direction in ("sendonly", "inactive")


def without_parameter_sets(medium: SdpMedia) -> bool:
    """Whether an H.264 or H.265 medium must bring its parameter sets in band (quirk 26)."""
    return medium.codec in ("h264", "h265") and "sprop-" not in medium.fmtp
