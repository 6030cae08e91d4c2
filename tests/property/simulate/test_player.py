"""Whatever happens, what the player stamps and sends is what the ledger derives.

The two are written apart: the player stamps shared templates on its way, the record computes each
packet from the block's number.
"""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from kilocam.rtsp import Demultiplexer, Frame, ServerQuirk
from kilocam.simulate.content import Content, ContentTrack, RawBlock
from kilocam.simulate.player import Player, Temper
from kilocam.simulate.record import CameraLife, ConnectionRecord, SentTrack
from kilocam.simulate.wire import Wire

RATES = (90_000, 48_000, 8_000)
HEADER = bytes((0x80, 96)) + bytes(10)


class FakeWire(Wire):
    """Takes what it has room for."""

    def __init__(self) -> None:
        self.queued = self.answered = 0
        self.answers: dict[int, int] = {}
        """Length of those that begin at a byte of the connection."""
        self.broken = False
        self.data = bytearray()
        self.full = False
        self.arrived = 0

    def offer(self, data: "bytes | bytearray") -> bool:
        if self.full:
            return False
        self.data += data
        self.queued += len(data)
        return True

    def write(self, data: bytes) -> None:
        self.answers[self.queued] = len(data)
        self.queued += len(data)
        self.answered += len(data)

    def written(self) -> int:
        return self.queued

    def acknowledged(self) -> int:
        return self.arrived


class WallClock:
    def wall_us(self, monotonic: float) -> int:
        return round(monotonic * 1e6)


@dataclass(frozen=True)
class Happening:
    """Until the next turn: how long, and what is going on meanwhile."""

    seconds: float
    stalled: bool
    full: bool
    lose: float
    jump_us: int
    answer: bytes
    """Sent first, if any."""


happenings = st.builds(
    Happening,
    seconds=st.floats(0.01, 0.5) | st.floats(0.01, 4),
    stalled=st.booleans(),
    full=st.booleans(),
    lose=st.sampled_from([0.0, 0.0, 0.3]),
    jump_us=st.sampled_from([0, 0, 7_000_000, -40_000_000]),
    answer=st.sampled_from([b"", b"", b"RTSP/1.0 200 OK\r\n\r\n"]),
)


@st.composite
def contents(draw: st.DrawFn) -> Content:
    count = draw(st.integers(1, 3))
    steps = draw(st.lists(st.integers(20_000, 900_000), min_size=1, max_size=6))
    blocks = []
    for at, due_us in enumerate(accumulate(steps)):
        sizes = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, 40)), max_size=4))
        blocks.append(
            RawBlock(
                due_us=due_us,
                shown_us=due_us,
                picture=at,
                key=draw(st.booleans()),
                packets=[
                    (track, due_us * RATES[track] // 1_000_000, HEADER + bytes(size))
                    for track, size in sizes
                ],
            )
        )
    return Content(
        name="drawn",
        clock_rate=90_000,
        loop_ticks=sum(steps) * 9 // 100 + draw(st.integers(1, 90_000)),
        tracks=[
            ContentTrack(
                media="video",
                codec="h264",
                payload_type=96,
                clock_rate=RATES[track],
                channels=1,
                fmtp="",
                packets=0,
                octets=0,
            )
            for track in range(count)
        ],
        blocks=blocks,
    )


def make_record(content: Content, draw: st.DataObject) -> ConnectionRecord:
    chosen = draw.draw(st.sets(st.integers(0, len(content.tracks) - 1), min_size=1), label="tracks")
    life = CameraLife(
        camera=0,
        path="/cam/0",
        content=content.digest,
        epoch_us=0,
        drift_ppm=draw.draw(st.sampled_from([0.0, 500.0, -20.0]), label="drift"),
    )
    return ConnectionRecord(
        life=life,
        connection=0,
        peer="",
        opened_us=0,
        tracks=tuple(
            SentTrack(
                index=index,
                rtp_channel=2 * place + 10,
                rtcp_channel=2 * place + 11,
                ssrc=index + 1,
                seq_base=65_535 - index,
                ts_base=2**32 - 1 - index,
            )
            for place, index in enumerate(sorted(chosen))
        ),
        first=draw.draw(st.integers(0, 3 * len(content.blocks)), label="first"),
    )


@settings(max_examples=150, deadline=None)
@given(
    content=contents(),
    story=st.lists(happenings, min_size=1, max_size=8),
    quirks=st.sets(
        st.sampled_from(
            [ServerQuirk.GARBAGE, ServerQuirk.CRLF_BEFORE_FRAMES, ServerQuirk.UNASSIGNED_CHANNEL]
        )
    ),
    data=st.data(),
)
def test_what_is_sent_is_what_the_record_derives(
    content: Content, story: list[Happening], quirks: set[ServerQuirk], data: st.DataObject
) -> None:
    record, wire, temper = make_record(content, data), FakeWire(), Temper()
    player = Player(
        record,
        content,
        wire,
        temper=temper,
        epoch=0.0,
        clock=WallClock(),
        quirks=frozenset(quirks),
        dice=random.Random(1),
    )
    now = player.due
    for happening in story:
        temper.stalled, temper.lose = happening.stalled, happening.lose
        temper.jump_us += happening.jump_us
        wire.full = happening.full
        if happening.answer:
            wire.write(happening.answer)
        now += happening.seconds
        again = player.turn(now)
        assert again is not None
        assert again > now
    wire.arrived = wire.queued
    player.sample(exact=True)
    assert record.acknowledged == record.written
    derived = [packet.framed() for packet in record.sent(content, record.written)]
    if quirks:
        channels = {c for t in record.tracks for c in (t.rtp_channel, t.rtcp_channel)}
        assert [p[4:] for p in derived] == frames(bytes(wire.data), channels)
    else:
        assert b"".join(derived) == wire.data


def frames(data: bytes, channels: set[int]) -> list[bytes]:
    events = Demultiplexer(frozenset(channels)).feed(data + b"OPTIONS * RTSP/1.0\r\n\r\n")
    return [event.packet for event in events if isinstance(event, Frame)]


@settings(max_examples=100, deadline=None)
@given(content=contents(), story=st.lists(happenings, min_size=1, max_size=8), data=st.data())
def test_what_has_arrived_is_known_to_the_packet(
    content: Content, story: list[Happening], data: st.DataObject
) -> None:
    record, wire, temper = make_record(content, data), FakeWire(), Temper()
    player = Player(
        record,
        content,
        wire,
        temper=temper,
        epoch=0.0,
        clock=WallClock(),
        quirks=frozenset(),
        dice=random.Random(1),
    )
    now = player.due
    for happening in story:
        temper.stalled, temper.lose, wire.full = happening.stalled, happening.lose, happening.full
        now += happening.seconds
        if happening.answer:
            wire.write(happening.answer)
        wire.arrived = data.draw(st.integers(wire.arrived, wire.queued), label="arrived")
        player.turn(now)
    player.sample(exact=True)
    packets = list(record.sent(content, record.written))
    arrived = sum(1 for _ in record.sent(content, record.acknowledged))
    bounds = list(ends([len(packet.framed()) for packet in packets], wire.answers))
    assert arrived == bisect_right(bounds, wire.arrived)
    for end in bounds[arrived:]:
        for wire.arrived in (end - 1, end):
            player.sample(exact=True)
            mark = record.acknowledged
            before = bisect_left(packets, mark.block, key=lambda packet: packet.block)
            assert before + mark.packets == bisect_right(bounds, wire.arrived)


def ends(sizes: list[int], answers: dict[int, int]) -> Iterator[int]:
    """Where packets of these sizes end, with the answers between them."""
    at = 0
    for size in sizes:
        while at in answers:
            at += answers[at]
        at += size
        yield at
