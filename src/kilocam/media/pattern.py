"""Owns: drawn test footage, and the number that tells which of its pictures one is looking at.

A `PatternSpec` describes a loop of moving shapes. Across the top of each picture stands its number:
24 columns, the most significant bit on the left, in two rows. The upper row shows the bits (white
is 1), the lower one their complement, so each column is read by comparing its two halves. That
needs no threshold, survives scaling and coarse quantisation, and no other scene passes for it.

A `StillSpec` describes what a quiet camera sees: one picture with fresh sensor noise each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from kilocam.core import ConfigError
from kilocam.media.files import (
    MediaFile,
    Picture,
    Sound,
    decode_pictures,
    encode_media,
)
from kilocam.media.transcode import VideoEncoding

_BITS = 24
_BAND = 6
"""The number takes the top 1/6 of the picture's height."""
_MARGIN = 60
"""Least difference of brightness between a column's halves; black to white is 219 or more."""
_SOUND_RATE = 48_000
_NOISE_FIELDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternSpec:
    """A loop of numbered moving pictures; `sound`: a short tone at each full second."""

    width: int = 640
    height: int = 360
    fps: int = 15
    bitrate_kbps: int | None = 256
    key_interval_s: float = 2.0
    strict_cbr: bool = False
    b_frames: int = 0
    seconds: int = 60
    sound: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StillSpec:
    """A loop of one quiet picture under sensor noise of `sigma` grey levels."""

    background: Path | None = None
    """The median picture of this file; `None`: a drawn scene."""
    sigma: float = 2.0
    width: int = 640
    height: int = 360
    fps: int = 15
    bitrate_kbps: int | None = 256
    key_interval_s: float = 2.0
    strict_cbr: bool = False
    seconds: int = 30
    seed: int = 1


def pattern_media(spec: PatternSpec, *, cache: Path | None = None) -> MediaFile:
    """The pattern as H.264 (and AAC), encoded once per cache."""
    _check_size(spec.width, spec.height)
    return encode_media(
        "pattern",
        draw_pattern(spec),
        encoding=_encoding(spec, spec.b_frames),
        sound=_beeps(spec.seconds) if spec.sound else None,
        sound_rate=_SOUND_RATE,
        cache=cache,
        cache_key=repr(spec),
    )


def still_media(spec: StillSpec, *, cache: Path | None = None) -> MediaFile:
    """The still scene as H.264, encoded once per cache."""
    _check_size(spec.width, spec.height)
    return encode_media(
        "still",
        draw_still(spec),
        encoding=_encoding(spec, 0),
        cache=cache,
        cache_key=repr(spec),
    )


def draw_pattern(spec: PatternSpec) -> Iterator[Picture]:
    """Numbered RGB pictures 0, 1, 2, ...; the last leads over into the first."""
    frames = spec.fps * spec.seconds
    texture = _texture(spec.width, spec.height)
    for number in range(frames):
        turn = number / frames
        picture = np.roll(texture, round(turn * spec.seconds / 4 * spec.width), axis=1)
        _draw_squares(picture, turn * spec.seconds)
        write_frame_number(picture, number)
        yield picture


def draw_still(spec: StillSpec) -> Iterator[Picture]:
    """The same RGB picture again and again under noise that never repeats within the loop."""
    scene = _background(spec).astype(np.int16)
    random = np.random.default_rng(spec.seed)
    # Fresh Gaussian noise for each picture costs more than encoding it: a few fields, shifted and
    # mirrored at random, look just as new to an encoder.
    fields = random.normal(0, spec.sigma, (_NOISE_FIELDS, *scene.shape[:2], 1)).round()
    for _ in range(spec.fps * spec.seconds):
        field = np.roll(
            fields[random.integers(_NOISE_FIELDS)],
            tuple(random.integers(scene.shape[:2])),
            axis=(0, 1),
        )
        yield np.clip(scene + field, 0, 255).astype(np.uint8)


def resized(picture: Picture, width: int, height: int) -> Picture:
    """Squashed to height x width by its nearest pixels."""
    rows = np.linspace(0, picture.shape[0] - 1, height).round().astype(int)
    columns = np.linspace(0, picture.shape[1] - 1, width).round().astype(int)
    return np.ascontiguousarray(picture[rows][:, columns])


def write_frame_number(picture: Picture, number: int) -> None:
    """Draw `number` (24 bits) across the top of an RGB or grey picture."""
    if not 0 <= number < 1 << _BITS:
        raise ConfigError(
            f"frame number {number} does not fit into {_BITS} bits; use less pictures"
        )
    half = picture.shape[0] // _BAND // 2
    edges = _edges(picture.shape[1])
    for column in range(_BITS):
        white = number >> (_BITS - 1 - column) & 1
        across = slice(edges[column], edges[column + 1])
        picture[:half, across] = 255 * white
        picture[half : 2 * half, across] = 255 * (1 - white)


def read_frame_number(picture: Picture) -> int | None:
    """The number drawn by `write_frame_number`, `None` when there is none to be read.

    The picture may have been encoded and scaled, but not cropped or turned.
    """
    grey = picture.mean(axis=2) if picture.ndim == 3 else picture.astype(np.float64)
    band = grey.shape[0] / _BAND
    # Only the inner half of each cell counts: its rim is blurred by coding and scaling.
    upper = grey[round(band * 0.125) : max(round(band * 0.375), 1)]
    lower = grey[round(band * 0.625) : max(round(band * 0.875), 1)]
    edges = _edges(grey.shape[1])
    number = 0
    for left, right in pairwise(edges):
        quarter = (right - left) // 4
        across = slice(left + quarter, max(right - quarter, left + quarter + 1))
        if not upper[:, across].size or not lower[:, across].size:
            return None
        difference = float(upper[:, across].mean() - lower[:, across].mean())
        if abs(difference) < _MARGIN:
            return None
        number = number << 1 | (difference > 0)
    return number


def _edges(width: int) -> list[int]:
    return [round(width * column / _BITS) for column in range(_BITS + 1)]


def _check_size(width: int, height: int) -> None:
    if width < 4 * _BITS or height < 8 * _BAND:
        raise ConfigError(
            f"test picture of {width}x{height}: too small to be read; use {4 * _BITS}x{8 * _BAND} "
            "or more"
        )


def _encoding(spec: PatternSpec | StillSpec, b_frames: int) -> VideoEncoding:
    return VideoEncoding(
        width=spec.width,
        height=spec.height,
        fps=Fraction(spec.fps),
        bitrate_kbps=spec.bitrate_kbps,
        key_interval_s=spec.key_interval_s,
        strict_cbr=spec.strict_cbr,
        b_frames=b_frames,
    )


def _texture(width: int, height: int) -> Picture:
    """Soft coloured stripes that join at the sides."""
    across = np.linspace(0, 2 * np.pi, width, endpoint=False)
    down = np.linspace(0, 2 * np.pi, height)
    waves = [
        128 + 60 * np.sin(count * across)[None, :] * np.cos(down * (count - 1))[:, None]
        for count in (2, 3, 5)
    ]
    return np.stack(waves, axis=2).astype(np.uint8)


def _draw_squares(picture: Picture, second: float) -> None:
    """Three squares that cross the picture, each at its own speed and height."""
    height, width = picture.shape[:2]
    side = height // 8
    for row, (per_second, colour) in enumerate(((0.25, 250), (0.5, 20), (1.0, 180))):
        left = round(second * per_second * width) % (width - side)
        top = height // _BAND + side // 2 + row * (height - height // _BAND - side) // 3
        picture[top : top + side, left : left + side] = colour


def _background(spec: StillSpec) -> Picture:
    if spec.background is None:
        return _texture(spec.width, spec.height)
    pictures = [
        picture for at, picture in enumerate(decode_pictures(spec.background)) if at % 8 == 0
    ]
    middle = np.median(np.stack(pictures[:64]), axis=0).astype(np.uint8)
    return resized(middle, spec.width, spec.height)


def _beeps(seconds: int) -> Sound:
    """A tenth of a second of 1 kHz at each full second, else silence."""
    moment = np.arange(seconds * _SOUND_RATE) / _SOUND_RATE
    on = (moment % 1) < 0.1
    return (on * 8000 * np.sin(2 * np.pi * 1000 * moment)).astype(np.int16)
