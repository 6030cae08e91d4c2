"""RTCP packets (RFC 3550 section 6): sender reports for time, receiver reports, goodbye.

Cameras send malformed ones (quirk 18), so reading never fails: it stops where sense ends.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SENDER, _RECEIVER, _BYE = 200, 201, 203
_UNIX_EPOCH = 2_208_988_800
"""1970 in seconds since 1900."""
_ERA = 1 << 32
_SENDER_INFO = struct.Struct(">IQIII")
_BLOCK = struct.Struct(">IIIIII")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """What a receiver says about one source."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int = 0
    last_report: int = 0
    """The middle 32 bits of the last sender report's NTP time."""
    delay: int = 0
    """Since that report, in 1/65536 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """Ties a source's RTP timestamps to its wall clock."""

    ssrc: int
    ntp: int
    """Seconds since 1900 in 32.32 fixed point."""
    rtp_timestamp: int
    packets: int
    octets: int

    @property
    def ntp_us(self) -> int:
        """The wall time in microseconds since 1970; before 1968 means after 2036 (RFC 2030)."""
        seconds, fraction = self.ntp >> 32, self.ntp & 0xFFFFFFFF
        if seconds < 1 << 31:
            seconds += _ERA
        return (seconds - _UNIX_EPOCH) * 1_000_000 + (fraction * 1_000_000 + (1 << 31) >> 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    """How a receiver gets its sources."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """These sources leave."""

    ssrcs: tuple[int, ...]


RtcpPacket = SenderReport | ReceiverReport | Bye


def ntp_from_us(wall_us: int) -> int:
    """NTP time in 32.32 fixed point of microseconds since 1970."""
    seconds, us = divmod(wall_us, 1_000_000)
    return (seconds + _UNIX_EPOCH) % _ERA << 32 | (us << 32) // 1_000_000


def parse_rtcp(data: bytes) -> list[RtcpPacket]:
    """The packets of a compound that we use; what is unknown or malformed is left out."""
    found: list[RtcpPacket] = []
    for kind, count, body in _bodies(data):
        packet = _read(kind, count, body)
        if packet is not None:
            found.append(packet)
    return found


def _bodies(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, count field and body of each packet; a length beyond the end is cut to it."""
    pos = 0
    while pos + 4 <= len(data) and data[pos] >> 6 == 2:
        end = pos + 4 + 4 * int.from_bytes(data[pos + 2 : pos + 4], "big")
        yield data[pos + 1], data[pos] & 31, data[pos + 4 : end]
        pos = end


def _read(kind: int, count: int, body: bytes) -> RtcpPacket | None:
    if kind == _SENDER and len(body) >= _SENDER_INFO.size:
        ssrc, ntp, timestamp, packets, octets = _SENDER_INFO.unpack_from(body)
        return SenderReport(
            ssrc=ssrc, ntp=ntp, rtp_timestamp=timestamp, packets=packets, octets=octets
        )
    if kind == _RECEIVER and len(body) >= 4:
        present = min(count, (len(body) - 4) // _BLOCK.size)
        blocks = tuple(_read_block(body, 4 + n * _BLOCK.size) for n in range(present))
        return ReceiverReport(ssrc=int.from_bytes(body[:4], "big"), blocks=blocks)
    if kind == _BYE:
        present = min(count, len(body) // 4)
        return Bye(ssrcs=struct.unpack_from(f">{present}I", body))
    return None


def _read_block(body: bytes, pos: int) -> ReportBlock:
    ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(body, pos)
    lost = loss & 0xFFFFFF
    return ReportBlock(
        ssrc=ssrc,
        fraction_lost=loss >> 24,
        lost=lost - (1 << 24) if lost >> 23 else lost,
        highest_sequence=highest,
        jitter=jitter,
        last_report=last,
        delay=delay,
    )


def build_sender_report(report: SenderReport) -> bytes:
    """A sender report without report blocks."""
    return _packet(
        _SENDER,
        0,
        _SENDER_INFO.pack(
            report.ssrc, report.ntp, report.rtp_timestamp, report.packets, report.octets
        ),
    )


def build_receiver_report(report: ReceiverReport) -> bytes:
    """A receiver report; with no blocks it is the smallest sign of life."""
    return _packet(
        _RECEIVER,
        len(report.blocks),
        report.ssrc.to_bytes(4, "big") + b"".join(map(_block, report.blocks)),
    )


def build_bye(ssrcs: Sequence[int]) -> bytes:
    """A goodbye."""
    return _packet(_BYE, len(ssrcs), struct.pack(f">{len(ssrcs)}I", *ssrcs))


def _block(block: ReportBlock) -> bytes:
    loss = block.fraction_lost << 24 | block.lost & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc, loss, block.highest_sequence, block.jitter, block.last_report, block.delay
    )


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body
