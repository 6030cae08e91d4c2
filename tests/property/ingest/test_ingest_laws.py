"""However the bytes come, every packet is kept, and turns stay within their bounds."""

import struct
from collections.abc import Callable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.ingest.playing import SECOND, SOUND, VIDEO, Played
from tests.unit.ingest.wire import IDR, PPS, RATE, SPS, Camera, P, split

from kilocam.core import PieceFlag
from kilocam.ingest.gate import Gate
from kilocam.ingest.scanner import Cut, PieceScanner
from kilocam.ingest.stream import EAGER_TURN_US, EAGER_US, LONGEST_TURN_US, SHORTEST_TURN_US
from kilocam.rtsp import frame

ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n"
REPORT = frame(1, struct.pack(">BBHIQIII", 0x80, 200, 6, 7, 0, 0, 0, 0))


class Sender:
    """What was sent, by kind: frames that must be kept, and what stands between them."""

    def __init__(self) -> None:
        self.video, self.sound = Camera(), Camera(channel=2)
        self.kept = self.wire = b""
        self.packets = self.pictures = self.messages = self.garbage = 0

    def keep(self, data: bytes, packets: int = 1, pictures: int = 0) -> None:
        self.kept += data
        self.wire += data
        self.packets += packets
        self.pictures += pictures

    def picture(self, *nals: bytes) -> None:
        self.keep(self.video.frame(*nals), len(nals), 1)

    def lost(self) -> None:
        self.video.packet(P)

    def jump(self, seconds: int) -> None:
        self.video.ts = (self.video.ts + seconds * RATE) & 0xFFFF_FFFF

    def message(self) -> None:
        self.wire += ANSWER
        self.messages += 1

    def junk(self, size: int) -> None:
        self.wire += b"\xee" * size
        self.garbage += size

    def unknown(self, size: int) -> None:
        self.wire += frame(9, b"\x80" + b"u" * size)

    def talk(self, size: int) -> None:
        self.keep(self.sound.frame(b"s" * size))

    def report(self) -> None:
        self.keep(REPORT)

    def blank(self) -> None:
        self.wire += b"\r\n"


clean: list[st.SearchStrategy[Callable[[Sender], None]]] = [
    st.just(lambda sender: sender.picture(P)),
    st.just(lambda sender: sender.picture(SPS, PPS, IDR)),
    st.integers(1, 6).map(lambda n: lambda sender: sender.picture(*[P + b"x" * 300] * n)),
    st.integers(1, 300).map(lambda n: lambda sender: sender.talk(n)),
    st.just(Sender.report),
]
odd: list[st.SearchStrategy[Callable[[Sender], None]]] = [
    st.just(Sender.lost),
    st.just(Sender.message),
    st.just(Sender.blank),
    st.integers(1, 200).map(lambda n: lambda sender: sender.junk(n)),
    st.integers(20, 200).map(lambda n: lambda sender: sender.unknown(n)),
    st.sampled_from([-3600, -20, 2, 20, 3600]).map(lambda s: lambda sender: sender.jump(s)),
]
sizes = st.lists(st.one_of(st.integers(1, 40), st.integers(1, 3000)), min_size=1, max_size=8)


def senders(
    *kinds: st.SearchStrategy[Callable[[Sender], None]],
) -> st.SearchStrategy[Sender]:
    def played(steps: Sequence[Callable[[Sender], None]]) -> Sender:
        sender = Sender()
        for step in steps:
            step(sender)
        for _ in range(3):  # what came last is certain when something follows it
            sender.picture(P)
        return sender

    return st.lists(st.one_of(*kinds), max_size=40).map(played)


def scan(parts: Sequence[bytes]) -> tuple[PieceScanner, list[Cut]]:
    machine = PieceScanner(reference=0, channels=frozenset(range(4)), clock_rate=RATE, gate=Gate())
    return machine, [cut for part in parts for cut in machine.feed(part)]


@settings(deadline=None)
@given(senders(*clean, *odd), sizes)
def test_any_split_of_what_comes_gives_the_same_packets(sender: Sender, sizes: list[int]) -> None:
    for parts in ([sender.wire], split(sender.wire, sizes)):
        machine, cuts = scan(parts)
        assert b"".join(cut.payload for cut in cuts) == sender.kept
        assert sum(cut.packets for cut in cuts) == sender.packets
        assert sum(cut.frames for cut in cuts) == sender.pictures
        assert machine.messages == [ANSWER] * sender.messages
        assert machine.skipped >= sender.garbage  # what is odd next to garbage counts as some


@settings(deadline=None)
@given(senders(*clean, *odd), sizes)
def test_any_split_of_what_comes_gives_the_same_media_time(
    sender: Sender, sizes: list[int]
) -> None:
    def times(cuts: list[Cut]) -> tuple[int, int, int, bool, bool]:
        media = [cut for cut in cuts if cut.media]
        return (
            media[0].first_ts,
            media[-1].last_ts,
            sum(bool(cut.flags & PieceFlag.DISCONTINUITY) for cut in cuts),
            any(cut.flags & PieceFlag.LOST for cut in cuts),
            any(cut.flags & PieceFlag.DAMAGED for cut in cuts),
        )

    _, whole = scan([sender.wire])
    _, parted = scan(split(sender.wire, sizes))
    assert times(whole) == times(parted)
    for cut in parted:
        assert cut.last_ts - cut.first_ts <= RATE // 2
        assert -1 <= cut.key_offset < len(cut.payload)


waits = st.lists(st.integers(0, SECOND), min_size=1, max_size=8)


@settings(deadline=None)
@given(
    senders(*clean, *odd), sizes, waits, st.sampled_from(["hangs up", "is silent", "is dropped"])
)
def test_a_session_accounts_for_every_packet_however_it_is_read_and_ends(
    sender: Sender, sizes: list[int], waits: list[int], end: str
) -> None:
    played = Played(tracks=(VIDEO, SOUND), buffer=2000)
    parts = split(sender.wire, sizes)
    first, rest = parts[0], parts[1:]
    played.stream.receive(first, played.now_us)
    longest_us = 25 * SECOND // len(parts)  # so that no packet takes half a minute to come
    for n, part in enumerate(rest):
        assert played.turn(part, after_us=min(longest_us, waits[n % len(waits)]))
    while played.wire.coming:
        played.turn()
    if end == "hangs up":
        played.wire.hung_up = True
        assert not played.turn()
    elif end == "is silent":
        assert not played.turn(after_us=60 * SECOND)
    else:
        played.stream.close()
    assert len(played.ends) == (end != "is dropped")
    assert played.wire.closed
    pieces = played.sink.pieces
    assert b"".join(piece.payload for piece in pieces) == sender.kept
    assert sum(piece.packets for piece in pieces) == played.stream.packets == sender.packets
    assert sum(piece.frames for piece in pieces) == played.stream.frames == sender.pictures
    assert played.stream.bytes == len(sender.wire)
    assert all(piece.wall_us > 0 and piece.duration_us >= 0 for piece in pieces)


@settings(deadline=None)
@given(
    st.integers(0, 15),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, SECOND)), max_size=60),
    st.integers(500, 8000),
    st.booleans(),
)
def test_turns_stay_within_their_bounds(
    quiet: int, reads: list[tuple[int, int]], capacity: int, watched: bool
) -> None:
    played = Played(capacity=capacity)
    camera = Camera()
    start_us = played.now_us
    if watched:
        played.stream.watch(start_us + 60 * SECOND)
    before_us = EAGER_TURN_US
    for packets, after_us in [(0, SECOND // 2)] * 10 + [(0, 0)] * quiet + reads:
        data = b"".join(camera.frame(P) for _ in range(packets))
        wait_us = played.turn(data, after_us=after_us)
        assert SHORTEST_TURN_US <= wait_us <= LONGEST_TURN_US
        if watched or played.now_us < start_us + EAGER_US:
            assert wait_us <= EAGER_TURN_US
        elif len(data) * 2 > capacity:
            assert wait_us == max(SHORTEST_TURN_US, before_us // 2)
        elif len(data) * 8 < capacity:
            assert wait_us > before_us or wait_us == LONGEST_TURN_US
        before_us = wait_us
