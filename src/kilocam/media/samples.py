"""What goes into an MP4 and into a decoder: tracks, their formats, samples."""

import struct
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFormat:
    """How H.264 samples are decoded: everything a sample entry says."""

    config: bytes
    """The AVCDecoderConfigurationRecord, payload of `avcC` (ISO 14496-15 section 5.3.3.1)."""
    width: int
    """Pixels, after cropping."""
    height: int
    sar: tuple[int, int] = (1, 1)
    """Width and height of a pixel; other than square in anamorphic sub-streams (quirk 34)."""

    @property
    def codec(self) -> str:
        """RFC 6381 name: `avc1.64001f`."""
        return f"avc1.{self.config[1:4].hex()}"

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height for square pixels: the width is stretched."""
        return round(self.width * self.sar[0] / self.sar[1]), self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class H265Format:
    """How H.265 samples are decoded; no MP4 of ours holds them, so it is no `Format`."""

    config: bytes
    """The HEVCDecoderConfigurationRecord (ISO 14496-15 section 8.3.3.1)."""


PictureFormat: TypeAlias = VideoFormat | H265Format
"""What pictures can be decoded of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """How AAC samples are decoded."""

    config: bytes
    """The AudioSpecificConfig (ISO 14496-3 section 1.6.2.1)."""
    codec: str
    """RFC 6381 name: `mp4a.40.2`."""
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpusFormat:
    """How Opus is decoded: packets tell all themselves, and their clock is always 48 kHz."""

    @property
    def config(self) -> bytes:
        """Payload of `dOps` (Encapsulation of Opus in ISO BMFF, section 4.3.2).

        Two channels, which RTP always has; nothing to skip, for it begins within a stream.
        """
        return struct.pack(">BBHIhB", 0, 2, 0, 48_000, 0, 0)

    @property
    def codec(self) -> str:
        """RFC 6381 name."""
        return "opus"


@dataclass(frozen=True, slots=True, kw_only=True)
class G711Format:
    """How G.711 is decoded."""

    law: Literal["pcmu", "pcma"]
    sample_rate: int
    channels: int


SoundFormat: TypeAlias = AudioFormat | OpusFormat | G711Format
"""What sound can be decoded of."""
Mp4Sound: TypeAlias = AudioFormat | OpusFormat
"""What sound an MP4 of ours can hold."""
Format: TypeAlias = VideoFormat | Mp4Sound
"""What an MP4 of ours can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTrack:
    """One track of an MP4; of several formats the first is that of a fragmented file."""

    id: int
    """1, 2, ...; not 0 (ISO 14496-12 section 8.3.2.3)."""
    timescale: int
    formats: tuple[Format, ...]

    @property
    def video(self) -> bool:
        """Whether it holds pictures."""
        return isinstance(self.formats[0], VideoFormat)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture or one frame of sound; times in the track's timescale.

    `data` is what stands in an MP4: NAL units behind four-byte lengths, or a bare frame of sound.
    `pts` may be before `dts` (a negative composition offset); FFmpeg reads all presentation times
    of a fragmented file with such samples as so much later, browsers read them as they are.
    """

    track: int
    pts: int
    dts: int
    duration: int
    key: bool
    data: bytes
    format: int = 0
    """Index into the track's formats."""


def mime_type(formats: tuple[Format, ...]) -> str:
    """The MIME type of an MP4 with these formats, as MSE wants it."""
    return f'video/mp4; codecs="{",".join(f.codec for f in formats)}"'
