"""H.264 slice headers up to the quantiser (section 7.3.3)."""

from dataclasses import dataclass
from enum import IntEnum

from kilocam.bitstream.bits import BitReader
from kilocam.bitstream.errors import BitstreamError
from kilocam.bitstream.nal import NalKind, nal_kind, unescape
from kilocam.bitstream.pps import Pps
from kilocam.bitstream.sps import Sps

_LONGEST = 1024
"""Bytes of a slice that are looked at; a header with all tables full has about 800."""


class SliceKind(IntEnum):
    """slice_type modulo 5 (table 7-6)."""

    P = 0
    B = 1
    I = 2  # noqa: E741 - the specification's name
    SP = 3
    SI = 4


_INTRA = (SliceKind.I, SliceKind.SI)

_WITH_HEADER = (NalKind.SLICE, NalKind.PARTITION_A, NalKind.IDR)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceHeader:
    """A slice header."""

    nal_kind: int
    ref_idc: int
    first_mb: int
    kind: SliceKind
    pps_id: int
    frame_num: int
    field: bool
    bottom: bool
    idr_pic_id: int
    poc_lsb: int
    delta_poc_bottom: int
    delta_poc: tuple[int, int]
    qp: int


def parse_slice_header(nal: bytes, sps: Sps, pps: Pps) -> SliceHeader:
    """Read a slice header; its first bytes are enough (some 40 without weights).

    Raises:
        BitstreamError: it is no slice, is cut off, names another picture parameter set or holds a
            value out of range.
    """
    if not nal or nal_kind(nal) not in _WITH_HEADER:
        raise BitstreamError("not a slice of the primary coded picture")
    unit, ref_idc = nal_kind(nal), nal[0] >> 5 & 3
    bits = BitReader(unescape(nal[1:_LONGEST]))
    first_mb, kind, pps_id = bits.ue(), SliceKind(bits.ue() % 5), bits.ue()
    if pps_id != pps.id:
        raise BitstreamError(f"slice names picture parameter set {pps_id}; {pps.id} is at hand")
    if sps.separate_planes:
        bits.u(2)
    frame_num = bits.u(sps.frame_num_bits)
    field = not sps.frame_mbs_only and bits.flag()
    bottom = field and bits.flag()
    idr_pic_id = bits.ue() if unit == NalKind.IDR else 0
    poc_lsb, delta_bottom, delta = _order(bits, sps, pps, field=field)
    if pps.redundant_pictures:
        bits.ue()
    _references(bits, sps, pps, kind, field=field)
    if ref_idc:
        _skip_marking(bits, idr=unit == NalKind.IDR)
    if pps.cabac and kind not in _INTRA:
        bits.ue()  # cabac_init_idc
    return SliceHeader(
        nal_kind=unit,
        ref_idc=ref_idc,
        first_mb=first_mb,
        kind=kind,
        pps_id=pps_id,
        frame_num=frame_num,
        field=field,
        bottom=bottom,
        idr_pic_id=idr_pic_id,
        poc_lsb=poc_lsb,
        delta_poc_bottom=delta_bottom,
        delta_poc=delta,
        qp=pps.init_qp + bits.se(),
    )


def slice_kind(nal: bytes) -> SliceKind:
    """The kind of a slice, which needs no parameter sets.

    Raises:
        BitstreamError: it is no slice or is cut off.
    """
    if not nal or nal_kind(nal) not in _WITH_HEADER:
        raise BitstreamError("not a slice of the primary coded picture")
    bits = BitReader(unescape(nal[1:16]))
    bits.ue()
    return SliceKind(bits.ue() % 5)


def _order(bits: BitReader, sps: Sps, pps: Pps, *, field: bool) -> tuple[int, int, tuple[int, int]]:
    both = pps.bottom_field_order and not field
    if sps.poc_type == 0:
        lsb = bits.u(sps.poc_lsb_bits)
        return lsb, bits.se() if both else 0, (0, 0)
    if sps.poc_type == 1 and not sps.delta_pic_order_always_zero:
        first = bits.se()
        return 0, 0, (first, bits.se() if both else 0)
    return 0, 0, (0, 0)


def _references(bits: BitReader, sps: Sps, pps: Pps, kind: SliceKind, *, field: bool) -> None:
    """Steps over what P and B slices say of their reference lists and weights."""
    if kind in _INTRA:
        return
    if kind == SliceKind.B:
        bits.u(1)  # direct_spatial_mv_pred_flag
    refs_l0, refs_l1 = pps.refs_l0, pps.refs_l1
    if bits.flag():  # num_ref_idx_active_override_flag
        refs_l0 = bits.ue() + 1
        refs_l1 = bits.ue() + 1 if kind == SliceKind.B else refs_l1
    if max(refs_l0, refs_l1) > (32 if field else 16) * 2:
        raise BitstreamError("num_ref_idx_active_minus1 is out of range")
    for _ in range(2 if kind == SliceKind.B else 1):
        if bits.flag():
            while bits.ue() != 3:  # modification_of_pic_nums_idc; 3 ends the list
                bits.ue()
    explicit = pps.weighted_bipred == 1 if kind == SliceKind.B else pps.weighted
    if explicit:
        _skip_weights(
            bits, (refs_l0, refs_l1) if kind == SliceKind.B else (refs_l0,), sps.chroma_array_type
        )


def _skip_weights(bits: BitReader, lists: tuple[int, ...], chroma_array_type: int) -> None:
    """pred_weight_table(), section 7.3.3.2."""
    bits.ue()
    if chroma_array_type:
        bits.ue()
    for refs in lists:
        for _ in range(refs):
            if bits.flag():
                bits.se()
                bits.se()
            if chroma_array_type and bits.flag():
                for _ in range(4):
                    bits.se()


def _skip_marking(bits: BitReader, *, idr: bool) -> None:
    """dec_ref_pic_marking(), section 7.3.3.3."""
    if idr:
        bits.u(2)
    elif bits.flag():
        while operation := bits.ue():
            if operation in (1, 2, 4, 6):
                bits.ue()
            elif operation == 3:
                bits.ue()
                bits.ue()
