"""From RTP payloads to access units: what every depacketiser is, and the one for unknown codecs."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

_PAYLOAD_TYPE = re.compile(r"\d+\s+")


class UnitKind(StrEnum):
    """How to read the bytes of an access unit."""

    H264 = "h264"
    """NAL units without start codes."""
    H265 = "h265"
    """The same, of H.265."""
    AAC = "aac"
    """One bare AAC frame."""
    PCMU = "pcmu"
    """G.711 of the µ-law, a byte for each sample."""
    PCMA = "pcma"
    """The same, of the A-law."""
    OPUS = "opus"
    """One Opus packet."""
    RAW = "raw"
    """One RTP payload of a codec without a depacketiser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessUnit:
    """A picture or a stretch of sound, as it was sent."""

    track: int
    kind: UnitKind
    ts: int
    """Extended RTP timestamp: when it is shown or heard."""
    units: tuple[bytes, ...]
    key: bool
    """Decoding can start here."""
    damaged: bool = False
    """Packets are missing within it, or between it and the unit before it, or its end is unknown.

    A key frame that evidently begins at its first byte does not depend on what is missing before.
    """
    parameter_sets: tuple[bytes, ...] = ()
    """Those in force: SPS and PPS (and VPS) with a key frame and where they change, an
    AudioSpecificConfig with the first unit of an AAC track."""


class Depacketizer(Protocol):
    """Gathers the payloads of one track, in order, into access units."""

    def push(self, payload: bytes, ts: int, *, marker: bool, lost: int) -> list[AccessUnit]:
        """Take the next packet; `lost` packets are missing before it."""
        ...

    def settle(self) -> list[AccessUnit]:
        """What is known to be complete though no later packet shows it."""
        ...

    def flush(self) -> list[AccessUnit]:
        """Whatever is left; what is pushed later need not continue it."""
        ...


class RawDepacketizer:
    """One access unit for each packet.

    Args:
        track: index of the track.
        key: what to say of each unit; True where every one stands alone.
    """

    __slots__ = ("_key", "_track")

    def __init__(self, track: int, *, key: bool) -> None:
        self._track = track
        self._key = key

    def push(
        self,
        payload: bytes,
        ts: int,
        *,
        marker: bool,  # noqa: ARG002 - the protocol's signature
        lost: int,
    ) -> list[AccessUnit]:
        """See `Depacketizer`."""
        unit = AccessUnit(
            track=self._track,
            kind=UnitKind.RAW,
            ts=ts,
            units=(payload,),
            key=self._key,
            damaged=lost > 0 and not self._key,
        )
        return [unit] if payload else []

    def settle(self) -> list[AccessUnit]:
        """See `Depacketizer`."""
        return []

    def flush(self) -> list[AccessUnit]:
        """See `Depacketizer`."""
        return []


def format_parameters(fmtp: str) -> dict[str, str]:
    """The parameters of an SDP `a=fmtp`, names in lower case, with or without the payload type."""
    text = fmtp.strip()
    leading = _PAYLOAD_TYPE.match(text)
    if leading is not None:
        text = text[leading.end() :]
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
