from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import pytest

from kilocam.core import Track
from kilocam.media import (
    FileSample,
    FileTrack,
    MediaFile,
    PatternSpec,
    VideoEncoding,
    draw_pattern,
    encode_media,
)
from kilocam.rtsp import SdpMedia, StreamReader, UnitKind, frame, parse_sdp
from kilocam.simulate.build import build_content, describe
from kilocam.simulate.content import Block, stamp
from kilocam.simulate.errors import SimulateError

SPEC = PatternSpec(width=96, height=64, fps=10, seconds=2, bitrate_kbps=80, key_interval_s=1)


def video_track(times: list[tuple[int, int]]) -> FileTrack:
    samples = tuple(
        FileSample(pts=pts, dts=dts, key=at == 0, units=(bytes((0x65,)) * 5000,))
        for at, (pts, dts) in enumerate(times)
    )
    return FileTrack(
        codec="h264",
        clock_rate=90_000,
        duration=max(pts for pts, _ in times) + 9_000,
        samples=samples,
        parameter_sets=(b"\x67\x42\x00\x1e", b"\x68\xce"),
    )


def speech_track(codec: Literal["pcmu", "pcma", "opus"], rate: int, channels: int) -> FileTrack:
    length = rate // 50
    samples = tuple(
        FileSample(pts=length * n, dts=length * n, key=True, units=(bytes((0xF8, n)) * 80,))
        for n in range(5)
    )
    return FileTrack(
        codec=codec,
        clock_rate=rate,
        duration=5 * length,
        samples=samples,
        channels=channels,
    )


def audio_track(frames: int, start: int = 0) -> FileTrack:
    samples = tuple(
        FileSample(pts=start + 1024 * n, dts=start + 1024 * n, key=True, units=(bytes((n,)) * 99,))
        for n in range(frames)
    )
    return FileTrack(
        codec="aac",
        clock_rate=48_000,
        duration=start + 1024 * frames,
        samples=samples,
        config=b"\x11\x88",
        channels=1,
    )


def h265_track(*, sets_inside: bool) -> FileTrack:
    sets = (b"\x40\1v", b"\x42\1s", b"\x44\1p")
    key, other = bytes((0x26, 1, 0x80)) * 900, bytes((2, 1, 0x80)) * 900
    samples = tuple(
        FileSample(
            pts=9_000 * n,
            dts=9_000 * n,
            key=n == 0,
            units=(*(sets if sets_inside else ()), key) if n == 0 else (other,),
        )
        for n in range(2)
    )
    return FileTrack(
        codec="h265", clock_rate=90_000, duration=18_000, samples=samples, parameter_sets=sets
    )


def track_of(medium: SdpMedia) -> Track:
    return Track(
        index=0,
        media="video",
        codec=medium.codec,
        payload_type=medium.payload_type,
        clock_rate=90_000,
        channels=1,
        rtp_channel=0,
        rtcp_channel=1,
        fmtp=medium.fmtp,
    )


@pytest.mark.parametrize("sets_inside", [True, False])
def test_h265_is_sent_with_its_parameter_sets_in_front_of_key_frames(sets_inside: bool) -> None:
    video = h265_track(sets_inside=sets_inside)
    content = build_content(MediaFile(name="new", video=video, audio=None))
    medium = parse_sdp(describe(content).sdp).media[0]
    assert medium.codec == "h265"
    assert medium.fmtp == "sprop-vps=QAF2; sprop-sps=QgFz; sprop-pps=RAFw"
    wire = b"".join(frame(0, data) for block in content.blocks for _, data in stamped(block))
    reader = StreamReader([track_of(medium)])
    first, second = [*reader.feed(wire), *reader.flush()]
    assert first.units == (*video.parameter_sets, video.samples[0].units[-1])
    assert second.units == video.samples[1].units
    assert (first.key, second.key, first.damaged, second.damaged) == (True, False, False, False)


def slices(units: Sequence[bytes]) -> list[bytes]:
    return [unit for unit in units if unit[0] & 31 in (1, 5)]


def stamped(block: Block) -> list[tuple[int, bytes]]:
    before = block.packets_before[0]
    return [
        (head.track, stamp(data, before + at, head.ticks, 1))
        for at, (head, data) in enumerate(block.packets())
    ]


def test_a_picture_is_one_block_and_its_last_packet_has_the_marker() -> None:
    content = build_content(
        MediaFile(name="x", video=video_track([(0, 0), (9_000, 9_000)]), audio=None)
    )
    assert [block.due_us for block in content.blocks] == [0, 100_000]
    assert [block.key for block in content.blocks] == [True, False]
    packets = [data for _, data in content.blocks[0].packets()]
    assert [data[1] >> 7 for data in packets] == [0] * (len(packets) - 1) + [1]
    assert packets[0][12] & 31 == 24  # parameter sets, together in front of the key frame
    assert content.loop_us(1) == 200_000


def test_reordered_pictures_are_sent_after_they_were_taken() -> None:
    times = [(0, -9_000), (18_000, 0), (9_000, 9_000), (27_000, 18_000)]
    content = build_content(MediaFile(name="x", video=video_track(times), audio=None))
    assert [block.picture for block in content.blocks] == [0, 2, 1, 3]
    assert all(block.due_us >= block.shown_us for block in content.blocks)
    assert [block.heads[0].ticks for block in content.blocks] == [0, 18_000, 9_000, 27_000]
    assert content.loop_us(1) == 400_000


def test_sound_travels_with_the_first_picture_after_it_and_is_cut_at_the_loop() -> None:
    video, audio = video_track([(900, 900), (9_900, 9_900)]), audio_track(20)
    content = build_content(MediaFile(name="x", video=video, audio=audio))
    sound = [[h.ticks for h in block.heads if h.track == 1] for block in content.blocks]
    # The video begins 480 ticks of sound late and lasts 9600: earlier and later frames are cut.
    assert sound == [[], [1024 * n - 480 for n in range(1, 10)]]
    assert content.tracks[1].packets == 9


def test_sound_alone_sets_its_own_pace() -> None:
    content = build_content(MediaFile(name="x", video=None, audio=audio_track(3, start=512)))
    assert [block.due_us for block in content.blocks] == [0, 21_333, 42_667]
    assert content.loop_start_ticks(0, 2) == 2 * 3 * 1024
    assert content.picture_at(5) is None


@pytest.mark.parametrize(
    ("codec", "rate", "channels", "told"),
    [
        ("pcmu", 8_000, 1, (0, "pcmu", 8_000, 1, "")),
        ("pcma", 8_000, 1, (8, "pcma", 8_000, 1, "")),
        ("pcma", 16_000, 1, (97, "pcma", 16_000, 1, "")),
        ("pcmu", 8_000, 2, (97, "pcmu", 8_000, 2, "")),
        ("opus", 48_000, 1, (97, "opus", 48_000, 2, "sprop-stereo=0")),
        ("opus", 48_000, 2, (97, "opus", 48_000, 2, "sprop-stereo=1")),
    ],
)
def test_g711_and_opus_are_sent_a_frame_to_a_packet(
    codec: Literal["pcmu", "pcma", "opus"], rate: int, channels: int, told: tuple[object, ...]
) -> None:
    audio = speech_track(codec, rate, channels)
    content = build_content(MediaFile(name="x", video=video_track([(0, 0)]), audio=audio))
    medium = parse_sdp(describe(content).sdp).media[1]
    found = (medium.payload_type, medium.codec, medium.clock_rate, medium.channels, medium.fmtp)
    assert found == told
    sent = [data for block in content.blocks for track, data in stamped(block) if track == 1]
    assert {data[1] for data in sent} == {medium.payload_type}  # without a marker
    track = replace(track_of(medium), media="audio", clock_rate=rate)
    units = StreamReader([track]).feed(b"".join(frame(0, data) for data in sent))
    assert [(u.ts, u.units, u.kind) for u in units] == [
        (sample.pts, sample.units, UnitKind(codec)) for sample in audio.samples
    ]
    assert content.tracks[1].octets == sum(len(s.units[0]) for s in audio.samples)


def test_a_file_without_samples_is_refused() -> None:
    with pytest.raises(SimulateError, match="video file x: holds no samples"):
        build_content(MediaFile(name="x", video=None, audio=None))


def test_the_description_names_codecs_and_parameters() -> None:
    content = build_content(MediaFile(name="x", video=video_track([(0, 0)]), audio=audio_track(2)))
    description = describe(content)
    video, audio = parse_sdp(description.sdp).media
    assert description.controls == ("track0", "track1")
    assert (video.codec, video.clock_rate, video.control) == ("h264", 90_000, "track0")
    assert "profile-level-id=42001E; sprop-parameter-sets=Z0IAHg==,aM4=" in video.fmtp
    assert (audio.codec, audio.clock_rate, audio.channels) == ("mpeg4-generic", 48_000, 1)
    assert "config=1188" in audio.fmtp


def test_the_packets_give_back_the_same_slices_and_times() -> None:
    encoding = VideoEncoding(width=96, height=64, fps=Fraction(10), b_frames=2)
    media = encode_media("drawn", draw_pattern(SPEC), encoding=encoding)
    assert media.video is not None
    content = build_content(media)
    wire = b"".join(frame(0, data) for block in content.blocks for _, data in stamped(block))
    medium = parse_sdp(describe(content).sdp).media[0]
    reader = StreamReader([track_of(medium)])
    units = [*reader.feed(wire), *reader.flush()]
    samples = media.video.samples
    assert [slices(unit.units) for unit in units] == [slices(sample.units) for sample in samples]
    assert [unit.ts - units[0].ts for unit in units] == [s.pts - samples[0].pts for s in samples]
    assert [unit.key for unit in units] == [sample.key for sample in samples]
    assert reader.lost == 0
