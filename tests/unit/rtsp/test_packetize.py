import pytest

from kilocam.rtsp.packetize import packetize_aac, packetize_h264, packetize_h265

SPS, PPS, SEI = b"\x67" + b"s" * 12, b"\x68" + b"p" * 4, b"\x06" + b"i" * 30
IDR = b"\x65" + bytes(range(256)) * 4


def test_parameter_sets_share_a_packet_and_a_large_slice_is_cut() -> None:
    payloads = packetize_h264([SPS, PPS, SEI, IDR], 400)
    assert [payload[0] for payload in payloads] == [0x78, 0x7C, 0x7C, 0x7C]
    assert payloads[0] == b"\x78\0\x0d" + SPS + b"\0\x05" + PPS + b"\0\x1f" + SEI
    assert [payload[1] for payload in payloads[1:]] == [0x85, 0x05, 0x45]
    assert b"".join(payload[2:] for payload in payloads[1:]) == IDR[1:]
    assert max(map(len, payloads)) <= 400


def test_what_fits_travels_alone_as_it_is() -> None:
    assert packetize_h264([IDR[:100]]) == [IDR[:100]]
    assert packetize_h264([SPS, IDR[:100], PPS]) == [SPS, IDR[:100], PPS]


def test_small_nal_units_that_do_not_fit_together_share_no_packet() -> None:
    assert [len(payload) for payload in packetize_h264([SPS, PPS, SEI], 36)] == [23, 31]


def test_h265_parameter_sets_share_a_packet_and_a_large_slice_is_cut() -> None:
    vps, sps, idr = b"\x40\1" + b"v" * 8, b"\x42\1" + b"s" * 30, b"\x26\1" + IDR
    payloads = packetize_h265([vps, sps, idr], 400)
    assert payloads[0] == b"\x60\1\0\x0a" + vps + b"\0\x20" + sps
    assert [payload[:3] for payload in payloads[1:]] == [
        b"\x62\1\x93",
        b"\x62\1\x13",
        b"\x62\1\x53",
    ]
    assert b"".join(payload[3:] for payload in payloads[1:]) == IDR
    assert max(map(len, payloads)) <= 400
    assert packetize_h265([idr[:100], vps]) == [idr[:100], vps]


@pytest.mark.parametrize(("size", "payloads"), [(10, 1), (96, 1), (97, 2), (960, 10)])
def test_an_aac_frame_is_cut_with_its_size_in_each_packet(size: int, payloads: int) -> None:
    frame = bytes(n & 255 for n in range(size))
    cut = packetize_aac(frame, 100)
    assert len(cut) == payloads
    assert all(payload[:4] == b"\0\x10" + (size << 3).to_bytes(2, "big") for payload in cut)
    assert b"".join(payload[4:] for payload in cut) == frame
