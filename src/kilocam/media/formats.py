"""What a decoder must be told of H.264, out of its parameter sets."""

from functools import lru_cache

from kilocam.bitstream import BitstreamError, NalKind, build_avc_config, nal_kind, parse_sps
from kilocam.media.samples import VideoFormat


@lru_cache(maxsize=1024)  # cameras repeat them with each key frame
def video_format(parameter_sets: tuple[bytes, ...]) -> VideoFormat | None:
    """The format of pictures with these parameter sets; None when they cannot be read."""
    try:
        config = build_avc_config(parameter_sets)
        sps = parse_sps(next(nal for nal in parameter_sets if nal_kind(nal) == NalKind.SPS))
    except BitstreamError:
        return None
    return VideoFormat(config=config, width=sps.width, height=sps.height, sar=sps.vui.sar or (1, 1))
