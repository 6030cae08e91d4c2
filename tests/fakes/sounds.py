"""Sound made up and encoded, as cameras send it, for tests of what hears it."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from kilocam.media import AudioFormat, G711Format, OpusFormat, SoundFormat, aac_format

Law = Literal["pcmu", "pcma"]
Codec = Literal["pcmu", "pcma", "opus", "mpeg4-generic"]
_ENCODERS = {
    "pcmu": ("pcm_mulaw", "s16"),
    "pcma": ("pcm_alaw", "s16"),
    "opus": ("libopus", "s16"),
    "mpeg4-generic": ("aac", "fltp"),
}
PACKET_S = 0.02


@dataclass(frozen=True)
class EncodedSound:
    """Frames of one track; `frames` are (timestamp, bytes), the first sample of sound at 0."""

    codec: Codec
    rate: int
    channels: int
    entry: SoundFormat
    frames: list[tuple[int, bytes]]

    @property
    def fmtp(self) -> str:
        if isinstance(self.entry, AudioFormat):
            return f"mode=AAC-hbr;config={self.entry.config.hex()}"
        return ""


def tone(seconds: float, hertz: float = 1000, rate: int = 16_000) -> NDArray[np.float32]:
    at = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def silence(seconds: float, rate: int = 16_000) -> NDArray[np.float32]:
    return np.zeros(round(seconds * rate), dtype=np.float32)


def encode_sound(
    pcm: NDArray[np.float32], codec: Codec, rate: int, channels: int = 1
) -> EncodedSound:
    """Sound at `rate`, the same in all channels."""
    name, form = _ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, AudioCodecContext)
    layout = "mono" if channels == 1 else "stereo"
    encoder.sample_rate, encoder.layout, encoder.format = rate, layout, form
    encoder.open()
    size = encoder.frame_size or round(rate * PACKET_S)
    whole = np.pad(pcm, (0, -len(pcm) % size + size))
    frames: list[tuple[int, bytes]] = []
    # AAC and Opus say with their first packet how much earlier it begins.
    for number in range(len(whole) // size):
        part = np.tile(whole[number * size : (number + 1) * size], (channels, 1))
        if form == "s16":
            part = (part.T.reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(part, format=form, layout=layout)
        frame.sample_rate, frame.pts = rate, number * size
        for packet in encoder.encode(frame):
            at = frames[-1][0] + size if frames else packet.pts or 0
            frames.append((at, bytes(packet)))
    config = bytes(encoder.extradata or b"")
    return EncodedSound(codec, rate, channels, _entry(codec, rate, channels, config), frames)


def _entry(codec: Codec, rate: int, channels: int, config: bytes) -> SoundFormat:
    if codec == "opus":
        return OpusFormat()
    if codec == "mpeg4-generic":
        entry = aac_format(config)
        assert entry is not None
        return entry
    return G711Format(law=codec, sample_rate=rate, channels=channels)


def onset(pcm: NDArray[np.float32], rate: int = 16_000) -> float:
    """Seconds until it becomes loud."""
    return int(np.argmax(np.abs(pcm) > 0.1)) / rate


def pitch(pcm: NDArray[np.float32], rate: int = 16_000) -> float:
    """The loudest frequency."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum)) * rate / len(pcm)


def film_with_sound(
    path: Path, codec: Codec, rate: int, seconds: float = 4, *, b_frames: int = 0
) -> Path:
    """A file of a test picture and such sound: silence, and for its second half a tone."""
    name, form = _ENCODERS[codec]
    half = seconds / 2
    pcm = np.concatenate([silence(half, rate), tone(half, 1000, rate)]).reshape(1, -1)
    options = {"g": "10", "bf": str(b_frames), "x264-params": "b-adapt=0"}
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("libx264", rate=10, options=options)
        assert isinstance(pictures, VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        heard = out.add_stream(name, rate=rate)
        assert isinstance(heard, AudioStream)
        heard.codec_context.layout = "mono"
        for number in range(round(seconds * 10)):
            grey = np.full((64, 96), number * 5 % 250, np.uint8)
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
        out.mux(pictures.encode(None))
        sent = (pcm * 32767).astype(np.int16) if form == "s16" else pcm
        frame = av.AudioFrame.from_ndarray(sent, format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        out.mux(heard.encode(frame))
        out.mux(heard.encode(None))
    return path
