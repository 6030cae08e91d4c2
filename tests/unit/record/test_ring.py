from tests.fakes.pieces import GATE, START_US, YARD, piece, session

from kilocam.core import CameraKey, Gap, GapCause, Piece
from kilocam.record.ring import Item, Ring
from kilocam.record.source import Opened, Source


def source(key: CameraKey) -> Source:
    return Source(key, None, 1, 1)  # type: ignore[arg-type]  # a ring never looks at the lane


def item(of: Source, number: int, size: int = 1000) -> Item:
    made = piece(of.key, wall_us=START_US + number * 500_000, payload=bytes(size))
    return Item(of, Opened(session(of.key)), number, made)


def test_a_full_ring_drops_its_oldest_pieces_and_tells_by_one_gap_per_camera() -> None:
    ring, gate, yard = Ring(6000), source(GATE), source(YARD)
    for number in range(10):
        ring.push(item(gate if number % 2 else yard, number))
    items, upto = ring.take()
    assert upto == 9
    gaps = [found for found in items if isinstance(found.value, Gap)]
    pieces = [found for found in items if isinstance(found.value, Piece)]
    assert items == gaps + pieces
    assert [found.sequence for found in pieces] == [6, 7, 8, 9]
    assert {(found.source.key, found.value) for found in gaps} == {
        (YARD, dropped(START_US, 4)),
        (GATE, dropped(START_US + 500_000, 5)),
    }
    assert ring.dropped == 6


def dropped(start_us: int, last: int) -> Gap:
    return Gap(
        start_us=start_us,
        end_us=START_US + (last + 1) * 500_000,
        cause=GapCause.DISK_SLOW,
        detail="dropped before it could be written",
    )


def test_items_put_back_come_first_again() -> None:
    ring, gate = Ring(1 << 20), source(GATE)
    for number in range(3):
        ring.push(item(gate, number))
    items, _ = ring.take()
    ring.push(item(gate, 3))
    ring.put_back(items)
    assert [found.sequence for found in ring.take()[0]] == [0, 1, 2, 3]
    assert len(ring) == 0
    assert ring.bytes == 0


def test_a_gap_among_dropped_items_keeps_its_cause() -> None:
    ring, gate = Ring(600), source(GATE)
    gap = Gap(start_us=START_US, end_us=START_US + 9, cause=GapCause.SILENT)
    ring.push(Item(gate, None, 1, gap))
    ring.cause = GapCause.DISK_FULL
    for number in range(2, 5):
        ring.push(item(gate, number))
    items, _ = ring.take()
    causes = [found.value.cause for found in items if isinstance(found.value, Gap)]
    assert causes == [GapCause.SILENT, GapCause.DISK_FULL]


def test_gaps_of_a_camera_are_bounded() -> None:
    ring, gate = Ring(600), source(GATE)
    for number in range(0, 1000, 10):  # holes between them, so they do not merge
        ring.push(item(gate, number))
    items, _ = ring.take()
    gaps = [found.value for found in items if isinstance(found.value, Gap)]
    assert len(gaps) == 16
    assert gaps[-1].end_us == START_US + 990 * 500_000 + 500_000


def test_a_closed_ring_hands_everything_over_in_order_and_refuses() -> None:
    first, second, gate = Ring(1 << 20), Ring(1 << 20), source(GATE)
    flight = [item(gate, 1)]
    first.push(item(gate, 2))
    second.push(item(gate, 9))
    first.close_into(second, flight)
    assert not first.push(item(gate, 3))
    first.put_back([item(gate, 4)])
    assert len(first) == 0
    assert [found.sequence for found in second.take()[0]] == [1, 2, 9]
