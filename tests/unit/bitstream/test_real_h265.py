"""What we read of x265's headers is what FFmpeg's header reader and the encoder say of them."""

from collections.abc import Callable

import pytest

from kilocam.bitstream import (
    H265Kind,
    H265QpReader,
    H265SliceHeader,
    h265_kind,
    is_h265_picture,
    parse_h265_coding,
    parse_h265_pps,
    parse_h265_slice,
    split_annex_b,
)

Packet = tuple[int, int, bool, bytes]
Encode = Callable[..., list[Packet]]
Trace = Callable[..., list[tuple[str, dict[str, int]]]]

STREAMS = {
    "camera": {"x265-params": "bframes=0:keyint=10:scenecut=0"},
    "without lookahead": {"tune": "zerolatency"},
    "constant bit rate": {
        "x265-params": "bitrate=300:vbv-maxrate=300:vbv-bufsize=300:strict-cbr=1:hrd=1:aud=1:"
        "bframes=0:keyint=12"
    },
    "variable bit rate with B slices": {"x265-params": "bitrate=300:keyint=12"},
    "a pyramid of B slices": {"x265-params": "bframes=8:b-adapt=0:keyint=30"},
    "explicit weights of both lists": {"x265-params": "ref=5:bframes=3:weightp=1:weightb=1"},
    "slow preset": {"preset": "slow"},
    "slices and wavefronts": {"height": "320", "x265-params": "slices=3:wpp=1:keyint=12"},
    "small blocks": {"x265-params": "ctu=16:slices=4:keyint=9:bframes=0"},
    "open GOPs": {"x265-params": "open-gop=1:keyint=8:bframes=2:scenecut=0"},
    "temporal layers": {"x265-params": "temporal-layers=3:b-adapt=0:bframes=3:keyint=16"},
    "gradual refresh": {"x265-params": "intra-refresh=1:keyint=10:bframes=0"},
    "scaling lists": {"x265-params": "scaling-list=default:keyint=10"},
    "4:4:4": {"pix_fmt": "yuv444p", "x265-params": "keyint=10"},
    "ten bits": {"pix_fmt": "yuv420p10le", "x265-params": "keyint=10"},
    "without colours": {"pix_fmt": "gray", "x265-params": "keyint=10"},
    "fewest tools": {
        "preset": "ultrafast",
        "x265-params": "no-sao=1:no-temporal-mvp=1:weightp=0:repeat-headers=1",
    },
}


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest, encode: Encode) -> list[Packet]:
    options = dict(STREAMS[request.param])
    return encode("libx265", height=int(options.pop("height", "182")), **options)


def _sets(packets: list[Packet]) -> tuple[bytes, bytes]:
    kinds = {h265_kind(nal): nal for nal in split_annex_b(packets[0][3])}
    return kinds[H265Kind.SPS], kinds[H265Kind.PPS]


def _slices(packets: list[Packet]) -> list[bytes]:
    nals = (nal for packet in packets for nal in split_annex_b(packet[3]))
    return [nal for nal in nals if is_h265_picture(h265_kind(nal))]


def _headers(packets: list[Packet]) -> list[H265SliceHeader]:
    sps, pps = _sets(packets)
    coding, picture = parse_h265_coding(sps), parse_h265_pps(pps)
    return [parse_h265_slice(nal, coding, picture) for nal in _slices(packets)]


def _traced(trace: Trace, packets: list[Packet], name: str) -> list[dict[str, int]]:
    headers = trace(b"".join(p[3] for p in packets), "hevc")
    return [fields for header, fields in headers if header == name]


def test_a_sequence_parameter_set_reads_as_ffmpeg_reads_it(
    stream: list[Packet], trace: Trace
) -> None:
    coding = parse_h265_coding(_sets(stream)[0])
    told = _traced(trace, stream, "Sequence Parameter Set")[0]
    assert coding.poc_lsb_bits == told["log2_max_pic_order_cnt_lsb_minus4"] + 4
    assert coding.offsets == told["sample_adaptive_offset_enabled_flag"]
    assert len(coding.ref_pic_sets) == told["num_short_term_ref_pic_sets"]
    assert coding.long_term == told["long_term_ref_pics_present_flag"]
    assert coding.temporal_mvp == told["sps_temporal_mvp_enabled_flag"]


def test_a_picture_parameter_set_reads_as_ffmpeg_reads_it(
    stream: list[Packet], trace: Trace
) -> None:
    pps = parse_h265_pps(_sets(stream)[1])
    told = _traced(trace, stream, "Picture Parameter Set")[0]
    assert pps.dependent_slices == told["dependent_slice_segments_enabled_flag"]
    assert pps.output_flag == told["output_flag_present_flag"]
    assert pps.extra_bits == told["num_extra_slice_header_bits"]
    assert pps.cabac_init == told["cabac_init_present_flag"]
    assert pps.refs_l0 == told["num_ref_idx_l0_default_active_minus1"] + 1
    assert pps.refs_l1 == told["num_ref_idx_l1_default_active_minus1"] + 1
    assert pps.weighted == told["weighted_pred_flag"]
    assert pps.weighted_bipred == told["weighted_bipred_flag"]
    assert pps.init_qp == told["init_qp_minus26"] + 26
    assert pps.lists_modification == told["lists_modification_present_flag"]


def test_slice_headers_read_as_ffmpeg_reads_them(stream: list[Packet], trace: Trace) -> None:
    init_qp = parse_h265_pps(_sets(stream)[1]).init_qp
    told = _traced(trace, stream, "Slice Segment Header")
    headers = _headers(stream)
    assert len(headers) == len(told)
    for header, fields in zip(headers, told, strict=True):
        assert header.nal_kind == fields["nal_unit_type"]
        assert header.first == fields["first_slice_segment_in_pic_flag"]
        assert header.kind == fields["slice_type"]
        assert header.poc_lsb == fields.get("slice_pic_order_cnt_lsb", 0)
        assert header.qp == init_qp + fields["slice_qp_delta"]


def test_the_quantiser_is_read_from_the_first_64_bytes(stream: list[Packet]) -> None:
    reader = H265QpReader(*_sets(stream))
    assert reader.usable
    wanted = [header.qp for header in _headers(stream)]
    for _ in range(2):  # once more, when shapes are known
        assert [reader.qp(nal[:64]) for nal in _slices(stream)] == wanted


def test_a_constant_quantiser_is_read_as_it_was_asked_for(encode: Encode) -> None:
    """x265's qp is for P slices; its ratios 1.4 and 1.3 give I slices 3 less, B slices 2 more."""
    params = "qp=30:bframes=2:b-adapt=0:b-pyramid=0:keyint=12:scenecut=0"
    found = {(header.kind.name, header.qp) for header in _headers(
        encode("libx265", **{"x265-params": params})
    )}  # fmt: skip
    assert found == {("I", 27), ("P", 30), ("B", 32)}
