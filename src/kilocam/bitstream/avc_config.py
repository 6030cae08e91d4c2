"""The decoder configuration record of H.264 in MP4, `avcC` (ISO/IEC 14496-15 section 5.3.3.1)."""

from collections.abc import Sequence

from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.nal import NalKind, nal_kind
from kilocam.bitstream.sps import parse_sps

_WITH_CHROMA = (100, 110, 122, 144)


def build_avc_config(parameter_sets: Sequence[bytes]) -> bytes:
    """The payload of an `avcC` box for samples with four-byte lengths.

    Args:
        parameter_sets: sequence and picture parameter sets, at least one of each.

    Raises:
        BitstreamError: one kind is missing, or the first sequence parameter set cannot be read.
    """
    sequence = [nal for nal in parameter_sets if nal_kind(nal) == NalKind.SPS][:31]
    picture = [nal for nal in parameter_sets if nal_kind(nal) == NalKind.PPS][:255]
    if not sequence or not picture:
        raise BitstreamError("a sequence and a picture parameter set are needed")
    first = parse_sps(sequence[0])
    record = bytearray((1, first.profile, first.constraints, first.level, 0xFF))
    for mark, sets in ((0xE0, sequence), (0, picture)):
        record.append(mark | len(sets))
        for nal in sets:
            record += len(nal).to_bytes(2, "big") + nal
    if first.profile in _WITH_CHROMA:
        depths = (0xF8 | (first.bit_depth - 8), 0xF8 | (first.chroma_bit_depth - 8))
        record += bytes((0xFC | first.chroma_format, *depths, 0))
    return bytes(record)


def parse_avc_config(record: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Size of a sample's length fields, and the parameter sets, from an `avcC` payload.

    Raises:
        BitstreamError: it is none or is cut off.
    """
    if len(record) < 7 or record[0] != 1:
        raise BitstreamError("no avcC record of version 1")
    sets: list[bytes] = []
    pos = 5
    for mask in (0x1F, 0xFF):
        if pos >= len(record):
            raise BitstreamError("avcC record is cut off")
        count, pos = record[pos] & mask, pos + 1
        for _ in range(count):
            start = pos + 2
            pos = start + int.from_bytes(record[start - 2 : start], "big")
            if start > len(record) or pos > len(record):
                raise BitstreamError("avcC record is cut off")
            sets.append(record[start:pos])
    return (record[4] & 3) + 1, tuple(sets)
