"""Labelled films as a camera would send them: H.264, decoded as looks do."""

from collections.abc import Iterator
from pathlib import Path

from kilocam.bitstream import join_avcc
from kilocam.core import ConfigError
from kilocam.media import (
    DecodedPicture,
    FileTrack,
    Sample,
    VideoEncoding,
    decode_all,
    open_media,
    video_format,
)

_ENCODING = VideoEncoding(key_interval_s=2.0)
"""Of the film's own size and rate, at a constant quality."""


def pictures(film: str, cache: Path) -> Iterator[DecodedPicture]:
    """Every picture of a film, in order.

    Raises:
        ConfigError: the footage has not been fetched.
    """
    folder = cache / "footage"
    if not (folder / film).is_file():
        raise ConfigError(f"{folder / film}: not there; fetch it: python tools/footage.py")
    video = open_media(folder / film, encoding=_ENCODING, cache=folder).video
    if video is None:
        raise ConfigError(f"{folder / film}: no pictures; delete it and run tools/footage.py")
    return decoded(video)


def decoded(video: FileTrack) -> Iterator[DecodedPicture]:
    """The pictures of a track of H.264."""
    form = video_format(video.parameter_sets)
    if form is None:
        raise ConfigError("the footage has no parameter sets that can be read; fetch it again")
    samples = (
        Sample(
            track=1, pts=each.pts, dts=each.dts, duration=0, key=each.key,
            data=join_avcc(each.units),
        )
        for each in video.samples
    )  # fmt: skip
    return decode_all(samples, (form,))
