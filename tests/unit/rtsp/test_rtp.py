import pytest

from kilocam.rtsp.rtp import (
    RtpPacket,
    SequenceTracker,
    TimestampUnwrapper,
    build_rtp,
    parse_rtp,
    signed_step,
)

PACKET = RtpPacket(96, True, 0xFFFE, 0x89ABCDEF, 0x01020304, b"payload")


def test_a_packet_is_read_as_it_was_built() -> None:
    assert parse_rtp(build_rtp(PACKET)) == PACKET
    assert parse_rtp(build_rtp(PACKET._replace(marker=False, payload=b""))) == PACKET._replace(
        marker=False, payload=b""
    )


def test_padding_contributors_and_extension_are_taken_off() -> None:
    plain = build_rtp(PACKET)
    contributors = bytes((plain[0] | 2,)) + plain[1:12] + b"\0" * 8 + plain[12:]
    assert parse_rtp(contributors) == PACKET
    extension = bytes((plain[0] | 0x10,)) + plain[1:12] + b"\xbe\xde\0\2" + b"x" * 8 + plain[12:]
    assert parse_rtp(extension) == PACKET
    padded = bytes((plain[0] | 0x20,)) + plain[1:] + b"\0\0\3"
    assert parse_rtp(padded) == PACKET


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x80\x60" + b"\0" * 9,
        b"\x40\x60" + b"\0" * 10,
        b"\x81\x60" + b"\0" * 10,
        b"\x90\x60" + b"\0" * 10,
        b"\x90\x60" + b"\0" * 12 + b"\xff\xff",
        b"\xa0\x60" + b"\0" * 10 + b"\x09",
    ],
    ids=["empty", "short", "version", "contributors", "extension", "long extension", "padding"],
)
def test_a_malformed_packet_is_none(packet: bytes) -> None:
    assert parse_rtp(packet) is None


def test_timestamps_step_the_short_way_round() -> None:
    assert signed_step(0xFFFFFFF0, 0x10) == 0x20
    assert signed_step(0x10, 0xFFFFFFF0) == -0x20


def test_sequence_numbers_in_order_lose_nothing_across_the_wrap() -> None:
    order = SequenceTracker()
    assert [order.push(n & 0xFFFF) for n in range(65530, 65545)] == [0] * 15
    assert (order.received, order.lost, order.highest) == (15, 0, 65544)


def test_missing_duplicate_and_late_packets_are_told_apart() -> None:
    order = SequenceTracker()
    answers = [order.push(n) for n in (10, 11, 15, 15, 13, 13, 16)]
    duplicate, late = SequenceTracker.DUPLICATE, SequenceTracker.LATE
    assert answers == [0, 0, 3, duplicate, late, duplicate, 0]
    assert (order.lost, order.duplicate, order.reordered, order.received) == (2, 2, 1, 5)


def test_a_large_step_is_a_new_start_and_not_loss() -> None:
    order = SequenceTracker()
    order.push(10)
    assert order.push(40_000) == SequenceTracker.RESTART
    assert order.push(40_001) == 0
    assert order.push(20_000) == SequenceTracker.RESTART
    assert (order.lost, order.restarts, order.highest) == (0, 2, 65536 + 20_000)


def test_a_tracker_that_starts_anew_takes_any_number() -> None:
    order = SequenceTracker()
    order.push(10)
    assert order.expects(11)
    order.start_anew()
    assert not order.expects(11)
    assert order.push(500) == 0
    assert order.received == 2


def test_timestamps_are_extended_forward_and_backward() -> None:
    times = TimestampUnwrapper()
    found = [times.unwrap(ts) for ts in (0xFFFFFF00, 0x100, 0xFFFFFFF0, 0x200)]
    assert found == [0xFFFFFF00, 0x1_0000_0100, 0xFFFFFFF0, 0x1_0000_0200]


def test_a_seed_says_which_turn_the_timestamps_are_in() -> None:
    times = TimestampUnwrapper()
    times.seed(0x7_0000_1000)
    assert times.peek(0x900) == 0x7_0000_0900
    assert times.unwrap(0xFFFFFFFF) == 0x6_FFFF_FFFF
