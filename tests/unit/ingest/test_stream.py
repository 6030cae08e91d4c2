"""One playing session: what ends it, what it answers, whose fault a hole is."""

import struct

import pytest
from tests.fakes.sink import MemorySink
from tests.unit.ingest.playing import BOOT_US, SECOND, SOUND, VIDEO, WALL_US, Played
from tests.unit.ingest.wire import IDR, PPS, RATE, SPS, Camera, P

from kilocam.core import GapCause, Piece, PieceFlag
from kilocam.ingest.stream import (
    ANSWERS_BYTES,
    HOLE_US,
    MEDIA_SILENCE_US,
    MOST_MESSAGES,
    REPORT_US,
    SILENCE_US,
)

REPORT = struct.pack(">BBHBBHIQIII", 0x24, 1, 28, 0x80, 200, 6, 7, 0, 0, 0, 0)
"""A sender report of the video track."""


def receiver_reports(sent: bytes) -> int:
    return sent.count(struct.pack(">BBH", 0x80, 201, 1))


def test_a_camera_that_says_nothing_for_ten_seconds_is_connected_anew() -> None:
    played = Played()
    camera = Camera()
    assert played.turn(camera.gop(2))
    assert SILENCE_US == 10 * SECOND
    assert played.turn(after_us=10 * SECOND)
    assert not played.turn(after_us=1)
    assert [failure.cause for failure in played.ends] == [GapCause.SILENT]
    assert "nothing came for 10 s" in str(played.ends[0])
    assert played.wire.closed
    assert sum(piece.packets for piece in played.sink.pieces) == len(camera.sent)


@pytest.mark.parametrize("sound", [False, True])
def test_a_camera_whose_video_dies_while_the_rest_goes_on_is_connected_anew(sound: bool) -> None:
    played = Played(tracks=(VIDEO, SOUND))
    camera, speaker = Camera(), Camera(channel=2)
    for _ in range(20):
        played.turn(camera.gop(5), after_us=SECOND // 3)
    last_us = played.now_us
    end_us = played.stream.end_us
    while not played.ends and played.now_us < last_us + 100 * SECOND:
        played.turn(speaker.frame(b"\xd5" * 160) if sound else REPORT, after_us=SECOND // 2)
    assert [failure.cause for failure in played.ends] == [GapCause.SILENT]
    assert "no video came for 30 s" in str(played.ends[0])
    took_us = played.now_us - last_us
    assert MEDIA_SILENCE_US <= took_us <= MEDIA_SILENCE_US + REPORT_US + SECOND
    assert played.stream.end_us == end_us  # the gap begins where the video ended
    assert played.wire.closed


def test_a_camera_whose_video_never_comes_is_connected_anew() -> None:
    played = Played(tracks=(VIDEO, SOUND))
    while not played.ends and played.now_us < BOOT_US + 100 * SECOND:
        played.turn(REPORT, after_us=SECOND // 2)
    assert [failure.cause for failure in played.ends] == [GapCause.SILENT]
    assert played.now_us - BOOT_US >= MEDIA_SILENCE_US


def test_a_camera_with_a_frame_now_and_then_is_left_in_peace() -> None:
    for every_s in (5, 10, 20, 29):
        played = Played()
        camera = Camera()
        for second in range(300):
            picture = camera.frame(IDR, step=every_s * 90_000) if second % every_s == 0 else b""
            assert played.turn(picture, REPORT, after_us=SECOND), every_s
        assert not played.ends


def test_video_whose_timestamps_stand_still_is_video_all_the_same() -> None:
    played = Played()
    camera = Camera()
    for _ in range(200):
        assert played.turn(camera.packet(P, marker=False), after_us=SECOND // 2)


def test_a_recorder_that_did_not_run_does_not_blame_the_camera() -> None:
    played = Played()
    camera = Camera()
    played.turn(camera.gop(5))
    played.turn(REPORT, after_us=7 * SECOND)
    assert played.turn(REPORT, after_us=600 * SECOND)
    assert played.turn(camera.gop(5), after_us=SECOND // 2)
    assert not played.ends


def test_a_message_that_a_full_send_buffer_cut_short_goes_on_where_it_stopped() -> None:
    played, whole = Played(), Played()
    for each in (played, whole):
        each.turn(after_us=SECOND)
    played.wire.sent = whole.wire.sent = b""
    for second in range(1, 60):
        played.wire.room = {5: 7, 10: 0, 15: 2}.get(second, played.wire.room)
        if second == 20:
            played.wire.room = 1 << 30
        for each in (played, whole):
            each.turn(REPORT, Camera().packet(P), after_us=SECOND)
    played.stream.close()
    whole.stream.close()
    # Every byte of what was begun is there, in order; the reports in between were not made.
    told = played.wire.sent
    assert told.endswith(whole.wire.sent[-100:])
    while told.startswith(b"$"):
        told = told[4 + int.from_bytes(told[2:4], "big") :]
    assert told.startswith((b"OPTIONS", b"GET_PARAMETER"))
    assert receiver_reports(played.wire.sent) < receiver_reports(whole.wire.sent)


def test_a_keep_alive_that_found_no_room_is_sent_when_there_is_some() -> None:
    played = Played()
    for second in range(60):
        played.wire.room = 0 if 30 <= second < 45 else 1 << 30
        played.turn(REPORT, Camera().packet(P), after_us=SECOND)
    assert played.wire.sent.count(b"RTSP/1.0\r\nCSeq: ") == 1


def test_the_first_picture_of_a_session_lasts_until_the_second() -> None:
    played, camera = Played(), Camera()
    played.turn(camera.frame(SPS, PPS, IDR, step=9000))
    for _ in range(9):
        played.turn(camera.frame(P, step=9000), after_us=SECOND // 10)
    first, second = played.sink.pieces[:2]
    assert first.frames == 1
    assert first.duration_us == 100_000
    assert first.wall_us + first.duration_us == second.wall_us


def test_what_came_before_a_reset_is_kept_though_our_report_met_the_reset_first() -> None:
    played, camera = Played(), Camera()
    played.turn(camera.gop(5))
    played.wire.reset_after = camera.gop(5)
    assert not played.turn(after_us=REPORT_US + SECOND)
    assert [failure.cause for failure in played.ends] == [GapCause.ENDED]
    assert sum(piece.packets for piece in played.sink.pieces) == len(camera.sent)


def test_a_farewell_follows_what_was_cut_short() -> None:
    played = Played()
    played.wire.room = 5
    played.turn(after_us=SECOND)
    played.wire.room = 1 << 30
    played.stream.close()
    assert played.wire.sent[12:].startswith(b"TEARDOWN ")
    assert played.wire.closed


def test_a_camera_that_only_asks_does_not_fill_our_memory() -> None:
    played = Played()
    played.turn(after_us=SECOND)
    question = b"OPTIONS rtsp://us RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    before = len(played.wire.sent)
    for _ in range(40):
        played.turn(question * 200, after_us=SECOND // 10)
    played.turn(after_us=2 * SECOND)
    answered = len(played.wire.sent) - before
    assert ANSWERS_BYTES <= answered < ANSWERS_BYTES + 1000


@pytest.mark.parametrize("at_once", [True, False])
def test_a_camera_that_asks_without_end_is_hung_up_on(at_once: bool) -> None:
    played = Played()
    flood = b"OPTIONS rtsp://us RTSP/1.0\r\nCSeq: 1\r\n\r\n" * (MOST_MESSAGES + 1)
    if at_once:
        played.stream.receive(flood, BOOT_US)
    else:
        assert not played.turn(flood)
    assert [failure.cause for failure in played.ends] == [GapCause.PROTOCOL]
    assert "without end" in str(played.ends[0])
    assert played.wire.closed


@pytest.mark.parametrize("ours", [True, False])
def test_a_hole_in_media_time_says_whose_fault_it_was(ours: bool) -> None:
    played = Played()
    camera = Camera()
    for _ in range(4):
        played.turn(camera.gop(5), after_us=SECOND // 3)
    from_us = played.now_us
    camera.ts += 5 * 90_000
    if ours:
        played.froze_us = (from_us, from_us + 5 * SECOND)
    played.turn(camera.gop(5), after_us=5 * SECOND)
    (gap,) = [gap for _, gap in played.sink.gaps]
    assert gap.cause is (GapCause.RECORDER_FROZEN if ours else GapCause.STALLED)
    assert abs(gap.end_us - gap.start_us - 5 * SECOND) < SECOND // 2
    camera.ts += 5 * 90_000
    played.turn(camera.gop(5), after_us=5 * SECOND)  # an old freeze explains no new hole
    assert played.sink.gaps[-1][1].cause is GapCause.STALLED
    assert played.stream.stalls == 2


def test_a_short_hole_is_none() -> None:
    played = Played()
    camera = Camera()
    for _ in range(4):
        played.turn(camera.gop(5), after_us=SECOND // 3)
    camera.ts += 90_000 * (HOLE_US - SECOND // 20) // SECOND
    played.turn(camera.gop(5), after_us=HOLE_US + SECOND // 3)
    assert not played.sink.gaps


def test_the_first_frame_of_a_slow_camera_is_not_held_back_until_the_second() -> None:
    played = Played()
    played.turn(Camera().frame(IDR))
    assert not played.sink.pieces
    for _ in range(30):
        played.turn(after_us=SECOND // 20)
    (piece,) = played.sink.pieces
    assert piece.wall_us == WALL_US


class Refusing(MemorySink):
    """Has a fault that nobody foresaw."""

    def append(self, piece: Piece) -> None:
        raise RecursionError("unforeseen")


def test_a_fault_of_ours_ends_one_session_however_it_comes() -> None:
    first = Played(sink=Refusing())
    first.stream.receive(Camera().gop(2), BOOT_US)
    first.wire.hung_up = True  # what was held back is refused while the session ends
    assert not first.turn(after_us=SECOND // 10)
    assert len(first.ends) == 1
    assert first.wire.closed

    second = Played(sink=Refusing())
    second.stream.receive(Camera().gop(2), BOOT_US + SECOND)
    assert [failure.cause for failure in second.ends] == [GapCause.PROTOCOL]
    assert second.wire.closed

    third = Played(sink=Refusing())
    third.turn(Camera().gop(2))
    third.stream.close()
    assert third.wire.closed


@pytest.mark.parametrize("jump", [3600 * RATE, -3600 * RATE])
def test_what_is_held_back_before_a_jump_keeps_its_time(jump: int) -> None:
    played, camera = Played(), Camera()
    played.turn(camera.gop(3))
    played.turn(camera.gop(3), after_us=SECOND // 5)
    before = len(camera.sent)
    camera.ts = (camera.ts + jump) & 0xFFFF_FFFF
    played.turn(camera.gop(3), after_us=SECOND // 5)
    played.turn(camera.gop(3), after_us=SECOND // 5)
    played.stream.close()
    pieces = played.sink.pieces
    assert sum(piece.packets for piece in pieces) == len(camera.sent) > before
    assert all(abs(piece.wall_us - WALL_US) < SECOND for piece in pieces)
    jumped = [piece for piece in pieces if piece.flags & PieceFlag.DISCONTINUITY]
    assert len(jumped) == 1
