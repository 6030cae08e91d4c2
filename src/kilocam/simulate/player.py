"""Owns: playing a camera to one client: stamping blocks and handing each to the wire when due.

The hot path (`turn`) stamps the shared template in place and sends it. Blocks that carry reports,
losses or garbage are composed on the side. What was handed over is remembered until the peer's
kernel has acknowledged it, so that the ledger knows at any moment what has arrived.
"""

import random
import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

from kilocam.rtsp import ServerQuirk, frame
from kilocam.simulate.content import FRAME_HEADER, Block, Content
from kilocam.simulate.record import ConnectionRecord, Mark, SentTrack, Skipped
from kilocam.simulate.reports import REPORT_PERIOD_US
from kilocam.simulate.wire import Wire

LATE_S = 0.1
"""A block sent later than this is noted with its time."""
SAMPLE_S = 1.0
"""How often the kernel is asked what has arrived."""
_IDLE_S = 1.0
_32_BITS = 0xFFFFFFFF
_STAMP = struct.Struct(">HII").pack_into
_STAMP_AT = FRAME_HEADER + 2
_NOISE = bytes(byte for byte in range(256) if byte != ord("$"))
_ODD_CHANNEL = 9
_MISCHIEF = 0.02
"""Share of packets before which a quirk puts its bytes."""
_BETWEEN = frozenset(
    {ServerQuirk.UNASSIGNED_CHANNEL, ServerQuirk.CRLF_BEFORE_FRAMES, ServerQuirk.GARBAGE}
)


class Clock(Protocol):
    """Maps the loop's clock to wall time."""

    def wall_us(self, monotonic: float) -> int:
        """Wall time of a moment of the monotonic clock, in seconds."""
        ...


@dataclass(slots=True)
class Temper:
    """How a camera behaves now; shared by all who play it, changed by faults and by control."""

    lose: float = 0.0
    stalled: bool = False
    jump_us: int = 0


class _Sent(NamedTuple):
    """A block handed to the wire and not yet known to have arrived."""

    block: int
    start: int
    end: int
    """Where it begins and ends, in bytes of the connection."""
    ends: tuple[int, ...] | None
    """Ends of its packets from `start`, where other bytes stand between them."""


class _TrackState:
    """What is stamped next into a track's packets."""

    __slots__ = ("channel", "seq", "shift", "ssrc")

    def __init__(self, track: SentTrack) -> None:
        self.channel = track.rtp_channel
        self.ssrc = track.ssrc
        self.seq = 0
        self.shift = 0


class Player:
    """One client's view of a camera, from PLAY on."""

    def __init__(
        self,
        record: ConnectionRecord,
        content: Content,
        wire: Wire,
        *,
        temper: Temper,
        epoch: float,
        clock: Clock,
        quirks: frozenset[ServerQuirk],
        dice: random.Random,
    ) -> None:
        """`epoch` is the monotonic time at which the camera's life began."""
        self.record = record
        self.wire = wire
        self._content = content
        self._temper = temper
        self._epoch = epoch
        self._scale = 1e-6 / (1 + record.life.drift_ppm / 1e6)
        self._clock = clock
        self._quirks = quirks & _BETWEEN
        used = {c for track in record.tracks for c in (track.rtp_channel, track.rtcp_channel)}
        self._odd_channel = next(c for c in range(_ODD_CHANNEL, 256) if c not in used)
        self._dice = dice
        self._blocks = content.program(frozenset(track.index for track in record.tracks))
        self._tracks: list[_TrackState | None] = [None] * len(content.tracks)
        for track in record.tracks:
            self._tracks[track.index] = _TrackState(track)
        self._number = record.first
        self._index = 0
        self._loop_us = 0
        self._report_us = 0
        self._due_us = 0
        # Timestamps begin at a random base anyway: only jumps from here on are seen.
        self._jump_us = self._jump_base_us = temper.jump_us
        self._aligned = False
        """Whether what is stamped next is known."""
        self._stopped = False
        self._sent: deque[_Sent] = deque()
        self._sample_at = 0.0
        self._late_at = 0.0
        self._turn_to(record.first)

    @property
    def due(self) -> float:
        """Monotonic time of the next block."""
        return self._epoch + self._due_us * self._scale

    def stop(self) -> None:
        """Send nothing any more."""
        self._stopped = True

    def turn(self, now: float) -> float | None:
        """Send all that is due; when the next block is, `None` if there is none."""
        if self._stopped:
            return None
        while (due := self._epoch + self._due_us * self._scale) <= now:
            self._play_block(now, due)
            if self.wire.broken:  # whoever reads the socket ends this player
                return now + _IDLE_S
            self._number += 1
            self._index += 1
            if self._index == len(self._blocks):
                self._turn_to(self._number)
            self._due_us = self._loop_us + self._blocks[self._index].due_us
        if now >= self._sample_at:
            self._sample_at = now + SAMPLE_S
            self.sample()
        return due

    def sample(self, *, exact: bool = False) -> None:
        """Note how far the kernels are; `exact`: count packets within a block too."""
        record, written = self.record, self.wire.written()
        arrived = self.wire.acknowledged()
        sent = self._sent
        while sent and sent[0].end <= arrived:
            sent.popleft()
        record.acknowledged = max(record.acknowledged, self._mark(sent, arrived, exact=exact))
        waiting = [one for one in sent if one.end > written]
        record.written = self._mark(waiting, written, exact=exact)

    def _mark(self, waiting: Sequence[_Sent], offset: int, *, exact: bool) -> Mark:
        """The place of a byte of the connection; `waiting` begins with the first block after it."""
        if not waiting:
            return Mark(self._number)
        block, start, _, ends = waiting[0]
        if not exact or offset <= start:
            return Mark(block)
        if ends is not None:
            return Mark(block, bisect_right(ends, offset - start))
        return Mark(block, self.record.packets_within(self._content, block, offset - start))

    def _play_block(self, now: float, due: float) -> None:
        if self._temper.stalled:
            self._skip(Skipped.STALL)
            return
        if not self._aligned or self._jump_us != self._temper.jump_us:
            self._align()
        block = self._blocks[self._index]
        data, ends = block.wire, None
        if self._due_us >= self._report_us or self._temper.lose or self._quirks:
            data, ends = self._compose(block)
        else:
            self._stamp(block)
        if data:
            start = self.wire.queued
            if not self.wire.offer(data):
                if not self.wire.broken:
                    self._skip(Skipped.BACKLOG)
                return
            self._sent.append(_Sent(self._number, start, self.wire.queued, ends))
        if now - due > LATE_S and now - self._late_at > LATE_S:
            self._late_at = now
            self.record.checkpoint(self._number, self._clock.wall_us(now))

    def _skip(self, cause: Skipped) -> None:
        self.record.skip(self._number, cause)
        self._aligned = False

    def _turn_to(self, number: int) -> None:
        loop, self._index = divmod(number, len(self._blocks))
        self._loop_us = self._content.loop_us(loop)
        self._due_us = self._loop_us + self._blocks[self._index].due_us
        self._aligned = False

    def _align(self) -> None:
        """Take the numbers of the next packets from the record; from here they count on."""
        record, number = self.record, self._number
        if self._jump_us != self._temper.jump_us:
            self._jump_us = self._temper.jump_us
            record.jumps.append((number, self._jump_us - self._jump_base_us))
        for track in record.tracks:
            state = self._tracks[track.index]
            assert state is not None
            state.seq = record.seq(self._content, track, number)
            state.shift = record.timestamp(self._content, track, number, 0)
        before = self._content.due_us(number - 1)
        self._report_us = (before // REPORT_PERIOD_US + 1) * REPORT_PERIOD_US
        self._aligned = True

    def _stamp(self, block: Block) -> None:
        """Put this connection's numbers into the block's shared template."""
        wire, tracks = block.wire, self._tracks
        for at, track, ticks in block.heads:
            state = tracks[track]
            assert state is not None
            seq = state.seq
            state.seq = (seq + 1) & 0xFFFF
            wire[at + 1] = state.channel
            _STAMP(wire, at + _STAMP_AT, seq, (state.shift + ticks) & _32_BITS, state.ssrc)

    def _compose(self, block: Block) -> tuple[bytearray, tuple[int, ...]]:
        """The block with its reports, without lost packets, with what quirks put between."""
        data, ends = bytearray(), []
        if self._due_us >= self._report_us:
            self._report_us = (self._due_us // REPORT_PERIOD_US + 1) * REPORT_PERIOD_US
            for report in self.record.reports(self._content, self._number):
                data += report.framed()
                ends.append(len(data))
        self._stamp(block)
        bounds = [*(head.at for head in block.heads), len(block.wire)]
        for place, (start, end) in enumerate(pairwise(bounds)):
            if self._temper.lose and self._dice.random() < self._temper.lose:
                self.record.lost.append((self._number, place))
                continue
            data += self._mischief()
            data += block.wire[start:end]
            ends.append(len(data))
        return data, tuple(ends)

    def _mischief(self) -> bytes:
        """Bytes that a quirk puts before a packet, now and then."""
        if not self._quirks or self._dice.random() >= _MISCHIEF:
            return b""
        match self._dice.choice(sorted(self._quirks)):
            case ServerQuirk.UNASSIGNED_CHANNEL:
                return frame(self._odd_channel, bytes((0x80, 96, *self._dice.randbytes(30))))
            case ServerQuirk.CRLF_BEFORE_FRAMES:
                return b"\r\n"
            case _:
                return bytes(self._dice.choices(_NOISE, k=self._dice.randrange(1, 40)))
