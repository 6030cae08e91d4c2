"""What we read of real encoder output is what FFmpeg's header reader and the encoder say of it."""

from collections.abc import Callable

import pytest

from kilocam.bitstream import (
    NalKind,
    QpReader,
    SliceHeader,
    is_idr,
    is_key,
    is_picture,
    nal_kind,
    parse_pps,
    parse_slice_header,
    parse_sps,
    split_annex_b,
)

Packet = tuple[int, int, bool, bytes]
Encode = Callable[..., list[Packet]]
Trace = Callable[[bytes], list[tuple[str, dict[str, int]]]]

STREAMS = {
    "baseline": {"profile": "Baseline", "qp": "30", "g": "10"},
    "main with B-frames": {"profile": "Main", "qp": "30", "bf": "2", "g": "12"},
    "high with a pyramid of B-frames": {"x264-params": "bframes=5:b-adapt=0:b-pyramid=normal"},
    "four references": {"x264-params": "ref=4:bframes=3:slices=2:keyint=12"},
    "slices": {"crf": "25", "x264-params": "slices=4:keyint=8"},
    "camera": {"tune": "zerolatency", "crf": "28", "g": "10", "x264-params": "aud=1"},
    "constant bit rate": {
        "b": "300000",
        "x264-params": "nal-hrd=cbr:vbv-maxrate=300:vbv-bufsize=300:sar=4/3:fullrange=on",
    },
    "scaling lists": {"x264-params": "cqm=jvt:bframes=0"},
    "open GOPs": {"x264-params": "open-gop=1:keyint=8:bframes=2:scenecut=0"},
    "4:4:4": {"profile": "High 4:4:4 Predictive", "pix_fmt": "yuv444p", "qp": "20"},
    "ten bits": {"profile": "High 10", "pix_fmt": "yuv420p10le", "bf": "2"},
    "lossless": {"profile": "High 4:4:4 Predictive", "pix_fmt": "yuv444p", "qp": "0"},
}


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest, encode: Encode) -> list[Packet]:
    return encode(frames=24, **STREAMS[request.param])


def _sets(packets: list[Packet]) -> tuple[bytes, bytes]:
    nals = split_annex_b(packets[0][3])
    sps = next(nal for nal in nals if nal_kind(nal) == NalKind.SPS)
    return sps, next(nal for nal in nals if nal_kind(nal) == NalKind.PPS)


def _headers(packets: list[Packet]) -> list[SliceHeader]:
    sps, pps = parse_sps(_sets(packets)[0]), parse_pps(_sets(packets)[1])
    slices = (nal for p in packets for nal in split_annex_b(p[3]) if is_picture(nal_kind(nal)))
    return [parse_slice_header(nal, sps, pps) for nal in slices]


def _traced(trace: Trace, packets: list[Packet], name: str) -> list[dict[str, int]]:
    headers = trace(b"".join(p[3] for p in packets))
    return [fields for header, fields in headers if header == name]


def test_a_sequence_parameter_set_reads_as_ffmpeg_reads_it(
    stream: list[Packet], trace: Trace
) -> None:
    sps = parse_sps(_sets(stream)[0])
    told = _traced(trace, stream, "Sequence Parameter Set")[0]
    assert (sps.width, sps.height) == (322, 182)
    assert (sps.profile, sps.level, sps.id) == (
        told["profile_idc"], told["level_idc"], told["seq_parameter_set_id"],
    )  # fmt: skip
    assert sps.chroma_format == told.get("chroma_format_idc", 1)
    assert sps.bit_depth == told.get("bit_depth_luma_minus8", 0) + 8
    assert sps.frame_num_bits == told["log2_max_frame_num_minus4"] + 4
    assert sps.poc_type == told["pic_order_cnt_type"]
    if sps.poc_type == 0:
        assert sps.poc_lsb_bits == told["log2_max_pic_order_cnt_lsb_minus4"] + 4
    assert sps.max_ref_frames == told["max_num_ref_frames"]
    assert sps.frame_mbs_only == told["frame_mbs_only_flag"]
    assert sps.vui.timing == (told["num_units_in_tick"], told["time_scale"])
    assert sps.vui.fixed_frame_rate == told["fixed_frame_rate_flag"]
    assert sps.vui.full_range == told.get("video_full_range_flag", 0)
    assert sps.vui.max_reorder == told["max_num_reorder_frames"]
    assert sps.vui.max_buffering == told["max_dec_frame_buffering"]


def test_a_picture_parameter_set_reads_as_ffmpeg_reads_it(
    stream: list[Packet], trace: Trace
) -> None:
    pps = parse_pps(_sets(stream)[1])
    told = _traced(trace, stream, "Picture Parameter Set")[0]
    assert pps.cabac == told["entropy_coding_mode_flag"]
    assert pps.bottom_field_order == told["bottom_field_pic_order_in_frame_present_flag"]
    assert pps.refs_l0 == told["num_ref_idx_l0_default_active_minus1"] + 1
    assert pps.refs_l1 == told["num_ref_idx_l1_default_active_minus1"] + 1
    assert pps.weighted == told["weighted_pred_flag"]
    assert pps.weighted_bipred == told["weighted_bipred_idc"]
    assert pps.init_qp == told["pic_init_qp_minus26"] + 26
    assert pps.redundant_pictures == told["redundant_pic_cnt_present_flag"]


def test_slice_headers_read_as_ffmpeg_reads_them(stream: list[Packet], trace: Trace) -> None:
    init_qp = parse_pps(_sets(stream)[1]).init_qp
    told = _traced(trace, stream, "Slice Header")
    headers = _headers(stream)
    assert len(headers) == len(told)
    for header, fields in zip(headers, told, strict=True):
        assert header.nal_kind == fields["nal_unit_type"]
        assert header.ref_idc == fields["nal_ref_idc"]
        assert header.first_mb == fields["first_mb_in_slice"]
        assert header.kind == fields["slice_type"] % 5
        assert header.frame_num == fields["frame_num"]
        assert header.idr_pic_id == fields.get("idr_pic_id", 0)
        assert header.poc_lsb == fields.get("pic_order_cnt_lsb", 0)
        assert header.delta_poc_bottom == fields.get("delta_pic_order_cnt_bottom", 0)
        assert header.qp == init_qp + fields["slice_qp_delta"]


def test_the_quantiser_is_read_from_the_first_64_bytes(stream: list[Packet]) -> None:
    reader = QpReader(*_sets(stream))
    slices = [nal for p in stream for nal in split_annex_b(p[3]) if is_picture(nal_kind(nal))]
    assert [reader.qp(nal[:64]) for nal in slices] == [h.qp for h in _headers(stream)]


def test_key_frames_are_the_encoders(stream: list[Packet]) -> None:
    units = [split_annex_b(p[3]) for p in stream]
    assert [is_key(unit, recovery_points=True) for unit in units] == [key for *_, key, _ in stream]
    assert all(is_key(unit) == is_idr(unit) for unit in units)


def test_open_gops_have_key_frames_that_are_no_idr(encode: Encode) -> None:
    units = [split_annex_b(p[3]) for p in encode(frames=24, **STREAMS["open GOPs"])]
    assert sum(is_key(unit) for unit in units) == 1
    assert sum(is_key(unit, recovery_points=True) for unit in units) > 1


def test_intra_refresh_is_joined_at_recovery_points(encode: Encode) -> None:
    packets = encode(
        frames=24, tune="zerolatency", **{"x264-params": "intra-refresh=1:keyint=8:scenecut=0"}
    )
    units = [split_annex_b(p[3]) for p in packets]
    assert [is_key(unit, recovery_points=True) for unit in units] == [p[2] for p in packets]
    assert sum(is_idr(unit) for unit in units) == 1


def test_a_constant_quantiser_is_read_as_it_was_asked_for(encode: Encode) -> None:
    """x264's qp is for P-frames; its ratios 1.4 and 1.3 give I-frames 3 less, B-frames 2 more."""
    packets = encode(
        frames=24, **{"x264-params": "qp=30:bframes=2:b-adapt=0:b-pyramid=none:keyint=12:weightp=0"}
    )
    found = {(header.kind.name, header.qp) for header in _headers(packets)}
    assert found == {("I", 27), ("P", 30), ("B", 32)}


def test_a_second_sequence_of_another_size_reads_as_such(encode: Encode) -> None:
    small = parse_sps(_sets(encode(frames=2, width=160, height=120))[0])
    large = parse_sps(_sets(encode(frames=2, width=1920, height=1080))[0])
    assert (small.width, small.height) == (160, 120)
    assert (large.width, large.height) == (1920, 1080)
    assert large.frame_rate is not None
    assert large.codec_string == f"avc1.{large.profile:02x}00{large.level:02x}"
