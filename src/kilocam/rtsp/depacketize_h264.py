"""H.264 out of RTP (RFC 6184); what it shares with H.265 is in `depacketize_nal.py`."""

from collections.abc import Sequence
from functools import lru_cache

from kilocam.bitstream import (
    BitstreamError,
    NalKind,
    is_first_slice,
    is_key,
    is_leading,
    is_picture,
    nal_kind,
    parse_pps,
    parse_sps,
    split_annex_b,
)
from kilocam.rtsp.depacketize import UnitKind, format_parameters
from kilocam.rtsp.depacketize_nal import (
    MAX_ACCESS_UNIT,
    START_CODE,
    NalDepacketizer,
    aggregated,
    sprop_nals,
)

_STAP_A, _FU_A = 24, 28


def is_key_start(payload: bytes) -> bool:
    """Whether an RTP payload begins the access unit of an H.264 key frame.

    That is an SPS or IDR slice alone or in a STAP-A, or the first fragment of an IDR slice.
    """
    if not payload:
        return False
    kind = payload[0] & 31
    if kind == _FU_A:
        return len(payload) > 1 and payload[1] & 0x80 != 0 and payload[1] & 31 == NalKind.IDR
    if kind == _STAP_A:
        return any(nal[0] & 31 in (NalKind.SPS, NalKind.IDR) for nal in aggregated(payload, 1))
    if kind in (0, NalKind.SEI, NalKind.DELIMITER) and START_CODE in payload:  # quirk 30
        return any(nal[0] & 31 in (NalKind.SPS, NalKind.IDR) for nal in split_annex_b(payload))
    return kind in (NalKind.SPS, NalKind.IDR)


@lru_cache(maxsize=256)  # each look at a camera begins with its SDP
def sprop_parameter_sets(fmtp: str) -> tuple[bytes, ...]:
    """The parameter sets of an SDP that can be read; quirk 26: some are missing, bad or Annex B."""
    nals = sprop_nals(format_parameters(fmtp).get("sprop-parameter-sets", ""))
    return tuple(nal for nal in nals if _is_readable(nal))


def _is_readable(nal: bytes) -> bool:
    for parse in (parse_sps, parse_pps):
        try:
            parse(nal)
        except BitstreamError:
            continue
        return True
    return False


class H264Depacketizer(NalDepacketizer):
    """Gathers NAL units into access units.

    Args:
        track: index of the track.
        fmtp: SDP parameters, for `sprop-parameter-sets`.
        max_bytes: an access unit that grows beyond this is given out as damaged (quirk 32).
    """

    __slots__ = ()

    unit_kind = UnitKind.H264
    header_bytes = 1
    set_kinds = (NalKind.SPS, NalKind.PPS)
    openers = (NalKind.DELIMITER, NalKind.SPS)
    aggregate, fragment = _STAP_A, _FU_A
    kind = staticmethod(nal_kind)
    is_picture = staticmethod(is_picture)
    is_leading = staticmethod(is_leading)
    is_first_slice = staticmethod(is_first_slice)

    def __init__(self, track: int, fmtp: str = "", *, max_bytes: int = MAX_ACCESS_UNIT) -> None:
        super().__init__(track, sprop_parameter_sets(fmtp), max_bytes=max_bytes)

    @staticmethod
    def header_of(fragment: bytes) -> bytes:
        """RFC 6184 section 5.8: importance from the indicator, kind from the header."""
        return bytes((fragment[0] & 0xE0 | fragment[1] & 31,))

    @staticmethod
    def is_nal(nal: bytes) -> bool:
        """Kinds 24 and up are packets (RFC 6184 table 1)."""
        return 1 <= nal[0] & 31 <= 23

    @staticmethod
    def is_later_slice(nal: bytes) -> bool:
        """A set first bit is first_mb_in_slice 0; one that is cut off says nothing."""
        return nal[0] & 31 in (NalKind.SLICE, NalKind.IDR) and nal[1:2] < b"\x80"

    @staticmethod
    def is_key(nals: Sequence[bytes]) -> bool:
        """Recovery points count: some cameras send no IDR pictures."""
        return is_key(nals, recovery_points=True)
