"""Parameter sets that no encoder at hand makes, written bit by bit."""

import pytest

from kilocam.bitstream import BitWriter, NalKind, escape, parse_pps, parse_sps
from kilocam.bitstream.errors import BitstreamError


def _sps(profile: int = 77, level: int = 40, poc_type: int = 0, **fields: int) -> BitWriter:
    bits = BitWriter()
    for value in (profile, fields.get("constraints", 0), level):
        bits.u(8, value)
    bits.ue(fields.get("id", 0))
    bits.ue(fields.get("frame_num_bits", 4) - 4)
    bits.ue(poc_type)
    if poc_type == 0:
        bits.ue(0)
    elif poc_type == 1:
        bits.u(1, 0)
        bits.se(-2)
        bits.se(1)
        bits.ue(2)
        bits.se(4)
        bits.se(6)
    bits.ue(fields.get("refs", 1))
    bits.u(1, 0)
    bits.ue(fields.get("width_mbs", 120) - 1)
    bits.ue(fields.get("height_mbs", 68) - 1)
    frames_only = fields.get("frames_only", 1)
    bits.u(1, frames_only)
    if not frames_only:
        bits.u(1, 0)
    bits.u(1, 1)
    return bits


def _nal(bits: BitWriter, kind: NalKind = NalKind.SPS) -> bytes:
    bits.u(1, 1)
    return bytes((0x60 | kind,)) + escape(bits.to_bytes())


def _plain(bits: BitWriter) -> bytes:
    bits.u(2, 0)  # no cropping, no VUI
    return _nal(bits)


def test_cropping_of_fields_counts_four_lines() -> None:
    bits = _sps(frames_only=0, height_mbs=34)
    bits.u(1, 1)
    for offset in (0, 0, 0, 2):
        bits.ue(offset)
    bits.u(1, 0)
    sps = parse_sps(_nal(bits))
    assert (sps.width, sps.height) == (1920, 1080)


def test_cropping_that_leaves_nothing_is_an_error() -> None:
    bits = _sps()
    bits.u(1, 1)
    for offset in (960, 0, 0, 0):
        bits.ue(offset)
    with pytest.raises(BitstreamError, match="no picture"):
        parse_sps(_nal(bits))


def test_order_by_cycle_is_read() -> None:
    sps = parse_sps(_plain(_sps(poc_type=1)))
    assert (sps.offset_for_non_ref_pic, sps.offset_for_top_to_bottom) == (-2, 1)
    assert sps.offsets_for_ref_frame == (4, 6)


def test_bytes_after_a_parameter_set_are_ignored() -> None:
    """Quirk 31: Reolink."""
    nal = _plain(_sps())
    assert parse_sps(nal + b"\0\0\0\x67\x12") == parse_sps(nal)


def test_a_vui_that_is_cut_off_is_dropped_alone() -> None:
    bits = _sps()
    bits.u(2, 1)
    bits.u(1, 1)
    sps = parse_sps(b"\x67" + bits.to_bytes())
    assert (sps.width, sps.height) == (1920, 1088)
    assert sps.vui.sar is None


def test_anamorphic_pictures_have_a_wider_display_size() -> None:
    """Quirk 34: sub-streams whose display aspect differs from their pixels."""
    bits = _sps(width_mbs=22, height_mbs=18)
    bits.u(2, 1)
    bits.u(1, 1)
    bits.u(8, 255)
    bits.u(16, 16)
    bits.u(16, 11)
    bits.u(8, 0)
    sps = parse_sps(_nal(bits))
    assert sps.vui.sar == (16, 11)
    assert sps.display_size == (512, 288)


@pytest.mark.parametrize(
    ("profile", "poc_type", "refs", "constraints", "depth"),
    [(66, 0, 3, 0, 0), (77, 2, 3, 0, 0), (77, 0, 3, 0, 3), (77, 0, 16, 0, 4), (77, 0, 0, 0, 0)],
)
def test_without_a_vui_the_depth_of_reordering_is_what_the_stream_allows(
    profile: int, poc_type: int, refs: int, constraints: int, depth: int
) -> None:
    bits = _sps(profile, poc_type=poc_type, refs=refs, constraints=constraints)
    assert parse_sps(_plain(bits)).reorder_frames == depth


def test_an_id_out_of_range_is_an_error() -> None:
    with pytest.raises(BitstreamError, match="seq_parameter_set_id is 32; 31 is the limit"):
        parse_sps(_plain(_sps(id=32)))


def test_another_nal_unit_is_no_parameter_set() -> None:
    for parse in (parse_sps, parse_pps):
        with pytest.raises(BitstreamError, match="not a"):
            parse(b"\x65\x88")
        with pytest.raises(BitstreamError):
            parse(b"")


def _pps(groups: int, *codes: tuple[int, int]) -> BitWriter:
    bits = BitWriter()
    bits.ue(3)
    bits.ue(1)
    bits.u(2, 0)
    bits.ue(groups - 1)
    for size, value in codes:
        if size:
            bits.u(size, value)
        else:
            bits.ue(value)
    for _ in range(2):
        bits.ue(0)
    bits.u(3, 0)
    for _ in range(3):
        bits.se(-5)
    bits.u(3, 0b101)
    return bits


@pytest.mark.parametrize(
    "codes",
    [
        ((0, 0), (0, 5), (0, 6)),
        ((0, 1),),
        ((0, 2), (0, 1), (0, 9)),
        ((0, 3), (1, 1), (0, 2)),
        ((0, 6), (0, 3), (1, 0), (1, 1), (1, 1), (1, 0)),
    ],
    ids=["interleaved", "dispersed", "foreground", "changing", "explicit"],
)
def test_slice_groups_are_stepped_over(codes: tuple[tuple[int, int], ...]) -> None:
    pps = parse_pps(_nal(_pps(2, *codes), NalKind.PPS))
    assert (pps.id, pps.sps_id, pps.init_qp, pps.redundant_pictures) == (3, 1, 21, True)


def test_an_unknown_map_of_slice_groups_is_an_error() -> None:
    with pytest.raises(BitstreamError, match="slice_group_map_type is 7"):
        parse_pps(_nal(_pps(2, (0, 7)), NalKind.PPS))
