"""H.264 payloads as cameras send them; quirks have their numbers."""

import base64

import pytest
from tests.fakes.nal_packets import Packets, gather, shape

from kilocam.rtsp.depacketize import AccessUnit
from kilocam.rtsp.depacketize_h264 import (
    H264Depacketizer,
    is_key_start,
    sprop_parameter_sets,
)
from kilocam.rtsp.packetize import packetize_h264

# 320x240 of x264, as tests/fuzz/bitstream/corpus holds it
SPS = bytes.fromhex("674d400deca0a0fd0800000300080015f90078a14cb0")
PPS = bytes.fromhex("68ef8fc8")
SPS_2 = SPS[:-1] + b"\xb4"
SEI, AUD, FILLER = b"\x06\x05\x01\x00\x80", b"\x09\xf0", b"\x0c\xff\x80"
IDR = b"\x65\x88" + b"\x80\x21" * 40
P = b"\x41\x9a" + b"\x81\x22" * 40
P_REST = b"\x41\x4a" + b"\x83\x23" * 40
IDR_REST = b"\x65\x48" + b"\x83\x24" * 40


def sent(nals: list[bytes], ts: int, size: int = 60) -> Packets:
    """An access unit's packets: payload, timestamp, marker."""
    payloads = packetize_h264(nals, size)
    return [(payload, ts, payload is payloads[-1]) for payload in payloads]


def read(
    packets: Packets,
    missing: frozenset[int] = frozenset(),
    depacketizer: H264Depacketizer | None = None,
) -> list[AccessUnit]:
    return gather(depacketizer or H264Depacketizer(0), packets, missing)


def test_nal_units_come_out_as_they_went_in() -> None:
    units = read([*sent([SPS, PPS, SEI, IDR], 100), *sent([P, P_REST], 200), *sent([P], 300)])
    assert shape(units) == [
        (100, (SPS, PPS, SEI, IDR), False),
        (200, (P, P_REST), False),
        (300, (P,), False),
    ]
    assert [unit.key for unit in units] == [True, False, False]
    assert [unit.parameter_sets for unit in units] == [(SPS, PPS), (), ()]


def test_a_marker_completes_a_unit_before_the_next_packet_comes() -> None:
    reader = H264Depacketizer(0)
    assert reader.push(P, 100, marker=True, lost=0) == []
    assert shape(reader.settle()) == [(100, (P,), False)]
    assert reader.settle() == []
    reader.push(P, 200, marker=False, lost=0)
    assert reader.settle() == []


def test_q26_parameter_sets_of_the_sdp_are_used_where_they_can_be_read() -> None:
    good = "96 sprop-parameter-sets=" + ",".join(
        base64.b64encode(nal).decode() for nal in (SPS, PPS)
    )
    (unit,) = read(sent([IDR], 0), depacketizer=H264Depacketizer(0, good))
    assert unit.parameter_sets == (SPS, PPS)
    assert not unit.damaged


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("Z01ADeyg,!!!,aO8", ()),
        (base64.b64encode(b"\0\0\0\1" + SPS + b"\0\0\0\1" + PPS).decode(), (SPS, PPS)),
        (base64.b64encode(SPS).decode().rstrip("=") + ",Zw==", (SPS,)),
        ("aO+PyA==é", ()),
    ],
    ids=["none", "garbage", "Annex B", "no padding", "not ASCII"],
)
def test_q26_bad_parameter_sets_of_the_sdp_are_ignored(text: str, found: tuple[bytes, ...]) -> None:
    assert sprop_parameter_sets(f"sprop-parameter-sets={text};packetization-mode=1") == found


def test_q27_changed_parameter_sets_are_told_with_the_unit_that_brings_them() -> None:
    units = read([*sent([SPS, PPS, IDR], 0), *sent([SPS_2, PPS, IDR], 100), *sent([SPS, P], 200)])
    assert [unit.parameter_sets for unit in units] == [(SPS, PPS), (SPS_2, PPS), (SPS, PPS)]
    repeated = read([*sent([SPS, PPS, IDR], 0), *sent([SPS, PPS, P], 100)])
    assert repeated[1].parameter_sets == ()


def test_q28_parameter_sets_with_a_marker_belong_to_the_picture_that_follows() -> None:
    """Tapo TC70, Reolink Duo 2."""
    packets = [(SPS, 100, True), (PPS, 100, True), (SEI, 100, True), (IDR, 100, True)]
    assert shape(read(packets)) == [(100, (SPS, PPS, SEI, IDR), False)]


def test_q28_parameter_sets_with_the_time_of_the_frame_before_take_their_pictures() -> None:
    """Reolink RLC-822A."""
    packets = [(P, 100, True), (SPS, 100, False), (PPS, 100, False), (IDR, 200, True)]
    assert shape(read(packets)) == [(100, (P,), False), (200, (SPS, PPS, IDR), False)]


def test_q28_without_any_marker_units_are_split_by_timestamp() -> None:
    """FLIR M400."""
    packets = [
        (payload, ts, False)
        for ts, nals in ((0, [SPS, PPS, IDR]), (100, [P, P_REST]), (200, [P]))
        for payload, *_ in sent(nals, ts)
    ]
    assert shape(read(packets)) == [
        (0, (SPS, PPS, IDR), False),
        (100, (P, P_REST), False),
        (200, (P,), False),
    ]


def test_q28_without_markers_what_stands_before_a_picture_ends_the_one_before() -> None:
    packets = [(P, 100, False), (SPS, 100, False), (PPS, 100, False), (IDR, 200, False)]
    assert shape(read(packets)) == [(100, (P,), False), (200, (SPS, PPS, IDR), False)]


def test_q28_a_marker_on_every_slice_does_not_part_a_picture() -> None:
    packets = [(IDR, 0, True), (IDR_REST, 0, True), (P, 100, True), (P_REST, 100, True)]
    packets += [(payload, 200, False) for payload in packetize_h264([P, P_REST], 40)]
    packets[-1] = (packets[-1][0], 200, True)
    assert shape(read(packets)) == [
        (0, (IDR, IDR_REST), False),
        (100, (P, P_REST), False),
        (200, (P, P_REST), False),
    ]


def test_q28_a_wrong_marker_between_fragmented_slices_does_not_part_a_picture() -> None:
    first, rest = packetize_h264([IDR], 40), packetize_h264([IDR_REST], 40)
    packets = [(p, 0, p is first[-1]) for p in first] + [(p, 0, p is rest[-1]) for p in rest]
    assert shape(read(packets)) == [(0, (IDR, IDR_REST), False)]


def test_q29_a_fragment_that_is_start_and_end_at_once_is_whole() -> None:
    """CostarHD, OpenIPC."""
    assert read([(b"\x7c\xc5" + IDR[1:], 0, True)])[0].units == (IDR,)


def test_q29_fragments_whose_kind_changes_take_that_of_the_first() -> None:
    """Tiandy."""
    first, *others = packetize_h264([IDR], 40)
    changed = [bytes((p[0], p[1] & 0xE0 | 1)) + p[2:] for p in others]
    packets = [(p, 0, p is changed[-1]) for p in (first, *changed)]
    assert shape(read(packets)) == [(0, (IDR,), False)]


def test_q29_empty_fragments_and_the_reserved_bit_do_no_harm() -> None:
    first, *others = packetize_h264([IDR], 40)
    payloads = [b"\x7c\x85", *(bytes((p[0], p[1] & 0x5F | 0x20)) + p[2:] for p in (first, *others))]
    payloads.insert(2, b"\x7c\x05")
    payloads.insert(1, b"\x7c")
    packets = [(p, 0, p is payloads[-1]) for p in payloads]
    assert shape(read(packets)) == [(0, (IDR,), False)]


def test_q29_a_last_fragment_without_its_end_bit_is_complete() -> None:
    *others, last = packetize_h264([IDR], 40)
    payloads = [*others, bytes((last[0], last[1] & 0xBF)) + last[2:]]
    packets = [(p, 0, p is payloads[-1]) for p in payloads]
    assert shape(read([*packets, (P, 100, True)])) == [(0, (IDR,), False), (100, (P,), False)]
    unmarked = [(p, 0, False) for p in payloads]
    assert shape(read([*unmarked, (P, 100, True)])) == [(0, (IDR,), False), (100, (P,), False)]


def test_q29_several_nal_units_in_one_run_of_fragments_are_parted() -> None:
    joined = SPS + b"\0\0\0\1" + PPS + b"\0\0\1" + IDR
    assert read(sent([joined], 0, 40))[0].units == (SPS, PPS, IDR)


def test_q29_zero_padding_of_aggregates_is_skipped() -> None:
    payload = b"\x78\0\x16" + SPS + b"\0\0\0\x04" + PPS + b"\0\0\0\0\0"
    assert read([(payload, 0, False), (IDR, 0, True)])[0].units == (SPS, PPS, IDR)


@pytest.mark.parametrize("first", [b"", b"\0\0\1", b"\0\0\0\1"])
def test_q30_start_codes_in_a_payload_part_its_nal_units(first: bytes) -> None:
    """V380 and its like: SPS, PPS and IDR in one packet."""
    payload = first + SPS + b"\0\0\0\1" + PPS + b"\0\0\1" + IDR
    (unit,) = read([(payload, 0, True)])
    assert unit.units == (SPS, PPS, IDR)
    assert unit.key


def test_q32_a_unit_without_end_is_given_out_as_damaged() -> None:
    reader = H264Depacketizer(0, max_bytes=10_000)
    units = []
    for _ in range(1000):
        units += reader.push(P, 0, marker=False, lost=0)
    assert len(units) > 10
    assert all(unit.damaged for unit in units)
    units += reader.flush()
    assert sum(len(unit.units) for unit in units) == 1000


def test_q32_endless_fragments_are_bounded_too() -> None:
    reader = H264Depacketizer(0, max_bytes=10_000)
    units = reader.push(b"\x7c\x85" + IDR[1:], 0, marker=False, lost=0)
    for _ in range(1000):
        units += reader.push(b"\x7c\x05" + IDR[1:], 0, marker=False, lost=0)
    assert max(len(unit.units[0]) for unit in units) < 11_000
    assert all(unit.damaged for unit in units)


def test_a_unit_with_a_missing_fragment_keeps_its_beginning_and_is_damaged() -> None:
    packets = [*sent([SPS, PPS, IDR], 0), *sent([P], 100, 30), *sent([P], 200)]
    lost_in_second = len(sent([SPS, PPS, IDR], 0)) + 1
    units = read(packets, frozenset({lost_in_second}))
    assert [unit.damaged for unit in units] == [False, True, False]
    assert P.startswith(units[1].units[0])


def test_after_a_lost_unit_the_next_is_damaged_and_a_key_frame_is_not() -> None:
    packets = [*sent([SPS, PPS, IDR], 0, 999), (P, 100, True), (P, 200, True), (P, 300, True)]
    packets += sent([SPS, PPS, IDR], 400, 999)
    units = read(packets, frozenset({2}))
    assert [(unit.ts, unit.damaged) for unit in units] == [
        (0, False), (200, True), (300, False), (400, False),
    ]  # fmt: skip
    units = read(packets, frozenset({5}))
    assert [unit.damaged for unit in units] == [False, False, False, False, True]


def test_a_key_frame_whose_parameter_sets_are_lost_is_damaged() -> None:
    packets = [(SPS, 0, False), (PPS, 0, False), (IDR, 0, True)]
    packets += [(SPS, 100, False), (PPS, 100, False), (IDR, 100, True)]
    for missing in (3, 4, 5):
        units = read(packets, frozenset({missing}))
        assert [unit.damaged for unit in units] == [False, True]
    assert [unit.damaged for unit in read(packets, frozenset({1}))] == [True, False]


def test_a_key_frame_that_never_has_parameter_sets_is_whole_after_a_loss() -> None:
    units = read([(IDR, 0, True), (P, 100, True), (IDR, 200, True)], frozenset({1}))
    assert [unit.damaged for unit in units] == [False, False]


def test_a_lost_last_packet_does_not_hurt_the_next_unit() -> None:
    packets = [*sent([IDR], 0), *sent([P, P_REST], 100, 999), *sent([P], 200, 999)]
    units = read(packets, frozenset({len(sent([IDR], 0)) + 1}))
    assert [(unit.ts, unit.damaged) for unit in units] == [(0, False), (100, True), (200, False)]


def test_reading_that_starts_within_a_unit_marks_it() -> None:
    assert [u.damaged for u in read([(P_REST, 0, True), (P, 100, True)])] == [True, False]
    fragments = sent([P], 0, 40)[1:]
    assert shape(read([*fragments, (P, 100, True)])) == [(100, (P,), False)]


def test_flush_marks_what_misses_its_end_where_markers_are_used() -> None:
    assert [u.damaged for u in read([(P, 0, True), (P, 100, False)])] == [False, True]
    assert [u.damaged for u in read([(P, 0, True), (P, 100, True)])] == [False, False]
    assert [u.damaged for u in read([(P, 0, True), *sent([P], 100, 40)[:-1]])] == [False, True]
    assert [u.damaged for u in read([(P, 0, True), (SPS, 100, True)])] == [False, True]


def test_after_flush_nothing_is_expected_of_what_comes() -> None:
    reader = H264Depacketizer(0)
    reader.push(P, 100, marker=True, lost=0)
    reader.flush()
    reader.push(P, 500, marker=True, lost=0)
    assert shape(reader.flush()) == [(500, (P,), False)]
    assert reader.flush() == []


def test_filler_behind_the_marker_stays_in_the_stream() -> None:
    packets = [(P, 0, True), (FILLER, 0, True), (P, 100, True)]
    assert shape(read(packets)) == [(0, (P,), False), (100, (FILLER, P), False)]


def test_a_delimiter_after_a_picture_of_the_same_time_begins_the_next_unit() -> None:
    packets = [(AUD, 0, False), (P, 0, False), (AUD, 0, False), (P, 0, True)]
    assert shape(read(packets)) == [(0, (AUD, P), False), (0, (AUD, P), False)]


def test_payloads_that_are_no_nal_units_are_counted() -> None:
    reader = H264Depacketizer(0)
    for payload in (b"\x1e\1\2", b"\0\1\2", b"\x5c"):
        reader.push(payload, 0, marker=False, lost=0)
    assert reader.push(b"", 0, marker=False, lost=0) == []
    assert reader.ignored == 3
    assert reader.flush() == []


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (SPS, True),
        (IDR, True),
        (b"\x78\0\x02\x09\xf0\0\x16" + SPS, True),
        (b"\x7c\x85" + IDR[1:], True),
        (b"\0\0\0\1" + SPS, True),
        (b"\x7c\x05" + IDR[1:], False),
        (b"\x7c\x81" + P[1:], False),
        (b"\x78\0\x02\x09\xf0", False),
        (P, False),
        (PPS, False),
        (AUD, False),
        (b"\x7c", False),
        (b"", False),
    ],
)
def test_a_key_frame_is_seen_from_its_first_payload(payload: bytes, key: bool) -> None:
    assert is_key_start(payload) == key
