"""The beginning of an H.265 sequence parameter set, and the record MP4 and decoders want of them.

Only what stands before the parts that differ most between cameras (scaling lists, long-term
references, VUI: quirk 31) is read; the rest is the decoder's.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from kilocam.bitstream.bits import BitReader
from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.h265 import H265Kind, h265_kind, is_h265_base
from kilocam.bitstream.nal import unescape

_SETS = (H265Kind.VPS, H265Kind.SPS, H265Kind.PPS)
_PROFILE_BYTES = 12
"""general_profile_space to general_level_idc (section 7.3.3)."""
_READ = 200
"""Bytes that hold all that is read, with seven sub-layers."""
_LARGEST = 16_888
"""Luma samples on a side at level 6.2: the root of 8 x 35,651,584 (section A.4.1)."""
_LARGEST_SET = 0xFFFF
_HEAD = 23
"""Bytes of the record in front of its arrays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class H265Sps:
    """What is read of an H.265 sequence parameter set (section 7.3.2.2.1)."""

    profile: bytes
    """The general profile, tier and level, as they stand in a decoder's record too."""
    sub_layers: int
    nested: bool
    chroma_format: int
    width: int
    """Pixels, after cropping."""
    height: int
    luma_bits: int
    chroma_bits: int


def parse_h265_sps(nal: bytes) -> H265Sps:
    """The beginning of an SPS.

    Raises:
        BitstreamError: it is none, ends early or cannot be one.
    """
    if not is_h265_base(nal) or h265_kind(nal) != H265Kind.SPS:
        raise BitstreamError("not an H.265 sequence parameter set")
    data = unescape(nal[2:_READ])
    reader = BitReader(data)
    reader.u(4)  # sps_video_parameter_set_id
    more_layers, nested = reader.u(3), reader.flag()
    profile = data[1 : 1 + _PROFILE_BYTES]
    reader.u(8 * _PROFILE_BYTES)
    _skip_sub_layers(reader, more_layers)
    reader.ue()  # sps_seq_parameter_set_id
    chroma_format = reader.ue()
    if chroma_format > 3:
        raise BitstreamError(f"H.265 chroma_format_idc {chroma_format} does not exist")
    separate = chroma_format == 3 and reader.flag()
    width, height = reader.ue(), reader.ue()
    across = 2 if chroma_format in (1, 2) and not separate else 1
    down = 2 if chroma_format == 1 else 1
    if reader.flag():
        left, right, top, bottom = reader.ue(), reader.ue(), reader.ue(), reader.ue()
        width -= across * (left + right)
        height -= down * (top + bottom)
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise BitstreamError(f"H.265 picture size {width}x{height} cannot be")
    luma_bits, chroma_bits = 8 + reader.ue(), 8 + reader.ue()
    if max(luma_bits, chroma_bits) > 16:
        raise BitstreamError(f"H.265 samples of {luma_bits} and {chroma_bits} bits do not exist")
    return H265Sps(
        profile=profile,
        sub_layers=more_layers + 1,
        nested=nested,
        chroma_format=chroma_format,
        width=width,
        height=height,
        luma_bits=luma_bits,
        chroma_bits=chroma_bits,
    )


def _skip_sub_layers(reader: BitReader, count: int) -> None:
    """Profiles and levels of the sub-layers below the highest (section 7.3.3)."""
    present = [(reader.flag(), reader.flag()) for _ in range(count)]
    if count:
        reader.u(2 * (8 - count))
    for profile, level in present:
        reader.u(88 * profile + 8 * level)


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
