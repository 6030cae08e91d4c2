"""H.264 sequence parameter sets (sections 7.3.2.1.1 and E.1): picture size, order, timing."""

from dataclasses import dataclass

from kilocam.bitstream.bits import BitReader
from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.nal import NalKind, nal_kind, unescape

_LONGEST = 1024
"""Bytes of a parameter set that are looked at; with all scaling lists it has about 500."""

_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_INTRA_PROFILES = frozenset({44, 86, 100, 110, 122, 244})
_MOST_MACROBLOCKS = 1055
"""Width and height in macroblocks at level 6.2 (table A-1): Sqrt(MaxFS * 8)."""
_MAX_DPB_MBS = {
    9: 396, 10: 396, 11: 900, 12: 2376, 13: 2376, 20: 2376, 21: 4752, 22: 8100, 30: 8100,
    31: 18000, 32: 20480, 40: 32768, 41: 32768, 42: 34816, 50: 110400, 51: 184320, 52: 184320,
    60: 696320, 61: 696320, 62: 696320,
}  # fmt: skip
_ASPECTS = (
    (0, 0), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11),
    (80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1),
)  # fmt: skip
_EXTENDED_SAR = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Vui:
    """Video usability information; what the stream does not say is None."""

    sar: tuple[int, int] | None = None
    """Width and height of a sample; None when unspecified, which means square."""
    full_range: bool = False
    timing: tuple[int, int] | None = None
    """num_units_in_tick and time_scale; a frame lasts 2 x units / scale seconds."""
    fixed_frame_rate: bool = False
    max_reorder: int | None = None
    max_buffering: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sps:
    """A sequence parameter set."""

    profile: int
    constraints: int
    level: int
    id: int
    chroma_format: int
    separate_planes: bool
    bit_depth: int
    chroma_bit_depth: int
    frame_num_bits: int
    poc_type: int
    poc_lsb_bits: int
    delta_pic_order_always_zero: bool
    offset_for_non_ref_pic: int
    offset_for_top_to_bottom: int
    offsets_for_ref_frame: tuple[int, ...]
    max_ref_frames: int
    frame_mbs_only: bool
    width_mbs: int
    height_map_units: int
    width: int
    """Pixels shown, after cropping."""
    height: int
    vui: Vui

    @property
    def codec_string(self) -> str:
        """RFC 6381 name: `avc1.64001f`."""
        return f"avc1.{self.profile:02x}{self.constraints:02x}{self.level:02x}"

    @property
    def chroma_array_type(self) -> int:
        """ChromaArrayType, section 7.4.2.1.1."""
        return 0 if self.separate_planes else self.chroma_format

    @property
    def frame_rate(self) -> float | None:
        """Frames a second, when the stream says it and means it."""
        if self.vui.timing is None:
            return None
        units, scale = self.vui.timing
        return scale / (2 * units) if units and scale else None

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height for square pixels: the width is stretched by the sample aspect ratio."""
        across, down = self.vui.sar or (1, 1)
        return round(self.width * across / down), self.height

    @property
    def reorder_frames(self) -> int:
        """How many frames may come before one that is shown earlier.

        What the VUI says, else 0 where the stream cannot reorder, else what fits into the decoded
        picture buffer (section E.2.1), but no more than there are reference frames: encoders
        reorder around references.
        """
        if self.vui.max_reorder is not None:
            return self.vui.max_reorder
        intra_only = self.constraints & 0x10 and self.profile in _INTRA_PROFILES
        if self.poc_type == 2 or self.profile == 66 or intra_only:
            return 0
        frame_mbs = self.width_mbs * self.height_map_units * (1 if self.frame_mbs_only else 2)
        fits = _MAX_DPB_MBS.get(self.level, _MAX_DPB_MBS[62]) // frame_mbs
        return min(self.max_ref_frames, fits, 16)


def parse_sps(nal: bytes) -> Sps:
    """Read a sequence parameter set.

    A VUI that is cut off or broken, as some cameras send it, is dropped, not the whole set; bytes
    after the end (Reolink) are ignored.

    Raises:
        BitstreamError: it is none, is cut off or holds a value out of range.
    """
    if not nal or nal_kind(nal) != NalKind.SPS:
        raise BitstreamError("not a sequence parameter set")
    bits = BitReader(unescape(nal[1:_LONGEST]))
    profile, constraints, level = bits.u(8), bits.u(8), bits.u(8)
    sps_id = _bounded("seq_parameter_set_id", bits.ue(), 31)
    chroma_format, separate, depth, chroma_depth = _chroma(bits, profile)
    frame_num_bits = _bounded("log2_max_frame_num_minus4", bits.ue(), 12) + 4
    order = _order(bits)
    max_ref_frames = _bounded("max_num_ref_frames", bits.ue(), 32)
    bits.u(1)  # gaps_in_frame_num_value_allowed_flag
    width_mbs = _bounded("pic_width_in_mbs_minus1", bits.ue(), _MOST_MACROBLOCKS) + 1
    map_units = _bounded("pic_height_in_map_units_minus1", bits.ue(), _MOST_MACROBLOCKS) + 1
    frame_mbs_only = bits.flag()
    if not frame_mbs_only:
        bits.u(1)  # mb_adaptive_frame_field_flag
    bits.u(1)  # direct_8x8_inference_flag
    height = map_units * 16 * (1 if frame_mbs_only else 2)
    chroma_array_type = 0 if separate else chroma_format
    across, down = _cropping(bits, chroma_array_type, frame_mbs_only=frame_mbs_only)
    if across >= width_mbs * 16 or down >= height:
        raise BitstreamError("frame cropping leaves no picture")
    return Sps(
        profile=profile,
        constraints=constraints,
        level=level,
        id=sps_id,
        chroma_format=chroma_format,
        separate_planes=separate,
        bit_depth=depth,
        chroma_bit_depth=chroma_depth,
        frame_num_bits=frame_num_bits,
        poc_type=order[0],
        poc_lsb_bits=order[1],
        delta_pic_order_always_zero=order[2],
        offset_for_non_ref_pic=order[3],
        offset_for_top_to_bottom=order[4],
        offsets_for_ref_frame=order[5],
        max_ref_frames=max_ref_frames,
        frame_mbs_only=frame_mbs_only,
        width_mbs=width_mbs,
        height_map_units=map_units,
        width=width_mbs * 16 - across,
        height=height - down,
        vui=_vui(bits),
    )


def _bounded(field: str, value: int, most: int) -> int:
    if value > most:
        raise BitstreamError(f"{field} is {value}; {most} is the limit")
    return value


def _chroma(bits: BitReader, profile: int) -> tuple[int, bool, int, int]:
    """chroma_format_idc, separate_colour_plane_flag, both bit depths; scaling lists skipped."""
    if profile not in _WITH_CHROMA:
        return 1, False, 8, 8
    chroma_format = _bounded("chroma_format_idc", bits.ue(), 3)
    separate = chroma_format == 3 and bits.flag()
    depth = _bounded("bit_depth_luma_minus8", bits.ue(), 6) + 8
    chroma_depth = _bounded("bit_depth_chroma_minus8", bits.ue(), 6) + 8
    bits.u(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():
        _skip_scaling_lists(bits, 12 if chroma_format == 3 else 8)
    return chroma_format, separate, depth, chroma_depth


def _skip_scaling_lists(bits: BitReader, lists: int) -> None:
    """Step over scaling lists, of which the first six have 16 entries (section 7.3.2.1.1.1)."""
    for index in range(lists):
        if not bits.flag():
            continue
        last = scale = 8
        for _ in range(16 if index < 6 else 64):
            scale = (last + bits.se()) & 0xFF
            if scale == 0:  # the rest repeats the last entry
                break
            last = scale


def _order(bits: BitReader) -> tuple[int, int, bool, int, int, tuple[int, ...]]:
    poc_type = _bounded("pic_order_cnt_type", bits.ue(), 2)
    if poc_type == 0:
        lsb_bits = _bounded("log2_max_pic_order_cnt_lsb_minus4", bits.ue(), 12) + 4
        return poc_type, lsb_bits, False, 0, 0, ()
    if poc_type == 2:
        return poc_type, 0, False, 0, 0, ()
    always_zero, non_ref, top_to_bottom = bits.flag(), bits.se(), bits.se()
    cycle = _bounded("num_ref_frames_in_pic_order_cnt_cycle", bits.ue(), 255)
    return poc_type, 0, always_zero, non_ref, top_to_bottom, tuple(bits.se() for _ in range(cycle))


def _cropping(bits: BitReader, chroma_array_type: int, *, frame_mbs_only: bool) -> tuple[int, int]:
    """Pixels cut off across and down (equations 7-19 to 7-22)."""
    if not bits.flag():
        return 0, 0
    left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    unit_across = 2 if chroma_array_type in (1, 2) else 1
    unit_down = (2 if chroma_array_type == 1 else 1) * (1 if frame_mbs_only else 2)
    return (left + right) * unit_across, (top + bottom) * unit_down


def _vui(bits: BitReader) -> Vui:
    try:
        return _read_vui(bits) if bits.flag() else Vui()
    except BitstreamError:
        return Vui()


def _read_vui(bits: BitReader) -> Vui:
    sar = _aspect(bits) if bits.flag() else None
    if bits.flag():  # overscan_info_present_flag
        bits.u(1)
    full_range = _video_signal(bits) if bits.flag() else False
    if bits.flag():  # chroma_loc_info_present_flag
        bits.ue()
        bits.ue()
    timing, fixed = None, False
    if bits.flag():
        timing, fixed = (bits.u(32), bits.u(32)), bits.flag()
    told = Vui(sar=sar, full_range=full_range, timing=timing, fixed_frame_rate=fixed)
    try:
        reorder, buffering = _restriction(bits)
    except BitstreamError:
        return told
    return Vui(
        sar=sar,
        full_range=full_range,
        timing=timing,
        fixed_frame_rate=fixed,
        max_reorder=reorder,
        max_buffering=buffering,
    )


def _aspect(bits: BitReader) -> tuple[int, int] | None:
    idc = bits.u(8)
    sar = (bits.u(16), bits.u(16)) if idc == _EXTENDED_SAR else (0, 0)
    if idc < len(_ASPECTS):
        sar = _ASPECTS[idc]
    return sar if all(sar) else None


def _video_signal(bits: BitReader) -> bool:
    bits.u(3)  # video_format
    full_range = bits.flag()
    if bits.flag():
        bits.u(24)  # colour primaries, transfer characteristics, matrix coefficients
    return full_range


def _restriction(bits: BitReader) -> tuple[int | None, int | None]:
    """max_num_reorder_frames and max_dec_frame_buffering, behind both sets of HRD parameters."""
    nal_hrd = bits.flag()
    if nal_hrd:
        _skip_hrd(bits)
    vcl_hrd = bits.flag()
    if vcl_hrd:
        _skip_hrd(bits)
    if nal_hrd or vcl_hrd:
        bits.u(1)  # low_delay_hrd_flag
    bits.u(1)  # pic_struct_present_flag
    if not bits.flag():
        return None, None
    bits.u(1)  # motion_vectors_over_pic_boundaries_flag
    for _ in range(4):  # max_bytes_per_pic_denom ... log2_max_mv_length_vertical
        bits.ue()
    reorder, buffering = bits.ue(), bits.ue()
    if reorder > min(buffering, 16):
        return None, None
    return reorder, buffering


def _skip_hrd(bits: BitReader) -> None:
    count = _bounded("cpb_cnt_minus1", bits.ue(), 31) + 1
    bits.u(8)  # bit_rate_scale, cpb_size_scale
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.u(1)
    bits.u(20)  # four lengths of delays and of the time offset
