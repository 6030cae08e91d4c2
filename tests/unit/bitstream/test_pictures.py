from kilocam.bitstream import is_first_slice, is_key

SPS, PPS, SEI, AUD = b"\x67\x64", b"\x68\xef", b"\x06\x05\x01\x00\x80", b"\x09\xf0"
IDR, P, P_REST, FILLER = b"\x65\x88\x80", b"\x41\x9a\x00", b"\x41\x4a\x00", b"\x0c\xff\x80"
I_SLICE = b"\x41\x88\x80"  # first_mb 0, slice_type 7
RECOVERY = b"\x06\x06\x02\x11\x10\x80"


def test_only_a_slice_at_the_first_macroblock_is_a_first_slice() -> None:
    assert is_first_slice(IDR)
    assert not is_first_slice(P_REST)
    assert not is_first_slice(b"\x67\x88")
    assert not is_first_slice(b"\x41")
    assert not is_first_slice(b"")


def test_key_frames_without_idr_are_found_when_asked_for() -> None:
    assert not is_key([SPS, PPS, I_SLICE])
    assert is_key([SPS, PPS, I_SLICE], recovery_points=True)
    assert is_key([RECOVERY, P], recovery_points=True)
    assert not is_key([SPS, PPS, P], recovery_points=True)
    assert not is_key([I_SLICE], recovery_points=True)
    assert not is_key([SPS, PPS], recovery_points=True)


def test_a_recovery_point_behind_other_messages_is_found() -> None:
    long_one = bytes((0x06, 0x05, 0xFF, 0x02)) + b"x" * 257
    assert is_key([long_one + RECOVERY[1:], P], recovery_points=True)
    assert not is_key([long_one[:100], P], recovery_points=True)
