"""H.265 parameter sets in MP4's form: the record that MP4 and decoders want of them."""

import struct
from collections.abc import Sequence

from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.h265 import H265Kind, h265_kind
from kilocam.bitstream.h265_sps import parse_h265_sps

_SETS = (H265Kind.VPS, H265Kind.SPS, H265Kind.PPS)
_LARGEST_SET = 0xFFFF
_HEAD = 23
"""Bytes of the record in front of its arrays."""


def build_h265_config(parameter_sets: Sequence[bytes]) -> bytes:
    """The HEVCDecoderConfigurationRecord, payload of `hvcC` (ISO/IEC 14496-15 section 8.3.3.1).

    Raises:
        BitstreamError: a kind is missing, or one cannot be read or held.
    """
    groups = [[nal for nal in parameter_sets if h265_kind(nal) == kind] for kind in _SETS]
    if not all(groups):
        raise BitstreamError("of VPS, SPS and PPS one is missing")
    if any(len(nal) > _LARGEST_SET for nals in groups for nal in nals):
        raise BitstreamError("a parameter set is larger than the record can hold")
    sps = parse_h265_sps(groups[1][0])
    head = struct.pack(
        ">B12sHBBBBHBB",
        1,
        sps.profile,
        0xF000,  # min_spatial_segmentation_idc: unknown
        0xFC,  # parallelismType: unknown
        0xFC | sps.chroma_format,
        0xF8 | sps.luma_bits - 8 & 7,
        0xF8 | sps.chroma_bits - 8 & 7,
        0,  # avgFrameRate: unspecified
        sps.sub_layers << 3 | sps.nested << 2 | 3,  # lengths of four bytes
        len(_SETS),
    )
    arrays = []
    for kind, nals in zip(_SETS, groups, strict=True):
        arrays.append(struct.pack(">BH", kind, len(nals)))  # there may be more in the samples
        arrays += [len(nal).to_bytes(2, "big") + nal for nal in nals]
    return head + b"".join(arrays)


def parse_h265_config(data: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Bytes of a sample's length fields, and the parameter sets, of such a record.

    Raises:
        BitstreamError: it is none or ends early.
    """
    if len(data) < _HEAD or data[0] != 1:
        raise BitstreamError("HEVCDecoderConfigurationRecord ends early")
    sets: list[bytes] = []
    pos = _HEAD
    for _ in range(data[_HEAD - 1]):
        count = int.from_bytes(data[pos + 1 : pos + 3], "big")
        pos += 3
        if pos > len(data):
            raise BitstreamError("HEVCDecoderConfigurationRecord ends early")
        for _ in range(count):
            end = pos + 2 + int.from_bytes(data[pos : pos + 2], "big")
            if end > len(data) or end == pos + 2:
                raise BitstreamError("HEVCDecoderConfigurationRecord ends early")
            sets.append(data[pos + 2 : end])
            pos = end
    return (data[21] & 3) + 1, tuple(nal for nal in sets if h265_kind(nal) in _SETS)
