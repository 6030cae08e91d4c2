from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.samples import Footage, check_decodes, probe_frames, probe_packets

from kilocam.media import MediaError, Mp4Writer


def boxes(file: Path) -> list[str]:
    data, at, kinds = file.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        kinds.append(data[at + 4 : at + 8].decode())
        at += size
    return kinds


def test_a_file_holds_every_sample_and_starts_fast(
    tmp_path: Path, reordered: Footage, sound: Footage
) -> None:
    file = tmp_path / "a.mp4"
    with Mp4Writer(file, [reordered.track, sound.track]) as out:
        for sample in sorted(
            (*reordered.samples, *sound.samples),
            key=lambda s: s.dts / (90_000 if s.track == 1 else 48_000),
        ):
            out.write(sample)

    assert boxes(file) == ["ftyp", "moov", "mdat"]
    packets = probe_packets(file)
    assert [(p.pts, p.size, p.key) for p in packets] == [
        (s.pts, len(s.data), s.key) for s in reordered.samples
    ]
    assert [p.pts for p in probe_packets(file, "a:0")] == [s.pts for s in sound.samples]
    check_decodes(file)
    assert list(tmp_path.iterdir()) == [file]


def test_a_track_that_starts_later_is_shown_later(
    tmp_path: Path, plain: Footage, sound: Footage
) -> None:
    file = tmp_path / "a.mp4"
    with Mp4Writer(file, [plain.track, sound.track]) as out:
        for sample in plain.samples:
            out.write(replace(sample, pts=sample.pts + 900_000, dts=sample.dts + 900_000))
        for sample in sound.samples:
            out.write(replace(sample, pts=sample.pts + 492_000, dts=sample.dts + 492_000))

    assert probe_packets(file)[0].pts == 0
    assert probe_packets(file, "a:0")[0].pts == 12_000
    check_decodes(file)


def test_a_picture_lasts_until_the_next_one(tmp_path: Path, plain: Footage) -> None:
    kept = [*plain.samples[:5], *plain.samples[20:]]
    file = tmp_path / "a.mp4"
    with Mp4Writer(file, [plain.track]) as out:
        for sample in kept:
            out.write(sample)

    assert [p.pts for p in probe_packets(file)] == [s.pts for s in kept]


def test_a_new_format_gets_a_sample_entry(tmp_path: Path, plain: Footage, larger: Footage) -> None:
    file = tmp_path / "a.mp4"
    with Mp4Writer(file, [plain.track]) as out:
        for sample in plain.samples:
            out.write(replace(sample, format=out.add_format(1, plain.format)))
        for sample in larger.samples:
            out.write(
                replace(
                    sample,
                    format=out.add_format(1, larger.format),
                    pts=sample.pts + 360_000,
                    dts=sample.dts + 360_000,
                )
            )

    widths = [f["width"] for f in probe_frames(file)]
    assert widths == [160] * len(plain.samples) + [320] * len(larger.samples)
    check_decodes(file)


def write_all(file: Path, footage: Footage, order: list[int]) -> None:
    with Mp4Writer(file, [footage.track]) as out:
        for number in order:
            out.write(footage.samples[number])


def test_an_error_while_writing_leaves_no_file(tmp_path: Path, plain: Footage) -> None:
    with pytest.raises(MediaError, match="comes too late"):
        write_all(tmp_path / "a.mp4", plain, [3, 0])
    assert not list(tmp_path.iterdir())


def test_nothing_to_write_is_an_error(tmp_path: Path, plain: Footage) -> None:
    with pytest.raises(MediaError, match="no sample"):
        write_all(tmp_path / "a.mp4", plain, [])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_one_clear_line(tmp_path: Path, plain: Footage) -> None:
    with pytest.raises(MediaError, match=r"file .*/a\.mp4: cannot be written \(No such"):
        write_all(tmp_path / "missing" / "a.mp4", plain, [0])
