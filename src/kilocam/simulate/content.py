"""Owns: one loop of footage as RTP packets, shared by all cameras that play it.

A loop is a list of blocks. A block is what a camera sends at one moment with one `send()`: a
picture and the sound up to it, framed as in RFC 2326 section 10.12. Its bytes are a template: the
channel, sequence number, timestamp and SSRC of each packet are stamped in place before each send
(`send()` copies, so a thousand cameras share one template).

All numbers follow from a block's number in the life of its camera, counted from 0 without end:
`loop, index = divmod(number, len(blocks))`. So the ledger need not keep packets, it derives them.
"""

import json
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from blake3 import blake3

from kilocam.simulate.errors import LedgerError

FRAME_HEADER = 4
RTP_HEADER = 12
STAMP_AT = FRAME_HEADER + 2
"""Where in a framed packet the sequence number stands."""
_MAGIC = b"kilocam content 1\n"
_BLOCK = struct.Struct(">qqi?H")
_PACKET = struct.Struct(">BqH")
_STAMP = struct.Struct(">HII")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentTrack:
    """One medium as the SDP describes it, and what one loop holds of it."""

    media: str
    codec: str
    payload_type: int
    clock_rate: int
    channels: int
    fmtp: str
    packets: int
    octets: int
    """Payload octets, as sender reports count them (RFC 3550 section 6.4.1)."""


class Head(NamedTuple):
    """A packet in a block: where its frame begins, its track, its time in the loop."""

    at: int
    track: int
    ticks: int


class Run(NamedTuple):
    """Packets in a block that follow each other on one track and are of one time."""

    track: int
    shifted_ticks: int
    """Their time in the loop, in the upper 32 bits of 64."""
    stamps: tuple[int, ...]
    """Where the sequence number of each stands; timestamp and SSRC come right after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What is sent at one moment; times count from the loop's start."""

    due_us: int
    """When it is sent."""
    wire: bytearray
    runs: tuple[Run, ...]
    """Its packets for who stamps them; the three stand together as they are read together."""
    shown_us: int
    """When its picture was taken; at or before `due_us`."""
    picture: int
    """Number of the picture in the order shown; -1 without a picture."""
    key: bool
    heads: tuple[Head, ...]
    bytes_before: int
    """Bytes of the blocks earlier in the loop."""
    packets_before: tuple[int, ...]
    """Packets of each track earlier in the loop."""
    octets_before: tuple[int, ...]

    def packets(self) -> Iterable[tuple[Head, bytes]]:
        """Each packet, without its frame and as last stamped."""
        bounds = [*(head.at for head in self.heads), len(self.wire)]
        for head, (start, end) in zip(self.heads, pairwise(bounds), strict=True):
            yield head, bytes(self.wire[start + FRAME_HEADER : end])


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBlock:
    """A block before it is laid out: (track, ticks, RTP packet) in the order sent."""

    due_us: int
    shown_us: int
    picture: int
    key: bool
    packets: Sequence[tuple[int, int, bytes]]


class Content:
    """A loop of blocks; immutable but for the stamps in its templates."""

    def __init__(
        self,
        *,
        name: str,
        clock_rate: int,
        loop_ticks: int,
        tracks: Sequence[ContentTrack],
        blocks: Sequence[RawBlock],
    ) -> None:
        """`clock_rate` and `loop_ticks` are of the track that sets the loop's length.

        `packets` and `octets` of `tracks` are counted here, whatever they say.
        """
        self.name = name
        self.clock_rate = clock_rate
        self.loop_ticks = loop_ticks
        every = frozenset(range(len(tracks)))
        self.blocks, packets, octets = _lay_out(blocks, every, len(tracks))
        self.tracks = tuple(
            ContentTrack(**(asdict(track) | {"packets": p, "octets": o}))
            for track, p, o in zip(tracks, packets, octets, strict=True)
        )
        self._programs = {every: self.blocks}
        self.digest = blake3(b"".join(self._serialised())).hexdigest(16)

    # -- time ----------------------------------------------------------------------------------

    def loop_us(self, loop: int) -> int:
        """Start of a loop in the life of a camera."""
        return loop * self.loop_ticks * 1_000_000 // self.clock_rate

    def loop_start_ticks(self, track: int, loop: int) -> int:
        """The same in a track's own clock; loops never drift apart between tracks."""
        return loop * self.loop_ticks * self.tracks[track].clock_rate // self.clock_rate

    def due_us(self, number: int) -> int:
        """When block `number` of a camera's life is sent, since its start."""
        loop, index = divmod(number, len(self.blocks))
        return self.loop_us(loop) + self.blocks[index].due_us

    def first_due(self, life_us: int) -> int:
        """Number of the first block that is sent at `life_us` or later."""
        length = self.loop_us(1)
        # A block may be due a little after its loop's end (reordered pictures).
        loop = max(0, life_us // length - 1)
        while True:
            index = bisect_left(self._dues, life_us - self.loop_us(loop))
            if index < len(self.blocks):
                return loop * len(self.blocks) + index
            loop += 1

    def next_key(self, number: int) -> int:
        """Number of the first block from `number` on that begins with a key frame, if any does."""
        loop, index = divmod(number, len(self.blocks))
        if not self._keys:
            return number
        at = bisect_left(self._keys, index)
        if at == len(self._keys):
            loop, at = loop + 1, 0
        return loop * len(self.blocks) + self._keys[at]

    def picture_at(self, life_us: int) -> tuple[int, int] | None:
        """(loop, number) of the picture that was the newest one taken at `life_us`."""
        if not self._shown or life_us < 0:
            return None
        loop = life_us // self.loop_us(1)
        if self.loop_us(loop + 1) <= life_us:
            loop += 1
        at = bisect_right(self._shown, life_us - self.loop_us(loop)) - 1
        return (loop, at) if at >= 0 else (loop - 1, len(self._shown) - 1) if loop else None

    def picture_us(self, loop: int, picture: int) -> int:
        """When a picture was taken in the life of a camera."""
        return self.loop_us(loop) + self._shown[picture]

    @property
    def pictures(self) -> int:
        """Pictures in one loop."""
        return len(self._shown)

    @cached_property
    def _dues(self) -> list[int]:
        return [block.due_us for block in self.blocks]

    @cached_property
    def _keys(self) -> list[int]:
        return [index for index, block in enumerate(self.blocks) if block.key]

    @cached_property
    def _shown(self) -> list[int]:
        return sorted(block.shown_us for block in self.blocks if block.picture >= 0)

    # -- tracks --------------------------------------------------------------------------------

    def program(self, tracks: frozenset[int]) -> tuple[Block, ...]:
        """The same blocks with the packets of some tracks only."""
        if tracks not in self._programs:
            self._programs[tracks] = _lay_out(self._raw(), tracks, len(self.tracks))[0]
        return self._programs[tracks]

    def _raw(self) -> list[RawBlock]:
        return [
            RawBlock(
                due_us=block.due_us,
                shown_us=block.shown_us,
                picture=block.picture,
                key=block.key,
                packets=[(head.track, head.ticks, data) for head, data in block.packets()],
            )
            for block in self.blocks
        ]

    # -- files ---------------------------------------------------------------------------------

    def save(self, folder: Path) -> Path:
        """Write `<digest>.content` into `folder` unless it is there already."""
        path = folder / f"{self.digest}.content"
        if not path.exists():
            fresh = path.with_suffix(".fresh")
            with fresh.open("wb") as file:
                file.writelines(self._serialised())
            fresh.rename(path)
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote.

        Raises:
            LedgerError: the file is missing, damaged or not ours.
        """
        try:
            with path.open("rb") as file:
                content = cls._read(file)
        except OSError as error:
            raise LedgerError(
                f"content {path.name}: cannot be read ({error.strerror}); "
                "keep it beside the ledger that names it"
            ) from None
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise LedgerError(f"content {path.name}: damaged ({error}); record again") from None
        if path.stem != content.digest:
            raise LedgerError(f"content {path.name}: damaged (its digest differs); record again")
        return content

    def _serialised(self) -> Iterable[bytes]:
        head = {
            "name": self.name,
            "clock_rate": self.clock_rate,
            "loop_ticks": self.loop_ticks,
            "tracks": [asdict(track) for track in self.tracks],
            "blocks": len(self.blocks),
        }
        yield _MAGIC
        yield json.dumps(head).encode() + b"\n"
        for block in self.blocks:
            yield _BLOCK.pack(
                block.due_us, block.shown_us, block.picture, block.key, len(block.heads)
            )
            for head_, data in block.packets():
                yield _PACKET.pack(head_.track, head_.ticks, len(data)) + _blank(data)

    @classmethod
    def _read(cls, file: BinaryIO) -> Self:
        if file.readline() != _MAGIC:
            raise ValueError("not a content file of this version")
        head = json.loads(file.readline())
        blocks = []
        for _ in range(head["blocks"]):
            due, shown, picture, key, count = _BLOCK.unpack(file.read(_BLOCK.size))
            packets = []
            for _ in range(count):
                track, ticks, size = _PACKET.unpack(file.read(_PACKET.size))
                packets.append((track, ticks, file.read(size)))
            blocks.append(
                RawBlock(due_us=due, shown_us=shown, picture=picture, key=key, packets=packets)
            )
        return cls(
            name=head["name"],
            clock_rate=head["clock_rate"],
            loop_ticks=head["loop_ticks"],
            tracks=[ContentTrack(**track) for track in head["tracks"]],
            blocks=blocks,
        )


def stamp(packet: bytes, seq: int, timestamp: int, ssrc: int) -> bytes:
    """An RTP packet with these three numbers (RFC 3550 section 5.1)."""
    return packet[:2] + _STAMP.pack(seq, timestamp, ssrc) + packet[RTP_HEADER:]


def _blank(packet: bytes) -> bytes:
    return stamp(packet, 0, 0, 0)


def _lay_out(
    raw: Sequence[RawBlock], tracks: frozenset[int], count: int
) -> tuple[tuple[Block, ...], list[int], list[int]]:
    blocks: list[Block] = []
    packets, octets = [0] * count, [0] * count
    size = 0
    for source in raw:
        before = tuple(packets), tuple(octets)
        wire, heads = bytearray(), []
        for track, ticks, data in source.packets:
            if track not in tracks:
                continue
            heads.append(Head(len(wire), track, ticks))
            wire += b"$\x00" + len(data).to_bytes(2, "big") + data
            packets[track] += 1
            octets[track] += len(data) - RTP_HEADER
        blocks.append(
            Block(
                due_us=source.due_us,
                shown_us=source.shown_us,
                picture=source.picture,
                key=source.key,
                wire=wire,
                heads=tuple(heads),
                runs=_runs(heads),
                bytes_before=size,
                packets_before=before[0],
                octets_before=before[1],
            )
        )
        size += len(wire)
    return tuple(blocks), packets, octets


def _runs(heads: Sequence[Head]) -> tuple[Run, ...]:
    return tuple(
        Run(track, ticks << 32, tuple(head.at + STAMP_AT for head in run))
        for (track, ticks), run in groupby(heads, key=lambda head: (head.track, head.ticks))
    )
