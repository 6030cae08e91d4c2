"""Slice headers and picture order counts that no encoder at hand makes."""

from dataclasses import replace

import pytest

from kilocam.bitstream import (
    BitstreamError,
    BitWriter,
    PictureOrder,
    Pps,
    QpReader,
    SliceHeader,
    SliceKind,
    Sps,
    Vui,
    escape,
    parse_slice_header,
    slice_kind,
)

SPS = Sps(
    profile=77, constraints=0, level=40, id=0, chroma_format=1, separate_planes=False,
    bit_depth=8, chroma_bit_depth=8, frame_num_bits=4, poc_type=0, poc_lsb_bits=4,
    delta_pic_order_always_zero=False, offset_for_non_ref_pic=0, offset_for_top_to_bottom=0,
    offsets_for_ref_frame=(), max_ref_frames=4, frame_mbs_only=True, width_mbs=20,
    height_map_units=15, width=320, height=240, vui=Vui(),
)  # fmt: skip
PPS = Pps(
    id=0, sps_id=0, cabac=True, bottom_field_order=False, slice_groups=1, refs_l0=1, refs_l1=1,
    weighted=False, weighted_bipred=0, init_qp=26, redundant_pictures=False,
)  # fmt: skip
HEADER = SliceHeader(
    nal_kind=1, ref_idc=1, first_mb=0, kind=SliceKind.P, pps_id=0, frame_num=0, field=False,
    bottom=False, idr_pic_id=0, poc_lsb=0, delta_poc_bottom=0, delta_poc=(0, 0),
    forgets_all=False, qp=26,
)  # fmt: skip
IDR = replace(HEADER, nal_kind=5, kind=SliceKind.I)


def _nal(*fields: tuple[str, int], header: int = 0x41) -> bytes:
    bits = BitWriter()
    for code, value in fields:
        if code == "ue":
            bits.ue(value)
        elif code == "se":
            bits.se(value)
        else:
            bits.u(int(code), value)
    bits.u(1, 1)
    return bytes((header,)) + escape(bits.to_bytes())


def test_a_field_says_which_it_is() -> None:
    nal = _nal(("ue", 0), ("ue", 2), ("ue", 0), ("4", 3), ("2", 0b11), ("4", 6), ("1", 0),
               ("se", 4))  # fmt: skip
    header = parse_slice_header(nal, replace(SPS, frame_mbs_only=False), PPS)
    assert (header.field, header.bottom, header.poc_lsb, header.qp) == (True, True, 6, 30)


def test_marking_that_forgets_all_references_is_seen() -> None:
    nal = _nal(("ue", 0), ("ue", 2), ("ue", 0), ("4", 3), ("4", 6), ("1", 1), ("ue", 1), ("ue", 0),
               ("ue", 3), ("ue", 0), ("ue", 0), ("ue", 5), ("ue", 0), ("se", -3))  # fmt: skip
    header = parse_slice_header(nal, SPS, PPS)
    assert header.forgets_all
    assert header.qp == 23


def test_redundant_pictures_and_colour_planes_are_stepped_over() -> None:
    nal = _nal(("ue", 0), ("ue", 2), ("ue", 0), ("2", 2), ("4", 3), ("4", 6), ("ue", 1), ("1", 0),
               ("se", -3))  # fmt: skip
    sps = replace(SPS, separate_planes=True, chroma_format=3)
    assert parse_slice_header(nal, sps, replace(PPS, redundant_pictures=True)).qp == 23


def test_explicit_weights_of_both_lists_are_stepped_over() -> None:
    weights = (("1", 1), ("se", 3), ("se", -4), ("1", 1), *[("se", 1)] * 4)
    nal = _nal(("ue", 0), ("ue", 1), ("ue", 0), ("4", 3), ("4", 6), ("1", 1), ("1", 0), ("2", 0),
               ("ue", 5), ("ue", 5), *weights, *weights, ("ue", 0), ("se", 9),
               header=0x01)  # fmt: skip
    assert parse_slice_header(nal, SPS, replace(PPS, weighted_bipred=1)).qp == 35


def test_a_slice_of_another_parameter_set_is_an_error() -> None:
    nal = _nal(("ue", 0), ("ue", 2), ("ue", 4), ("4", 3), ("4", 6), ("1", 0), ("se", 4))
    with pytest.raises(BitstreamError, match="picture parameter set 4; 0 is at hand"):
        parse_slice_header(nal, SPS, PPS)


def test_the_kind_of_a_slice_needs_no_parameter_sets() -> None:
    assert slice_kind(_nal(("ue", 99), ("ue", 6))) == SliceKind.B
    with pytest.raises(BitstreamError, match="not a slice"):
        slice_kind(b"\x67\x64")


def test_a_quantiser_without_readable_parameter_sets_is_none() -> None:
    reader = QpReader(b"\x67\x64", b"")
    assert not reader.usable
    assert reader.qp(b"\x41\x9a\x26\x21" * 10) is None


def test_counts_by_low_bits_wrap_in_both_directions() -> None:
    order = PictureOrder(SPS)
    counts = [order.count(IDR)]
    counts += [order.count(replace(HEADER, poc_lsb=lsb)) for lsb in (6, 12, 2)]
    assert counts == [0, 6, 12, 18]
    assert order.count(replace(HEADER, ref_idc=0, poc_lsb=14)) == 14
    assert order.count(replace(HEADER, poc_lsb=8)) == 24


def test_counts_by_low_bits_start_again_where_all_is_forgotten() -> None:
    order = PictureOrder(SPS)
    order.count(IDR)
    order.count(replace(HEADER, poc_lsb=12))
    assert order.count(replace(HEADER, poc_lsb=14, forgets_all=True)) == 0
    assert order.count(replace(HEADER, poc_lsb=2)) == 2


def test_counts_by_frame_number_follow_decoding_order() -> None:
    order = PictureOrder(replace(SPS, poc_type=2))
    numbers = (1, 2, 15, 0, 1)
    counts = [order.count(IDR), *(order.count(replace(HEADER, frame_num=n)) for n in numbers)]
    assert counts == [0, 2, 4, 30, 32, 34]
    assert order.count(replace(HEADER, frame_num=2, ref_idc=0)) == 35
    assert order.count(replace(HEADER, frame_num=5, forgets_all=True)) == 0
    assert order.count(replace(HEADER, frame_num=1)) == 2


def test_counts_by_cycle_add_up_the_expected_steps() -> None:
    sps = replace(SPS, poc_type=1, offsets_for_ref_frame=(4, 6), offset_for_non_ref_pic=-2)
    order = PictureOrder(sps)
    assert order.count(IDR) == 0
    assert [order.count(replace(HEADER, frame_num=n)) for n in (1, 2, 3)] == [4, 10, 14]
    assert order.count(replace(HEADER, frame_num=4, ref_idc=0)) == 14 - 2
    assert order.count(replace(HEADER, frame_num=4, delta_poc=(3, 0))) == 23
    bottom = replace(HEADER, frame_num=5, field=True, bottom=True)
    tilted = PictureOrder(replace(sps, offset_for_top_to_bottom=1))
    assert tilted.count(bottom) == 24 + 1
