import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.pieces import GATE, START_US, YARD

from kilocam.core import CameraKey
from kilocam.record.errors import FormatError
from kilocam.record.format import Kind
from kilocam.record.index import (
    WHOLE,
    Directory,
    Entry,
    Tally,
    footer_of,
    unpack_entries,
)

STORED = (Kind.PIECE, Kind.SESSION, Kind.GAP)


def entry(at: int, number: int, kind: Kind = Kind.PIECE) -> Entry:
    return Entry(number * 100, number, START_US + at, 500_000, 0, 1, 100, 0, kind)


def stored(tally: Tally, key: CameraKey) -> tuple[int, list[Entry]]:
    payload = tally.index_payload()
    directory = Directory(payload)
    row = directory.row(key)
    assert row is not None
    start = directory.entries_at + row.first_entry * Directory.ENTRY_LENGTH
    data = payload[start : start + row.entries * Directory.ENTRY_LENGTH]
    return row.flags, unpack_entries(data)


def test_each_camera_finds_its_entries_among_many() -> None:
    tally = Tally()
    keys = [CameraKey("default", f"cam{number}") for number in range(300)]
    for number in range(900):
        tally.add(keys[number % 300], entry(number * 500_000, number + 1))
    for number, key in enumerate(keys):
        _, entries = stored(tally, key)
        assert [found.sequence for found in entries] == [number + 1, number + 301, number + 601]
    assert Directory(tally.index_payload()).row(CameraKey("default", "nobody")) is None
    assert {key for key, _ in Directory(tally.index_payload()).rows()} == set(keys)


def test_a_row_says_whether_its_camera_has_no_hole() -> None:
    tally = Tally()
    for number in range(4):
        tally.add(GATE, entry(number * 500_000, number + 1))
        tally.add(YARD, entry(number * 3_000_000, number + 1))
    assert stored(tally, GATE)[0] & WHOLE
    assert not stored(tally, YARD)[0] & WHOLE


def test_a_session_that_began_days_ago_does_not_widen_the_file() -> None:
    tally = Tally()
    tally.add(GATE, entry(-86_400_000_000, 1, Kind.SESSION))
    tally.add(GATE, entry(0, 2))
    assert (tally.first_us, tally.last_us) == (START_US, START_US + 500_000)


def test_a_footer_comes_back() -> None:
    tally = Tally()
    tally.add(GATE, entry(0, 7))
    tally.hash_headers([b"header"])
    footer = footer_of(tally.footer_payload(100, b"index header", 50, 9, 1))
    assert (footer.index_offset, footer.index_length, footer.records) == (100, 50, 2)
    assert (footer.first_sequence, footer.last_sequence, footer.flags) == (7, 7, 1)
    with pytest.raises(FormatError):
        footer_of(b"short")


def test_a_cut_index_is_refused() -> None:
    tally = Tally()
    tally.add(GATE, entry(0, 1))
    with pytest.raises(FormatError):
        Directory(tally.index_payload()[:40])


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 5), st.sampled_from(STORED)), max_size=30
    ),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_a_tally_tells_just_the_entries_that_touch_a_stretch(
    spans: list[tuple[int, int, Kind]], from_us: int, to_us: int
) -> None:
    tally = Tally()
    for number, (wall_us, duration_us, kind) in enumerate(spans):
        tally.add(GATE, Entry(number, number, wall_us, duration_us, 0, 1, 100, 0, kind))
    wanted = [entry for entry in tally.entries(GATE) if entry.touches(from_us, to_us)]
    assert tally.touching(GATE, from_us, to_us) == wanted
    assert tally.touching(YARD, from_us, to_us) == []
