import json
from pathlib import Path

import pytest

from kilocam.core import CameraKey
from kilocam.ranges import LocalProtocolError, RemoteProtocolError
from kilocam.ranges.wire import (
    answer_from_json,
    answer_to_json,
    checked,
    decode_line,
    encode_line,
    key_of,
    status_from_json,
    status_to_json,
    time_of,
)
from kilocam.record import DiskStatus, Entry, LiveAnswer, LiveFile, LogStatus

ANSWER = LiveAnswer(
    files=(
        LiveFile(
            path=Path("/data/x.kcw.open"),
            epoch=7,
            entries=(Entry(1, 2, 3, 4, 5, 6, 7, 8, 1), Entry(9, 8, 7, 6, 5, 4, 3, 2, 2)),
        ),
        LiveFile(path=Path("/data/y.kcw.open"), epoch=7, entries=()),
    )
)
STATUS = LogStatus(
    recorder="r0",
    epoch=7,
    cameras=2,
    accepted=9,
    durable=8,
    disks=(DiskStatus(path="/data", error="", ring_bytes=0, dropped=0, stored_bytes=5),),
)


def test_answers_come_back_over_the_line() -> None:
    assert answer_from_json(decode_line(encode_line(answer_to_json(ANSWER)))) == ANSWER
    assert status_from_json(decode_line(encode_line(status_to_json(STATUS)))) == STATUS


@pytest.mark.parametrize("line", [b"", b"GET / HTTP/1.1\r\n", b"[]\n", b"\xff\n", b"3\n"])
def test_a_line_that_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_line(line)


@pytest.mark.parametrize("answer", [{}, {"files": 3}, {"files": [{}]}, {"files": [{"path": 1}]}])
def test_answers_that_are_none_are_refused(answer: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError):
        answer_from_json(answer)
    with pytest.raises(RemoteProtocolError):
        status_from_json(answer)


def test_a_request_names_a_camera_and_times() -> None:
    request = json.loads('{"tenant": "t", "camera": "c", "from_us": 5, "to_us": "6"}')
    assert key_of(request) == CameraKey("t", "c")
    assert time_of(request, "from_us") == 5
    with pytest.raises(LocalProtocolError, match="to_us is '6'; give microseconds"):
        time_of(request, "to_us")
    with pytest.raises(LocalProtocolError, match=r"camera id '\.\./c' is not valid"):
        key_of({"tenant": "t", "camera": "../c"})


def test_a_refusal_says_why() -> None:
    assert checked({"ok": True, "x": 1})["x"] == 1
    with pytest.raises(LocalProtocolError, match="the recorder refused: busy"):
        checked({"ok": False, "error": "busy"})
