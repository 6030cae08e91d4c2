"""H.265 out of RTP (RFC 7798); what it shares with H.264 is in `depacketize_nal.py`.

A camera that announces decoding order numbers (sprop-max-don-diff above 0) may send NAL units out
of order and puts numbers between its headers; none was met, and it is not read.
"""

from collections.abc import Sequence
from functools import lru_cache

from kilocam.bitstream import (
    BitstreamError,
    H265Kind,
    h265_kind,
    is_h265_base,
    is_h265_first_slice,
    is_h265_key,
    is_h265_leading,
    is_h265_picture,
    parse_h265_sps,
)
from kilocam.rtsp.depacketize import AccessUnit, UnitKind, format_parameters
from kilocam.rtsp.depacketize_nal import MAX_ACCESS_UNIT, NalDepacketizer, sprop_nals

_AGGREGATE, _FRAGMENT, _PACI = 48, 49, 50
H265_SPROPS = {
    "sprop-vps": H265Kind.VPS,
    "sprop-sps": H265Kind.SPS,
    "sprop-pps": H265Kind.PPS,
}
"""SDP parameters of an H.265 medium, and what they hold (RFC 7798 section 7.1)."""


def has_decoding_order_numbers(fmtp: str) -> bool:
    """Whether an H.265 medium's packets hold DONL fields (RFC 7798 sections 4.4.1 and 7.1)."""
    difference = format_parameters(fmtp).get("sprop-max-don-diff", "")
    return difference.isdecimal() and difference.strip("0") != ""


@lru_cache(maxsize=256)  # each look at a camera begins with its SDP
def h265_parameter_sets(fmtp: str) -> tuple[bytes, ...]:
    """VPS, SPS and PPS of an SDP (RFC 7798 section 7.1).

    Quirk 26: some are missing, bad or Annex B; unless all three kinds are there, none is taken.
    """
    said = format_parameters(fmtp)
    sets: list[bytes] = []
    for name, kind in H265_SPROPS.items():
        nals = sprop_nals(said.get(name, ""))
        found = [nal for nal in nals if _is_readable(nal, kind)]
        if not found:
            return ()
        sets += found
    return tuple(sets)


def _is_readable(nal: bytes, kind: int) -> bool:
    if not is_h265_base(nal) or h265_kind(nal) != kind:
        return False
    try:
        return kind != H265Kind.SPS or parse_h265_sps(nal).width > 0
    except BitstreamError:
        return False


class H265Depacketizer(NalDepacketizer):
    """Gathers NAL units into access units.

    Args:
        track: index of the track.
        fmtp: SDP parameters, for `sprop-vps`, `sprop-sps` and `sprop-pps`.
        max_bytes: an access unit that grows beyond this is given out as damaged (quirk 32).
    """

    __slots__ = ()

    unit_kind = UnitKind.H265
    header_bytes = 2
    set_kinds = (H265Kind.VPS, H265Kind.SPS, H265Kind.PPS)
    # A lost VPS hurts nobody: what it says of a single layer stands in the SPS too (7.3.2.2.1).
    openers = (H265Kind.DELIMITER, H265Kind.VPS, H265Kind.SPS)
    aggregate, fragment = _AGGREGATE, _FRAGMENT
    kind = staticmethod(h265_kind)
    is_picture = staticmethod(is_h265_picture)
    is_leading = staticmethod(is_h265_leading)
    is_first_slice = staticmethod(is_h265_first_slice)

    def __init__(self, track: int, fmtp: str = "", *, max_bytes: int = MAX_ACCESS_UNIT) -> None:
        super().__init__(track, h265_parameter_sets(fmtp), max_bytes=max_bytes)

    def _take(self, payload: bytes, out: list[AccessUnit]) -> None:
        """What a PACI packet carries (RFC 7798 section 4.4.4) is not taken: it is missing."""
        if h265_kind(payload) == _PACI:
            self.ignored += 1
            self._damaged = True
        else:
            super()._take(payload, out)

    @staticmethod
    def header_of(fragment: bytes) -> bytes:
        """RFC 7798 section 4.4.3: all from the payload header, but the kind from the FU header."""
        return bytes((fragment[0] & 0x81 | (fragment[2] & 63) << 1, fragment[1]))

    @staticmethod
    def is_nal(nal: bytes) -> bool:
        """Kinds 48 and up are packets (RFC 7798 section 4.2)."""
        return is_h265_base(nal) and h265_kind(nal) < _AGGREGATE

    @staticmethod
    def is_later_slice(nal: bytes) -> bool:
        """One that is cut off before first_slice_segment_in_pic_flag says nothing."""
        return is_h265_picture(h265_kind(nal)) and nal[2:3] < b"\x80"

    @staticmethod
    def is_key(nals: Sequence[bytes]) -> bool:
        """IRAP pictures only; gradual refresh behind a recovery point is not known here."""
        return is_h265_key(nals)
