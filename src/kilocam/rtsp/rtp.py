"""RTP packets (RFC 3550 section 5.1), their order, and timestamps that never wrap."""

import struct
from typing import NamedTuple

_HEADER = struct.Struct(">BBHII")
_MASK = 0xFFFFFFFF
_HALF = 0x80000000
_MOST_LOST = 3000
"""A larger step ahead is a new start, not loss (MAX_DROPOUT, RFC 3550 appendix A.1)."""
_MOST_LATE = 100
"""A packet further behind is a new start too (MAX_MISORDER)."""
_SEEN = (1 << _MOST_LATE) - 1


class RtpPacket(NamedTuple):
    """An RTP packet without padding, contributors and extension."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse_rtp(packet: bytes) -> RtpPacket | None:
    """Read an RTP packet; None when its header is malformed or reaches beyond its end."""
    end = len(packet)
    if end < _HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
    if first >> 6 != 2:
        return None
    start = 12
    if first & 0x3F:
        start += 4 * (first & 15)
        if first & 0x10:  # extension, section 5.3.1
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
        if first & 0x20 and end > start:  # padding; its last byte counts it
            end -= packet[-1]
        if start > end:
            return None
    return RtpPacket(second & 0x7F, second >= 0x80, sequence, timestamp, ssrc, packet[start:end])


def build_rtp(packet: RtpPacket) -> bytes:
    """The bytes of a packet, without padding or extension."""
    second = packet.payload_type | (0x80 if packet.marker else 0)
    header = _HEADER.pack(0x80, second, packet.sequence, packet.timestamp, packet.ssrc)
    return header + packet.payload


def signed_step(earlier: int, later: int) -> int:
    """From one 32-bit timestamp to another, the short way round."""
    step = (later - earlier) & _MASK
    return step - (1 << 32) if step >= _HALF else step


class SequenceTracker:
    """Follows the sequence numbers of one source and counts what went wrong.

    `push` answers for each packet: 0 it is the next one, n > 0 so many are missing before it,
    DUPLICATE or LATE (drop it), RESTART (the source started anew, how much is missing is unknown).
    """

    DUPLICATE, LATE, RESTART = -1, -2, -3

    __slots__ = ("_next", "_seen", "duplicate", "lost", "received", "reordered", "restarts")

    def __init__(self) -> None:
        self._next = -1
        self._seen = 0
        self.received = 0
        self.lost = 0
        self.duplicate = 0
        self.reordered = 0
        self.restarts = 0

    @property
    def highest(self) -> int:
        """The extended highest sequence number received; -1 before the first packet."""
        return self._next - 1 if self._next >= 0 else -1

    def expects(self, sequence: int) -> bool:
        """Whether this would be the next packet."""
        return self._next >= 0 and self._next & 0xFFFF == sequence

    def start_anew(self) -> None:
        """The next packet may have any number; the counts stay."""
        self._next, self._seen = -1, 0

    def push(self, sequence: int) -> int:
        """Take the next packet's sequence number; see the class for the answer."""
        step = (sequence - self._next) & 0xFFFF
        if step == 0 and self._next >= 0:  # nearly all
            self._next += 1
            self._seen = (self._seen << 1 | 1) & _SEEN
            self.received += 1
            return 0
        if self._next < 0:
            self._next, self._seen, self.received = sequence + 1, 1, self.received + 1
            return 0
        if step <= _MOST_LOST:
            self.lost += step
            self._advance(step)
            return step
        behind = 0x10000 - step
        if behind <= _MOST_LATE:
            return self._behind(behind)
        self.restarts += 1
        self._next = (self._next & ~0xFFFF) + (0x10000 if sequence < self._next & 0xFFFF else 0)
        self._next += sequence + 1
        self._seen = 1
        self.received += 1
        return self.RESTART

    def _advance(self, step: int) -> None:
        self._next += step + 1
        self._seen = (self._seen << (step + 1) | 1) & _SEEN
        self.received += 1

    def _behind(self, behind: int) -> int:
        bit = 1 << (behind - 1)
        if self._seen & bit:
            self.duplicate += 1
            return self.DUPLICATE
        self._seen |= bit
        self.received += 1
        self.reordered += 1
        self.lost -= 1 if self.lost else 0
        return self.LATE


class TimestampUnwrapper:
    """Extends 32-bit timestamps, which wrap, to ones that do not; both directions."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: int | None = None

    def seed(self, extended: int) -> None:
        """Later timestamps are extended to the value nearest to this one."""
        self.last = extended

    def peek(self, timestamp: int) -> int:
        """The extended value of a timestamp; nothing is remembered."""
        if self.last is None:
            return timestamp
        return self.last + signed_step(self.last & _MASK, timestamp)

    def unwrap(self, timestamp: int) -> int:
        """The extended value of the next packet's timestamp."""
        last = self.last
        if last is None or last & _MASK != timestamp:  # packets of a picture share theirs
            last = self.last = self.peek(timestamp)
        return last
