"""H.265 slice segment headers up to the quantiser (section 7.3.6.1)."""

from dataclasses import dataclass
from enum import IntEnum

from kilocam.bitstream.bits import BitReader
from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.h265 import H265Kind, h265_kind, is_h265_base, is_h265_picture
from kilocam.bitstream.h265_pps import H265Pps
from kilocam.bitstream.h265_references import read_ref_pic_set
from kilocam.bitstream.h265_sps import H265Coding
from kilocam.bitstream.nal import unescape

_LONGEST = 1024
"""Bytes of a slice that are looked at; a header with all tables full has some 300."""
_IRAP = range(16, 24)
_IDR = (H265Kind.IDR_W_RADL, H265Kind.IDR_N_LP)
_MOST_REFS = 15
_MOST_LONG_TERM = 32


class H265SliceKind(IntEnum):
    """slice_type (table 7-7)."""

    B = 0
    P = 1
    I = 2  # noqa: E741 - the specification's name


@dataclass(frozen=True, slots=True, kw_only=True)
class H265SliceHeader:
    """A slice segment header."""

    nal_kind: int
    first: bool
    """Of its picture."""
    kind: H265SliceKind
    poc_lsb: int
    poc_lsb_at: int
    """Where it stands, in bits from the beginning of what was read without emulation prevention."""
    qp: int
    qp_at: int
    """Where slice_qp_delta stands, likewise."""


def parse_h265_slice(nal: bytes, coding: H265Coding, pps: H265Pps) -> H265SliceHeader:
    """Read a slice segment header; its first bytes are enough (some 40 without weights).

    Raises:
        BitstreamError: it is no slice or depends on one before it, is cut off, names another
            picture parameter set or holds a value out of range.
    """
    if not is_h265_base(nal) or not is_h265_picture(h265_kind(nal)):
        raise BitstreamError("not an H.265 slice of the base layer")
    unit = h265_kind(nal)
    bits = BitReader(unescape(nal[:_LONGEST]))
    size = bits.left
    bits.u(16)
    first = bits.flag()
    if unit in _IRAP:
        bits.u(1)  # no_output_of_prior_pics_flag
    pps_id = bits.ue()
    if pps_id != pps.id:
        raise BitstreamError(f"slice names picture parameter set {pps_id}; {pps.id} is at hand")
    if not first:
        if pps.dependent_slices and bits.flag():
            raise BitstreamError("a dependent H.265 slice segment has no quantiser of its own")
        bits.u(coding.address_bits)
    bits.u(pps.extra_bits)
    kind = bits.ue()
    if kind > H265SliceKind.I:
        raise BitstreamError(f"H.265 slice_type {kind} does not exist")
    bits.u(pps.output_flag + 2 * coding.separate_planes)
    poc_lsb_at, poc_lsb, kept, temporal_mvp = size - bits.left, 0, 0, False
    if unit not in _IDR:
        poc_lsb = bits.u(coding.poc_lsb_bits)
        kept = _kept(bits, coding)
        temporal_mvp = coding.temporal_mvp and bits.flag()
    if coding.offsets:
        bits.u(1 + coding.chroma)
    if kind != H265SliceKind.I:
        bipred = kind == H265SliceKind.B
        _skip_prediction(bits, coding, pps, kept, bipred=bipred, temporal_mvp=temporal_mvp)
    return H265SliceHeader(
        nal_kind=unit,
        first=first,
        kind=H265SliceKind(kind),
        poc_lsb=poc_lsb,
        poc_lsb_at=poc_lsb_at,
        qp_at=size - bits.left,
        qp=pps.init_qp + bits.se(),
    )


def _kept(bits: BitReader, coding: H265Coding) -> int:
    """Steps over reference picture sets; returns NumPicTotalCurr."""
    sets = coding.ref_pic_sets
    if not bits.flag():  # short_term_ref_pic_set_sps_flag
        chosen = read_ref_pic_set(bits, sets, in_slice=True)
    else:
        index = bits.u((len(sets) - 1).bit_length()) if sets else 0
        if index >= len(sets):
            raise BitstreamError(f"H.265 reference picture set {index} is not there")
        chosen = sets[index]
    used = sum(used for _, used in chosen)
    return used + _long_term(bits, coding) if coding.long_term else used


def _long_term(bits: BitReader, coding: H265Coding) -> int:
    """Steps over long-term pictures; returns how many of them are used."""
    listed = coding.long_term_used
    from_sps = bits.ue() if listed else 0
    count = from_sps + bits.ue()
    if count > _MOST_LONG_TERM:
        raise BitstreamError(f"{count} H.265 long-term pictures; {_MOST_LONG_TERM} is the limit")
    used = 0
    for number in range(count):
        if number < from_sps:
            index = bits.u((len(listed) - 1).bit_length())
            if index >= len(listed):
                raise BitstreamError(f"H.265 long-term picture {index} is not there")
            used += listed[index]
        else:
            used += bits.u(coding.poc_lsb_bits + 1) & 1
        if bits.flag():
            bits.ue()  # delta_poc_msb_cycle_lt
    return used


def _skip_prediction(
    bits: BitReader,
    coding: H265Coding,
    pps: H265Pps,
    kept: int,
    *,
    bipred: bool,
    temporal_mvp: bool,
) -> None:
    """Steps over what P and B slices say of their reference lists and weights."""
    refs = [pps.refs_l0, pps.refs_l1] if bipred else [pps.refs_l0]
    if bits.flag():  # num_ref_idx_active_override_flag
        refs = [bits.ue() + 1 for _ in refs]
    if max(refs) > _MOST_REFS:
        raise BitstreamError("H.265 num_ref_idx_active_minus1 is out of range")
    if pps.lists_modification and kept > 1:
        for count in refs:
            if bits.flag():
                bits.u(count * (kept - 1).bit_length())
    if bipred:
        bits.u(1)  # mvd_l1_zero_flag
    if pps.cabac_init:
        bits.u(1)
    if temporal_mvp:
        from_l1 = bipred and not bits.flag()  # collocated_from_l0_flag
        if refs[from_l1] > 1:
            bits.ue()  # collocated_ref_idx
    if pps.weighted_bipred if bipred else pps.weighted:
        _skip_weights(bits, refs, chroma=coding.chroma)
    bits.ue()  # five_minus_max_num_merge_cand


def _skip_weights(bits: BitReader, refs: list[int], *, chroma: bool) -> None:
    """pred_weight_table(), section 7.3.6.3."""
    bits.ue()
    if chroma:
        bits.se()
    for count in refs:
        luma = bits.u(count).bit_count()
        coloured = bits.u(count) if chroma else 0
        for _ in range(2 * luma + 4 * coloured.bit_count()):
            bits.se()
