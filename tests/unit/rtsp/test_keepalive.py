"""Keep-alives and what a camera says while it plays."""

from collections.abc import Callable

import pytest
from tests.unit.rtsp.conftest import Camera

from kilocam.rtsp import Handshake, Playing, Quirk

MakeCamera = Callable[..., Camera]
SECOND = 1_000_000


def playing(cam: Camera) -> Handshake:
    assert isinstance(cam.play(), Playing)
    return cam.handshake


def due(handshake: Handshake) -> bytes:
    """The keep-alive at its deadline."""
    deadline = handshake.next_deadline_us()
    assert deadline is not None
    assert handshake.keep_alive(deadline - 1) is None
    request = handshake.keep_alive(deadline)
    assert request is not None
    return request


def session(cam: Camera, text: str) -> Camera:
    cam.will_answer(
        "SETUP", "200 OK", f"Session: {text}", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
    )
    return cam


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1;timeout=60", 30),
        ("1;timeout=600", 30),
        ("1;timeout=20", 10),
        ("1;timeout=1", 1),
        ("1", 30),
    ],
)
def test_quirk_8_interval_is_half_of_the_timeout_and_at_most_30_s(
    camera: MakeCamera, text: str, seconds: int
) -> None:
    handshake = playing(session(camera(), text))
    assert handshake.next_deadline_us() is None
    assert handshake.keep_alive(5) is None
    assert handshake.next_deadline_us() == 5 + seconds * SECOND
    assert due(handshake)
    assert handshake.next_deadline_us() == 5 + 2 * seconds * SECOND


@pytest.mark.parametrize(
    ("public", "method"),
    [
        ("Public: OPTIONS, PLAY, GET_PARAMETER, SET_PARAMETER", "GET_PARAMETER"),
        ("Public: OPTIONS, PLAY, SET_PARAMETER", "OPTIONS"),
        ("Public: PLAY, SET_PARAMETER", "SET_PARAMETER"),
        ("Public: play, get_parameter", "GET_PARAMETER"),
        ("X-None: 1", "OPTIONS"),
    ],
)
def test_quirk_8_method_is_one_that_is_offered(
    camera: MakeCamera, public: str, method: str
) -> None:
    cam = camera()
    cam.will_answer("OPTIONS", "200 OK", public)
    handshake = playing(cam)
    handshake.keep_alive(0)
    request = due(handshake)
    # at the stream's base URL: at another there is no answer
    assert request.startswith(f"{method} rtsp://camera/live/ RTSP/1.0\r\n".encode())
    assert b"Session: 5E55\r\n" in request


def test_quirk_8_answers_are_never_awaited(camera: MakeCamera) -> None:
    handshake = playing(camera())
    handshake.keep_alive(0)
    for _ in range(50):
        assert due(handshake)
        handshake.check_invariants()


def test_quirk_8_refused_method_gives_way_to_options(camera: MakeCamera) -> None:
    cam = camera()
    handshake = playing(cam)
    handshake.keep_alive(0)
    cam.will_answer("GET_PARAMETER", "451 Parameter Not Understood")
    assert handshake.hear(cam.answer(due(handshake))) == b""
    assert due(handshake).startswith(b"OPTIONS ")
    assert Quirk.KEEP_ALIVE_REFUSED in handshake.quirks


def test_quirk_8_stale_nonce_is_replaced_at_once_but_only_once(camera: MakeCamera) -> None:
    cam = camera()
    cam.will_answer("DESCRIBE", "401 Unauthorized", 'WWW-Authenticate: Digest realm="r", nonce="1"')
    handshake = playing(cam)
    handshake.keep_alive(0)
    stale = 'WWW-Authenticate: Digest realm="r", nonce="{}", stale=true'
    cam.will_answer("GET_PARAMETER", "401 Unauthorized", stale.format(2))
    cam.will_answer("GET_PARAMETER", "401 Unauthorized", stale.format(3))
    again = handshake.hear(cam.answer(due(handshake)))
    assert b'nonce="2"' in again
    assert handshake.hear(cam.answer(again)) == b""
    assert b'nonce="3"' in due(handshake)
    assert Quirk.STALE_NONCE in handshake.quirks


def test_unauthorized_keep_alive_without_credentials_is_let_be(camera: MakeCamera) -> None:
    cam = camera("rtsp://camera/live")
    handshake = playing(cam)
    handshake.keep_alive(0)
    cam.will_answer("GET_PARAMETER", "401 Unauthorized", 'WWW-Authenticate: Basic realm="r"')
    assert handshake.hear(cam.answer(due(handshake))) == b""


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("GET_PARAMETER", 200), ("ANNOUNCE", 501)]
)
def test_quirk_9_camera_that_asks_is_answered(camera: MakeCamera, method: str, status: int) -> None:
    handshake = playing(camera())
    asked = f"{method} * RTSP/1.0\r\ncseq: 41\r\nSession: 5E55\r\n\r\n".encode()
    answer = handshake.hear(asked).decode()
    assert answer.startswith(f"RTSP/1.0 {status} ")
    assert "\r\nCSeq: 41\r\nSession: 5E55\r\n" in answer
    assert Quirk.CALLS_CLIENT in handshake.quirks


@pytest.mark.parametrize(
    "message",
    [b"", b"\xff\xfe", b"RTSP/1.0 200 OK\r\nCSeq: 999\r\n\r\n", b"RTSP/1.0 100 Continue\r\n\r\n"],
)
def test_messages_without_meaning_are_let_be(camera: MakeCamera, message: bytes) -> None:
    assert playing(camera()).hear(message) == b""


def test_nothing_is_due_before_it_plays(camera: MakeCamera) -> None:
    handshake = camera().handshake
    assert handshake.keep_alive(0) is None
    assert handshake.next_deadline_us() is None
    assert handshake.hear(b"OPTIONS * RTSP/1.0\r\n\r\n") == b""
