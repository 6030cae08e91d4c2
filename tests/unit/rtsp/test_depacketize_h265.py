"""H.265 payloads as cameras send them; what is shared with H.264 is tested there in full."""

import base64
from pathlib import Path

import pytest
from tests.fakes.nal_packets import Packets, gather, shape

from kilocam.core import Track
from kilocam.rtsp.depacketize import AccessUnit, UnitKind
from kilocam.rtsp.depacketize_h265 import (
    H265Depacketizer,
    h265_parameter_sets,
    has_decoding_order_numbers,
)
from kilocam.rtsp.packetize import packetize_h265
from kilocam.rtsp.streamreader import depacketizer_for

CORPUS = Path(__file__).parents[2] / "fuzz" / "bitstream" / "corpus"
VPS, SPS, PPS = ((CORPUS / f"h265-main.{kind}").read_bytes() for kind in ("vps", "sps", "pps"))
SPS_2 = (CORPUS / "h265-main10.sps").read_bytes()
SEI, SUFFIX, AUD = b"\x4e\1\5\1\0\x80", b"\x50\1\x84\1\0\x80", b"\x46\1\x10"


def slice_of(kind: int, *, first: bool = True, fill: int = 0x21) -> bytes:
    return bytes((kind << 1, 1, 0x80 if first else 0x40)) + bytes((0x81, fill)) * 40


IDR, IDR_REST = slice_of(19), slice_of(19, first=False)
CRA, BLA = slice_of(21), slice_of(16)
P, P_REST, TRAIL_N = slice_of(1), slice_of(1, first=False), slice_of(0)


def sent(nals: list[bytes], ts: int, size: int = 60) -> Packets:
    payloads = packetize_h265(nals, size)
    return [(payload, ts, payload is payloads[-1]) for payload in payloads]


def read(
    packets: Packets,
    missing: frozenset[int] = frozenset(),
    depacketizer: H265Depacketizer | None = None,
) -> list[AccessUnit]:
    return gather(depacketizer or H265Depacketizer(0), packets, missing)


def sprops(vps: bytes, sps: bytes, pps: bytes) -> str:
    texts = (base64.b64encode(nal).decode() for nal in (vps, sps, pps))
    return "96 " + "; ".join(
        f"sprop-{name}={text}" for name, text in zip(("vps", "sps", "pps"), texts, strict=True)
    )


def test_single_units_aggregates_and_fragments_come_out_as_they_went_in() -> None:
    packets = [*sent([VPS, SPS, PPS, SEI, IDR], 100, 90), *sent([P, P_REST, SUFFIX], 200)]
    assert {payload[0] >> 1 for payload, *_ in packets} >= {48, 49}
    units = read([*packets, *sent([TRAIL_N], 300, 999)])
    assert shape(units) == [
        (100, (VPS, SPS, PPS, SEI, IDR), False),
        (200, (P, P_REST, SUFFIX), False),
        (300, (TRAIL_N,), False),
    ]
    assert [unit.key for unit in units] == [True, False, False]
    assert [unit.parameter_sets for unit in units] == [(VPS, SPS, PPS), (), ()]
    assert {unit.kind for unit in units} == {UnitKind.H265}


@pytest.mark.parametrize("kind", range(32))
def test_bla_idr_and_cra_pictures_are_keys_and_no_others(kind: int) -> None:
    (unit,) = read(sent([slice_of(kind)], 0))
    assert unit.key == (16 <= kind <= 21)


def test_fragments_keep_layer_and_temporal_identifier() -> None:
    nal = bytes((1 << 1, 3, 0x80)) + b"\x91" * 100
    assert read(sent([nal], 0))[0].units == (nal,)


def test_q26_parameter_sets_of_the_sdp_are_used_where_all_three_are_there() -> None:
    (unit,) = read(sent([IDR], 0), depacketizer=H265Depacketizer(0, sprops(VPS, SPS, PPS)))
    assert unit.parameter_sets == (VPS, SPS, PPS)
    assert not unit.damaged


@pytest.mark.parametrize(
    "fmtp",
    [
        "",
        sprops(VPS, SPS, b""),
        sprops(b"", SPS, PPS),
        sprops(VPS, PPS, PPS),
        sprops(VPS, SPS[:8], PPS),
        "96 sprop-vps=!!!; sprop-sps=é; sprop-pps=====",
    ],
    ids=["none", "no PPS", "no VPS", "a PPS for SPS", "half an SPS", "garbage"],
)
def test_q26_incomplete_parameter_sets_of_the_sdp_are_dropped(fmtp: str) -> None:
    assert h265_parameter_sets(fmtp) == ()


def test_q26_start_codes_in_the_sdp_are_no_part_of_parameter_sets() -> None:
    assert h265_parameter_sets(sprops(b"\0\0\0\1" + VPS, SPS, PPS)) == (VPS, SPS, PPS)


def test_q27_changed_parameter_sets_are_told_with_the_unit_that_brings_them() -> None:
    packets = [*sent([VPS, SPS, PPS, IDR], 0), *sent([SPS_2, IDR], 100), *sent([SPS_2, P], 200)]
    units = read(packets)
    assert [unit.parameter_sets for unit in units] == [(VPS, SPS, PPS), (VPS, SPS_2, PPS), ()]


def test_q28_parameter_sets_with_a_marker_belong_to_the_picture_that_follows() -> None:
    packets = [(nal, 100, True) for nal in (VPS, SPS, PPS, SEI, IDR)]
    assert shape(read(packets)) == [(100, (VPS, SPS, PPS, SEI, IDR), False)]


def test_q28_without_any_marker_units_are_split_by_timestamp() -> None:
    packets = [
        (payload, ts, False)
        for ts, nals in ((0, [VPS, SPS, PPS, IDR]), (100, [P, P_REST]), (200, [P]))
        for payload, *_ in sent(nals, ts)
    ]
    assert [unit.units for unit in read(packets)] == [(VPS, SPS, PPS, IDR), (P, P_REST), (P,)]


def test_q28_a_marker_on_every_slice_does_not_part_a_picture() -> None:
    rest = packetize_h265([P_REST], 40)
    packets = [(IDR, 0, True), (IDR_REST, 0, True), (P, 100, True)]
    packets += [(payload, 100, payload is rest[-1]) for payload in rest]
    assert shape(read(packets)) == [(0, (IDR, IDR_REST), False), (100, (P, P_REST), False)]


def test_q29_a_fragment_that_is_start_and_end_at_once_is_whole() -> None:
    assert read([(bytes((49 << 1, 1, 0xC0 | 19)) + IDR[2:], 0, True)])[0].units == (IDR,)


def test_q29_empty_fragments_and_a_missing_end_do_no_harm() -> None:
    first, *others = packetize_h265([IDR], 40)
    last = bytes((*others[-1][:2], others[-1][2] & 0xBF)) + others[-1][3:]
    payloads = [b"\x62\1\x93", b"\x62\1", first, b"\x62\1\x13", *others[:-1], last]
    assert shape(read([(p, 0, p is last) for p in payloads])) == [(0, (IDR,), False)]


def test_q29_zero_padding_of_aggregates_is_skipped() -> None:
    payload = b"\x60\1" + b"".join(len(n).to_bytes(2, "big") + n for n in (VPS, SPS)) + bytes(5)
    assert read([(payload, 0, False), (IDR, 0, True)])[0].units == (VPS, SPS, IDR)


@pytest.mark.parametrize("first", [b"", b"\0\0\1", b"\0\0\0\1"])
def test_q30_start_codes_in_a_payload_part_its_nal_units(first: bytes) -> None:
    payload = first + b"\0\0\0\1".join((VPS, SPS, PPS, IDR))
    assert read([(payload, 0, True)])[0].units == (VPS, SPS, PPS, IDR)


def test_q32_endless_fragments_are_bounded() -> None:
    reader = H265Depacketizer(0, max_bytes=10_000)
    units = reader.push(b"\x62\1\x93" + IDR[2:], 0, marker=False, lost=0)
    for _ in range(1000):
        units += reader.push(b"\x62\1\x13" + IDR[2:], 0, marker=False, lost=0)
    assert max(len(unit.units[0]) for unit in units) < 11_000
    assert all(unit.damaged for unit in units)


def test_a_unit_with_a_missing_fragment_keeps_its_beginning_and_is_damaged() -> None:
    packets = [*sent([VPS, SPS, PPS, IDR], 0), *sent([P], 100, 30), *sent([P], 200)]
    lost_in_second = len(sent([VPS, SPS, PPS, IDR], 0)) + 1
    units = read(packets, frozenset({lost_in_second}))
    assert [unit.damaged for unit in units] == [False, True, False]
    assert P.startswith(units[1].units[0])


def test_a_cra_picture_behind_its_parameter_sets_needs_nothing_before_it() -> None:
    packets = [*sent([VPS, SPS, PPS, CRA], 0, 999), (P, 100, True), (P, 200, True)]
    packets += sent([VPS, SPS, PPS, CRA], 300, 999)
    units = read(packets, frozenset({3}))
    assert [(unit.ts, unit.damaged) for unit in units] == [(0, False), (100, False), (300, False)]


def test_what_is_lost_of_parameter_sets_damages_their_key_frame() -> None:
    packets = [(nal, 0, nal is IDR) for nal in (VPS, SPS, PPS, IDR)]
    packets += [(nal, 100, nal is BLA) for nal in (VPS, SPS, PPS, BLA)]
    for missing in (5, 6):
        assert [u.damaged for u in read(packets, frozenset({missing}))] == [False, True]


def test_what_a_paci_packet_carries_is_missing() -> None:
    paci = b"\x64\1" + bytes((1 << 1, 0)) + P[2:]
    units = read([(IDR, 0, True), (P, 100, False), (paci, 100, True), (P, 200, True)])
    assert [unit.damaged for unit in units] == [False, True, False]


def test_payloads_that_are_no_nal_units_are_counted() -> None:
    reader = H265Depacketizer(0)
    above = bytes((1 << 1, 9, 0x80))
    for payload in (b"\x66\1\2", b"\2", b"\2\0\x80", above, b"\x62\1", b"\x64\1\0\0"):
        reader.push(payload, 0, marker=False, lost=0)
    assert reader.ignored == 6
    assert reader.flush() == []


@pytest.mark.parametrize(
    ("fmtp", "numbered"),
    [
        ("", False),
        ("96 sprop-max-don-diff=0", False),
        ("96 sprop-max-don-diff=00; tx-mode=SRST", False),
        ("96 sprop-max-don-diff=none", False),
        ("96 sprop-max-don-diff=2", True),
        ("96 profile-id=1; SPROP-MAX-DON-DIFF = 10 ", True),
    ],
)
def test_packets_with_decoding_order_numbers_are_passed_through(fmtp: str, numbered: bool) -> None:
    track = Track(index=0, media="video", codec="h265", payload_type=96, clock_rate=90_000,
                  channels=0, rtp_channel=0, rtcp_channel=1, fmtp=fmtp)  # fmt: skip
    assert has_decoding_order_numbers(fmtp) == numbered
    assert isinstance(depacketizer_for(track), H265Depacketizer) != numbered
