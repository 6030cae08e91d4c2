"""Owns: the truth about one connection to a camera, and every packet derived from it.

Nothing is kept per packet. Sequence numbers, timestamps, counts and reports follow from a block's
number and the connection's bases, so a connection is a handful of numbers, and what was not sent
(skipped blocks, lost packets) or bent (jumps in time) is listed. This derivation is independent of
the player's stamping in place: each is the check of the other.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from kilocam.simulate.content import FRAME_HEADER, Block, Content, stamp
from kilocam.simulate.reports import REPORT_PERIOD_US, sender_report

MAX_CHECKPOINTS = 8192
_32_BITS = 0xFFFFFFFF


class Skipped(StrEnum):
    """Why blocks that were due were not sent."""

    BACKLOG = "backlog"
    """The peer did not read."""
    STALL = "stall"
    """The fault of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraLife:
    """What a camera is: its content, and the clock that its life runs by."""

    camera: int
    path: str
    content: str
    """Digest of its content."""
    epoch_us: int
    """Wall time at which its life began; block 0 counts from here."""
    drift_ppm: float = 0.0
    """How much too fast its clock runs."""

    def wall_us(self, life_us: int) -> int:
        """True wall time of a moment in the camera's life."""
        return self.epoch_us + round(life_us / (1 + self.drift_ppm / 1e6))

    def life_us(self, wall_us: int) -> int:
        """The moment in the camera's life at a true wall time."""
        return round((wall_us - self.epoch_us) * (1 + self.drift_ppm / 1e6))

    @property
    def cname(self) -> bytes:
        """Canonical name of its sources in RTCP."""
        return f"camera-{self.camera}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SentTrack:
    """One track as a connection sends it."""

    index: int
    rtp_channel: int
    rtcp_channel: int
    ssrc: int
    seq_base: int
    ts_base: int


class Mark(NamedTuple):
    """A place in what is sent: all blocks before `block`, and `packets` packets of it."""

    block: int
    packets: int = 0


@dataclass(frozen=True, slots=True)
class SentPacket:
    """One packet as it was sent, with its place."""

    channel: int
    data: bytes
    rtcp: bool
    track: int
    block: int
    sent_us: int

    def framed(self) -> bytes:
        """With the header of RFC 2326 section 10.12."""
        return b"$" + bytes((self.channel,)) + len(self.data).to_bytes(2, "big") + self.data


@dataclass(slots=True, kw_only=True)
class Skip:
    """Blocks that were due but not sent."""

    first: int
    count: int
    cause: Skipped


@dataclass(slots=True, kw_only=True)
class ConnectionRecord:
    """One connection, from PLAY until it ended."""

    life: CameraLife
    connection: int
    """Counts the connections that played this camera, from 0."""
    peer: str
    opened_us: int
    tracks: tuple[SentTrack, ...]
    first: int
    """Number of the first block."""
    quirks: tuple[str, ...] = ()
    closed_us: int = 0
    """0 while it plays."""
    reason: str = ""
    written: Mark = field(default=Mark(0))
    """How far the sender's kernel has taken it."""
    acknowledged: Mark = field(default=Mark(0))
    """How far the peer's kernel has acknowledged it: this is what counts as sent."""
    skips: list[Skip] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)
    """(block, packet) dropped on purpose; the packets of a block count without its reports."""
    jumps: list[tuple[int, int]] = field(default_factory=list)
    """(block, microseconds added to timestamps from it on)."""
    checkpoints: "array[int]" = field(default_factory=lambda: array("q"))
    """Pairs (block, wall time) of blocks that were sent late."""

    def __post_init__(self) -> None:
        self.written = max(self.written, Mark(self.first))
        self.acknowledged = max(self.acknowledged, Mark(self.first))

    # -- what the player notes -------------------------------------------------------------------

    def skip(self, block: int, cause: Skipped) -> None:
        """Block was due and is not sent."""
        last = self.skips[-1] if self.skips else None
        if last and last.cause is cause and last.first + last.count == block:
            last.count += 1
        else:
            self.skips.append(Skip(first=block, count=1, cause=cause))

    def checkpoint(self, block: int, wall_us: int) -> None:
        """Block is sent later than it was due."""
        if len(self.checkpoints) >= 2 * MAX_CHECKPOINTS:
            self._thin()
        self.checkpoints.extend((block, wall_us))

    def _thin(self) -> None:
        kept = array("q")
        for at in range(0, len(self.checkpoints), 4):
            kept.extend(self.checkpoints[at : at + 2])
        self.checkpoints = kept

    # -- what follows ----------------------------------------------------------------------------

    def jump_us(self, block: int) -> int:
        """What is added to the timestamps of a block."""
        at = bisect_right(self.jumps, (block, 1 << 62)) - 1
        return self.jumps[at][1] if at >= 0 else 0

    def due_us(self, content: Content, block: int) -> int:
        """Wall time at which a block was due."""
        return self.life.wall_us(content.due_us(block))

    def sent_us(self, content: Content, block: int) -> int:
        """Wall time at which a block was given to the kernel, within 0.1 s."""
        times = self.checkpoints
        at = bisect_right(range(len(times) // 2), block, key=lambda pair: times[2 * pair]) - 1
        late = self.checkpoints[2 * at + 1] if at >= 0 else 0
        return max(self.due_us(content, block), late)

    def was_skipped(self, block: int) -> Skipped | None:
        """Why a block was not sent, if so."""
        at = bisect_right(self.skips, block, key=lambda skip: skip.first) - 1
        if at >= 0 and block < self.skips[at].first + self.skips[at].count:
            return self.skips[at].cause
        return None

    def timestamp(self, content: Content, track: SentTrack, block: int, ticks: int) -> int:
        """RTP timestamp on `track` of a moment `ticks` after the start of a block's loop."""
        loop = block // len(content.blocks)
        jump = self.jump_us(block) * content.tracks[track.index].clock_rate // 1_000_000
        start = content.loop_start_ticks(track.index, loop)
        return (track.ts_base + start + ticks + jump) & _32_BITS

    def seq(self, content: Content, track: SentTrack, block: int) -> int:
        """Sequence number of the first packet from `block` on."""
        loop, index = divmod(block, len(content.blocks))
        before = content.blocks[index].packets_before[track.index]
        return (track.seq_base + loop * content.tracks[track.index].packets + before) & 0xFFFF

    def reports(self, content: Content, block: int) -> Iterator[SentPacket]:
        """The sender reports that stand before a block: one per track, every 5 s."""
        due = content.due_us(block)
        if due // REPORT_PERIOD_US == content.due_us(block - 1) // REPORT_PERIOD_US:
            return
        loop, index = divmod(block, len(content.blocks))
        in_loop = content.blocks[index].due_us
        for track in self.tracks:
            medium = content.tracks[track.index]
            before = content.blocks[index]
            data = sender_report(
                ssrc=track.ssrc,
                wall_us=self.life.epoch_us + due,  # by the camera's own clock
                timestamp=self.timestamp(
                    content, track, block, in_loop * medium.clock_rate // 1_000_000
                ),
                packets=loop * medium.packets + before.packets_before[track.index],
                octets=loop * medium.octets + before.octets_before[track.index],
                cname=self.life.cname,
            )
            yield SentPacket(
                track.rtcp_channel, data, True, track.index, block, self.sent_us(content, block)
            )

    def packets(self, content: Content, block: int) -> Iterator[SentPacket]:
        """All that a block puts on the wire, in order; nothing if it was skipped."""
        if self.was_skipped(block) is not None:
            return
        yield from self.reports(content, block)
        tracks = {track.index: track for track in self.tracks}
        source = self._program(content)[block % len(content.blocks)]
        seqs = {index: self.seq(content, track, block) for index, track in tracks.items()}
        lost = self._lost_in(block)
        sent = self.sent_us(content, block)
        for place, (head, data) in enumerate(source.packets()):
            track, seq = tracks[head.track], seqs[head.track]
            seqs[head.track] = (seq + 1) & 0xFFFF
            if place not in lost:
                timestamp = self.timestamp(content, track, block, head.ticks)
                stamped = stamp(data, seq, timestamp, track.ssrc)
                yield SentPacket(track.rtp_channel, stamped, False, track.index, block, sent)

    def packets_within(self, content: Content, block: int, sent_bytes: int) -> int:
        """How many whole packets the first bytes of a block hold."""
        count = 0
        for packet in self.packets(content, block):
            sent_bytes -= FRAME_HEADER + len(packet.data)
            if sent_bytes < 0:
                break
            count += 1
        return count

    def sent(self, content: Content, until: Mark) -> Iterator[SentPacket]:
        """Every packet from the first one up to a mark."""
        for block in range(self.first, until.block):
            yield from self.packets(content, block)
        if until.packets:
            for count, packet in enumerate(self.packets(content, until.block)):
                if count >= until.packets:
                    break
                yield packet

    def _program(self, content: Content) -> tuple[Block, ...]:
        return content.program(frozenset(track.index for track in self.tracks))

    def _lost_in(self, block: int) -> set[int]:
        at = bisect_right(self.lost, (block, -1))
        lost = set()
        while at < len(self.lost) and self.lost[at][0] == block:
            lost.add(self.lost[at][1])
            at += 1
        return lost
