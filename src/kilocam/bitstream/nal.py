"""H.264 NAL units: kinds, the two framings, emulation prevention (sections 7.3, 7.4.1, annex B).

A NAL unit is bytes with its one-byte header, without start code or length, escaped as it came.
"""

from collections.abc import Iterable
from enum import IntEnum

from kilocam.bitstream.errors import BitstreamError

_START = b"\x00\x00\x01"


class NalKind(IntEnum):
    """nal_unit_type, table 7-1; kinds not listed are plain integers."""

    SLICE = 1
    PARTITION_A = 2
    PARTITION_B = 3
    PARTITION_C = 4
    IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    DELIMITER = 9
    END_OF_SEQUENCE = 10
    END_OF_STREAM = 11
    FILLER = 12
    SPS_EXTENSION = 13
    PREFIX = 14
    SUBSET_SPS = 15
    AUXILIARY_SLICE = 19
    SLICE_EXTENSION = 20


def nal_kind(nal: bytes) -> int:
    """nal_unit_type of a NAL unit that is not empty."""
    return nal[0] & 0x1F


def is_picture(kind: int) -> bool:
    """Whether a NAL unit of this kind carries a part of the primary coded picture."""
    return 1 <= kind <= NalKind.IDR


def split_annex_b(data: bytes) -> list[bytes]:
    """The NAL units between start codes of three or four bytes (annex B).

    Bytes before the first start code are a NAL unit too: some cameras put start codes between the
    NAL units of one RTP payload but none before the first. Zero bytes that pad a NAL unit's end
    are no part of it; empty ones are left out.
    """
    if _START not in data:
        return [data] if data else []
    return [nal for part in data.split(_START) if (nal := part.rstrip(b"\x00"))]


def split_avcc(data: bytes, length_size: int = 4) -> list[bytes]:
    """The NAL units of a sample with length fields (ISO/IEC 14496-15 section 5.3.4.2).

    Raises:
        BitstreamError: a length reaches beyond the sample.
    """
    nals = []
    pos = 0
    while pos < len(data):
        start = pos + length_size
        end = start + int.from_bytes(data[pos:start], "big")
        if start > len(data) or end > len(data):
            raise BitstreamError(f"NAL unit at offset {pos} reaches beyond the sample")
        if end > start:
            nals.append(data[start:end])
        pos = end
    return nals


def join_avcc(nals: Iterable[bytes]) -> bytes:
    """A sample with a four-byte length before each NAL unit."""
    return b"".join(part for nal in nals for part in (len(nal).to_bytes(4, "big"), nal))


def unescape(data: bytes) -> bytes:
    """Without emulation prevention: 00 00 03 becomes 00 00 (section 7.4.1)."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


def escape(data: bytes) -> bytes:
    """With emulation prevention: no 00 00 00, 00 00 01 or 00 00 02 is left inside."""
    out = bytearray()
    zeros = 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    if data.endswith(b"\x00"):
        out.append(3)  # a NAL unit must not end in a zero byte
    return bytes(out)
