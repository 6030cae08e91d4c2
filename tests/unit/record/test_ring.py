from tests.fakes.pieces import GATE, START_US, YARD, piece, session

from kilocam.core import CameraKey, Gap, GapCause, Piece
from kilocam.record.ring import Item, Ring
from kilocam.record.source import Opened, Source


def source(key: CameraKey) -> Source:
    return Source(key, None, 1, 1)  # type: ignore[arg-type]  # a ring never looks at the lane


def item(of: Source, number: int, size: int = 1000) -> Item:
    made = piece(of.key, wall_us=START_US + number * 500_000, payload=bytes(size))
    return Item(of, Opened(session(of.key)), number, made)


def taken(ring: Ring) -> list[Item]:
    ring.take()
    return ring.flight


def sequences(ring: Ring) -> list[int]:
    return [found.sequence for found in taken(ring)]


def test_a_full_ring_drops_its_oldest_pieces_and_tells_by_one_gap_per_camera() -> None:
    ring, gate, yard = Ring(6000), source(GATE), source(YARD)
    for number in range(10):
        ring.push(item(gate if number % 2 else yard, number))
    assert ring.take().upto == 9
    items = ring.flight
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


def test_items_given_back_come_first_again() -> None:
    ring, gate = Ring(1 << 20), source(GATE)
    for number in range(3):
        ring.push(item(gate, number))
    ring.take()
    ring.push(item(gate, 3))
    ring.give_back()
    assert ring.flight == []
    assert sequences(ring) == [0, 1, 2, 3]
    assert len(ring) == 0
    assert ring.bytes == 0


def test_items_given_back_to_a_full_ring_give_way_and_are_told() -> None:
    ring, gate = Ring(6000), source(GATE)
    for number in range(4):
        ring.push(item(gate, number))
    ring.take()
    for number in range(4, 8):
        ring.push(item(gate, number))
    ring.give_back()
    assert ring.bytes <= ring.limit
    assert ring.dropped == 4
    [told, *rest] = taken(ring)
    assert told.value == dropped(START_US, 3)
    assert [found.sequence for found in rest] == [4, 5, 6, 7]


def test_a_gap_among_dropped_items_keeps_its_cause() -> None:
    ring, gate = Ring(600), source(GATE)
    gap = Gap(start_us=START_US, end_us=START_US + 9, cause=GapCause.SILENT)
    ring.push(Item(gate, None, 1, gap))
    ring.cause = GapCause.DISK_FULL
    for number in range(2, 5):
        ring.push(item(gate, number))
    items = taken(ring)
    causes = [found.value.cause for found in items if isinstance(found.value, Gap)]
    assert causes == [GapCause.SILENT, GapCause.DISK_FULL]


def test_gaps_of_a_camera_are_bounded() -> None:
    ring, gate = Ring(600), source(GATE)
    for number in range(0, 1000, 10):  # holes between them, so they do not merge
        ring.push(item(gate, number))
    items = taken(ring)
    gaps = [found.value for found in items if isinstance(found.value, Gap)]
    assert len(gaps) == 16
    assert gaps[-1].end_us == START_US + 990 * 500_000 + 500_000


def test_a_closed_ring_hands_everything_over_in_order_and_refuses() -> None:
    first, second, gate = Ring(1 << 20), Ring(1 << 20), source(GATE)
    first.push(item(gate, 1))
    first.take()  # nothing lies between ring and flight, whenever the lane is abandoned
    first.push(item(gate, 2))
    second.push(item(gate, 9))
    first.close_into(second)
    assert not first.push(item(gate, 3))
    first.flight = [item(gate, 4)]  # its writing thread had not noticed yet
    first.give_back()
    assert len(first) == 0
    assert first.flight == []
    assert sequences(second) == [1, 2, 9]


def test_what_was_handed_over_is_stored_only_once_it_was_taken_and_written_again() -> None:
    first, second, gate = Ring(1 << 20), Ring(1 << 20), source(GATE)
    first.begin(10, closed=False)
    second.begin(10, closed=False)
    first.push(item(gate, 11))
    second.push(item(gate, 12))
    before = second.take()
    first.close_into(second)
    assert second.synced == 10
    second.settle(before)  # what it was writing at that moment holds nothing of the other's
    assert second.synced == 10
    second.settle(second.take())
    assert second.synced == 12


def test_what_is_stored_does_not_go_back_when_a_lane_takes_over_that_had_nothing_to_do() -> None:
    first, second, gate = Ring(1 << 20), Ring(1 << 20), source(GATE)
    first.push(item(gate, 5))
    first.settle(first.take())
    first.push(item(gate, 6))
    first.close_into(second)
    assert (second.synced, second.pushed) == (5, 6)


def test_a_ring_that_owes_nothing_takes_nothing_back_from_another() -> None:
    first, second, gate = Ring(1 << 20), Ring(1 << 20), source(GATE)
    first.push(item(gate, 1))
    first.settle(first.take())
    second.push(item(gate, 5))
    second.settle(second.take())
    first.flight = []
    first.close_into(second)
    assert second.synced == 5


def test_a_ring_that_reopens_owes_nothing_of_before() -> None:
    first, second, gate = Ring(1 << 20), Ring(1 << 20), source(GATE)
    first.push(item(gate, 1))
    first.close_into(second)
    first.flight = [item(gate, 1)]
    first.reopen()
    assert first.synced == first.pushed
    assert first.push(item(gate, 2))
    assert sequences(first) == [2]
    assert sequences(second) == [1]
