"""Key frames of H.265, from packet headers only (RFC 7798 section 4.4).

Complexity is not measured: the quantiser of a slice stands behind fields that need the whole
parameter sets. It stays 0, unknown, and whoever asks looks at every window.
"""

from collections.abc import Iterable

from kilocam.bitstream import (
    H265Kind,
    h265_kind,
    is_h265_base,
    is_h265_picture,
    is_irap,
    split_annex_b,
)
from kilocam.ingest.gate import BEGIN, KEY, OTHER, UNDECIDED
from kilocam.rtsp import aggregated

_AGGREGATE, _FRAGMENT = 48, 49
_START_CODE = b"\0\0\1"


class H265Gate:
    """Looks at the first packets of each access unit of one H.265 track; see `PacketGate`."""

    __slots__ = ("pending", "skip")

    def __init__(self) -> None:
        self.pending = False
        self.skip = 0

    def weigh(self, size: int) -> float:  # noqa: ARG002 - nothing is ever sampled
        """Unknown."""
        return 0.0

    def look(self, data: bytes, body: int, end: int) -> int:
        """See `PacketGate`: VPS and SPS announce a key frame, a fragment counts by its first.

        A packet inside of a packet is not opened.
        """
        if end - body < 3:
            return UNDECIDED
        kind = data[body] >> 1 & 63
        if kind == _FRAGMENT:
            header = data[body + 2]
            if header & 0x80:
                return _verdict(header & 63)
            return OTHER if is_h265_picture(header & 63) else UNDECIDED
        if kind == _AGGREGATE:
            return _together(aggregated(data[body:end], 2))
        if data[body + 1] == 0 or (kind >= H265Kind.VPS and data.find(_START_CODE, body, end) >= 0):
            return _together(split_annex_b(data[body:end]))  # quirk 30
        return _verdict(kind) if is_h265_base(data[body : body + 2]) else UNDECIDED


def _verdict(kind: int) -> int:
    if is_h265_picture(kind):
        return KEY if is_irap(kind) else OTHER
    return BEGIN if kind in (H265Kind.VPS, H265Kind.SPS) else UNDECIDED


def _together(nals: Iterable[bytes]) -> int:
    """Several NAL units in one packet: slices decide."""
    verdicts = {_verdict(h265_kind(nal)) for nal in nals if is_h265_base(nal)}
    return next((each for each in (KEY, OTHER, BEGIN) if each in verdicts), UNDECIDED)
