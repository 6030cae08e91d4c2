from tests.fakes.pieces import START_US, piece, session, stretch

from kilocam.core import GopRef
from kilocam.record.gops import GopTracker

SECOND = 1_000_000


def windows(*, pieces: int, key_every: int) -> list[tuple[float, float]]:
    tracker, opened = GopTracker(), session()
    refs = [
        tracker.feed(opened, made, len(made.payload))
        for made in stretch(pieces=pieces, key_every=key_every)
    ]
    return [at(ref) for ref in refs if ref]


def at(ref: GopRef) -> tuple[float, float]:
    return (ref.start_us - START_US) / SECOND, (ref.gop_us - START_US) / SECOND


def test_a_window_begins_with_each_key_frame() -> None:
    assert windows(pieces=10, key_every=4) == [(0, 0), (2, 2), (4, 4)]


def test_a_long_gop_is_announced_again_every_two_seconds() -> None:
    assert windows(pieces=20, key_every=14) == [(0, 0), (2, 0), (4, 0), (6, 0), (7, 7), (9, 7)]


def test_a_stream_without_key_frames_is_cut_every_ten_seconds() -> None:
    tracker, opened = GopTracker(), session()
    refs = [
        tracker.feed(opened, piece(wall_us=START_US + number * 500_000), 8) for number in range(50)
    ]
    assert {at(ref)[1] for ref in refs if ref} == {0, 10, 20}


def test_a_stream_with_one_key_frame_ever_is_cut_after_a_minute() -> None:
    tracker, opened = GopTracker(), session()
    refs = [
        tracker.feed(opened, piece(wall_us=START_US + number * 500_000, keyed=number == 0), 8)
        for number in range(170)
    ]
    assert {at(ref)[1] for ref in refs if ref} == {0, 60, 70, 80}


def test_a_window_tells_size_and_complexity_of_the_one_before() -> None:
    tracker, opened = GopTracker(), session()
    refs = []
    for number in range(5):
        made = piece(
            wall_us=START_US + number * 500_000, keyed=number % 4 == 0, complexity=30.0, sampled=2
        )
        refs.append(tracker.feed(opened, made, 100))
    first, last = refs[0], refs[4]
    assert first is not None
    assert last is not None
    assert (first.bytes_before, first.complexity, first.codec) == (0, 0.0, "h264")
    assert (last.bytes_before, last.complexity) == (400, 15.0)


def test_a_key_frame_known_by_its_second_packet_alone_begins_no_second_window() -> None:
    tracker, opened = GopTracker(), session()
    moments = ((0, True), (1, False), (2, False), (2, True), (3, False), (4, True))
    pieces = [piece(wall_us=START_US + at * SECOND, keyed=keyed) for at, keyed in moments]
    refs = [tracker.feed(opened, made, 8) for made in pieces]
    assert [at(ref) for ref in refs if ref] == [(0, 0), (2, 0), (4, 4)]


def test_a_new_session_begins_a_window() -> None:
    tracker = GopTracker()
    tracker.feed(session(number=1), piece(keyed=True), 8)
    ref = tracker.feed(session(number=2), piece(session=2, wall_us=START_US + SECOND), 8)
    assert ref is not None
    assert (ref.session, *at(ref), ref.bytes_before) == (2, 1, 1, 0)


def fed(*weights: float) -> list[GopRef]:
    """Pieces of half a second, every fourth one keyed, each with one sample of this complexity."""
    tracker, opened = GopTracker(), session()
    refs = [
        tracker.feed(
            opened,
            piece(
                wall_us=START_US + number * 500_000,
                keyed=number % 4 == 0,
                complexity=weight,
                sampled=int(weight > 0),
            ),
            8,
        )
        for number, weight in enumerate(weights)
    ]
    return [ref for ref in refs if ref]


def test_a_window_whose_first_sample_is_much_busier_than_before_is_announced_again() -> None:
    refs = fed(0, 10, 10, 10, 0, 16, 30, 30)
    assert [(at(ref)[0], ref.complexity, ref.onset) for ref in refs] == [
        (0, 0, 0), (2, 10, 0), (2, 10, 16),
    ]  # fmt: skip


def test_what_came_with_the_key_frame_counts_for_the_onset_too() -> None:
    refs = fed(10, 10, 10, 10, 30, 10, 10, 10)
    assert [(at(ref)[0], ref.onset) for ref in refs] == [(0, 0), (2, 0), (2, 20)]


def test_what_grows_a_little_or_later_or_out_of_nothing_known_is_announced_once() -> None:
    assert [at(ref)[0] for ref in fed(0, 10, 10, 10, 0, 15, 90, 90)] == [0, 2]
    assert [at(ref)[0] for ref in fed(0, 0, 0, 0, 0, 90, 90, 90)] == [0, 2]
