"""H.265 sequence parameter sets (section 7.3.2.2.1).

What MP4, decoders and people want stands at the beginning; what slices need stands behind the
parts that differ most between cameras (scaling lists, long-term references: quirk 31). So the two
are read apart, and what is wrong with the second does not spoil the first.
"""

from dataclasses import dataclass

from kilocam.bitstream.bits import BitReader
from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.h265 import H265Kind, h265_kind, is_h265_base
from kilocam.bitstream.h265_references import RefPicSet, read_ref_pic_set
from kilocam.bitstream.nal import unescape

_PROFILE_BYTES = 12
"""general_profile_space to general_level_idc (section 7.3.3)."""
_READ = 200
"""Bytes that hold the beginning, with seven sub-layers."""
_READ_WHOLE = 2048
_LARGEST = 16_888
"""Luma samples on a side at level 6.2: the root of 8 x 35,651,584 (section A.4.1)."""
_MOST_SETS = 64
_MOST_LONG_TERM = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class H265Sps:
    """The beginning of an H.265 sequence parameter set."""

    profile: bytes
    """The general profile, tier and level, as they stand in a decoder's record too."""
    sub_layers: int
    nested: bool
    id: int
    chroma_format: int
    separate_planes: bool
    coded_width: int
    """Luma samples, before cropping."""
    coded_height: int
    width: int
    """Pixels, after cropping."""
    height: int
    luma_bits: int
    chroma_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class H265Coding:
    """What slice headers need of a sequence parameter set."""

    sps_id: int
    separate_planes: bool
    chroma: bool
    """ChromaArrayType is not 0: colour is coded with brightness."""
    poc_lsb_bits: int
    address_bits: int
    """Of slice_segment_address."""
    offsets: bool
    """sample_adaptive_offset_enabled_flag."""
    ref_pic_sets: tuple[RefPicSet, ...]
    long_term: bool
    """long_term_ref_pics_present_flag."""
    long_term_used: tuple[bool, ...]
    """used_by_curr_pic_lt_sps_flag of the long-term pictures that are listed here."""
    temporal_mvp: bool


def parse_h265_sps(nal: bytes) -> H265Sps:
    """The beginning of an SPS.

    Raises:
        BitstreamError: it is none, ends early or cannot be one.
    """
    return _beginning(nal, _READ)[0]


def parse_h265_coding(nal: bytes) -> H265Coding:
    """An SPS up to sps_temporal_mvp_enabled_flag.

    Raises:
        BitstreamError: it is none, ends early or cannot be one; or its profile is one for screens,
            whose slices have fields that stand behind what is read here.
    """
    sps, bits = _beginning(nal, _READ_WHOLE)
    if sps.profile[0] & 31 in (9, 11):
        raise BitstreamError("H.265 screen content coding is not read")
    poc_lsb_bits = 4 + bits.ue()
    if poc_lsb_bits > 16:
        raise BitstreamError(f"H.265 picture order of {poc_lsb_bits} bits; 16 is the limit")
    for _ in range(sps.sub_layers if bits.flag() else 1):
        _skip_codes(bits, 3)  # buffering, reordering, latency
    smallest = 3 + bits.ue()
    largest = smallest + bits.ue()
    if largest > 6:
        raise BitstreamError(f"H.265 coding blocks of 2^{largest}; 2^6 is the limit")
    _skip_codes(bits, 4)  # transform blocks, their depths
    if bits.flag() and bits.flag():
        skip_scaling_lists(bits)
    bits.u(1)  # amp_enabled_flag
    offsets = bits.flag()
    if bits.flag():  # pcm_enabled_flag
        bits.u(8)
        _skip_codes(bits, 2)
        bits.u(1)
    ref_pic_sets = _ref_pic_sets(bits)
    long_term = bits.flag()
    return H265Coding(
        sps_id=sps.id,
        separate_planes=sps.separate_planes,
        chroma=sps.chroma_format != 0 and not sps.separate_planes,
        poc_lsb_bits=poc_lsb_bits,
        address_bits=(_blocks(sps, 1 << largest) - 1).bit_length(),
        offsets=offsets,
        ref_pic_sets=ref_pic_sets,
        long_term=long_term,
        long_term_used=_long_term(bits, poc_lsb_bits) if long_term else (),
        temporal_mvp=bits.flag(),
    )


def skip_scaling_lists(bits: BitReader) -> None:
    """scaling_list_data(), section 7.3.4."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.flag():  # as another list
                bits.ue()
                continue
            _skip_codes(bits, (size > 1) + min(64, 16 << 2 * size))


def _beginning(nal: bytes, most: int) -> tuple[H265Sps, BitReader]:
    """The beginning, and what is behind it of so many bytes."""
    if not is_h265_base(nal) or h265_kind(nal) != H265Kind.SPS:
        raise BitstreamError("not an H.265 sequence parameter set")
    data = unescape(nal[2:most])
    reader = BitReader(data)
    reader.u(4)  # sps_video_parameter_set_id
    more_layers, nested = reader.u(3), reader.flag()
    profile = data[1 : 1 + _PROFILE_BYTES]
    reader.u(8 * _PROFILE_BYTES)
    _skip_sub_layers(reader, more_layers)
    sps_id, chroma_format = reader.ue(), reader.ue()
    if chroma_format > 3:
        raise BitstreamError(f"H.265 chroma_format_idc {chroma_format} does not exist")
    separate = chroma_format == 3 and reader.flag()
    coded_width, coded_height = width, height = reader.ue(), reader.ue()
    across = 2 if chroma_format in (1, 2) else 1
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
    sps = H265Sps(
        profile=profile,
        sub_layers=more_layers + 1,
        nested=nested,
        id=sps_id,
        chroma_format=chroma_format,
        separate_planes=separate,
        coded_width=coded_width,
        coded_height=coded_height,
        width=width,
        height=height,
        luma_bits=luma_bits,
        chroma_bits=chroma_bits,
    )
    return sps, reader


def _skip_sub_layers(reader: BitReader, count: int) -> None:
    """Profiles and levels of the sub-layers below the highest (section 7.3.3)."""
    present = [(reader.flag(), reader.flag()) for _ in range(count)]
    if count:
        reader.u(2 * (8 - count))
    for profile, level in present:
        reader.u(88 * profile + 8 * level)


def _skip_codes(bits: BitReader, count: int) -> None:
    for _ in range(count):
        bits.ue()


def _ref_pic_sets(bits: BitReader) -> tuple[RefPicSet, ...]:
    count = bits.ue()
    if count > _MOST_SETS:
        raise BitstreamError(f"{count} H.265 reference picture sets; {_MOST_SETS} is the limit")
    sets: list[RefPicSet] = []
    for _ in range(count):
        sets.append(read_ref_pic_set(bits, sets, in_slice=False))
    return tuple(sets)


def _long_term(bits: BitReader, poc_lsb_bits: int) -> tuple[bool, ...]:
    count = bits.ue()
    if count > _MOST_LONG_TERM:
        raise BitstreamError(f"{count} H.265 long-term pictures; {_MOST_LONG_TERM} is the limit")
    return tuple(bool(bits.u(poc_lsb_bits + 1) & 1) for _ in range(count))


def _blocks(sps: H265Sps, side: int) -> int:
    """Coding tree blocks of a picture."""
    return -(-sps.coded_width // side) * -(-sps.coded_height // side)
