from pathlib import Path

import pytest

from kilocam.simulate.content import Content, stamp
from kilocam.simulate.errors import LedgerError


def test_blocks_are_counted_on_through_the_loops(content: Content) -> None:
    assert content.due_us(0) == 0
    assert content.due_us(19) == 1_900_000
    assert content.due_us(20) == 2_000_000
    assert content.due_us(45) == 4_500_000


def test_the_first_block_due_is_the_next_one(content: Content) -> None:
    assert content.first_due(0) == 0
    assert content.first_due(1) == 1
    assert content.first_due(1_900_001) == 20
    assert content.first_due(4_500_000) == 45


def test_the_next_key_frame_may_stand_in_the_next_loop(content: Content) -> None:
    assert [content.next_key(number) for number in (0, 1, 10, 11, 20, 31)] == [
        0, 10, 10, 20, 20, 40,
    ]  # fmt: skip


def test_the_picture_on_air_is_the_last_one_taken(content: Content) -> None:
    assert content.picture_at(-1) is None
    assert content.picture_at(0) == (0, 0)
    assert content.picture_at(1_999_999) == (0, 19)
    assert content.picture_at(2_000_000) == (1, 0)
    assert content.picture_us(1, 3) == 2_300_000
    assert content.pictures == 20


def test_tracks_never_drift_apart_over_the_loops(content: Content) -> None:
    assert content.loop_start_ticks(0, 1_000_000) / 90_000 == 2_000_000
    assert content.loop_start_ticks(1, 1_000_000) / 8_000 == 2_000_000


def test_packets_and_octets_of_a_loop_are_counted(content: Content) -> None:
    video, audio = content.tracks
    assert (video.packets, audio.packets) == (40, 20)
    assert audio.octets == 200
    assert content.blocks[3].packets_before == (6, 3)


def test_a_program_has_the_packets_of_its_tracks_only(content: Content) -> None:
    program = content.program(frozenset({1}))
    assert len(program) == 20
    assert [head.track for head in program[4].heads] == [1]
    assert program is content.program(frozenset({1}))
    assert content.program(frozenset({0, 1})) is content.blocks


def test_a_file_gives_back_what_was_saved_whatever_was_stamped(
    content: Content, tmp_path: Path
) -> None:
    content.blocks[0].wire[6:16] = b"x" * 10
    path = content.save(tmp_path)
    again = Content.load(path)
    assert again.digest == content.digest
    assert path.name == f"{content.digest}.content"
    assert [[h for h, _ in b.packets()] for b in again.blocks] == [
        [h for h, _ in b.packets()] for b in content.blocks
    ]
    assert stamp(next(iter(again.blocks[0].packets()))[1], 1, 2, 3) == stamp(
        next(iter(content.blocks[0].packets()))[1], 1, 2, 3
    )


@pytest.mark.parametrize("damage", ["shorter", "changed", "empty", "foreign"])
def test_a_damaged_file_is_named(content: Content, tmp_path: Path, damage: str) -> None:
    path = content.save(tmp_path)
    data = bytearray(path.read_bytes())
    match damage:
        case "shorter":
            del data[-7:]
        case "changed":
            data[-1] ^= 1
        case "empty":
            data.clear()
        case _:
            data[:] = b"{}\n" * 100
    path.write_bytes(data)
    with pytest.raises(LedgerError, match=rf"^content {path.name}: damaged"):
        Content.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"^content none\.content: cannot be read \(No such"):
        Content.load(tmp_path / "none.content")
