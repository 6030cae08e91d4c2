"""Framing and resynchronisation of a playing stream."""

import pytest

from kilocam.rtsp import (
    Demultiplexer,
    Frame,
    LocalProtocolError,
    Message,
    Resync,
    Skipped,
    frame,
    resync,
)

OURS = frozenset({0, 1})
PACKET = b"\x80\x60" + bytes(range(10))
GOOD = frame(0, PACKET)
ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"


def feed(*parts: bytes) -> list[Frame | Message | Skipped]:
    demultiplexer = Demultiplexer(OURS)
    return [event for part in parts for event in demultiplexer.feed(part)]


def test_clean_frames_come_out_as_packets() -> None:
    assert feed(GOOD + frame(1, PACKET)) == [Frame(0, PACKET), Frame(1, PACKET)]


def test_unfinished_frame_waits() -> None:
    assert feed(GOOD[:3]) == []
    assert feed(GOOD[:3], GOOD[3:-1]) == []
    assert feed(GOOD[:3], GOOD[3:-1], GOOD[-1:]) == [Frame(0, PACKET)]


def test_message_between_frames_is_cut_out_whole() -> None:
    assert feed(GOOD + ANSWER + GOOD) == [Frame(0, PACKET), Message(ANSWER), Frame(0, PACKET)]


def test_message_brings_its_body_along() -> None:
    message = b"ANNOUNCE rtsp://h/a RTSP/1.0\nContent-length : 4\n\n$$$$"
    assert feed(message[:20], message[20:-1], message[-1:] + GOOD) == [
        Message(message),
        Frame(0, PACKET),
    ]


def test_quirk_14_frames_on_channels_never_set_up_are_ignored() -> None:
    assert feed(frame(9, b"\x80abc") + frame(9, b"x") + GOOD) == [Frame(0, PACKET)]
    found = resync(frame(9, PACKET) + GOOD, 0, OURS)
    assert found == Resync(len(GOOD), ignored=len(GOOD))


def test_quirk_15_stray_crlf_before_a_frame_is_ignored() -> None:
    assert feed(b"\r\n" + GOOD + b"\r\n\r\n" + GOOD) == [Frame(0, PACKET)] * 2
    assert resync(b"\r\n" + GOOD, 0, OURS) == Resync(2, ignored=2)


def test_quirk_15_garbage_between_frames_is_skipped_and_counted() -> None:
    assert feed(GOOD + b"garbage" + GOOD + GOOD) == [
        Frame(0, PACKET),
        Skipped(7),
        Frame(0, PACKET),
        Frame(0, PACKET),
    ]


def test_quirk_15_frame_between_garbage_and_garbage_is_kept() -> None:
    assert feed(b"garbage" + GOOD + b"more garbage" + GOOD + GOOD) == [
        Skipped(7),
        Frame(0, PACKET),
        Skipped(12),
        Frame(0, PACKET),
        Frame(0, PACKET),
    ]


def test_false_frame_start_in_garbage_gives_way_to_a_better_one() -> None:
    false = b"$\x00\x00\x10\x80"
    assert feed(b"x" + false + b"abc" + GOOD + GOOD) == [
        Skipped(9),
        Frame(0, PACKET),
        Frame(0, PACKET),
    ]


def test_long_false_frame_start_is_not_waited_for_once_it_is_refuted() -> None:
    false = b"$\x00\x10\x00\x80"  # 4096 bytes
    after = GOOD * 300
    events = feed(b"x" + false + after)
    assert events[0] == Skipped(6)
    assert events[1:] == [Frame(0, PACKET)] * 300


def test_garbage_that_begins_like_a_long_frame_of_another_channel_is_not_waited_for() -> None:
    assert feed(GOOD + b"$\xf0\xff\xff\x80abc" + GOOD + GOOD) == [
        Frame(0, PACKET),
        Skipped(8),
        Frame(0, PACKET),
        Frame(0, PACKET),
    ]


def test_frame_found_in_garbage_waits_for_what_follows_it() -> None:
    data = b"garbage" + GOOD
    found = resync(data, 0, OURS)
    assert found.need_more
    assert data[found.pos : found.pos + 1] != b"$"
    assert resync(data + GOOD[:5], found.pos, OURS) == Resync(7, skipped=7 - found.pos)


def test_empty_and_odd_packets_on_our_channels_are_ignored() -> None:
    assert feed(frame(0, b"") + GOOD) == [Frame(0, PACKET)]
    assert feed(frame(0, b"\x00\x01\x02\x03") + GOOD) == [Frame(0, PACKET)]


def test_endless_header_between_frames_becomes_garbage() -> None:
    endless = b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 1000
    events = feed(endless + GOOD + GOOD)
    assert isinstance(events[0], Skipped)
    assert events[1:] == [Frame(0, PACKET)] * 2


def test_message_that_announces_a_huge_body_becomes_garbage() -> None:
    huge = b"RTSP/1.0 200 OK\r\nContent-Length: 70000\r\n\r\n"
    assert feed(huge + GOOD + GOOD)[1:] == [Frame(0, PACKET)] * 2


def test_frame_of_another_session_longer_than_the_bound_is_no_frame() -> None:
    demultiplexer = Demultiplexer(OURS, max_frame=100)
    assert demultiplexer.feed(frame(0, b"\x80" * 101) + GOOD + GOOD)[-2:] == [Frame(0, PACKET)] * 2


def test_kept_bytes_stay_bounded_whatever_comes() -> None:
    for flood in (b"$", b"\r\n", b"PLAY ", b"x", b"$\x00\xff\xff\x80", b"RTSP/1.0 200 OK\r\n"):
        demultiplexer = Demultiplexer(OURS)
        for _ in range(40):
            demultiplexer.feed(flood * (10_000 // len(flood)))
            demultiplexer.check_invariants()


def test_packet_that_cannot_be_framed_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="channels are 0 to 255"):
        frame(256, b"")
    with pytest.raises(LocalProtocolError, match="at most 65535"):
        frame(0, bytes(65_536))
