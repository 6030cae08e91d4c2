from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from tests.fakes.sounds import Codec, film_with_sound

from kilocam.core import ConfigError
from kilocam.media.files import decode_pictures, encode_media, open_media
from kilocam.media.pattern import PatternSpec, draw_pattern
from kilocam.media.transcode import H265Encoding, VideoEncoding

SPEC = PatternSpec(width=96, height=64, fps=10, seconds=2, bitrate_kbps=64, key_interval_s=1)
ENCODING = VideoEncoding(width=96, height=64, fps=Fraction(10), key_interval_s=1)


def write_file(path: Path, *, video: str | None = "mjpeg", audio: str | None = None) -> Path:
    with av.open(str(path), "w") as out:
        pictures = out.add_stream(video, rate=10) if video else None
        sound = out.add_stream(audio, rate=48_000) if audio else None
        if isinstance(sound, AudioStream):
            sound.codec_context.layout = "mono"
        if isinstance(pictures, VideoStream):
            pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuvj420p"
            for picture in draw_pattern(SPEC):
                out.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(pictures.encode(None))
        if isinstance(sound, AudioStream):
            silence = np.zeros((1, 96_000), np.int16)
            frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            out.mux(sound.encode(frame))
            out.mux(sound.encode(None))
    return path


def test_drawn_pictures_become_h264_with_a_key_frame_each_second() -> None:
    video = encode_media("drawn", draw_pattern(SPEC), encoding=ENCODING).video
    assert video is not None
    assert [sample.key for sample in video.samples] == ([True] + [False] * 9) * 2
    assert [sample.pts for sample in video.samples] == [9000 * n for n in range(20)]
    assert video.duration == 180_000
    assert [unit[0] & 31 for unit in video.parameter_sets] == [7, 8]
    assert (video.width, video.height) == (96, 64)


def test_b_frames_are_in_decoding_order_with_their_own_presentation_times() -> None:
    encoding = VideoEncoding(width=96, height=64, fps=Fraction(10), b_frames=2)
    video = encode_media("drawn", draw_pattern(SPEC), encoding=encoding).video
    assert video is not None
    shown = [sample.pts for sample in video.samples]
    assert shown != sorted(shown)
    assert sorted(shown) == [9000 * n for n in range(20)]
    assert [s.dts for s in video.samples] == sorted(s.dts for s in video.samples)
    assert all(s.dts <= s.pts for s in video.samples)


def test_another_codec_is_transcoded_once_and_kept(tmp_path: Path) -> None:
    path, cache = write_file(tmp_path / "street.avi", audio="pcm_s16le"), tmp_path / "cache"
    first = open_media(path, cache=cache)
    kept = list(cache.iterdir())
    assert len(kept) == 1
    stamp = kept[0].stat().st_mtime_ns
    assert open_media(path, cache=cache) == first
    assert [(entry, entry.stat().st_mtime_ns) for entry in cache.iterdir()] == [(kept[0], stamp)]
    assert first.video is not None
    assert first.audio is not None
    assert len(first.video.samples) == 20
    assert (first.audio.codec, first.audio.clock_rate, first.audio.channels) == ("aac", 48_000, 1)
    assert first.audio.config
    assert first.audio.samples[0].units[0][:2] != b"\xff\xf1"  # no ADTS header


def test_h264_in_a_file_is_passed_through_unchanged(tmp_path: Path) -> None:
    drawn = encode_media("drawn", draw_pattern(SPEC), encoding=ENCODING, cache=tmp_path)
    again = open_media(next(tmp_path.glob("*.mp4")))
    assert again.video == drawn.video
    assert again.name.endswith(".mp4")


def test_h264_between_start_codes_is_split_like_h264_behind_lengths(tmp_path: Path) -> None:
    drawn = encode_media("drawn", draw_pattern(SPEC), encoding=ENCODING, cache=tmp_path)
    mp4, ts = next(tmp_path.glob("*.mp4")), tmp_path / "same.ts"
    with av.open(str(mp4)) as source, av.open(str(ts), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    video, same = drawn.video, open_media(ts).video
    assert video is not None
    assert same is not None
    assert same.parameter_sets == video.parameter_sets
    pictures = [
        [unit for unit in sample.units if unit[0] & 31 in (1, 5)] for sample in same.samples
    ]
    assert pictures == [
        [unit for unit in sample.units if unit[0] & 31 in (1, 5)] for sample in video.samples
    ]


def test_h265_in_a_file_is_passed_through_unless_an_encoding_is_asked(tmp_path: Path) -> None:
    mp4, ts = write_h265(tmp_path / "new.mp4"), tmp_path / "new.ts"
    with av.open(str(mp4)) as source, av.open(str(ts), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    video, same = open_media(mp4).video, open_media(ts).video
    assert video is not None
    assert same is not None
    assert (video.codec, same.codec, video.width, video.height) == ("h265", "h265", 96, 64)
    assert [unit[0] >> 1 for unit in video.parameter_sets] == [32, 33, 34]
    assert same.parameter_sets == video.parameter_sets
    assert [sample.key for sample in video.samples] == ([True] + [False] * 9) * 2
    assert [[unit for unit in sample.units if unit[0] >> 1 < 32] for sample in same.samples] == [
        [unit for unit in sample.units if unit[0] >> 1 < 32] for sample in video.samples
    ]
    asked = open_media(mp4, encoding=ENCODING).video
    assert asked is not None
    assert asked.codec == "h264"


def write_h265(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        params = "keyint=10:min-keyint=10:bframes=0:scenecut=0:pools=1:log-level=none"
        options = {"preset": "ultrafast", "x265-params": params}
        pictures = out.add_stream("libx265", rate=10, options=options)
        assert isinstance(pictures, VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        for picture in draw_pattern(SPEC):
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(pictures.encode(None))
    return path


def test_a_file_can_be_given_another_size_rate_and_bit_rate(tmp_path: Path) -> None:
    path = write_file(tmp_path / "street.avi")
    encoding = VideoEncoding(width=48, height=32, fps=Fraction(5), bitrate_kbps=40, strict_cbr=True)
    media = open_media(path, encoding=encoding)
    assert media.video is not None
    assert media.audio is None
    assert (media.video.width, media.video.height) == (48, 32)
    assert len(media.video.samples) == 10
    size = sum(len(unit) for sample in media.video.samples for unit in sample.units)
    assert 8_000 < size < 13_000  # 40 kbit/s for 2 s, filled up


def test_a_file_can_become_h265(tmp_path: Path) -> None:
    path = write_file(tmp_path / "street.avi")
    encoding = H265Encoding(
        width=128, height=96, fps=Fraction(5), bitrate_kbps=40, strict_cbr=True, key_interval_s=1
    )
    video = open_media(path, encoding=encoding).video
    assert video is not None
    assert (video.codec, video.width, video.height) == ("h265", 128, 96)
    assert [sample.key for sample in video.samples] == [True, *[False] * 4] * 2
    size = sum(len(unit) for sample in video.samples for unit in sample.units)
    assert 8_000 < size < 13_000  # 40 kbit/s for 2 s, filled up


def test_a_file_with_sound_only_has_no_video(tmp_path: Path) -> None:
    media = open_media(write_file(tmp_path / "voice.wav", video=None, audio="pcm_s16le"))
    assert media.video is None
    assert media.audio is not None
    assert media.audio.duration == pytest.approx(96_000, abs=3 * 1024)


@pytest.mark.parametrize("kind", ["mov", "avi"])
@pytest.mark.parametrize("codec", ["pcmu", "pcma"])
def test_g711_in_a_file_is_passed_through_in_frames_of_20_ms(
    tmp_path: Path, codec: Codec, kind: str
) -> None:
    path = film_with_sound(tmp_path / f"street.{kind}", codec, 8_000)
    media = open_media(path)
    assert media.video is not None
    assert media.audio is not None
    sound = media.audio
    assert (sound.codec, sound.clock_rate, sound.channels) == (codec, 8_000, 1)
    assert [sample.pts for sample in sound.samples] == [160 * n for n in range(200)]
    assert {len(sample.units[0]) for sample in sound.samples} == {160}
    assert sound.duration == 32_000
    with av.open(str(path)) as container:
        sent = b"".join(bytes(packet) for packet in container.demux(audio=0))
    assert b"".join(sample.units[0] for sample in sound.samples) == sent


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_opus_in_a_file_is_passed_through_packet_by_packet(tmp_path: Path, kind: str) -> None:
    path = film_with_sound(tmp_path / f"street.{kind}", "opus", 48_000)
    sound = open_media(path).audio
    assert sound is not None
    assert (sound.codec, sound.clock_rate, sound.channels) == ("opus", 48_000, 1)
    assert [sample.pts for sample in sound.samples] == [960 * n for n in range(201)]
    with av.open(str(path)) as container:
        sent = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    assert [sample.units for sample in sound.samples] == [(data,) for data in sent]


def test_reordered_pictures_in_matroska_are_passed_through_with_decoding_times(
    tmp_path: Path,
) -> None:
    media = open_media(film_with_sound(tmp_path / "street.mkv", "opus", 48_000, b_frames=2))
    assert media.audio is not None
    assert media.audio.codec == "opus"
    assert media.video is not None
    samples = media.video.samples
    assert [sample.dts for sample in samples] == [samples[0].dts + 9_000 * n for n in range(40)]
    assert any(sample.pts > sample.dts + 9_000 for sample in samples)
    assert all(sample.pts >= sample.dts for sample in samples)
    assert sorted(s.pts - samples[0].pts for s in samples) == [9_000 * n for n in range(40)]


def test_g711_alone_is_passed_through_and_its_last_frame_may_be_short(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_alaw", rate=8_000)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.int16), "s16", "mono")
        frame.sample_rate = 8_000
        out.mux(stream.encode(frame))
    media = open_media(path)
    assert media.video is None
    assert media.audio is not None
    assert [len(s.units[0]) for s in media.audio.samples] == [160] * 6 + [40]


def test_pictures_can_be_read_back(tmp_path: Path) -> None:
    pictures = list(decode_pictures(write_file(tmp_path / "street.avi")))
    assert len(pictures) == 20
    assert pictures[0].shape == (64, 96, 3)


def test_a_missing_file_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^video file none\.mp4: cannot be read \(No such file"):
        open_media(tmp_path / "none.mp4")


def test_a_file_that_is_no_video_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing to see")
    with pytest.raises(ConfigError, match=r"^video file notes\.txt: cannot be read"):
        open_media(path)


def test_constant_bit_rate_without_a_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="strict_cbr needs bitrate_kbps"):
        VideoEncoding(strict_cbr=True)
