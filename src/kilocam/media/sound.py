"""Sound out of samples, as hearing needs it: 16 kHz, one channel, -1 to 1.

May run in any thread or process, one call at a time per decoder. Decoders are not shared; one that
failed is replaced.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from kilocam.core import ConfigError
from kilocam.media.samples import AudioFormat, G711Format, OpusFormat, SoundFormat

SOUND_RATE = 16_000
_AT_ONCE = SOUND_RATE // 4
"""Samples that are given out together: array by array costs as much as decoding does."""
Waveform: TypeAlias = NDArray[np.float32]
_Packet: TypeAlias = "Packet[Stream]"
_G711 = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}
"""FFmpeg's names for RTP's."""


@dataclass(frozen=True, slots=True, eq=False)
class HeardSound:
    """A piece of sound; its first sample is heard at `pts`."""

    pts: int
    pcm: Waveform
    follows: bool
    """It goes on where the one before ended; else something is missing between."""


class SoundDecoder:
    """Decodes the sound of one track, in order.

    Sound goes on as long as each sample begins where the one before ended, give or take half its
    length: cameras round their timestamps. Where it does not, decoder and resampler begin anew.

    Args:
        entry: what it is coded as.
        timescale: of the samples' times.
    """

    def __init__(self, entry: SoundFormat, timescale: int) -> None:
        self._entry = entry
        self._timescale = timescale
        self._context: AudioCodecContext | None = None
        self._stretch: _Stretch | None = None
        self.skipped = 0
        """Samples that could not be decoded."""

    def decode(self, data: bytes, pts: int) -> list[HeardSound]:
        """Take the next sample; what is known to sound, a quarter of a second at a time."""
        out = []
        if self._stretch is not None and not self._stretch.goes_on(pts):
            out += self.finish()
        if self._context is None:
            self._context = _decoder(self._entry)
        try:
            frames = self._context.decode(_packet(data))
        except av.FFmpegError:
            self.skipped += 1
            return out + self.finish()
        for frame in frames:
            out += self._resampled(frame, pts)
        return out

    def finish(self) -> list[HeardSound]:
        """What the resampler still holds; the next sample begins anew."""
        stretch, self._stretch = self._stretch, None
        self._context = None  # flushed, FFmpeg's AAC decoder still remembers a little
        return stretch.end() if stretch is not None else []

    def _resampled(self, frame: AudioFrame, pts: int) -> list[HeardSound]:
        out = []
        if self._stretch is not None and not self._stretch.takes(frame):
            out += self._stretch.end()
            self._stretch = None
        if self._stretch is None:
            self._stretch = _Stretch(frame, pts, self._timescale)
        return out + self._stretch.push(frame)


class _Stretch:
    """Sound without a break; its times are counted in samples from its first one."""

    def __init__(self, frame: AudioFrame, pts: int, timescale: int) -> None:
        self._shape = _shape(frame)
        self._resampler = AudioResampler(format="fltp", layout=frame.layout, rate=SOUND_RATE)
        self._pts = pts
        self._timescale = timescale
        self._taken = self._given = self._last = 0
        self._waiting: list[AudioFrame] = []

    def goes_on(self, pts: int) -> bool:
        """Whether a sample at this time is the next one."""
        off = (pts - self._pts) * self._shape[0] - self._taken * self._timescale
        return 2 * abs(off) <= self._last * self._timescale

    def takes(self, frame: AudioFrame) -> bool:
        """Whether a frame is like those before: AAC may change within a stream."""
        return _shape(frame) == self._shape

    def push(self, frame: AudioFrame) -> list[HeardSound]:
        self._last = frame.samples
        self._taken += frame.samples
        frame.pts = None  # the resampler would count from it
        self._waiting += self._resampler.resample(frame)
        return self._heard() if sum(f.samples for f in self._waiting) >= _AT_ONCE else []

    def end(self) -> list[HeardSound]:
        self._waiting += self._resampler.resample(None)
        return self._heard()

    def _heard(self) -> list[HeardSound]:
        parts = [frame.to_ndarray() for frame in self._waiting]
        self._waiting = []
        if not sum(part.size for part in parts):
            return []
        # The mean: FFmpeg's own mix of float channels is louder than they are. Decoders overshoot,
        # and what is damaged may be anything.
        mixed = np.nan_to_num(np.concatenate(parts, axis=1)).mean(axis=0, dtype=np.float32)
        at = self._pts + self._given * self._timescale // SOUND_RATE
        heard = HeardSound(at, np.clip(mixed, -1, 1), follows=self._given > 0)
        self._given += len(heard.pcm)
        return [heard]


def decode_sound(path: Path) -> Waveform:
    """All of a file's first sound track.

    Raises:
        ConfigError: it cannot be read, or has none.
    """
    resampler = AudioResampler(format="fltp", layout="mono", rate=SOUND_RATE)
    try:
        with av.open(str(path)) as container:
            frames = [
                out for frame in container.decode(audio=0) for out in resampler.resample(frame)
            ]
    except (av.FFmpegError, OSError, IndexError) as error:
        raise ConfigError(f"sound file {path}: cannot be read ({error}); give another") from None
    return np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])


def _shape(frame: AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.format.name, frame.layout.name


def _decoder(entry: SoundFormat) -> AudioCodecContext:
    match entry:
        case AudioFormat():
            name = "aac"
        case OpusFormat():
            name = "libopus"  # FFmpeg's own conceals nothing
        case G711Format():
            name = _G711[entry.law]
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, AudioCodecContext)
    match entry:
        case AudioFormat():
            context.extradata = entry.config
        case OpusFormat():
            context.sample_rate, context.layout = 48_000, "mono"
        case G711Format():
            context.sample_rate = entry.sample_rate
            context.layout = "mono" if entry.channels == 1 else "stereo"
    return context


def _packet(data: bytes) -> _Packet:
    return Packet(data)
