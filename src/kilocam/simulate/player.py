"""Owns: playing a camera to one client: stamping blocks and handing each to the wire when due.

The hot path (`turn`) stamps the shared template in place and sends it. Blocks that carry reports,
losses or garbage are composed on the side, and all that seldom happens is looked after there. The
`Trail` remembers what was handed over until the peer's kernel has acknowledged it, so that the
ledger knows at any moment what has arrived.
"""

import random
import struct
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Protocol

from kilocam.rtsp import ServerQuirk, frame
from kilocam.simulate.content import STAMP_AT, Block, Content
from kilocam.simulate.record import ConnectionRecord, Skipped
from kilocam.simulate.reports import REPORT_PERIOD_US
from kilocam.simulate.trail import Trail
from kilocam.simulate.wire import Wire

LATE_S = 0.1
"""A block sent later than this is noted with its time."""
SAMPLE_S = 1.0
"""How often the kernel is asked what has arrived."""
_IDLE_S = 1.0
_STAMP = struct.Struct(">HQ").pack_into
"""The sequence number, and timestamp and SSRC as one number."""
_64_BITS = 0xFFFF_FFFF_FFFF_FFFF
_DUE_US = attrgetter("due_us")
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


class _TrackState:
    """What is stamped next into a track's packets."""

    __slots__ = ("channel", "origin", "seq")

    def __init__(self) -> None:
        self.channel = 0
        self.seq = 0
        self.origin = 0
        """Timestamp of the loop's start, and SSRC, as they stand side by side."""


class Player:
    """One client's view of a camera, from PLAY on."""

    # By the time a player's turn comes again a thousand others have had theirs, and nothing of it
    # is in a cache: a turn costs as much as it reads objects.
    __slots__ = (
        "_aligned",
        "_blocks",
        "_clock",
        "_content",
        "_dice",
        "_epoch",
        "_index",
        "_jump_base_us",
        "_jump_us",
        "_late_at",
        "_loop_due",
        "_loop_first",
        "_loop_us",
        "_odd_channel",
        "_plain_until",
        "_quirks",
        "_report_us",
        "_sample_at",
        "_scale",
        "_stopped",
        "_temper",
        "_tracks",
        "_trail",
        "due",
        "record",
        "wire",
    )

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
        self._tracks = tuple(_TrackState() for _ in content.tracks)  # those not asked for, too
        self._trail = Trail(record, content, self._blocks, wire)
        self._loop_first = 0
        """Number of the first block of this loop."""
        self._loop_us = 0
        self._loop_due = 0.0
        self._index = 0
        """Of the next block, in this loop."""
        self._report_us = 0
        # Timestamps begin at a random base anyway: only jumps from here on are seen.
        self._jump_us = self._jump_base_us = temper.jump_us
        self._aligned = False
        """Whether what is stamped next is known."""
        self._plain_until = 0
        """In this loop, blocks before this one are sent as they are, unless something happens."""
        self._stopped = False
        self._sample_at = 0.0
        self._late_at = 0.0
        self.due = 0.0
        """Monotonic time of the next block."""
        self._turn_to(record.first)

    @property
    def _number(self) -> int:
        return self._loop_first + self._index

    def stop(self) -> None:
        """Send nothing any more."""
        self._stopped = True

    def turn(self, now: float) -> float | None:
        """Send all that is due; when the next block is, `None` if there is none."""
        if self._stopped:
            return None
        if now >= self._sample_at:  # first: what was just sent has not arrived yet
            self._sample_at = now + SAMPLE_S
            self.sample()
        temper, wire = self._temper, self.wire
        while (due := self.due) <= now:
            block = self._blocks[self._index]
            usual = (
                self._index < self._plain_until
                and not wire.answered
                and not temper.stalled
                and not temper.lose
                and temper.jump_us == self._jump_us
            )
            if (usual or self._is_left_to_send(block)) and block.wire:
                self._stamp(block)
                if not wire.offer(block.wire):
                    self._refused()
            if wire.broken:  # whoever reads the socket ends this player
                return now + _IDLE_S
            if now - due > LATE_S and now - self._late_at > LATE_S and self._aligned:
                self._late_at = now
                self.record.checkpoint(self._number, self._clock.wall_us(now))
            self._index = index = self._index + 1
            if index == len(self._blocks):
                self._turn_to(self._number)
            else:
                self.due = self._loop_due + self._blocks[index].due_us * self._scale
        return due

    def sample(self, *, exact: bool = False) -> None:
        """Note how far the kernels are; `exact`: count packets within a block too."""
        self._trail.sample(self._number, exact=exact)

    def _is_left_to_send(self, block: Block) -> bool:
        """Look after what seldom happens; `False`: that was all, the block is sent or skipped."""
        if self._temper.stalled:
            self._skip(Skipped.STALL)
            return False
        if not self._aligned or self._jump_us != self._temper.jump_us:
            self._align()
        plain = not (self._is_reporting(block) or self._temper.lose or self._quirks)
        if not plain or self.wire.answered:
            self._trail.begin(self._number)
        if not plain:
            self._send_composed(block)
        return plain

    def _send_composed(self, block: Block) -> None:
        data, ends = self._compose(block)
        if data and not self.wire.offer(data):
            self._refused()
        else:
            self._trail.composed(self._number, ends)

    def _refused(self) -> None:
        if not self.wire.broken:
            self._skip(Skipped.BACKLOG)

    def _skip(self, cause: Skipped) -> None:
        self.record.skip(self._number, cause)
        self._aligned, self._plain_until = False, 0

    def _turn_to(self, number: int) -> None:
        loop, self._index = divmod(number, len(self._blocks))
        self._loop_first = number - self._index
        self._loop_us = self._content.loop_us(loop)
        self._loop_due = self._epoch + self._loop_us * self._scale
        self.due = self._loop_due + self._blocks[self._index].due_us * self._scale
        self._aligned, self._plain_until = False, 0

    def _align(self) -> None:
        """Take the numbers of the next packets from the record; from here they count on."""
        record, number = self.record, self._number
        if self._jump_us != self._temper.jump_us:
            self._jump_us = self._temper.jump_us
            record.jumps.append((number, self._jump_us - self._jump_base_us))
        for track in record.tracks:
            state = self._tracks[track.index]
            state.channel = track.rtp_channel
            state.seq = record.seq(self._content, track, number)
            state.origin = record.timestamp(self._content, track, number, 0) << 32 | track.ssrc
        self._trail.begin(number)
        self._report_after(self._content.due_us(number - 1))
        self._aligned = True

    def _report_after(self, life_us: int) -> None:
        self._report_us = (life_us // REPORT_PERIOD_US + 1) * REPORT_PERIOD_US
        in_loop = self._report_us - self._loop_us
        self._plain_until = 0 if self._quirks else bisect_left(self._blocks, in_loop, key=_DUE_US)

    def _is_reporting(self, block: Block) -> bool:
        return self._loop_us + block.due_us >= self._report_us

    def _stamp(self, block: Block) -> None:
        """Put this connection's numbers into the block's shared template."""
        wire, tracks = block.wire, self._tracks
        for track, ticks, stamps in block.runs:
            state = tracks[track]
            seq, moment = state.seq, (state.origin + ticks) & _64_BITS
            for at in stamps:
                _STAMP(wire, at, seq, moment)
                seq = (seq + 1) & 0xFFFF
            state.seq, channel = seq, state.channel
            if wire[stamps[0] - STAMP_AT + 1] != channel:
                for at in stamps:
                    wire[at - STAMP_AT + 1] = channel

    def _compose(self, block: Block) -> tuple[bytearray, tuple[int, ...]]:
        """The block with its reports, without lost packets, with what quirks put between."""
        data, ends = bytearray(), []
        if self._is_reporting(block):
            self._report_after(self._loop_us + block.due_us)
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
