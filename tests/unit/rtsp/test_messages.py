"""RTSP messages as cameras write them."""

import pytest

from kilocam.rtsp import NEED_DATA, LocalProtocolError, RemoteProtocolError
from kilocam.rtsp.messages import (
    Headers,
    Limits,
    MessageReader,
    RawFrame,
    Request,
    Response,
    encode,
    parse_message,
)


def read(data: bytes, limits: Limits = Limits()) -> object:  # noqa: B008 - a frozen value
    reader = MessageReader(limits)
    reader.receive_data(data)
    return reader.next_message()


def response(data: bytes) -> Response:
    message = read(data)
    assert isinstance(message, Response)
    return message


def test_request_is_written_as_rfc_2326_asks() -> None:
    headers = Headers((("CSeq", "1"), ("Accept", "application/sdp")))
    wire = encode(Request(method="DESCRIBE", url="rtsp://h/a", headers=headers))
    assert wire == b"DESCRIBE rtsp://h/a RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"


def test_body_brings_its_length_along() -> None:
    wire = encode(Response(status=200, reason="OK", body=b"v=0\r\n"))
    assert wire == b"RTSP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nv=0\r\n"


def test_line_breaks_in_a_header_are_refused() -> None:
    headers = Headers((("Session", "a\r\nEvil: b"),))
    with pytest.raises(LocalProtocolError, match=r"header 'Session' holds a control character"):
        encode(Request(method="PLAY", url="rtsp://h/a", headers=headers))


def test_quirk_3_header_names_have_odd_case_and_values_odd_spaces() -> None:
    message = response(b"RTSP/1.0 200 OK\r\ncseq:  7 \r\nSESSION :abc\r\n\r\n")
    assert message.headers.cseq == 7
    assert message.headers.get("Session") == "abc"
    assert "case" in message.odd


@pytest.mark.parametrize("line", [b"RTSP/1.0 200", b"RTSP/1.0 200 ", b"RTSP/1.0  200  "])
def test_quirk_3_reason_phrase_is_missing(line: bytes) -> None:
    message = response(line + b"\r\nCSeq: 1\r\n\r\n")
    assert (message.status, message.reason) == (200, "")
    assert message.odd == {"reason"}


def test_quirk_24_lines_end_with_lf_only() -> None:
    message = response(b"RTSP/1.0 200 OK\nCSeq: 1\nContent-Length: 3\n\nv=0")
    assert message.body == b"v=0"
    assert message.odd == {"lf"}


def test_quirk_15_blank_lines_before_a_message_are_passed_over() -> None:
    assert response(b"\r\n\r\nRTSP/1.0 200 OK\r\n\r\n").status == 200


def test_quirk_14_interleaved_frame_stands_before_a_message() -> None:
    reader = MessageReader(Limits())
    reader.receive_data(b"$\x01\x00\x02abRTSP/1.0 200 OK\r\n\r\n")
    assert reader.next_message() == RawFrame(b"$\x01\x00\x02ab")
    assert isinstance(reader.next_message(), Response)


def test_folded_header_lines_are_joined() -> None:
    assert response(b"RTSP/1.0 200 OK\r\nPublic: PLAY,\r\n SETUP\r\n\r\n").headers.get(
        "Public"
    ) == ("PLAY, SETUP")


def test_control_characters_in_a_header_become_spaces() -> None:
    assert response(b"RTSP/1.0 200 OK\r\nSession: a\x00b\rc\r\n\r\n").headers.get("Session") == (
        "a b c"
    )


def test_unfinished_head_and_body_wait_for_more() -> None:
    assert read(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n") is NEED_DATA
    assert read(b"RTSP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nabc") is NEED_DATA


def test_endless_header_is_refused_by_the_name_of_the_bound() -> None:
    endless = b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 5000
    with pytest.raises(RemoteProtocolError, match=r"longer than 16384 bytes \(max_head\)"):
        read(endless)


def test_endless_first_line_is_refused_by_the_name_of_the_bound() -> None:
    with pytest.raises(RemoteProtocolError, match=r"max_head"):
        read(b"RTSP" * 5000)


@pytest.mark.parametrize("length", [b"262145", b"9" * 40])
def test_body_beyond_the_bound_is_refused_before_it_comes(length: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"is 262144 \(max_body\)"):
        read(b"RTSP/1.0 200 OK\r\nContent-Length: " + length + b"\r\n\r\n")


@pytest.mark.parametrize("length", [b"-1", b"abc", b"1e3", "٣".encode()])
def test_content_length_that_is_no_number_is_refused(length: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="is not a number"):
        read(b"RTSP/1.0 200 OK\r\nContent-Length: " + length + b"\r\n\r\n")


def test_web_server_is_told_apart_by_its_first_line() -> None:
    with pytest.raises(RemoteProtocolError, match=r"'HTTP/1.1 400 Bad Request', which is not RTSP"):
        read(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n")


def test_binary_garbage_is_refused_at_its_first_byte() -> None:
    with pytest.raises(RemoteProtocolError, match="where an RTSP message should begin"):
        read(b"\x16\x03\x01")


def test_message_cut_out_of_a_stream_is_parsed_whole() -> None:
    message = parse_message(b"OPTIONS * RTSP/1.0\r\nCSeq: 3\r\n\r\n")
    assert isinstance(message, Request)
    assert (message.method, message.url, message.headers.cseq) == ("OPTIONS", "*", 3)
    with pytest.raises(RemoteProtocolError, match="no whole RTSP message"):
        parse_message(b"OPTIONS * RTSP/1.0\r\n")
