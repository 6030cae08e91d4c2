import struct
from itertools import pairwise
from pathlib import Path

import pytest
from tests.fakes.footage import GATE, T0, Change, FootageSpec, Loss, open_log, write_footage
from tests.fakes.samples import check_decodes, probe_frames, probe_packets
from tests.fakes.stored import Stored, at, store

from kilocam.playback import (
    Library,
    NoSuchSegment,
    Segment,
    SegmentName,
    init_name,
    make_init,
)
from kilocam.record import Archive

LATER = at(10_000)


def segments_of(stored: Stored, from_s: float = 0, to_s: float = 1000) -> tuple[Segment, ...]:
    plan = stored.library.planner.plan(GATE, at(from_s), at(to_s), LATER)
    assert plan.complete
    return plan.segments


def groups_of(segments: tuple[Segment, ...]) -> list[list[Segment]]:
    groups: list[list[Segment]] = []
    for segment in segments:
        if not segment.follows:
            groups.append([])
        groups[-1].append(segment)
    return groups


def write_group(stored: Stored, group: list[Segment], file: Path) -> Path:
    made = [stored.library.segments.make(GATE, segment.name) for segment in group]
    file.write_bytes(make_init(init_name(group[0])) + b"".join(made))
    return file


def decode_times(data: bytes) -> list[tuple[int, int]]:
    """Start and end in decoding time of each track's run, read from the boxes themselves."""
    times = []
    place = data.find(b"tfdt")
    while 0 <= place < data.find(b"mdat"):
        (start,) = struct.unpack_from(">Q", data, place + 8)
        run = data.find(b"trun", place)
        (count,) = struct.unpack_from(">I", data, run + 8)
        durations = [struct.unpack_from(">I", data, run + 16 + 16 * n)[0] for n in range(count)]
        times.append((start, start + sum(durations)))
        place = data.find(b"tfdt", run)
    return times


def test_segments_are_cut_at_the_first_key_frame_of_four_seconds(plain: Stored) -> None:
    segments = segments_of(plain)
    keys = [shot.wall_us for shot in plain.truth.shots if shot.key]

    assert segments[0].name.start_us == keys[0]
    assert all(s.name.start_us in keys for s in segments)
    assert [a.name.end_us for a in segments[:-1]] == [b.name.start_us for b in segments[1:]]
    assert all(2 <= s.seconds <= 6 for s in segments)
    assert [s.follows for s in segments] == [False] + [True] * (len(segments) - 1)


def test_what_is_asked_for_does_not_move_the_cuts(plain: Stored) -> None:
    whole = [s.name for s in segments_of(plain)]
    for from_s in (0.5, 4.1, 9, 13.7):
        part = [s.name for s in segments_of(plain, from_s, 20)]
        assert part == [n for n in whole if n.end_us > at(from_s) and n.start_us < at(20)]


def test_joined_segments_decode_with_every_picture_at_its_time(
    plain: Stored, tmp_path: Path
) -> None:
    (group,) = groups_of(segments_of(plain))
    file = write_group(plain, group, tmp_path / "a.mp4")

    packets = probe_packets(file)
    shots = plain.truth.shots
    assert len(packets) == len(shots)
    start = packets[0].pts
    assert [p.pts - start for p in packets] == [
        (s.wall_us - shots[0].wall_us) * 9 // 100 for s in shots
    ]
    assert len(probe_frames(file)) == len(shots)
    check_decodes(file)


def test_segments_continue_each_other_to_the_tick(plain: Stored) -> None:
    (group,) = groups_of(segments_of(plain))
    times = [decode_times(plain.library.segments.make(GATE, s.name)) for s in group]

    for (video, sound), (next_video, next_sound) in pairwise(times):
        assert video[1] == next_video[0]
        assert sound[1] == next_sound[0]


def test_sound_is_with_its_pictures(plain: Stored, tmp_path: Path) -> None:
    (group,) = groups_of(segments_of(plain))
    file = write_group(plain, group, tmp_path / "a.mp4")

    video, sound = probe_packets(file), probe_packets(file, "a:0")
    shot, (heard_us, _) = plain.truth.shots[0], plain.truth.sounds[len(plain.truth.sounds) // 2]
    sounds = [p.pts / 48_000 for p in sound]
    apart = (heard_us - shot.wall_us) / 1e6
    wanted = video[0].pts / 90_000 + apart
    assert min(abs(s - wanted) for s in sounds) < 0.001


def test_trouble_leaves_segments_that_decode(troubled: Stored, tmp_path: Path) -> None:
    groups = groups_of(segments_of(troubled))

    assert [(g[0].name.session, g[0].video.width) for g in groups] == [(1, 320), (2, 320), (2, 480)]
    frames = 0
    for number, group in enumerate(groups):
        file = write_group(troubled, group, tmp_path / f"{number}.mp4")
        check_decodes(file)
        frames += len(probe_frames(file))
    # Lost at 5.5 s and 8 s: with them go the pictures up to the next key frames, at 6 s and 10 s.
    whole = [shot for shot in troubled.truth.shots if shot.whole]
    assert len(whole) - 27 <= frames < len(whole)


def test_a_segment_is_the_same_bytes_from_the_active_and_the_sealed_file(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    try:
        write_footage(writer, FootageSpec(seconds=14, sound=True), epoch=writer.epoch)
        assert writer.flush()
        library = Library(Archive([tmp_path]))
        now_us = at(14)
        plan = library.planner.plan(GATE, T0, at(60), now_us)
        assert not plan.complete
        assert plan.segments[-1].name.end_us < at(13)
        before = [library.segments.make(GATE, s.name) for s in plan.segments]
    finally:
        writer.close()

    sealed = Library(Archive([tmp_path]))
    assert [sealed.segments.make(GATE, s.name) for s in plan.segments] == before
    later = sealed.planner.plan(GATE, T0, at(60), LATER)
    assert later.complete
    assert later.segments[: len(plan.segments)] == plan.segments


def test_a_camera_that_falls_silent_gets_segments_without_sound(tmp_path: Path) -> None:
    stored = store(tmp_path, FootageSpec(seconds=20, sound=True, sound_s=(0, 8)))
    segments = segments_of(stored)

    assert [s.sound is not None for s in segments] == [s.name.start_us < at(8) for s in segments]
    assert sum(not s.follows for s in segments) == 2


def test_a_key_frame_that_lost_packets_is_no_cut(tmp_path: Path) -> None:
    stored = store(
        tmp_path,
        FootageSpec(seconds=16, width=640, height=360, losses=(Loss(at_s=8, packets=4),)),
    )
    starts = [s.name.start_us for s in segments_of(stored)]
    lost = next(shot for shot in stored.truth.shots if not shot.whole)

    assert lost.key
    assert lost.wall_us not in starts
    for segment in segments_of(stored):
        assert stored.library.segments.make(GATE, segment.name)


def test_parameter_sets_may_stand_in_the_sdp_only(tmp_path: Path) -> None:
    stored = store(tmp_path, FootageSpec(seconds=6, in_band=False))
    (group,) = groups_of(segments_of(stored))
    check_decodes(write_group(stored, group, tmp_path / "a.mp4"))


def test_small_pieces_give_the_same_pictures(tmp_path: Path) -> None:
    stored = store(tmp_path, FootageSpec(seconds=8, piece_s=0.02, changes=(Change(at_s=50),)))
    (group,) = groups_of(segments_of(stored))
    assert len(probe_frames(write_group(stored, group, tmp_path / "a.mp4"))) == 80


def test_a_segment_that_is_not_stored_is_an_error(plain: Stored) -> None:
    for text in ("1-5-9-v.m4s", f"7-{T0}-{at(4)}-av.m4s", f"1-{T0}-{at(4)}-av.m4s"):
        with pytest.raises(NoSuchSegment, match="is not stored"):
            plain.library.segments.make(GATE, SegmentName.parse(text))
