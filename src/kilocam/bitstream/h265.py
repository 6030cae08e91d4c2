"""H.265 NAL units and access units (sections 7.3.1, 7.4.2 of ITU-T H.265), as far as headers tell.

A NAL unit is bytes with its two-byte header, without start code or length, escaped as it came.
Those of layers above the base (annexes F to I) are not for us.
"""

from collections.abc import Iterable
from enum import IntEnum


class H265Kind(IntEnum):
    """nal_unit_type, table 7-1; kinds not listed are plain integers."""

    TRAIL_N = 0
    TRAIL_R = 1
    RASL_N = 8
    BLA_W_LP = 16
    IDR_W_RADL = 19
    IDR_N_LP = 20
    CRA = 21
    VPS = 32
    SPS = 33
    PPS = 34
    DELIMITER = 35
    END_OF_SEQUENCE = 36
    PREFIX_SEI = 39
    SUFFIX_SEI = 40


_LEADING = frozenset({32, 33, 34, 35, 39, 41, 42, 43, 44, *range(48, 56)})


def h265_kind(nal: bytes) -> int:
    """nal_unit_type of a NAL unit that is not empty."""
    return nal[0] >> 1 & 63


def is_h265_base(nal: bytes) -> bool:
    """Whether a NAL unit has a whole header, of the base layer, with a temporal identifier.

    Section 7.3.1.2.
    """
    return len(nal) > 1 and not nal[0] & 1 and 0 < nal[1] < 8


def is_h265_picture(kind: int) -> bool:
    """Whether a NAL unit of this kind carries a part of a coded picture (0 to 31, table 7-1)."""
    return 0 <= kind < 32


def is_h265_key(nals: Iterable[bytes]) -> bool:
    """Whether decoding can start at this access unit."""
    return any(is_irap(h265_kind(nal)) for nal in nals)


def is_irap(kind: int) -> bool:
    """Whether it is a slice at which decoding can start: BLA, IDR or CRA (16 to 21, table 7-1).

    What follows a CRA or BLA and cannot be decoded without what came before (RASL) a decoder skips.
    """
    return H265Kind.BLA_W_LP <= kind <= H265Kind.CRA


def is_h265_leading(kind: int) -> bool:
    """Whether a NAL unit of this kind after a picture begins the next access unit.

    Section 7.4.2.4.4.
    """
    return kind in _LEADING


def is_h265_first_slice(nal: bytes) -> bool:
    """Whether it is a slice with first_slice_segment_in_pic_flag set (section 7.3.6.1)."""
    return len(nal) > 2 and is_h265_picture(h265_kind(nal)) and nal[2] >= 0x80
