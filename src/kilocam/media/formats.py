"""What a decoder must be told of H.264, H.265 and AAC, out of their parameter sets."""

from functools import lru_cache

from kilocam.bitstream import (
    BitstreamError,
    NalKind,
    build_avc_config,
    build_h265_config,
    nal_kind,
    parse_audio_config,
    parse_sps,
)
from kilocam.media.samples import (
    AudioFormat,
    G711Format,
    H265Format,
    Mp4Sound,
    OpusFormat,
    SoundFormat,
    VideoFormat,
)


@lru_cache(maxsize=1024)  # cameras repeat them with each key frame
def video_format(parameter_sets: tuple[bytes, ...]) -> VideoFormat | None:
    """The format of pictures with these parameter sets; None when they cannot be read."""
    try:
        config = build_avc_config(parameter_sets)
        sps = parse_sps(next(nal for nal in parameter_sets if nal_kind(nal) == NalKind.SPS))
    except BitstreamError:
        return None
    return VideoFormat(config=config, width=sps.width, height=sps.height, sar=sps.vui.sar or (1, 1))


@lru_cache(maxsize=1024)
def h265_format(parameter_sets: tuple[bytes, ...]) -> H265Format | None:
    """The format of H.265 pictures with these parameter sets; None when they cannot be read."""
    try:
        return H265Format(config=build_h265_config(parameter_sets))
    except BitstreamError:
        return None


@lru_cache(maxsize=256)
def aac_format(config: bytes) -> AudioFormat | None:
    """The format of AAC with this AudioSpecificConfig; None when it cannot be read."""
    try:
        parsed = parse_audio_config(config)
    except BitstreamError:
        return None
    return AudioFormat(
        config=config,
        codec=parsed.codec_string,
        sample_rate=parsed.sample_rate,
        channels=parsed.channels,
    )


def mp4_sound(config: bytes) -> Mp4Sound | None:
    """The format of sound with this `config`; None when it cannot be read."""
    opus = OpusFormat()
    return opus if config == opus.config else aac_format(config)


_FASTEST = 192_000
"""Samples a second that anybody sends."""


def sound_format(codec: str, *, rate: int, channels: int, config: bytes) -> SoundFormat | None:
    """The format of sound that RTP names so; None when it is none of ours or cannot be read.

    Args:
        codec: as in `core.Track`.
        rate: of its clock.
        channels: at least 1.
        config: of AAC the AudioSpecificConfig.
    """
    match codec:
        case "mpeg4-generic":
            return aac_format(config) if rate > 0 else None
        case "opus":
            return OpusFormat()
        case "pcmu" | "pcma" if 0 < rate <= _FASTEST and channels in (1, 2):
            return G711Format(law=codec, sample_rate=rate, channels=channels)
        case _:
            return None
