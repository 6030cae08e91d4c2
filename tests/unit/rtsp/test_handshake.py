"""The handshake with a camera that a test scripts; each way to fail has its line."""

from collections.abc import Callable
from dataclasses import asdict, fields

import pytest
from tests.unit.rtsp.conftest import SDP, Camera

from kilocam.core import Track
from kilocam.rtsp import (
    NEED_DATA,
    Credentials,
    Failed,
    FailureReason,
    Handshake,
    LocalProtocolError,
    Playing,
    Quirk,
    Redirected,
    frame,
)

MakeCamera = Callable[..., Camera]
DIGEST = 'WWW-Authenticate: Digest realm="cam", nonce="{}"'
BASIC = 'WWW-Authenticate: Basic realm="cam"'
UNAUTHORIZED = "401 Unauthorized"


def failure(camera: Camera, reason: FailureReason, text: str) -> None:
    event = camera.play()
    assert isinstance(event, Failed)
    assert event.reason is reason
    assert event.text == f"camera {camera.handshake.url} {text}"
    assert "secret" not in repr(event)
    assert camera.handshake.next_event() is NEED_DATA


def test_good_camera_plays_after_four_requests(camera: MakeCamera) -> None:
    cam = camera()
    event = cam.play()
    assert isinstance(event, Playing)
    assert event.sdp == SDP.encode()
    assert event.session_timeout_s == 60
    assert cam.methods == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]
    assert cam.handshake.quirks == set()
    assert "Session: 5E55\r\n" in cam.requests[3]


def test_medium_becomes_a_track_of_the_core(camera: MakeCamera) -> None:
    event = camera().play()
    assert isinstance(event, Playing)
    track = Track(**asdict(event.media[0]))
    assert (track.index, track.codec, track.rtp_channel, track.rtcp_channel) == (0, "h264", 0, 1)
    assert [f.name for f in fields(Track)] == [f.name for f in fields(event.media[0])]


def test_quirk_2_every_request_names_a_user_agent(camera: MakeCamera) -> None:
    cam = camera()
    cam.play()
    assert all("\r\nUser-Agent: Kilocam\r\n" in request for request in cam.requests)
    assert all("\r\nCSeq: " in request for request in cam.requests)


def test_quirk_11_play_has_a_range_and_setup_no_mode(camera: MakeCamera) -> None:
    cam = camera()
    cam.play()
    assert "Range: npt=0.000-\r\n" in cam.requests[3]
    assert "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n" in cam.requests[2]


def test_challenge_is_answered_once_and_then_on_each_request(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("DESCRIBE", UNAUTHORIZED, DIGEST.format(1))
    assert isinstance(cam.play(), Playing)
    assert cam.methods == ["OPTIONS", "DESCRIBE", "DESCRIBE", "SETUP", "PLAY"]
    assert "Authorization" not in cam.requests[1]
    assert all("Authorization: Digest " in request for request in cam.requests[2:])
    assert not any("secret" in request for request in cam.requests)


def test_nonce_that_goes_stale_between_requests_is_replaced(camera: MakeCamera) -> None:
    cam = camera()
    for number, method in enumerate(("OPTIONS", "DESCRIBE", "SETUP", "PLAY")):
        cam.will_answer(method, UNAUTHORIZED, DIGEST.format(number) + ", stale=true")
    assert isinstance(cam.play(), Playing)
    assert len(cam.requests) == 8


def test_wrong_password_is_not_tried_a_third_time(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("DESCRIBE", UNAUTHORIZED, DIGEST.format(1))
    cam.will_answer("DESCRIBE", UNAUTHORIZED, DIGEST.format(2), times=5)
    failure(
        cam,
        FailureReason.UNAUTHORIZED,
        "refused the user or the password (401); check both in its URL",
    )
    assert cam.methods == ["OPTIONS", "DESCRIBE", "DESCRIBE"]


def test_camera_that_wants_a_password_says_so_when_there_is_none(camera: MakeCamera) -> None:
    cam = camera("rtsp://camera/live")
    cam.will_answer("DESCRIBE", UNAUTHORIZED, BASIC)
    failure(cam, FailureReason.UNAUTHORIZED, "wants a user and a password; put them into its URL")


def test_credentials_given_apart_win_over_those_in_the_url(camera: MakeCamera) -> None:
    cam = camera(credentials=Credentials(user="other", password="x"))
    cam.will_answer("DESCRIBE", UNAUTHORIZED, DIGEST.format(1))
    cam.play()
    assert 'username="other"' in cam.requests[2]


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_wrong_path_is_told_with_its_cure(camera: MakeCamera, status: str) -> None:
    cam = camera()
    cam.will_answer("DESCRIBE", status)
    failure(
        cam,
        FailureReason.NOT_FOUND,
        f"answered {status} to DESCRIBE; check the path of its URL",
    )


def test_other_refusals_are_told_as_they_came(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("PLAY", "453 Not Enough Bandwidth")
    failure(
        cam,
        FailureReason.REFUSED,
        "answered 453 Not Enough Bandwidth to PLAY; see what the camera's own log says",
    )


def test_refusal_without_a_reason_phrase_is_told_by_its_meaning(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("DESCRIBE", "503")
    failure(
        cam,
        FailureReason.REFUSED,
        "answered 503 Service Unavailable to DESCRIBE; see what the camera's own log says",
    )


def test_camera_without_a_recordable_medium_says_what_it_offers(camera: MakeCamera) -> None:
    cam = camera()
    sdp = "m=application 0 RTP/AVP 107\r\nm=video 0 RTP/SAVP 96\r\n"
    cam.will_answer("DESCRIBE", "200 OK", body=sdp)
    failure(
        cam,
        FailureReason.UNSUPPORTED,
        "offers no medium that can be recorded (it offers: 'application over RTP/AVP, "
        "video over RTP/SAVP'); check the path of its URL",
    )


def test_empty_description_is_told(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("DESCRIBE", "200 OK")
    failure(
        cam,
        FailureReason.UNSUPPORTED,
        "offers no medium that can be recorded (it offers: 'none'); check the path of its URL",
    )


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("461 Unsupported Transport", FailureReason.UNSUPPORTED),
        ("500 Internal Server Error", FailureReason.REFUSED),
    ],
)
def test_camera_that_refuses_all_media_fails(
    camera: MakeCamera, status: str, reason: FailureReason
) -> None:
    cam = camera()
    cam.will_answer("SETUP", status)
    failure(cam, reason, f"answered {status} to SETUP over TCP; check that it allows RTP over TCP")


def test_camera_that_answers_setup_with_udp_fails(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer(
        "SETUP",
        "200 OK",
        "Session: 1",
        "Transport: RTP/AVP;unicast;client_port=0-1;server_port=2-3",
    )
    failure(
        cam,
        FailureReason.UNSUPPORTED,
        "answered SETUP with UDP though TCP was asked for; allow RTP over TCP on it",
    )


def test_camera_that_hangs_up_fails_naming_what_it_left_unanswered() -> None:
    handshake = Handshake("rtsp://user:secret@camera/live", cnonce="c")
    handshake.start()
    handshake.receive_data(b"")
    assert handshake.next_event() == Failed(
        reason=FailureReason.PROTOCOL,
        text="camera rtsp://camera/live closed the connection instead of answering OPTIONS",
    )


def test_peer_that_is_no_camera_fails_quoting_what_it_said() -> None:
    handshake = Handshake("rtsp://camera/live", cnonce="c")
    handshake.start()
    handshake.receive_data(b"HTTP/1.1 400 Bad Request\r\n")
    assert handshake.next_event() == Failed(
        reason=FailureReason.PROTOCOL,
        text="camera rtsp://camera/live broke the protocol: the peer sent "
        "'HTTP/1.1 400 Bad Request', which is not RTSP; check host, port and that it is a camera",
    )


def test_endless_header_fails_naming_the_bound() -> None:
    handshake = Handshake("rtsp://camera/live", cnonce="c")
    handshake.start()
    handshake.receive_data(b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 4000)
    event = handshake.next_event()
    assert isinstance(event, Failed)
    assert "longer than 16384 bytes (max_head)" in event.text


def test_quirk_5_redirect_is_followed_with_the_credentials(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("DESCRIBE", "302 Moved", "Location: rtsp://camera:8554/other")
    event = cam.play()
    assert event == Redirected(address=("camera", 8554), tls=False, url="rtsp://camera:8554/other")
    cam.will_answer("OPTIONS", UNAUTHORIZED, BASIC)
    assert isinstance(cam.play(), Playing)
    assert "Authorization: Basic " in cam.requests[3]
    assert cam.handshake.quirks == {Quirk.REDIRECTED}


@pytest.mark.parametrize(
    ("first", "location"),
    [
        ("rtsp://user:secret@camera/live", "rtsp://elsewhere/live"),
        ("rtsps://user:secret@camera/live", "rtsp://camera/live"),
    ],
)
def test_quirk_5_password_itself_is_never_sent_elsewhere(
    camera: MakeCamera, first: str, location: str
) -> None:
    cam = camera(first)
    cam.will_answer("OPTIONS", "301 Moved", f"Location: {location}")
    assert isinstance(cam.play(), Redirected)
    cam.will_answer("DESCRIBE", UNAUTHORIZED, BASIC)
    failure(
        cam,
        FailureReason.UNAUTHORIZED,
        "refused the user or the password (401); check both in its URL",
    )
    assert not any("Authorization" in request for request in cam.requests)


def test_quirk_5_digest_is_answered_elsewhere(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("OPTIONS", "301 Moved", "Location: rtsp://elsewhere/live")
    assert isinstance(cam.play(), Redirected)
    cam.will_answer("DESCRIBE", UNAUTHORIZED, DIGEST.format(1))
    assert isinstance(cam.play(), Playing)


def test_redirects_in_a_circle_end(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("OPTIONS", "302 Found", "Location: /live", times=9)
    for _ in range(5):
        assert isinstance(cam.play(), Redirected)
    failure(cam, FailureReason.REDIRECT_LOOP, "redirected more than 5 times; give the final URL")


def test_redirect_to_nowhere_fails(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("OPTIONS", "302 Found", "Location: http://camera/")
    failure(
        cam,
        FailureReason.PROTOCOL,
        "redirected to 'http://camera/', which is no camera URL",
    )


def test_quirk_14_packets_before_play_was_asked_for_are_another_sessions(
    camera: MakeCamera,
) -> None:
    cam = camera()
    handshake = cam.handshake
    packet = frame(0, b"\x80\x60" + bytes(10))
    waiting = cam.answer(handshake.start())
    while True:
        ours = b"" if "PLAY" not in cam.methods else packet + frame(7, b"\x80")
        handshake.receive_data(packet * ("PLAY" not in cam.methods) + ours + waiting + packet)
        if isinstance(handshake.next_event(), Playing):
            break
        waiting = cam.answer(handshake.data_to_send())
    # before and after the answer to PLAY; not what came before it was asked for, nor channel 7
    assert handshake.rest() == packet * 3
    assert Quirk.DATA_BEFORE_PLAY in handshake.quirks


def test_machine_that_is_misused_says_so(camera: MakeCamera) -> None:
    cam = camera()
    with pytest.raises(LocalProtocolError, match="not under way"):
        cam.handshake.receive_data(b"x")
    with pytest.raises(LocalProtocolError, match="after Playing"):
        cam.handshake.rest()
    cam.play()
    with pytest.raises(LocalProtocolError, match="in state playing cannot take start"):
        cam.handshake.start()
    cam.handshake.rest()
    with pytest.raises(LocalProtocolError, match="once"):
        cam.handshake.rest()
    with pytest.raises(LocalProtocolError, match="not under way"):
        cam.handshake.receive_data(b"x")


def test_quirk_10_teardown_is_written_once_and_only_with_a_session(camera: MakeCamera) -> None:
    cam = camera()
    cam.play()
    farewell = cam.handshake.teardown()
    assert farewell.startswith(b"TEARDOWN rtsp://camera/live/ RTSP/1.0\r\n")
    assert b"Session: 5E55\r\n" in farewell
    assert cam.handshake.teardown() == b""
    assert cam.handshake.keep_alive(10**9) is None
    fresh = camera().handshake
    fresh.start()
    assert fresh.teardown() == b""


def test_no_repr_holds_a_password(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("DESCRIBE", UNAUTHORIZED, DIGEST.format(1))
    playing = cam.play()
    assert "secret" not in f"{cam.handshake!r}{cam.handshake.url}{playing!r}"
