"""Transport and Session headers as cameras write them."""

import pytest

from kilocam.rtsp import Quirk
from kilocam.rtsp.transport import parse_session, read_transport


@pytest.mark.parametrize(
    ("text", "channels", "quirks"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=2-3", (2, 3), set()),
        ("RTP/AVP/TCP;interleaved=6-7;unicast", (6, 7), {Quirk.OTHER_CHANNELS}),
        ("RTP/AVP/TCP;unicast;interleaved=2", (2, 3), {Quirk.SINGLE_CHANNEL}),
        ("RTP/AVP/TCP;unicast;interleaved=2-2", (2, 3), {Quirk.OTHER_CHANNELS}),
        ("RTP/AVP;unicast;interleaved=2-3", (2, 3), {Quirk.PLAIN_PROFILE}),
        ("RTP/AVP/TCP;ssrc= 4A7BE5;unicast; interleaved = 2 - 3 ;mode=play", (2, 3), set()),
        ("RTP/AVP/TCP;unicast", (2, 3), {Quirk.NO_CHANNELS}),
        ("RTP/AVP/TCP;unicast;interleaved=300-301", (2, 3), {Quirk.NO_CHANNELS}),
        ("", (2, 3), {Quirk.NO_CHANNELS}),
        (
            "RTP/AVP/TCP;unicast;interleaved=255",
            (255, 254),
            {
                Quirk.SINGLE_CHANNEL,
                Quirk.OTHER_CHANNELS,
            },
        ),
    ],
)
def test_quirk_13_channels_are_those_of_the_answer(
    text: str, channels: tuple[int, int], quirks: set[Quirk]
) -> None:
    answer = read_transport(text, 2)
    assert answer is not None
    assert (answer.rtp_channel, answer.rtcp_channel) == channels
    assert answer.quirks == quirks


@pytest.mark.parametrize(
    "text",
    ["RTP/AVP;unicast;client_port=5000-5001", "RTP/AVP/UDP;unicast", "RTP/AVP;multicast;ttl=1"],
)
def test_answer_with_udp_is_none_of_ours(text: str) -> None:
    assert read_transport(text, 0) is None


@pytest.mark.parametrize(
    ("text", "session", "timeout_s"),
    [
        ("12345678", "12345678", None),
        ("12345678;timeout=60", "12345678", 60),
        (" ab-C$1 ; Timeout = 30 ", "ab-C$1", 30),
        ("1;timeout=0", "1", None),
        ("1;timeout=soon", "1", None),
        (None, None, None),
        (";timeout=9", None, 9),
    ],
)
def test_session_is_an_id_and_maybe_a_timeout(
    text: str | None, session: str | None, timeout_s: int | None
) -> None:
    assert parse_session(text) == (session, timeout_s)
