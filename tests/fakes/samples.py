"""Real H.264 and AAC as samples of ours, and what ffprobe and ffmpeg say of files made of them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kilocam.bitstream import build_avc_config, join_avcc, parse_audio_config
from kilocam.media import (
    AudioFormat,
    FileTrack,
    MediaTrack,
    PatternSpec,
    Sample,
    VideoFormat,
    pattern_media,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """A track and all its samples."""

    track: MediaTrack
    samples: tuple[Sample, ...]

    @property
    def format(self) -> VideoFormat:
        first = self.track.formats[0]
        assert isinstance(first, VideoFormat)
        return first


def video_footage(spec: PatternSpec) -> Footage:
    video = pattern_media(spec).video
    assert video is not None
    entry = VideoFormat(
        config=build_avc_config(video.parameter_sets), width=video.width, height=video.height
    )
    track = MediaTrack(id=1, timescale=video.clock_rate, formats=(entry,))
    return Footage(track=track, samples=_samples(1, video))


def audio_footage(spec: PatternSpec) -> Footage:
    audio = pattern_media(spec).audio
    assert audio is not None
    config = parse_audio_config(audio.config)
    entry = AudioFormat(
        config=audio.config,
        codec=config.codec_string,
        sample_rate=config.sample_rate,
        channels=config.channels,
    )
    track = MediaTrack(id=2, timescale=audio.clock_rate, formats=(entry,))
    return Footage(track=track, samples=_samples(2, audio))


def _samples(number: int, track: FileTrack) -> tuple[Sample, ...]:
    shown = sorted(sample.pts for sample in track.samples)
    pairs = zip(track.samples, shown, strict=True)
    delay = max(at - sample.pts for sample, at in pairs)
    shown = [at - delay for at in shown]
    ends = [*shown[1:], track.duration - delay]
    return tuple(
        Sample(
            track=number,
            pts=sample.pts,
            dts=dts,
            duration=end - dts,
            key=sample.key,
            data=join_avcc(sample.units) if number == 1 else sample.units[0],
        )
        for sample, dts, end in zip(track.samples, shown, ends, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """One packet as ffprobe reads it; times in the stream's time base.

    `duration` is 0 where it knows none, as of the last packet of Opus.
    """

    pts: int
    dts: int
    duration: int
    size: int
    key: bool


def probe_packets(file: Path, stream: str = "v:0") -> list[Probed]:
    """Packets of a stream in file order, without those an edit list hides."""
    entries = "packet=pts,dts,duration,size,flags"
    shown = _run("ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", entries,
                 "-of", "json", str(file))  # fmt: skip
    return [
        Probed(
            pts=int(p["pts"]),
            dts=int(p["dts"]),
            duration=int(p.get("duration", 0)),
            size=int(p["size"]),
            key="K" in p["flags"],
        )
        for p in json.loads(shown)["packets"]
        if "D" not in p["flags"]
    ]


def probe_frames(file: Path, stream: str = "v:0") -> list[dict[str, int]]:
    """Decoded frames in the order shown: pts, width, height."""
    shown = _run("ffprobe", "-v", "error", "-select_streams", stream, "-show_entries",
                 "frame=pts,width,height", "-of", "json", str(file))  # fmt: skip
    frames: list[dict[str, int]] = json.loads(shown)["frames"]
    return frames


def check_decodes(file: Path) -> None:
    """ffmpeg decodes all of it without a word of complaint."""
    _run("ffmpeg", "-v", "warning", "-xerror", "-i", str(file), "-f", "null", "-")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout
