"""Slice headers that no encoder at hand makes."""

from dataclasses import replace

import pytest

from kilocam.bitstream import (
    BitstreamError,
    BitWriter,
    Pps,
    QpReader,
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


def test_marking_of_references_is_stepped_over() -> None:
    nal = _nal(("ue", 0), ("ue", 2), ("ue", 0), ("4", 3), ("4", 6), ("1", 1), ("ue", 1), ("ue", 0),
               ("ue", 3), ("ue", 0), ("ue", 0), ("ue", 5), ("ue", 0), ("se", -3))  # fmt: skip
    assert parse_slice_header(nal, SPS, PPS).qp == 23


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
