import struct
from pathlib import Path

import av
import numpy as np
import pytest
from tests.fakes.footage import GATE, FootageSpec, Truth
from tests.fakes.samples import check_decodes, probe_packets
from tests.fakes.stored import Stored, at, store

from kilocam.bitstream import split_avcc
from kilocam.media import read_frame_number
from kilocam.media.boxes import MOVIE_TIMESCALE
from kilocam.playback import Library, NoPicture, PlaybackError, Range, clip, export
from kilocam.record import Archive, list_records, log_files

SLICES = (1, 5)


def slices_in(file: Path) -> list[bytes]:
    with av.open(str(file), "r") as container:
        stream = container.streams.video[0]
        return [
            nal
            for packet in container.demux(stream)
            if packet.size
            for nal in split_avcc(bytes(packet))
            if nal[0] & 31 in SLICES
        ]


def slices_sent(truth: Truth) -> list[bytes]:
    return [nal for shot in truth.shots for nal in shot.units if nal[0] & 31 in SLICES]


def numbers_in(file: Path) -> list[tuple[float, int | None]]:
    with av.open(str(file), "r") as container:
        return [
            (
                float((frame.pts or 0) * (frame.time_base or 0)),
                read_frame_number(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)),
            )
            for frame in container.decode(video=0)
        ]


def export_all(stored: Stored, file: Path) -> None:
    exported = export(stored.library, stored.range(0, 1000), file)
    assert exported.file == file
    assert exported.start_us == stored.truth.shots[0].wall_us


def test_an_export_holds_every_slice_in_order(plain: Stored, tmp_path: Path) -> None:
    export_all(plain, tmp_path / "a.mp4")

    assert slices_in(tmp_path / "a.mp4") == slices_sent(plain.truth)
    check_decodes(tmp_path / "a.mp4")


def test_an_export_shows_each_picture_when_it_was_taken(plain: Stored, tmp_path: Path) -> None:
    export_all(plain, tmp_path / "a.mp4")

    shots = plain.truth.shots
    packets = probe_packets(tmp_path / "a.mp4")
    for packet, shot in zip(packets, shots, strict=True):
        assert abs(packet.pts / 90 - (shot.wall_us - shots[0].wall_us) / 1000) < 1
    assert numbers_in(tmp_path / "a.mp4")[37][1] == plain.truth.shown_at(shots[37].wall_us).number


def test_sound_is_with_its_pictures(plain: Stored, tmp_path: Path) -> None:
    export_all(plain, tmp_path / "a.mp4")

    first_us = plain.truth.shots[0].wall_us
    heard = [(us - first_us) / 1e6 for us, _ in plain.truth.sounds]
    packets = probe_packets(tmp_path / "a.mp4", "a:0")
    skipped = len(heard) - len(packets)
    assert 0 <= skipped <= 2
    for packet, wanted in zip(packets, heard[skipped:], strict=True):
        assert abs(packet.pts / 48_000 - wanted) < 0.02


@pytest.mark.parametrize(("reports", "most_s"), [(True, 0.001), (False, 0.3)])
def test_sound_that_comes_late_is_placed_by_sender_reports(
    tmp_path: Path, reports: bool, most_s: float
) -> None:
    late = FootageSpec(seconds=12, sound=True, sound_late_us=240_000, reports=reports)
    stored = store(tmp_path, late)
    export_all(stored, tmp_path / "a.mp4")

    first_us = stored.truth.shots[0].wall_us
    packets = probe_packets(tmp_path / "a.mp4", "a:0")
    heard = [(us - first_us) / 1e6 for us, _ in stored.truth.sounds][-len(packets) :]
    apart = max(abs(p.pts / 48_000 - wanted) for p, wanted in zip(packets, heard, strict=True))
    assert apart < most_s


def test_an_export_keeps_gaps_damage_and_new_pictures(troubled: Stored, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    exported = export(troubled.library, troubled.range(0, 1000), file)

    shots = [s for s in troubled.truth.shots if s.whole]
    assert exported.damaged >= 1
    assert set(slices_in(file)) >= {n for s in shots for n in s.units if n[0] & 31 in SLICES}
    times = {round(p.pts / 90) for p in probe_packets(file)}
    first_us = troubled.truth.shots[0].wall_us
    assert {round((s.wall_us - first_us) / 1000) for s in shots} <= times
    by_time = {round(at_s * 1000): number for at_s, number in numbers_in(file)}
    last = max(shots, key=lambda s: s.wall_us)
    assert by_time[round((last.wall_us - first_us) / 1000)] == last.number
    assert last.width == 480


def test_an_export_of_a_part_begins_at_its_key_frame(plain: Stored, tmp_path: Path) -> None:
    exported = export(plain.library, plain.range(5, 9), tmp_path / "a.mp4")

    keys = [s.wall_us for s in plain.truth.shots if s.key and s.wall_us <= at(5)]
    assert exported.start_us == keys[-1]
    shown = [s for s in plain.truth.shots if keys[-1] <= s.wall_us < at(9)]
    assert exported.pictures == len(shown)


def test_a_clip_starts_when_asked_and_decodes(troubled: Stored, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    made = clip(troubled.library, troubled.range(3.05, 35))
    file.write_bytes(b"".join(made.chunks))

    assert made.mime.startswith('video/mp4; codecs="avc1.')
    check_decodes(file)
    first_us = at(3.05)
    shown = [(at_s, number) for at_s, number in numbers_in(file) if at_s >= 0]
    for at_s, number in (shown[0], shown[20], shown[-1]):
        assert number == troubled.truth.shown_at(first_us + round(at_s * 1e6) + 2000).number


@pytest.mark.parametrize(("from_s", "to_s", "length_s"), [(20, 3600, 4), (4, 10, 6), (0, 1e6, 24)])
def test_a_clip_is_no_longer_than_what_is_recorded(
    plain: Stored, from_s: float, to_s: float, length_s: float
) -> None:
    init = next(clip(plain.library, plain.range(from_s, to_s)).chunks)
    (told,) = struct.unpack_from(">Q", init, init.index(b"mehd") + 8)
    assert told / MOVIE_TIMESCALE == pytest.approx(length_s, abs=0.2)


def test_a_clip_of_pictures_that_are_all_destroyed_is_a_clear_error(
    plain: Stored, tmp_path: Path
) -> None:
    for file in log_files([plain.path]):
        content = bytearray(file.read_bytes())
        for line in list_records(file):
            if line.kind == "piece":
                start = line.offset + line.header.header_length
                content[start : line.offset + line.length] = bytes(line.header.payload_length)
        (tmp_path / file.name).write_bytes(content)
    library = Library(Archive([tmp_path]))

    with pytest.raises(NoPicture, match="no picture of it can be decoded"):
        list(clip(library, plain.range(4, 9)).chunks)


def test_a_clip_comes_in_parts(plain: Stored) -> None:
    chunks = clip(plain.library, plain.range(0, 20)).chunks
    init = next(chunks)
    assert init[4:8] == b"ftyp"
    assert next(chunks)[4:8] == b"moof"
    assert len(list(chunks)) >= 8


def test_no_footage_is_a_clear_error(plain: Stored, tmp_path: Path) -> None:
    with pytest.raises(PlaybackError, match="has no footage that can be played in this range"):
        clip(plain.library, plain.range(500, 600))
    with pytest.raises(PlaybackError, match="has no footage"):
        export(plain.library, Range(key=GATE, from_us=0, to_us=9), tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())
