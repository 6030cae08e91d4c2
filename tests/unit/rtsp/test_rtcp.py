from kilocam.rtsp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_bye,
    build_receiver_report,
    build_sender_report,
    ntp_from_us,
    parse_rtcp,
)

SENDER = SenderReport(ssrc=7, ntp=ntp_from_us(1_800_000_000_500_000), rtp_timestamp=90_000,
                      packets=3, octets=400)  # fmt: skip
BLOCK = ReportBlock(ssrc=7, fraction_lost=25, lost=-2, highest_sequence=70_000, jitter=5,
                    last_report=0x12345678, delay=65536)  # fmt: skip
RECEIVER = ReceiverReport(ssrc=9, blocks=(BLOCK,))


def test_a_compound_is_read_as_it_was_built() -> None:
    data = build_sender_report(SENDER) + b"\x81\xca\0\2\0\0\0\7\1\1x\0" + build_bye([7, 8])
    assert parse_rtcp(data) == [SENDER, Bye(ssrcs=(7, 8))]
    assert parse_rtcp(build_receiver_report(RECEIVER)) == [RECEIVER]


def test_network_time_is_wall_time_to_the_microsecond() -> None:
    for wall_us in (
        1,
        999_999,
        1_700_000_000_123_456,
        2_085_978_496_000_001,
        3_000_000_000_000_007,
    ):
        report = SenderReport(
            ssrc=1, ntp=ntp_from_us(wall_us), rtp_timestamp=0, packets=0, octets=0
        )
        assert report.ntp_us == wall_us


def test_a_report_after_2036_is_in_the_next_era() -> None:
    assert SenderReport(ssrc=1, ntp=0, rtp_timestamp=0, packets=0, octets=0).ntp_us == (
        2_085_978_496_000_000
    )


def test_what_is_malformed_is_left_out_and_the_rest_is_read() -> None:
    """Quirk 18: malformed RTCP must not kill anything."""
    whole = build_sender_report(SENDER)
    assert parse_rtcp(whole + b"\x80\xc8\0\1\0\0\0\0" + build_bye([7])) == [SENDER, Bye(ssrcs=(7,))]
    assert parse_rtcp(whole + b"garbage") == [SENDER]
    assert parse_rtcp(whole[:-1]) == []
    assert parse_rtcp(b"") == []


def test_counts_beyond_the_end_are_cut_to_what_is_there() -> None:
    assert parse_rtcp(b"\x9f\xcb\0\1\0\0\0\7") == [Bye(ssrcs=(7,))]
    assert parse_rtcp(b"\x9f\xc9\0\1\0\0\0\7") == [ReceiverReport(ssrc=7)]
