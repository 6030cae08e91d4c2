"""Owns: the RTCP sender reports a simulated camera sends (RFC 3550 sections 6.4.1 and 6.5)."""

import struct

REPORT_PERIOD_US = 5_000_000
_NTP_UNIX = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970."""
_REPORT = struct.Struct(">BBHIQIII")
_SENDER_REPORT, _SOURCE_DESCRIPTION, _CNAME = 200, 202, 1


def sender_report(
    *, ssrc: int, wall_us: int, timestamp: int, packets: int, octets: int, cname: bytes
) -> bytes:
    """A sender report and the source description that must follow it.

    The CNAME is the same for all tracks of a camera, so that players can synchronise them.
    """
    seconds, rest = divmod(wall_us, 1_000_000)
    ntp = seconds + _NTP_UNIX << 32 | (rest << 32) // 1_000_000
    report = _REPORT.pack(
        0x80,
        _SENDER_REPORT,
        6,
        ssrc,
        ntp & 0xFFFFFFFFFFFFFFFF,
        timestamp,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
    return report + _source_description(ssrc, cname)


def _source_description(ssrc: int, cname: bytes) -> bytes:
    chunk = struct.pack(">IBB", ssrc, _CNAME, len(cname)) + cname
    chunk += bytes(4 - len(chunk) % 4)  # at least one zero byte ends the list of items
    return struct.pack(">BBH", 0x81, _SOURCE_DESCRIPTION, len(chunk) // 4) + chunk
