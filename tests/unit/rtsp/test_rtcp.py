from kilocam.rtsp.rtcp import SenderReport, parse_sender_reports
from kilocam.simulate.reports import sender_report

NOW_US = 1_800_000_000_500_000


def report(wall_us: int = NOW_US, timestamp: int = 90_000) -> bytes:
    """A sender report and the description of its source."""
    return sender_report(
        ssrc=7, wall_us=wall_us, timestamp=timestamp, packets=3, octets=400, cname=b"x"
    )


def test_a_report_is_found_in_its_compound() -> None:
    (found,) = parse_sender_reports(b"\x81\xca\0\2\0\0\0\7\1\1x\0" + report() + b"\x80\xc9\0\1abcd")
    assert (found.ntp_us, found.rtp_timestamp) == (NOW_US, 90_000)


def test_network_time_is_wall_time_to_the_microsecond() -> None:
    for wall_us in (
        1,
        999_999,
        1_700_000_000_123_456,
        2_085_978_496_000_001,
        3_000_000_000_000_007,
    ):
        (found,) = parse_sender_reports(report(wall_us))
        assert found.ntp_us == wall_us


def test_a_report_after_2036_is_in_the_next_era() -> None:
    assert SenderReport(ntp=0, rtp_timestamp=0).ntp_us == 2_085_978_496_000_000


def test_what_is_malformed_is_left_out_and_the_rest_is_read() -> None:
    """Quirk 18: malformed RTCP must not kill anything."""
    first, second = report(timestamp=1), report(timestamp=2)
    found = parse_sender_reports(first + b"\x80\xc8\0\1\0\0\0\0" + second + b"garbage")
    assert [each.rtp_timestamp for each in found] == [1, 2]
    assert parse_sender_reports(first[:27]) == []
    assert parse_sender_reports(b"") == []
