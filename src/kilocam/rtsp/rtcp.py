"""RTCP as far as footage needs it: sender reports, for time (RFC 3550 section 6.4.1).

Cameras send malformed packets (quirk 18), so reading never fails: it stops where sense ends.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_SENDER = 200
_UNIX_EPOCH = 2_208_988_800
"""1970 in seconds since 1900."""
_ERA = 1 << 32
_SENDER_INFO = struct.Struct(">4xQI8x")


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """Ties a source's RTP timestamps to its wall clock."""

    ntp: int
    """Seconds since 1900 in 32.32 fixed point."""
    rtp_timestamp: int

    @property
    def ntp_us(self) -> int:
        """The wall time in microseconds since 1970; before 1968 means after 2036 (RFC 2030)."""
        seconds, fraction = self.ntp >> 32, self.ntp & 0xFFFFFFFF
        if seconds < 1 << 31:
            seconds += _ERA
        return (seconds - _UNIX_EPOCH) * 1_000_000 + (fraction * 1_000_000 + (1 << 31) >> 32)


def parse_sender_reports(data: bytes) -> list[SenderReport]:
    """The sender reports of a compound packet; what is malformed is left out."""
    found = []
    for kind, body in _bodies(data):
        if kind == _SENDER and len(body) >= _SENDER_INFO.size:
            ntp, timestamp = _SENDER_INFO.unpack_from(body)
            found.append(SenderReport(ntp=ntp, rtp_timestamp=timestamp))
    return found


def _bodies(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each packet; a length beyond the end is cut to it."""
    pos = 0
    while pos + 4 <= len(data) and data[pos] >> 6 == 2:
        end = pos + 4 + 4 * int.from_bytes(data[pos + 2 : pos + 4], "big")
        yield data[pos + 1], data[pos + 4 : end]
        pos = end
