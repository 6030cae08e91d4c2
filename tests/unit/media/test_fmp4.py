from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.samples import Footage, check_decodes, probe_frames, probe_packets

from kilocam.bitstream import join_avcc, parse_avc_config
from kilocam.media import (
    MediaError,
    MediaTrack,
    OpusFormat,
    Sample,
    fragment,
    init_segment,
    mime_type,
)


def gops(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    gop: list[Sample] = []
    for sample in samples:
        if sample.key and gop:
            yield gop
            gop = []
        gop.append(sample)
    yield gop


def shift(samples: Iterable[Sample], ticks: int) -> list[Sample]:
    return [replace(s, pts=s.pts + ticks, dts=s.dts + ticks) for s in samples]


def write(file: Path, *tracks: MediaTrack, fragments: Iterable[list[Sample]]) -> Path:
    parts = [fragment(samples, sequence=n) for n, samples in enumerate(fragments, 1)]
    file.write_bytes(init_segment(tracks) + b"".join(parts))
    return file


def test_fragments_decode_with_exact_times_however_large(tmp_path: Path, plain: Footage) -> None:
    start = 7_000_000_000
    samples = shift(plain.samples, start)

    file = write(tmp_path / "a.mp4", plain.track, fragments=gops(samples))

    packets = probe_packets(file)
    assert [(p.pts, p.dts, p.size, p.key) for p in packets] == [
        (s.pts, s.dts, len(s.data), s.key) for s in samples
    ]
    assert [p.duration for p in packets] == [s.duration for s in samples]
    assert len(probe_frames(file)) == len(samples)
    check_decodes(file)


def test_a_fragment_from_the_middle_starts_at_its_own_time(tmp_path: Path, plain: Footage) -> None:
    last = list(gops(plain.samples))[-1]

    file = write(tmp_path / "a.mp4", plain.track, fragments=[last])

    assert [p.pts for p in probe_packets(file)] == [s.pts for s in last]


def test_b_frames_are_shown_in_order(tmp_path: Path, reordered: Footage) -> None:
    samples = shift(reordered.samples, 90_000)

    file = write(tmp_path / "a.mp4", reordered.track, fragments=gops(samples))

    assert [(p.pts, p.dts) for p in probe_packets(file)] == [(s.pts, s.dts) for s in samples]
    assert [f["pts"] for f in probe_frames(file)] == sorted(s.pts for s in samples)
    check_decodes(file)


def test_sound_and_pictures_share_fragments(tmp_path: Path, plain: Footage, sound: Footage) -> None:
    edge = len(sound.samples) // 2
    halves = [
        [*plain.samples[:20], *sound.samples[:edge]],
        [*plain.samples[20:], *sound.samples[edge:]],
    ]

    file = write(tmp_path / "a.mp4", plain.track, sound.track, fragments=halves)

    assert [p.pts for p in probe_packets(file)] == [s.pts for s in plain.samples]
    assert [p.pts for p in probe_packets(file, "a:0")] == [s.pts for s in sound.samples]
    check_decodes(file)


def test_a_picture_may_change_with_parameter_sets_of_its_own(
    tmp_path: Path, plain: Footage, larger: Footage
) -> None:
    sets = join_avcc(parse_avc_config(larger.format.config)[1])
    after = [replace(s, data=sets + s.data) if s.key else s for s in shift(larger.samples, 360_000)]

    file = write(tmp_path / "a.mp4", plain.track, fragments=[*gops(plain.samples), *gops(after)])

    widths = [f["width"] for f in probe_frames(file)]
    assert widths == [160] * len(plain.samples) + [320] * len(after)
    check_decodes(file)


def test_a_second_format_is_refused(plain: Footage) -> None:
    with pytest.raises(MediaError, match="has one format"):
        fragment([replace(plain.samples[0], format=1)], sequence=1)


def test_an_edit_list_hides_what_is_before_the_start(tmp_path: Path, plain: Footage) -> None:
    file = tmp_path / "a.mp4"
    init = init_segment([plain.track], starts={1: 45_000}, duration_us=3_500_000)
    file.write_bytes(init + b"".join(fragment(g, sequence=1) for g in gops(plain.samples)))

    assert probe_packets(file)[0].pts <= 0
    check_decodes(file)


def test_a_hole_in_decoding_time_is_refused(plain: Footage) -> None:
    with pytest.raises(MediaError, match="do not follow each other"):
        fragment([plain.samples[0], plain.samples[2]], sequence=1)


def test_equal_samples_give_equal_bytes(plain: Footage) -> None:
    assert fragment(plain.samples, sequence=1) == fragment(list(plain.samples), sequence=1)


def test_mime_type_names_the_codecs(plain: Footage, sound: Footage) -> None:
    formats = (plain.track.formats[0], sound.track.formats[0])
    name = "opus" if isinstance(formats[1], OpusFormat) else "mp4a.40.2"
    assert mime_type(formats) == f'video/mp4; codecs="{plain.format.codec},{name}"'
