"""Our server, asked by a client that a test writes by hand."""

import re

import pytest

from kilocam.rtsp import (
    NEED_DATA,
    Credentials,
    Description,
    Limits,
    LocalProtocolError,
    PlayRequested,
    RemoteProtocolError,
    RtpInfo,
    RtspServer,
    SdpMedia,
    ServedTrack,
    ServerQuirk,
    TornDown,
    build_sdp,
    frame,
    parse_sdp,
)
from kilocam.rtsp.auth import Authenticator
from kilocam.rtsp.messages import Response, parse_message

URL = "rtsp://h:8554/cam/0"
FMTP = "packetization-mode=1;sprop-parameter-sets=Z0LAHg==,aM48gA==;profile-level-id=42c01e"
VIDEO = SdpMedia(
    media="video", payload_type=96, codec="h264", clock_rate=90_000, fmtp=FMTP, control="track0"
)
AUDIO = SdpMedia(media="audio", payload_type=8, codec="pcma", clock_rate=8000, control="track1")
TWO = Description(sdp=build_sdp([VIDEO, AUDIO]), controls=("track0", "track1"))
ONE = Description(sdp=build_sdp([VIDEO]), controls=("track0",))
TCP = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
LOGIN = Credentials(user="user", password="secret")


class Client:
    """Writes requests and reads answers."""

    def __init__(self, *quirks: ServerQuirk, locked: bool = False, digest: bool = True) -> None:
        self.server = RtspServer(
            {"/cam/0": TWO, "/cam/1": ONE}.get,
            session_id="5E55",
            nonce="n",
            credentials=LOGIN if locked else None,
            digest=digest,
            quirks=frozenset(quirks),
        )
        self.cseq = 0
        self.events: list[PlayRequested | TornDown] = []

    def write(self, method: str, url: str = URL, *fields: str, body: str = "") -> str:
        """Send a request; what the server wrote."""
        self.cseq += 1
        head = [f"{method} {url} RTSP/1.0", f"CSeq: {self.cseq}", *fields]
        if body:
            head.append(f"Content-Length: {len(body)}")
        self.server.receive_data(("\r\n".join((*head, "", "")) + body).encode())
        event = self.server.next_event()
        self.server.check_invariants()
        if event is not NEED_DATA:
            self.events.append(event)
        return self.server.data_to_send().decode()

    def ask(self, method: str, url: str = URL, *fields: str, body: str = "") -> Response:
        """Send a request; the answer."""
        answer = parse_message(self.write(method, url, *fields, body=body).encode())
        assert isinstance(answer, Response)
        return answer

    def setup(self, track: str = "track0", transport: str = TCP) -> Response:
        return self.ask("SETUP", f"{URL}/{track}", transport)

    def play(self) -> str:
        assert self.write("PLAY", f"{URL}/", "Session: 5E55") == ""
        self.server.play([RtpInfo(index=0, seq=7, rtptime=9)])
        self.server.check_invariants()
        return self.server.data_to_send().decode()


def test_whole_dialogue_goes_from_options_to_teardown() -> None:
    client = Client()
    assert "GET_PARAMETER" in (client.ask("OPTIONS").headers.get("Public") or "")
    described = client.ask("DESCRIBE", URL, "Accept: application/sdp")
    assert described.body == TWO.sdp
    assert described.headers.get("Content-Base") == f"{URL}/"
    assert described.headers.get("Content-Type") == "application/sdp"
    assert client.setup().headers.get("Session") == "5E55;timeout=60"
    second = client.setup("track1", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3")
    assert second.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=2-3"
    answer = client.play()
    assert client.events == [
        PlayRequested(
            path="/cam/0",
            tracks=(
                ServedTrack(index=0, rtp_channel=0, rtcp_channel=1),
                ServedTrack(index=1, rtp_channel=2, rtcp_channel=3),
            ),
        )
    ]
    assert f"RTP-Info: url={URL}/track0;seq=7;rtptime=9\r\n" in answer
    assert client.ask("GET_PARAMETER", URL, "Session: 5E55").status == 200
    assert client.ask("TEARDOWN", URL, "Session: 5E55").status == 200
    assert client.events[1:] == [TornDown(path="/cam/0")]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("rtsp://h/nothing", 404),
        ("rtsp://h", 404),
        ("*", 404),
        (f"{URL}/", 200),
        (f"{URL}?x=1", 200),
    ],
)
def test_path_is_resolved_without_slash_and_query(url: str, status: int) -> None:
    assert Client().ask("DESCRIBE", url).status == status


@pytest.mark.parametrize(
    "url", [f"{URL}/track1", f"{URL}?x=1/track1", f"{URL}/?x=1/track1", f"{URL}/track1/"]
)
def test_medium_is_found_however_the_control_was_joined(url: str) -> None:
    client = Client()
    assert client.ask("SETUP", url, TCP).status == 200
    client.play()
    (event,) = client.events
    assert isinstance(event, PlayRequested)
    assert event.tracks[0].index == 1


def test_single_medium_may_be_set_up_by_the_path_alone() -> None:
    assert Client().ask("SETUP", "rtsp://h/cam/1", TCP).status == 200
    assert Client().ask("SETUP", URL, TCP).status == 404
    assert Client().ask("SETUP", f"{URL}/track7", TCP).status == 404


def test_media_of_two_paths_make_no_session() -> None:
    client = Client()
    client.setup()
    assert client.ask("SETUP", "rtsp://h/cam/1/track0", TCP).status == 459


@pytest.mark.parametrize(
    "transport",
    ["Transport: RTP/AVP;unicast;client_port=5000-5001", "Transport: RTP/AVP/UDP", "X: y"],
)
def test_transport_other_than_tcp_is_answered_with_461(transport: str) -> None:
    assert Client().setup(transport=transport).status == 461


def test_tcp_is_taken_from_among_several_transports() -> None:
    transport = "Transport: RTP/AVP;unicast;client_port=1-2,RTP/AVP/TCP;unicast;interleaved=4-5"
    answer = Client().setup(transport=transport)
    assert answer.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=4-5"


def test_channels_that_are_taken_or_not_named_are_chosen_by_the_server() -> None:
    client = Client()
    client.setup()
    answer = client.setup("track1")
    assert answer.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=2-3"
    again = client.setup("track1", "Transport: RTP/AVP/TCP;unicast")
    assert again.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=2-3"


@pytest.mark.parametrize(
    ("method", "fields", "body", "status"),
    [
        ("PLAY", (), "", 455),
        ("TEARDOWN", (), "", 455),
        ("PAUSE", (), "", 455),
        ("RECORD", (), "", 501),
        ("ANNOUNCE", (), "v=0", 501),
        ("DESCRIBE", ("Require: www.onvif.org/ver20/backchannel",), "", 551),
        ("DESCRIBE", ("Accept: text/html",), "", 406),
        ("DESCRIBE", ("Accept: */*",), "", 200),
        ("GET_PARAMETER", ("Session: 999",), "", 454),
        ("GET_PARAMETER", (), "", 200),
        ("SET_PARAMETER", (), "", 200),
        ("SET_PARAMETER", (), "volume: 11\r\n", 451),
    ],
)
def test_request_gets_the_status_that_rfc_2326_has_for_it(
    method: str, fields: tuple[str, ...], body: str, status: int
) -> None:
    assert Client().ask(method, URL, *fields, body=body).status == status


def test_pause_is_not_implemented_and_play_twice_changes_nothing() -> None:
    client = Client()
    client.setup()
    client.play()
    assert client.ask("PAUSE", URL, "Session: 5E55").status == 501
    assert client.ask("PLAY", URL, "Session: 5E55").status == 200
    assert client.ask("SETUP", f"{URL}/track1", TCP, "Session: 5E55").status == 455
    assert len(client.events) == 1


def test_version_2_is_refused_and_missing_cseq_is_a_bad_request() -> None:
    server = Client().server
    server.receive_data(b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\nOPTIONS * RTSP/1.0\r\n\r\n")
    assert server.next_event() is NEED_DATA
    answers = server.data_to_send().decode()
    assert re.findall(r"RTSP/1.0 (\d+)", answers) == ["505", "400"]


def test_play_may_be_refused() -> None:
    client = Client()
    client.setup()
    client.write("PLAY")
    client.server.refuse(503)
    assert client.server.data_to_send().startswith(b"RTSP/1.0 503 Service Unavailable\r\n")
    client.server.check_invariants()
    assert "200 OK" in client.play()


def test_requests_behind_a_play_wait_for_its_answer() -> None:
    client = Client()
    client.setup()
    assert client.write("PLAY") == ""
    assert client.write("OPTIONS") == ""
    client.server.play()
    assert client.server.next_event() is NEED_DATA
    answers = client.server.data_to_send().decode()
    assert re.findall(r"CSeq: (\d+)", answers) == ["2", "3"]


def test_answering_without_a_request_is_a_misuse() -> None:
    with pytest.raises(LocalProtocolError, match="no PlayRequested"):
        Client().server.play()
    with pytest.raises(LocalProtocolError, match="no PlayRequested"):
        Client().server.refuse(404)


def test_receiver_reports_of_the_client_are_dropped() -> None:
    client = Client()
    client.setup()
    client.play()
    client.server.receive_data(frame(1, b"\x80\xc9\x00\x01abcd"))
    assert client.ask("OPTIONS").status == 200


def test_client_that_reads_no_answers_is_cut_off_by_the_name_of_the_bound() -> None:
    server = RtspServer(lambda _: None, session_id="s", nonce="n", limits=Limits(max_unread=1000))
    ask = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    server.receive_data(ask * 100)
    assert server.next_event() is NEED_DATA
    with pytest.raises(RemoteProtocolError, match=r"1000 bytes of answers unread \(max_unread\)"):
        server.receive_data(ask)


def test_client_that_speaks_no_rtsp_gets_400_and_an_error() -> None:
    server = Client().server
    server.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match="which is not RTSP"):
        server.next_event()
    assert server.data_to_send() == b"RTSP/1.0 400 Bad Request\r\n\r\n"


@pytest.mark.parametrize("digest", [True, False])
def test_locked_server_serves_options_to_all_and_the_rest_to_who_knows(digest: bool) -> None:
    client = Client(locked=True, digest=digest)
    assert client.ask("OPTIONS").status == 200
    refused = client.ask("DESCRIBE")
    assert refused.status == 401
    for password, status in (("wrong", 401), ("secret", 200)):
        signer = Authenticator(Credentials(user="user", password=password), cnonce="c")
        signer.challenged(refused.headers.get_all("WWW-Authenticate"))
        field = f"Authorization: {signer.header('DESCRIBE', URL)}"
        assert client.ask("DESCRIBE", URL, field).status == status


def test_quirk_8_short_nonce_goes_stale_after_four_requests() -> None:
    client = Client(ServerQuirk.SHORT_NONCE, locked=True)
    signer = Authenticator(LOGIN, cnonce="c")
    signer.challenged(client.ask("DESCRIBE").headers.get_all("WWW-Authenticate"))
    seen = [
        client.ask("DESCRIBE", URL, f"Authorization: {signer.header('DESCRIBE', URL)}")
        for _ in range(5)
    ]
    assert [answer.status for answer in seen] == [200, 200, 200, 200, 401]
    assert "stale=true" in (seen[-1].headers.get("WWW-Authenticate") or "")


def test_quirk_1_several_challenges_come_in_one_answer() -> None:
    answer = Client(ServerQuirk.SEVERAL_CHALLENGES, locked=True).ask("DESCRIBE")
    schemes = [text.split()[0] for text in answer.headers.get_all("WWW-Authenticate")]
    assert schemes == ["Basic", "Digest", "Digest"]


@pytest.mark.parametrize(
    ("quirk", "method", "shown"),
    [
        (ServerQuirk.NO_OPTIONS, "OPTIONS", "RTSP/1.0 404 Not Found\r\n"),
        (ServerQuirk.LF_ONLY, "OPTIONS", "RTSP/1.0 200 OK\nCSeq: 1\n"),
        (ServerQuirk.LOWER_CASE_CSEQ, "OPTIONS", "\r\ncseq: 1 \r\n"),
        (ServerQuirk.EMPTY_REASON, "OPTIONS", "RTSP/1.0 200\r\n"),
        (ServerQuirk.DOUBLED_SCHEME, "DESCRIBE", "Content-Base: rtsp://rtsp://h:8554/cam/0/\r\n"),
        (ServerQuirk.MISSING_SCHEME, "DESCRIBE", "Content-Base: h:8554/cam/0/\r\n"),
        (ServerQuirk.FMTP_SEMICOLON, "DESCRIBE", ";profile-level-id=42c01e;\r\n"),
        (ServerQuirk.OTHER_CHANNELS, "SETUP", "interleaved=4-5\r\n"),
        (ServerQuirk.SINGLE_CHANNEL, "SETUP", "interleaved=0\r\n"),
        (ServerQuirk.PLAIN_PROFILE, "SETUP", "Transport: RTP/AVP;ssrc= 0A1B2C;unicast;"),
        (ServerQuirk.NO_SESSION_TIMEOUT, "SETUP", "Session: 5E55\r\n"),
        (ServerQuirk.CHANGING_SESSION, "SETUP", "Session: 5E551;timeout=60\r\n"),
    ],
)
def test_quirk_is_shown_as_named(quirk: ServerQuirk, method: str, shown: str) -> None:
    url = f"{URL}/track0" if method == "SETUP" else URL
    fields = (TCP,) if method == "SETUP" else ()
    assert shown in Client(quirk).write(method, url, *fields)
    assert shown not in Client().write(method, url, *fields)


@pytest.mark.parametrize(
    ("quirk", "absent"),
    [
        (ServerQuirk.NO_CONTENT_BASE, "Content-Base"),
        (ServerQuirk.NO_CONTENT_TYPE, "Content-Type"),
        (ServerQuirk.NO_PARAMETER_SETS, "sprop"),
    ],
)
def test_quirk_leaves_out_what_its_name_says(quirk: ServerQuirk, absent: str) -> None:
    assert absent not in Client(quirk).write("DESCRIBE")
    assert absent in Client().write("DESCRIBE")


def test_quirk_26_description_without_parameter_sets_keeps_the_rest() -> None:
    body = Client(ServerQuirk.NO_PARAMETER_SETS).ask("DESCRIBE").body
    assert parse_sdp(body).media[0].fmtp == "packetization-mode=1;profile-level-id=42c01e"


@pytest.mark.parametrize(
    ("quirk", "shown"),
    [
        (ServerQuirk.WRONG_RTP_INFO, "seq=0;rtptime=0;\r\n"),
        (ServerQuirk.CALLS_CLIENT, "\r\n\r\nOPTIONS rtsp://h:8554/cam/0 RTSP/1.0\r\nCSeq: 1\r\n"),
    ],
)
def test_quirk_is_shown_in_the_answer_to_play(quirk: ServerQuirk, shown: str) -> None:
    client = Client(quirk)
    client.setup()
    assert shown in client.play()


def test_quirk_20_answer_to_play_has_no_rtp_info() -> None:
    client = Client(ServerQuirk.NO_RTP_INFO)
    client.setup()
    assert "RTP-Info" not in client.play()


def test_quirk_8_silent_camera_answers_no_keep_alive_but_teardown() -> None:
    client = Client(ServerQuirk.SILENT_KEEP_ALIVE)
    assert client.ask("OPTIONS").status == 200
    client.setup()
    client.play()
    for method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER"):
        assert client.write(method) == ""
    assert client.ask("TEARDOWN").status == 200
