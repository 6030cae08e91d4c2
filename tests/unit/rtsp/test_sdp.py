"""Session descriptions as cameras write them."""

import pytest

from kilocam.rtsp import SdpMedia, build_sdp, parse_sdp
from kilocam.rtsp.sdp import recordable

BOTH = frozenset({"video", "audio"})
GOOD = b"""v=0
o=- 1 1 IN IP4 10.0.0.2
s=Media
t=0 0
a=control:*
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LAHg==,aM48gA==
a=control:trackID=1
m=audio 0 RTP/AVP 97
a=rtpmap:97 MPEG4-GENERIC/48000/2
a=fmtp:97 streamtype=5; mode=AAC-hbr; config=1190
a=control:trackID=2
""".replace(b"\n", b"\r\n")


def one(text: bytes) -> SdpMedia:
    (medium,) = parse_sdp(text).media
    return medium


def test_media_are_listed_with_codec_clock_and_parameters() -> None:
    sdp = parse_sdp(GOOD)
    video, audio = sdp.media
    assert (video.codec, video.payload_type, video.clock_rate) == ("h264", 96, 90_000)
    assert video.control == "trackID=1"
    assert video.fmtp.startswith("packetization-mode=1")
    assert (audio.codec, audio.clock_rate, audio.channels) == ("mpeg4-generic", 48_000, 2)
    assert (sdp.control, sdp.unreadable) == ("*", 0)


def test_what_we_build_is_what_we_parse() -> None:
    media = (
        SdpMedia(
            media="video",
            payload_type=96,
            codec="h264",
            clock_rate=90_000,
            fmtp="a=b",
            control="t0",
        ),
        SdpMedia(media="audio", payload_type=8, codec="pcma", clock_rate=8000, control="t1"),
        SdpMedia(
            media="audio",
            payload_type=97,
            codec="opus",
            clock_rate=48_000,
            channels=2,
            control="t2",
            direction="sendonly",
        ),
    )
    assert parse_sdp(build_sdp(media)).media == media


@pytest.mark.parametrize(
    ("payload_type", "codec", "clock_rate"),
    [(0, "pcmu", 8000), (8, "pcma", 8000), (14, "mpa", 90_000), (26, "jpeg", 90_000)],
)
def test_static_payload_types_need_no_rtpmap(
    payload_type: int, codec: str, clock_rate: int
) -> None:
    medium = one(b"m=audio 0 RTP/AVP %d\n" % payload_type)
    assert (medium.codec, medium.clock_rate, medium.mapped) == (codec, clock_rate, False)


def test_quirk_24_missing_lines_lf_only_and_no_final_newline() -> None:
    medium = one(b"m=video 0 RTP/AVP 96\na=control:x\na=rtpmap:96 H265/90000 ")
    assert (medium.codec, medium.control) == ("h265", "x")


@pytest.mark.parametrize(
    "header",
    [
        b"v=0\r\ns=a\r\ns=b\r\n",
        b"t=now-\r\n",
        b"c=IN IP4\r\nc=\r\n",
        b"o=- 0x1A 0x2B IP IPV4 10.0.0.1 extra\r\n",
        b"b=RR:0\r\nb=TIAS:1\r\nb=\r\n",
        b"nonsense\r\n=\r\n\xff\xfe\r\n\r\n",
    ],
)
def test_quirk_24_broken_session_lines_are_no_hindrance(header: bytes) -> None:
    assert len(parse_sdp(header + GOOD).media) == 2


def test_quirk_24_unreadable_medium_is_left_out_with_its_attributes() -> None:
    broken = b"m=application/TP-LINK 0 RTP/AVP smart/1/90000\r\na=rtpmap:95 TP-LINK/90000\r\n"
    sdp = parse_sdp(GOOD + broken + b"a=control:trackID=3\r\n")
    assert [m.control for m in sdp.media] == ["trackID=1", "trackID=2"]
    assert sdp.unreadable == 1


def test_quirk_24_empty_fmtp_is_taken() -> None:
    assert one(b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96\r\n").fmtp == ""


def test_quirk_24_fmtp_of_the_video_stands_below_the_audio() -> None:
    video, audio = parse_sdp(
        b"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        b"m=audio 0 RTP/AVP 8\na=fmtp:96 sprop-parameter-sets=Z0LAHg==,aM48gA==\n"
    ).media
    assert video.fmtp.startswith("sprop")
    assert audio.fmtp == ""


def test_quirk_24_mp2t_medium_is_read_but_not_recorded() -> None:
    sdp = parse_sdp(b"m=video 0 MP2T/H2221/UDP 33\n")
    assert sdp.media[0].codec == "mp2t"
    assert recordable(sdp, BOTH) == ()


def test_quirk_25_bosch_sends_h264_as_payload_type_35() -> None:
    assert one(b"m=video 0 RTP/AVP 35\n").codec == "h264"


def test_quirk_25_opus_has_two_channels_whatever_is_said() -> None:
    medium = one(b"m=audio 0 RTP/AVP 97\na=rtpmap:97 opus/24000\n")
    assert (medium.codec, medium.clock_rate, medium.channels) == ("opus", 48_000, 2)


@pytest.mark.parametrize("rtpmap", [b"", b"a=rtpmap:97\n", b"a=rtpmap:\n", b"a=rtpmap:98 X/1\n"])
def test_quirk_25_medium_without_a_good_rtpmap_is_kept_as_unknown(rtpmap: bytes) -> None:
    medium = one(b"m=audio 0 RTP/AVP 97\n" + rtpmap)
    assert (medium.codec, medium.clock_rate, medium.mapped) == ("", 8000, False)


def test_quirk_25_rtpmap_without_a_clock_rate_gets_the_usual_one() -> None:
    assert one(b"m=video 0 RTP/AVP 96\na=rtpmap:96 H264\n").clock_rate == 90_000
    assert one(b"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/0\n").clock_rate == 90_000


def directed(*marks: tuple[str, str]) -> bytes:
    return "".join(f"m={kind} 0 RTP/AVP 0\na={mark}\n" for kind, mark in marks).encode()


def test_quirk_11_audio_back_channel_is_not_recorded() -> None:
    sdp = parse_sdp(directed(("video", "recvonly"), ("audio", "recvonly"), ("audio", "sendonly")))
    assert [m.direction for m in recordable(sdp, BOTH)] == ["recvonly", "recvonly"]


def test_quirk_11_when_all_are_marked_as_back_channel_none_is_given_up() -> None:
    sdp = parse_sdp(directed(("video", "sendonly"), ("audio", "sendonly")))
    assert [m.media for m in recordable(sdp, BOTH)] == ["video", "audio"]
    sdp = parse_sdp(directed(("video", "sendonly"), ("audio", "recvonly")))
    assert len(recordable(sdp, BOTH)) == 2
    sdp = parse_sdp(directed(("audio", "sendonly"), ("audio", "inactive")))
    assert len(recordable(sdp, BOTH)) == 2


def test_metadata_is_not_recorded() -> None:
    sdp = parse_sdp(
        GOOD + b"m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n"
    )
    assert [m.media for m in recordable(sdp, BOTH)] == ["video", "audio"]


def test_more_media_than_the_bound_are_left_out() -> None:
    sdp = parse_sdp(b"m=audio 0 RTP/AVP 0\n" * 40)
    assert (len(sdp.media), sdp.unreadable) == (32, 8)
