"""H.264 picture parameter sets (section 7.3.2.2): what is needed to read slice headers."""

from dataclasses import dataclass

from kilocam.bitstream.bits import BitReader
from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.nal import NalKind, nal_kind, unescape

_LONGEST = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pps:
    """A picture parameter set up to redundant_pic_cnt_present_flag."""

    id: int
    sps_id: int
    cabac: bool
    bottom_field_order: bool
    slice_groups: int
    refs_l0: int
    refs_l1: int
    weighted: bool
    weighted_bipred: int
    init_qp: int
    """26 + pic_init_qp_minus26."""
    redundant_pictures: bool


def parse_pps(nal: bytes) -> Pps:
    """Read a picture parameter set.

    Raises:
        BitstreamError: it is none, is cut off or holds a value out of range.
    """
    if not nal or nal_kind(nal) != NalKind.PPS:
        raise BitstreamError("not a picture parameter set")
    bits = BitReader(unescape(nal[1:_LONGEST]))
    pps_id, sps_id = bits.ue(), bits.ue()
    if pps_id > 255 or sps_id > 31:
        raise BitstreamError(f"picture parameter set {pps_id} of {sps_id}: ids out of range")
    cabac, bottom_field_order = bits.flag(), bits.flag()
    groups = bits.ue() + 1
    if groups > 8:
        raise BitstreamError(f"num_slice_groups_minus1 is {groups - 1}; 7 is the limit")
    if groups > 1:
        _skip_slice_groups(bits, groups)
    refs_l0, refs_l1 = bits.ue() + 1, bits.ue() + 1
    if refs_l0 > 32 or refs_l1 > 32:
        raise BitstreamError("num_ref_idx_default_active_minus1 is over 31")
    weighted, weighted_bipred, init_qp = bits.flag(), bits.u(2), 26 + bits.se()
    bits.se()  # pic_init_qs_minus26
    bits.se()  # chroma_qp_index_offset
    bits.u(2)  # deblocking_filter_control_present_flag, constrained_intra_pred_flag
    return Pps(
        id=pps_id,
        sps_id=sps_id,
        cabac=cabac,
        bottom_field_order=bottom_field_order,
        slice_groups=groups,
        refs_l0=refs_l0,
        refs_l1=refs_l1,
        weighted=weighted,
        weighted_bipred=weighted_bipred,
        init_qp=init_qp,
        redundant_pictures=bits.flag(),
    )


def _skip_slice_groups(bits: BitReader, groups: int) -> None:
    """Flexible macroblock ordering, baseline and extended profile only."""
    map_type = bits.ue()
    if map_type == 0:
        for _ in range(groups):
            bits.ue()
    elif map_type == 2:
        for _ in range(2 * (groups - 1)):
            bits.ue()
    elif map_type in (3, 4, 5):
        bits.u(1)
        bits.ue()
    elif map_type == 6:
        size = (groups - 1).bit_length()
        for _ in range(bits.ue() + 1):
            bits.u(size)
    elif map_type != 1:
        raise BitstreamError(f"slice_group_map_type is {map_type}; 6 is the limit")
