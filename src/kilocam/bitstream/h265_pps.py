"""H.265 picture parameter sets (section 7.3.2.3.1): what is needed to read slice headers."""

from dataclasses import dataclass

from kilocam.bitstream.bits import BitReader
from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.h265 import H265Kind, h265_kind, is_h265_base
from kilocam.bitstream.h265_sps import skip_scaling_lists
from kilocam.bitstream.nal import unescape

_LONGEST = 2048
_MOST_TILES = 22
"""On a side, at level 6.2 (table A.8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class H265Pps:
    """A picture parameter set up to lists_modification_present_flag."""

    id: int
    sps_id: int
    dependent_slices: bool
    output_flag: bool
    extra_bits: int
    """num_extra_slice_header_bits."""
    cabac_init: bool
    refs_l0: int
    refs_l1: int
    init_qp: int
    """26 + init_qp_minus26."""
    weighted: bool
    weighted_bipred: bool
    lists_modification: bool


def parse_h265_pps(nal: bytes) -> H265Pps:
    """Read a picture parameter set.

    Raises:
        BitstreamError: it is none, is cut off or holds a value out of range.
    """
    if not is_h265_base(nal) or h265_kind(nal) != H265Kind.PPS:
        raise BitstreamError("not an H.265 picture parameter set")
    bits = BitReader(unescape(nal[2:_LONGEST]))
    pps_id, sps_id = bits.ue(), bits.ue()
    if pps_id > 63 or sps_id > 15:
        raise BitstreamError(f"H.265 picture parameter set {pps_id} of {sps_id}: out of range")
    dependent_slices, output_flag, extra_bits = bits.flag(), bits.flag(), bits.u(3)
    bits.u(1)  # sign_data_hiding_enabled_flag
    cabac_init = bits.flag()
    refs_l0, refs_l1 = bits.ue() + 1, bits.ue() + 1
    if max(refs_l0, refs_l1) > 15:
        raise BitstreamError("H.265 num_ref_idx_default_active_minus1 is over 14")
    init_qp = 26 + bits.se()
    bits.u(2)  # constrained_intra_pred_flag, transform_skip_enabled_flag
    if bits.flag():
        bits.ue()  # diff_cu_qp_delta_depth
    bits.se()  # pps_cb_qp_offset
    bits.se()  # pps_cr_qp_offset
    bits.u(1)  # pps_slice_chroma_qp_offsets_present_flag
    weighted, weighted_bipred = bits.flag(), bits.flag()
    bits.u(1)  # transquant_bypass_enabled_flag
    tiles = bits.flag()
    bits.u(1)  # entropy_coding_sync_enabled_flag
    if tiles:
        _skip_tiles(bits)
    bits.u(1)  # pps_loop_filter_across_slices_enabled_flag
    if bits.flag():  # deblocking_filter_control_present_flag
        bits.u(1)
        if not bits.flag():  # pps_deblocking_filter_disabled_flag
            bits.se()
            bits.se()
    if bits.flag():
        skip_scaling_lists(bits)
    return H265Pps(
        id=pps_id,
        sps_id=sps_id,
        dependent_slices=dependent_slices,
        output_flag=output_flag,
        extra_bits=extra_bits,
        cabac_init=cabac_init,
        refs_l0=refs_l0,
        refs_l1=refs_l1,
        init_qp=init_qp,
        weighted=weighted,
        weighted_bipred=weighted_bipred,
        lists_modification=bits.flag(),
    )


def _skip_tiles(bits: BitReader) -> None:
    columns, rows = bits.ue(), bits.ue()
    if max(columns, rows) >= _MOST_TILES:
        raise BitstreamError(f"{columns + 1}x{rows + 1} H.265 tiles; {_MOST_TILES} is the limit")
    if not bits.flag():  # uniform_spacing_flag
        for _ in range(columns + rows):
            bits.ue()
    bits.u(1)  # loop_filter_across_tiles_enabled_flag
