"""The hot loop: bytes to pieces."""

import struct
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ingest.wire import IDR, PPS, RATE, SPS, Camera, P, split

from kilocam.bitstream import split_annex_b
from kilocam.core import PieceFlag
from kilocam.ingest.gate import Gate
from kilocam.ingest.gate_h265 import H265Gate
from kilocam.ingest.scanner import Cut, PieceScanner
from kilocam.rtsp import packetize_h265


def scanner() -> PieceScanner:
    return PieceScanner(reference=0, channels=frozenset({0, 1, 2, 3}), clock_rate=RATE, gate=Gate())


def scan(parts: list[bytes]) -> list[Cut]:
    machine = scanner()
    return [cut for part in parts for cut in machine.feed(part)]


def test_every_byte_is_kept_in_order_and_pieces_hold_whole_packets() -> None:
    camera = Camera()
    data = camera.gop() + camera.gop()
    cuts = scan([data])
    assert b"".join(cut.payload for cut in cuts) == data
    assert sum(cut.packets for cut in cuts) == len(camera.sent)
    assert sum(cut.frames for cut in cuts) == 60


@given(st.lists(st.integers(1, 900), min_size=1, max_size=8))
def test_any_split_of_the_stream_keeps_every_packet(sizes: list[int]) -> None:
    camera = Camera()
    data = camera.gop(10) + camera.gop(10)
    cuts = scan(split(data, sizes))
    assert b"".join(cut.payload for cut in cuts) == data
    assert sum(cut.frames for cut in cuts) == 20
    assert sum(bool(cut.flags & PieceFlag.KEY) for cut in cuts) == 2
    assert not any(cut.flags & (PieceFlag.LOST | PieceFlag.DAMAGED) for cut in cuts)


@given(st.lists(st.tuples(st.integers(0x80, 0xBF), st.binary(min_size=8, max_size=40)), max_size=9))
def test_a_header_that_lies_about_its_length_costs_no_packet(
    packets: list[tuple[int, bytes]],
) -> None:
    framed = [
        struct.pack(">BBHBBHI", 0x24, 0, 8 + len(body), first, 96, at, at * 3000) + body
        for at, (first, body) in enumerate(packets)
    ]
    cuts = scan([b"".join(framed)])
    assert b"".join(cut.payload for cut in cuts) == b"".join(framed)
    assert sum(cut.packets for cut in cuts) == len(framed)


@pytest.mark.parametrize(("gate", "payload"), [(Gate, b"\x7c"), (H265Gate, b"\x62\1")])
def test_a_fragment_without_its_header_costs_no_packet(
    gate: type[Gate | H265Gate], payload: bytes
) -> None:
    machine = PieceScanner(reference=0, channels=frozenset({0}), clock_rate=RATE, gate=gate())
    (cut,) = machine.feed(Camera().frame(payload))
    assert cut.packets == 1


def test_a_piece_spans_at_most_half_a_second_of_media() -> None:
    cuts = scan([Camera().gop(60)])
    assert len(cuts) > 4
    assert all(cut.last_ts - cut.first_ts <= RATE // 2 for cut in cuts)


@given(
    st.lists(st.sampled_from([1, 19, 21]), min_size=1, max_size=12),
    st.booleans(),
    st.integers(20, 300),
    st.lists(st.integers(1, 900), min_size=1, max_size=8),
)
def test_key_frames_of_h265_are_told_where_their_parameter_sets_start(
    kinds: list[int], announced: bool, size: int, sizes: list[int]
) -> None:
    camera, data, keys = Camera(), b"", []
    for kind in kinds:
        nals = [bytes((kind << 1, 1, 0x80)) + b"s" * 100]
        if kind != 1:
            keys.append((len(data), camera.ts))
            sets = [b"\x40\1v", b"\x42\1s", b"\x44\1p"] if announced else []
            nals = [*sets, b"\x4e\1i", *nals]
        data += camera.frame(*packetize_h265(nals, size), step=50_000)
    machine = PieceScanner(
        reference=0, channels=frozenset({0, 1}), clock_rate=RATE, gate=H265Gate()
    )
    cuts = [cut for part in split(data, sizes) for cut in machine.feed(part)]
    found, pos = [], 0
    for cut in cuts:
        if cut.flags & PieceFlag.KEY:
            found.append((pos + cut.key_offset, cut.key_ts & 0xFFFF_FFFF))
        pos += len(cut.payload)
        assert (cut.complexity, cut.sampled) == (0.0, 0)
    assert [ts for _, ts in found] == [ts for _, ts in keys]
    if announced:  # else what stood before the slice may be in the piece before
        assert found == keys


def test_timestamps_go_on_over_the_wrap() -> None:
    cuts = scan([Camera().gop(60)])
    firsts = [cut.first_ts for cut in cuts]
    assert firsts[0] == 0xFFFF_F000
    assert firsts == sorted(firsts)
    assert cuts[-1].last_ts == 0xFFFF_F000 + 59 * 6000


def test_nothing_is_flagged_where_the_sequence_wraps() -> None:
    camera = Camera(seq=65_533)
    (cut,) = scan([camera.frame(P, P) + camera.frame(P, P, P)])
    assert cut.packets == 5
    assert not cut.flags & PieceFlag.LOST


def test_a_frame_goes_on_behind_what_says_nothing_of_it() -> None:
    camera = Camera()
    note = b"\x06\1\2sei"
    cuts = scan([camera.frame(note, SPS, PPS, note, IDR) + camera.frame(note, P)])
    assert [(cut.frames, cut.key_offset) for cut in cuts] == [(2, 0)]


def test_the_key_frame_is_where_its_parameter_sets_start() -> None:
    camera = Camera()
    before = b"".join(camera.frame(P) for _ in range(3))
    (cut,) = scan([before + camera.gop(2)])
    assert cut.key_offset == len(before)
    assert cut.key_ts - cut.first_ts == 3 * 6000
    assert cut.flags & PieceFlag.KEY


def test_key_frames_are_found_however_they_are_packed() -> None:
    stap = b"\x78" + b"".join(struct.pack(">H", len(n)) + n for n in (SPS, PPS))
    fragments = (b"\x7c\x85" + b"x" * 50, b"\x7c\x05" + b"x" * 50, b"\x7c\x45" + b"x" * 50)
    annex_b = b"\0\0\0\1".join((b"", SPS, PPS, IDR))
    sei, delimiter = b"\x06\x05\x01\x00\x80", b"\x09\xf0"
    for packets in (
        (IDR,), (stap, IDR), fragments, (annex_b,), (delimiter, sei, SPS, PPS, IDR),
    ):  # fmt: skip
        camera = Camera()
        first = camera.frame(P)
        (cut,) = scan([first + camera.frame(*packets) + camera.frame(P)])
        assert cut.key_offset == len(first), packets[0][:4]


def test_parameter_sets_alone_with_a_wrong_marker_belong_to_the_key_frame() -> None:
    camera = Camera()
    first = camera.frame(P)
    wrong = camera.packet(SPS, marker=True) + camera.packet(PPS, marker=True)
    (cut,) = scan([first + wrong + camera.frame(IDR)])
    assert cut.key_offset == len(first)


def test_contributors_and_extensions_are_stepped_over() -> None:
    camera = Camera()
    first = camera.frame(P)
    extension = struct.pack(">IHHI", 1, 0xABAC, 1, 9)  # one contributor, one word of extension
    data = first + camera.packet(extension + IDR, head=0x91)
    (cut,) = scan([data])
    assert cut.key_offset == len(first)


def test_a_missing_packet_is_flagged_once() -> None:
    camera = Camera()
    machine = scanner()
    machine.feed(camera.gop(3))
    camera.packet(P)  # lost on the way
    (late,) = machine.feed(camera.frame(P))
    assert late.flags & PieceFlag.LOST
    (after,) = machine.feed(camera.frame(P))
    assert not after.flags & PieceFlag.LOST


def test_a_jump_of_the_media_time_starts_a_new_piece() -> None:
    camera = Camera()
    machine = scanner()
    before = camera.gop(3)
    camera.ts = (camera.ts + 3600 * RATE) & 0xFFFF_FFFF
    cuts = machine.feed(before + camera.gop(3))
    assert [bool(cut.flags & PieceFlag.DISCONTINUITY) for cut in cuts] == [False, True]


def test_garbage_is_left_out_and_flagged() -> None:
    camera = Camera()
    machine = scanner()
    first = camera.gop(3)
    rest = camera.gop(3) + camera.gop(3)
    cuts = machine.feed(first + b"\xff" * 37 + rest)
    assert b"".join(cut.payload for cut in cuts) == first + rest
    assert [bool(cut.flags & PieceFlag.DAMAGED) for cut in cuts][:2] == [False, True]
    assert machine.skipped == 37


def test_rtsp_messages_between_frames_are_handed_out() -> None:
    camera = Camera()
    machine = scanner()
    answer = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"
    first, second = camera.gop(3), camera.gop(3)
    cuts = machine.feed(first + answer[:10]) + machine.feed(answer[10:] + second)
    assert machine.messages == [answer]
    assert b"".join(cut.payload for cut in cuts) == first + second
    assert not any(cut.flags & PieceFlag.DAMAGED for cut in cuts)


def test_other_tracks_are_kept_but_do_not_count_as_frames() -> None:
    camera, sound = Camera(), Camera(channel=2)
    data = camera.frame(IDR) + sound.frame(b"\x00\x10\x00\x08a") + camera.frame(P)
    (cut,) = scan([data])
    assert (cut.packets, cut.frames) == (3, 2)
    (alone,) = scan([sound.frame(b"\x00\x10\x00\x08a")])
    assert not alone.media


def encoded(codec: str, qp: int, frames: int) -> list[list[bytes]]:
    """The NAL units of moving noise at a constant quantiser, as x264 or x265 writes them."""
    encoder = av.CodecContext.create(f"lib{codec}", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 160, 120, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 15), Fraction(15)
    params = f"qp={qp}:bframes=0:scenecut=0"
    params += ":log-level=none:pools=1" if codec == "x265" else ""
    encoder.options = {"tune": "zerolatency", f"{codec}-params": params}
    random = np.random.default_rng(1)
    units = []
    for n in range(frames):
        picture = random.integers(0, 255, (120, 160, 3), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts = n
        units += [split_annex_b(bytes(packet)) for packet in encoder.encode(frame)]
    return units


@pytest.mark.parametrize(
    ("codec", "gate", "packed"),
    [
        ("x264", Gate, lambda nals: nals),
        ("x265", H265Gate, lambda nals: nals),
        ("x265", H265Gate, packetize_h265),
    ],
)
def test_complexity_weighs_size_by_the_quantiser(
    codec: str, gate: type[Gate | H265Gate], packed: Callable[[list[bytes]], list[bytes]]
) -> None:
    camera = Camera()
    units = encoded(codec, qp=30, frames=40)
    machine = PieceScanner(reference=0, channels=frozenset({0, 1}), clock_rate=RATE, gate=gate())
    cuts = machine.feed(b"".join(camera.frame(*packed(nals)) for nals in units))
    sampled = sum(cut.sampled for cut in cuts)
    mean = sum(cut.complexity for cut in cuts) / sampled
    size = sum(len(nal) + 16 for nals in units[1:] for nal in nals) / (len(units) - 1)
    assert 6 <= sampled <= 10
    assert 0.8 < mean / (size * 2 ** (30 / 6)) < 1.2


@given(st.binary(max_size=2000))
def test_no_bytes_at_all_can_make_it_stumble(noise: bytes) -> None:
    machine = scanner()
    camera = Camera()
    cuts = machine.feed(noise) + machine.feed(camera.gop(4) + camera.gop(4))
    assert len(b"".join(cut.payload for cut in cuts)) <= len(noise) + 100_000


def test_a_short_last_frame_is_kept_at_the_end_and_a_cut_one_is_not() -> None:
    camera = Camera()
    gop = camera.gop(10)
    bye = b"$\1\0\10\x81\xcb\0\1\0\0\0\7"
    machine = scanner()
    cuts = machine.feed(gop + bye + bye + bye[:-1]) + machine.finish()
    assert b"".join(cut.payload for cut in cuts) == gop + bye + bye
    assert sum(cut.packets for cut in cuts) == len(camera.sent) + 2
    assert machine.finish() == []
