"""The hot loop: what one read brought from a socket, cut into pieces by looking at headers only.

30,000 packets a second pass here for 1000 cameras, so the loop over clean data is inlined: framing
(RFC 2326 section 10.12), RTP header (RFC 3550 section 5.1), access unit starts, H.264 key frames
(RFC 6184 section 5.4) and those of H.265 (RFC 7798 section 4.4), and the quantiser of a few frames
between them for the gate. Whatever is not a clean frame (an RTSP message, garbage, an unknown
channel) goes through `rtsp.resync`.
"""

import struct
from typing import NamedTuple

from kilocam.core import PieceFlag
from kilocam.ingest.sampling import BEGIN, OTHER, UNDECIDED, PacketGate, Passing
from kilocam.rtsp import resync

_HEAD = struct.Struct(">HHBBHI").unpack_from
"""`$` and channel in one, as each value taken apart costs; length; RTP's first bytes up to `ts`."""
_HEAD_SIZE = 16
_DOLLAR = 0x2400
_MASK = 0xFFFFFFFF
_HALF = 0x80000000

_NONE, _KEY = PieceFlag.NONE, PieceFlag.KEY
"""Members of an enum are slow to reach, and flags to add."""
_NEED_MORE, _FULL, _OTHER = range(3)
_NO_GATE = Passing(frozenset(), frozenset(), 1, frozenset(), frozenset())
_SEEN, _LOOK, _LOOK_ON = range(3)  # the access unit's slice; for it; for it, key frame known


class Cut(NamedTuple):
    """A piece before its media time is mapped to wall time; timestamps are extended.

    A tuple, as it is made for every piece and lives for a moment. Timestamps mean
    something only when `media` says that a packet of the reference track is in it.
    """

    payload: bytes
    media: bool
    first_ts: int
    last_ts: int
    key_offset: int
    key_ts: int
    flags: PieceFlag
    packets: int
    frames: int
    complexity: float
    sampled: int


class PieceScanner:
    """Cuts the byte stream of one playing session into pieces of whole packets.

    Args:
        reference: interleaved channel of the reference track's RTP.
        channels: every channel the session set up.
        clock_rate: of the reference track, Hz.
        gate: knows key frames of H.264 or H.265 and weighs some of the others; None for other
            codecs.
        max_piece_s: a piece spans at most this much media time.
        jump_s: media time that moves by more than this between two frames is a discontinuity.
    """

    __slots__ = (
        "_au_bytes", "_back", "_channels", "_expected", "_extended", "_flags", "_frames", "_gate",
        "_jump", "_last_ts", "_limit", "_looking", "_marked", "_near", "_reference", "_tail",
        "messages", "skipped",
    )  # fmt: skip

    def __init__(
        self,
        *,
        reference: int,
        channels: frozenset[int],
        clock_rate: int,
        gate: PacketGate | None,
        max_piece_s: float = 0.5,
        jump_s: float = 10.0,
    ) -> None:
        self._reference = _DOLLAR | reference
        self._channels = channels
        self._frames = frozenset(_DOLLAR | channel for channel in channels)
        self._gate = gate
        self._limit = int(clock_rate * max_piece_s)
        self._jump = int(clock_rate * jump_s)
        self._back = _MASK - self._jump
        self._near = min(self._limit, self._jump)  # media time that surely just goes on
        self._tail = b""
        self._expected = -1
        self._last_ts = -1
        self._extended = 0
        self._marked = 0x80  # second byte of the last packet: over 127 it ended its access unit
        self._looking = _SEEN
        self._au_bytes = 0
        self._flags = _NONE
        self.messages: list[bytes] = []
        """RTSP messages that stood between the frames; the caller empties it."""
        self.skipped = 0
        """Bytes of garbage skipped so far."""

    def feed(self, chunk: bytes) -> list[Cut]:
        """The pieces that end in `chunk`; an incomplete packet waits for the next call."""
        data = self._tail + chunk if self._tail else chunk
        size = len(data)
        pos = 0
        cuts: list[Cut] = []
        while True:
            pos, stop = self._piece(data, pos, size, cuts)
            if stop == _NEED_MORE:
                break
            if stop == _OTHER:
                before = pos
                pos = self._resync(data, pos)
                if pos == before:
                    break
        self._tail = data[pos:] if pos < size else b""
        return cuts

    def finish(self) -> list[Cut]:
        """Nothing more comes: whole frames too short for the loop (an RTCP BYE) are a piece."""
        data, self._tail = self._tail, b""
        pos = packets = 0
        while pos + 4 <= len(data) and data[pos] << 8 | data[pos + 1] in self._frames:
            end = pos + 4 + (data[pos + 2] << 8 | data[pos + 3])
            if end > len(data):
                break
            pos, packets = end, packets + 1
        if not packets:
            return []
        return [Cut(data[:pos], False, 0, 0, -1, 0, self._flags, packets, 0, 0.0, 0)]

    def _piece(self, data: bytes, pos: int, size: int, cuts: list[Cut]) -> tuple[int, int]:
        """Scan one piece from `pos`, add it to `cuts`; return where it ends and why."""
        start = au_start = pos
        reference, starts, gate = self._reference, self._frames, self._gate
        expected, last_ts, marked = self._expected, self._last_ts, self._marked
        looking, limit, au_bytes = self._looking, self._limit, self._au_bytes
        slices, fragments, header, parts, silent = gate.passing if gate is not None else _NO_GATE
        packets = frames = sampled = 0
        complexity = 0.0
        first_ts = au_ts = key_ts = key_offset = within = -1
        flags, before = self._flags, last_ts
        stop = _NEED_MORE
        last = size - _HEAD_SIZE
        while pos <= last:
            start_of_frame, length, b0, b1, seq, ts = _HEAD(data, pos)
            following = pos + 4 + length
            if start_of_frame != reference or b0 != 0x80 or length <= 12:
                if start_of_frame not in starts or b0 & 0xC0 != 0x80:
                    stop = _OTHER
                    break
                if start_of_frame != reference or length <= 12:
                    if following > size:
                        break
                    packets += 1
                    pos = following
                    continue
            if following > size:
                break
            # The second half of this test is true in the first packet of each piece, too.
            if marked > 127 or ts != au_ts:
                if marked > 127 or ts != last_ts:
                    age = ts - first_ts
                    if not 0 <= age <= within:  # the usual case needs no arithmetic modulo 2^32
                        if first_ts >= 0 and limit < age & _MASK < _HALF:
                            stop = _FULL
                            break
                        if last_ts >= 0 and self._jump < (ts - last_ts) & _MASK < self._back:
                            if pos > start:
                                stop = _FULL
                                break
                            flags |= PieceFlag.DISCONTINUITY
                        within = self._near if 0 <= age <= self._near else -1
                    frames += 1
                    if gate is not None:
                        if gate.pending:
                            complexity += gate.weigh(au_bytes + pos - au_start)
                            sampled += 1
                        looking = _LOOK
                    au_start, au_bytes, last_ts = pos, 0, ts
                if first_ts < 0:
                    first_ts, within = ts, self._near
                au_ts = ts
            marked = b1
            if looking and gate is not None:
                # 12 bytes of RTP header unless it has contributors or an extension
                body = pos + 16 if b0 == 0x80 else pos + _header_end(data, pos, b0)
                # A header that lies about its length, or no payload, tells nothing.
                kind = data[body] if body + header < following else -1
                if gate.skip and (
                    kind in slices or (kind in fragments and data[body + header] in parts)
                ):
                    gate.skip -= 1  # a frame that is not sampled: the usual case, inlined
                    looking = _SEEN
                elif kind not in silent:
                    verdict = gate.look(data, body, following)
                    if verdict != UNDECIDED:
                        if verdict != OTHER and looking == _LOOK and key_offset < 0:
                            key_offset, key_ts = au_start - start, ts
                            flags = _KEY if flags is _NONE else flags | _KEY
                        looking = _LOOK_ON if verdict == BEGIN else _SEEN
            if seq != expected and expected >= 0 and seq != expected & 0xFFFF:  # or it wrapped
                flags |= PieceFlag.LOST
            expected = seq + 1
            packets += 1
            pos = following
        self._expected, self._last_ts, self._marked = expected, last_ts, marked
        self._looking, self._au_bytes = looking, au_bytes + pos - au_start
        if pos == start:
            self._flags = flags
            return pos, stop
        self._flags = _NONE
        first = newest = key = 0
        if first_ts >= 0:
            first = self._unwrap(before, first_ts)
            newest = first + _signed(last_ts - first_ts)
            if key_offset >= 0:
                key = first + _signed(key_ts - first_ts)
            self._extended = newest
        cuts.append(
            Cut(
                data[start:pos] if pos - start < size else data,
                first_ts >= 0,
                first,
                newest,
                key_offset,
                key,
                flags,
                packets,
                frames,
                complexity,
                sampled,
            )
        )
        return pos, stop

    def _unwrap(self, before: int, ts: int) -> int:
        return ts if before < 0 else self._extended + _signed(ts - before)

    def _resync(self, data: bytes, pos: int) -> int:
        """Step over whatever is not a frame of ours; returns `pos` when more bytes are needed."""
        found = resync(data, pos, self._channels)
        if found.message is not None:
            self.messages.append(found.message)
        if found.skipped:
            self.skipped += found.skipped
            self._flags |= PieceFlag.DAMAGED
        return found.pos


def _signed(difference: int) -> int:
    difference &= _MASK
    return difference - (1 << 32) if difference >= _HALF else difference


def _header_end(data: bytes, pos: int, b0: int) -> int:
    """Offset of the RTP payload from the `$` at `pos` (RFC 3550 sections 5.1 and 5.3.1)."""
    end = 16 + 4 * (b0 & 15)
    if b0 & 0x10 and pos + end + 4 <= len(data):
        end += 4 + 4 * int.from_bytes(data[pos + end + 2 : pos + end + 4], "big")
    return end
