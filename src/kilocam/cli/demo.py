"""The demo: real footage played as cameras over real RTSP on the loopback."""

import itertools
import json
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from kilocam.core import ConfigError
from kilocam.core.settings import CameraSettings
from kilocam.media import MediaFile, VideoEncoding, decode_pictures, encode_media, open_media
from kilocam.simulate import Group, SimulatedFleet

_OUTDOOR = VideoEncoding(width=640, height=480, bitrate_kbps=700, key_interval_s=2.0)
_TALK = VideoEncoding(width=352, height=288, fps=Fraction(15), bitrate_kbps=300, key_interval_s=2.0)
_TALK_S = 20
_SOUND_RATE = 48_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFootage:
    """Files that the set-up step fetched (`tools/footage.py`), by the part they play."""

    folder: Path
    outdoor: tuple[Path, ...]
    call: Path
    speech: tuple[Path, ...]

    @classmethod
    def find(cls, cache: Path) -> "DemoFootage":
        """The footage in `cache`.

        Raises:
            ConfigError: it has not been fetched.
        """
        folder = cache / "footage"
        try:
            parts = json.loads((folder / "index.json").read_text())
            outdoor = [*parts["street"], *parts["cyclists"]]
            call = parts["call"][0]
        except (OSError, ValueError, KeyError, IndexError):
            raise ConfigError(
                f"the demo's footage is not in {folder}; fetch it: python tools/footage.py, "
                "or run ./start, which does"
            ) from None
        return cls(
            folder=folder,
            outdoor=tuple(folder / name for name in dict.fromkeys(outdoor)),
            call=folder / call,
            speech=tuple(folder / name for name in parts.get("speech", [])),
        )


def demo_cameras(count: int, port: int) -> list[CameraSettings]:
    """The demo's cameras as the configuration would declare them."""
    return [
        CameraSettings(id=_name(n, count), url=f"rtsp://127.0.0.1:{port}/cam/{n}")
        for n in range(count)
    ]


def demo_fleet(footage: DemoFootage, count: int) -> SimulatedFleet:
    """The same cameras as the simulator plays them; the last one of several speaks."""
    groups = []
    sources = itertools.cycle(footage.outdoor)
    for n in range(count):
        source = _talk(footage) if _speaks(n, count) else open_outdoor(next(sources), footage)
        groups.append(Group(count=1, source=source))
    return SimulatedFleet(groups=groups)


def open_outdoor(file: Path, footage: DemoFootage) -> MediaFile:
    """One of the outdoor films at a camera's size and bit rate; encoded once, then kept."""
    return open_media(file, cache=footage.folder, encoding=_OUTDOOR)


def _speaks(n: int, count: int) -> bool:
    return count > 1 and n == count - 1


def _name(n: int, count: int) -> str:
    return "talk" if _speaks(n, count) else f"street-{n + 1}"


def _talk(footage: DemoFootage) -> MediaFile:
    """A video call with spoken words; silent where no speech could be fetched."""
    return encode_media(
        "talk",
        _looped(footage.call, int(_TALK_S * (_TALK.fps or 1))),
        encoding=_TALK,
        sound=_speech(footage.speech) if footage.speech else None,
        sound_rate=_SOUND_RATE,
        cache=footage.folder,
        cache_key=f"talk 1 {[file.name for file in footage.speech]}",
    )


def _looped(file: Path, frames: int) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    return itertools.islice(itertools.cycle(decode_pictures(file)), frames)


def _speech(files: tuple[Path, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """The words one after another with a second of silence between, as long as the film."""
    pause = np.zeros(_SOUND_RATE, np.int16)
    parts = []
    for file in itertools.islice(itertools.cycle(files), 8):
        with wave.open(str(file)) as opened:
            rate, channels = opened.getframerate(), opened.getnchannels()
            samples = np.frombuffer(opened.readframes(opened.getnframes()), np.int16)
        if rate != _SOUND_RATE:
            raise ConfigError(f"{file}: {rate} Hz, the demo needs {_SOUND_RATE} Hz")
        parts += [samples.reshape(-1, channels)[:, 0], pause]
    return np.resize(np.concatenate(parts), _TALK_S * _SOUND_RATE)
