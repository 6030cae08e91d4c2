"""Camera URLs, with the passwords and base URLs that people and cameras write."""

import pytest

from kilocam.rtsp import Credentials, LocalProtocolError, parse_url
from kilocam.rtsp.url import absolute, join_control, repair_base, same_peer


def test_url_comes_apart() -> None:
    url = parse_url("rtsp://user:secret@cam.local:8554/live/ch1?x=1")
    assert (url.host, url.port, url.path) == ("cam.local", 8554, "/live/ch1?x=1")
    assert url.credentials == Credentials(user="user", password="secret")
    assert url.wire == "rtsp://cam.local:8554/live/ch1?x=1"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("p%40ss", "p@ss"),
        ("100%", "100%"),
        ("a%zz", "a%zz"),
        ("p@ss", "p@ss"),
        ("a:b:c", "a:b:c"),
        ("sl/ash", "sl/ash"),
        ("qu?estion", "qu?estion"),
        ("ha#sh", "ha#sh"),
        ("%", "%"),
        ("", ""),
    ],
)
def test_quirk_12_password_is_taken_as_it_is_meant(written: str, meant: str) -> None:
    url = parse_url(f"rtsp://user:{written}@host/path")
    assert url.credentials == Credentials(user="user", password=meant)
    assert url.wire == "rtsp://host/path"


def test_at_sign_in_the_path_is_not_the_end_of_a_password() -> None:
    url = parse_url("rtsp://host/live?mail=a@b")
    assert url.credentials is None
    assert (url.host, url.path) == ("host", "/live?mail=a@b")


def test_ports_and_encryption_follow_the_scheme() -> None:
    assert parse_url("rtsp://h").port == 554
    assert parse_url("RTSPS://h/x").port == 322
    assert parse_url("rtsps://h/x").tls
    assert parse_url("rtsp://[fe80::1]:8554/x").wire == "rtsp://[fe80::1]:8554/x"


@pytest.mark.parametrize(
    "text",
    [
        "http://user:secret@host/",
        "rtsp://",
        "rtsp://user:secret@/x",
        "rtsp://user:secret@host:port/x",
        "rtsp://user:secret@host:0/x",
        "rtsp://user:secret@host:99999/x",
        "rtsp://user:secret@host/a\r\nEvil: b",
        "user:secret@host",
    ],
)
def test_what_is_no_camera_url_is_refused_without_showing_its_password(text: str) -> None:
    with pytest.raises(
        LocalProtocolError, match=r"write it as rtsp://user:password@host"
    ) as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://user:secret@host/x",
        "rtsp://host/cam?user=admin&password=secret&channel=1",
        "rtsp://host/user=admin_password=secret_channel=1_stream=0.sdp",
        "rtsp://host/x?token=secret",
    ],
)
def test_no_form_that_is_shown_holds_a_password(text: str) -> None:
    url = parse_url(text)
    assert "secret" not in str(url)
    assert "secret" not in repr(url)
    assert "channel=1" not in text or "channel=1" in str(url)


@pytest.mark.parametrize(
    ("base", "control", "joined"),
    [
        ("rtsp://h/a/", "track1", "rtsp://h/a/track1"),
        ("rtsp://h/a", "track1", "rtsp://h/a/track1"),
        ("rtsp://h/a/", "/track1", "rtsp://h/a/track1"),
        ("rtsp://h/a?x=1", "track1", "rtsp://h/a?x=1/track1"),
        ("rtsp://h/a", "?ctype=video", "rtsp://h/a?ctype=video"),
        ("rtsp://h/a", "rtsps://other/b", "rtsps://other/b"),
        ("rtsp://h/a", "*", "rtsp://h/a"),
        ("rtsp://h/a", "", "rtsp://h/a"),
        ("rtsp://h/a", "track 1", "rtsp://h/a/track%201"),
    ],
)
def test_quirk_6_control_is_joined_by_concatenation(base: str, control: str, joined: str) -> None:
    assert join_control(base, control) == joined


@pytest.mark.parametrize(
    ("given", "base", "repaired"),
    [
        ("rtsp://192.168.1.10:554/stream0/", "rtsp://192.168.1.10/stream0/", False),
        ("192.168.1.10:554/stream0/", "rtsp://192.168.1.10/stream0/", True),
        ("rtsp://rtsp://192.168.1.10/stream0/", "rtsp://192.168.1.10/stream0/", True),
        ("rtsp://::ffff:10.0.0.9:554/stream0/", "rtsp://cam:8554/live", True),
        ("/stream0/", "rtsp://cam:8554/stream0/", True),
        ("rtsp://admin:x@192.168.1.10/stream0/", "rtsp://192.168.1.10/stream0/", True),
        ("nonsense here", "rtsp://cam:8554/live", True),
        ("", "rtsp://cam:8554/live", False),
        (None, "rtsp://cam:8554/live", False),
    ],
)
def test_quirk_6_content_base_is_repaired(given: str | None, base: str, repaired: bool) -> None:
    asked = parse_url("rtsp://user:secret@cam:8554/live")
    assert repair_base(given, asked) == (base, repaired)


def test_quirk_5_location_may_be_a_path() -> None:
    asked = parse_url("rtsp://cam:8554/live")
    assert absolute("/other", asked).wire == "rtsp://cam:8554/other"
    assert absolute("rtsp://cam2/other", asked).wire == "rtsp://cam2/other"


def test_peer_is_the_same_only_with_the_same_host_and_no_less_encryption() -> None:
    plain, tls = parse_url("rtsp://cam/a"), parse_url("rtsps://cam/a")
    assert same_peer(plain, parse_url("rtsp://CAM:8554/b"))
    assert same_peer(plain, tls)
    assert not same_peer(tls, plain)
    assert not same_peer(plain, parse_url("rtsp://cam2/a"))
