"""Addresses of cameras."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kilocam.fleet import Invalid
from kilocam.fleet.addresses import check_address, display_address

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://cam/", "rtsp://cam/"),
        ("rtsp://u:hunter2@cam:554/a?b=c#d", "rtsp://cam:554/a?b=c#d"),
        ("rtsp://u:hun@ter2@cam/", "rtsp://cam/"),
        ("rtsp://[::1]:554/x", "rtsp://[::1]:554/x"),
        ("rtsp://cam/live?user=me&password=hunter2&channel=1",
         "rtsp://cam/live?user=***&password=***&channel=1"),
        ("rtsp://cam/user=me_password=hunter2_channel=1_stream=0.sdp?real",
         "rtsp://cam/user=***_password=***_channel=1_stream=0.sdp?real"),
        ("rtsp://cam/live?PWD=hunter2", "rtsp://cam/live?PWD=***"),
        ("rtsp://cam/live?token=hunter2/x", "rtsp://cam/live?token=***/x"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert check_address("gate", url) == url
    assert display_address(url) == shown


@settings(max_examples=200)
@given(
    user=st.text(st.characters(categories=("L", "N", "P", "S"))),
    before=st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="@")),
)
@example(user="", before="")
def test_no_login_is_ever_shown(user: str, before: str) -> None:
    url = f"rtsp://{user}:{before}{SECRET}@cam/main"
    assert SECRET not in display_address(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://u:hunter2@cam/", "address 'http://cam/' is not rtsp://"),
        ("rtsps://cam/", "address 'rtsps://cam/' is not rtsp://"),
        ("cam/live", "address 'cam/live' is not rtsp://"),
        ("u:hunter2@cam/live", "address '***' is not rtsp://"),
        ("rtsp:///live", "address 'rtsp:///live' names no host"),
        ("rtsp://cam:99999/", "address 'rtsp://cam:99999/' has a host or port that is not valid"),
        ("rtsp://[::1/", "address 'rtsp://[::1/' has a host or port that is not valid"),
        ("rtsp://u:hun/ter2@cam/", "address 'rtsp://cam/' has a host or port that is not valid"),
        ("rtsp://cam/a b", "address 'rtsp://cam/a b' holds a space or a control character"),
        ("rtsp://cam/\r\nX: y", "holds a space or a control character"),
        ("rtsp://cam/" + "a" * 2000, "is longer than 2000 characters"),
    ],
)
def test_what_is_no_address_is_told_in_one_line(url: str, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_address("gate", url)
    line = str(caught.value)
    assert problem in line
    assert SECRET not in line
    assert "\n" not in line
    assert line.endswith("write it as rtsp://user:password@host:554/path")
