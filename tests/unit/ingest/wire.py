"""Hand-made RTP over interleaved RTSP, small enough to see through."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

RATE = 90_000
SPS = bytes.fromhex("6742c01e95a0280bfe5c0440000003004000000f23c58ba8")
PPS = bytes.fromhex("68ce3c80")
IDR = b"\x65\x88\x80" + b"i" * 60
P = b"\x41\x9a\x02" + b"p" * 60


@dataclass
class Camera:
    """Makes the frames of one video track on channel 0 (RTCP on 1)."""

    seq: int = 65_530
    ts: int = 0xFFFF_F000
    channel: int = 0
    sent: list[bytes] = field(default_factory=list)

    def packet(self, payload: bytes, *, marker: bool = True, head: int = 0x80) -> bytes:
        rtp = struct.pack(">BBHII", head, (0x80 if marker else 0) | 96, self.seq, self.ts, 7)
        self.seq = (self.seq + 1) & 0xFFFF
        framed = struct.pack(">BBH", 0x24, self.channel, len(rtp + payload)) + rtp + payload
        self.sent.append(framed)
        return framed

    def frame(self, *payloads: bytes, step: int = 6000) -> bytes:
        """One access unit: the last packet carries the marker; time moves on afterwards."""
        last = len(payloads) - 1
        data = b"".join(self.packet(p, marker=n == last) for n, p in enumerate(payloads))
        self.ts = (self.ts + step) & 0xFFFF_FFFF
        return data

    def gop(self, frames: int = 30) -> bytes:
        """A key frame with its parameter sets, then P-frames."""
        return self.frame(SPS, PPS, IDR) + b"".join(self.frame(P) for _ in range(frames - 1))


def split(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Cut `data` at the given sizes, repeated as often as needed."""
    parts, pos, n = [], 0, 0
    while pos < len(data):
        size = max(1, sizes[n % len(sizes)])
        parts.append(data[pos : pos + size])
        pos += size
        n += 1
    return parts
