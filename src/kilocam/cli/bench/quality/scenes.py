"""Labelled footage cut into windows, with parts of it alone in a scene that is quiet otherwise.

A camera sees its background (the median picture of the film) under sensor noise, and in some
windows a stretch of the film, or a part of its picture, in the background's place. So it is known
of each window whether anything moves in it: the labels say so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from kilocam.analyse.detector import iou
from kilocam.cli.bench.quality.films import pictures
from kilocam.cli.bench.quality.labels import Box, Labels
from kilocam.core import ConfigError
from kilocam.media import FileTrack, Picture, VideoEncoding, encode_media

WINDOW_S = 2
QUIET_FIRST = 60
"""Windows in which the camera sees nothing, before and ..."""
QUIET_BETWEEN = 2
"""... between stretches in which it does."""
MOVED_OVERLAP = 0.7
"""What moves is elsewhere at the end of a window than at its beginning, as for the audit."""
_FIELDS = 16
_HEIGHT = 360
EVERYWHERE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the picture that is live for some stretches, the rest being quiet."""

    name: str
    region: Box
    stretches: tuple[range, ...]
    """Of the film's pictures, in whole windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a camera hangs."""

    name: str
    labels: str
    """Name of the file, which names the film."""
    first: int
    last: int
    """The take of the film whose median picture is the background."""
    every: int
    """Each n-th picture is taken, which makes the frame rate."""
    parts: tuple[Part, ...]
    repeats: int
    """How often each stretch is shown, under other noise each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a window of a scene shows."""

    part: str
    """Empty: nothing."""
    moving: bool
    """By the labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """Noise, and how pictures become packets."""

    name: str
    sigma: float
    bitrate_kbps: int | None
    """None: constant quality, so the bit rate varies; else it is constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A place through a sensor: what is sent, and what is shown in each of its windows."""

    place: str
    sensor: str
    video: FileTrack
    shown: tuple[Shown, ...]
    quiet_first: int = QUIET_FIRST
    """The first windows, in half of which the camera is still being met."""


_CAMPUS = (range(120), range(540, 700))
_STREET = (range(137, 187),)
PLACES = (
    Place(
        name="campus", labels="campus", first=0, last=794, every=1, repeats=1,
        parts=(
            Part(name="all of it", region=EVERYWHERE, stretches=_CAMPUS),
            Part(name="path on the left, walkers an eighth of the height",
                 region=(0.0, 0.2, 0.42, 0.27), stretches=_CAMPUS),
            Part(name="lawn far away, a walker a sixteenth of the height",
                 region=(0.2, 0.02, 0.22, 0.19), stretches=(range(80, 120),)),
        ),
    ),
    Place(
        name="street behind a fence", labels="bikes", first=137, last=186, every=2, repeats=4,
        parts=(
            Part(name="all of it", region=EVERYWHERE, stretches=_STREET),
            Part(name="cars far away", region=(0.47, 0.33, 0.53, 0.3), stretches=_STREET),
        ),
    ),
)  # fmt: skip
SENSORS = (
    Sensor(name="sigma 2, variable", sigma=2.0, bitrate_kbps=None),
    Sensor(name="sigma 2, constant", sigma=2.0, bitrate_kbps=256),
    Sensor(name="sigma 4.5, variable", sigma=4.5, bitrate_kbps=None),
    Sensor(name="sigma 4.5, constant", sigma=4.5, bitrate_kbps=256),
)
"""Other noise than that of `bench/gate.py`, by which the gate was made."""


def scenes(
    place: Place, labels: Labels, cache: Path, codec: type[VideoEncoding] = VideoEncoding
) -> Iterator[Scene]:
    """The place through each sensor, encoded once per cache.

    Raises:
        ConfigError: the footage has not been fetched.
    """
    take = film_of(place, labels, cache)
    background = np.median(take[:: max(1, len(take) // 64)], axis=0).astype(np.uint8)
    plan = [(part, some) for part in place.parts for some in part.stretches] * place.repeats
    length = WINDOW_S * labels.fps
    shown = [Shown(part="", moving=False)] * QUIET_FIRST
    for part, stretch in plan:
        shown += [
            Shown(part=part.name, moving=moves(labels, part, stretch[at : at + length]))
            for at in range(0, len(stretch), length)
        ]
        shown += [Shown(part="", moving=False)] * QUIET_BETWEEN
    height, width = background.shape[:2]
    for sensor in SENSORS:
        encoding = codec(
            width=width, height=height, fps=Fraction(labels.fps, place.every),
            key_interval_s=WINDOW_S, bitrate_kbps=sensor.bitrate_kbps,
            strict_cbr=sensor.bitrate_kbps is not None,
        )  # fmt: skip
        clean = _clean(place, plan, take, background, length)
        video = encode_media(
            place.name, noisy(clean, sensor.sigma), encoding=encoding, cache=cache / "footage",
            cache_key=f"scene {place} {sensor}",
        ).video  # fmt: skip
        if video is None:
            raise ConfigError(f"{labels.film}: no pictures; delete it and run tools/footage.py")
        yield Scene(place=place.name, sensor=sensor.name, video=video, shown=tuple(shown))


def moves(labels: Labels, part: Part, numbers: range) -> bool:
    """Whether anything moves in the part in the window of these pictures of the film."""
    seen: dict[str, list[Box]] = {}
    for picture in (each for span in labels.spans for each in span.pictures):
        if picture.number in numbers:
            for each in picture.seen:
                if _mostly_in(each.box, part.region):
                    seen.setdefault(each.id, []).append(each.box)
    return any(
        len(boxes) == 1 or iou(boxes[0], boxes[-1]) < MOVED_OVERLAP for boxes in seen.values()
    )


def _mostly_in(box: Box, region: Box) -> bool:
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return region[0] <= x < region[0] + region[2] and region[1] <= y < region[1] + region[3]


def film_of(place: Place, labels: Labels, cache: Path) -> list[Picture]:
    """The pictures of a place's take, 360 high at most."""
    taken: list[Picture] = []
    for number, picture in enumerate(pictures(labels.film, cache)):
        if number > place.last:
            break
        if number >= place.first:
            across, down = picture.display_size
            height = min(down, _HEIGHT)
            taken.append(picture.rgb(round(across * height / down / 2) * 2, height))
    return taken


def _clean(
    place: Place,
    plan: Sequence[tuple[Part, range]],
    take: Sequence[Picture],
    background: Picture,
    length: int,
) -> Iterator[Picture]:
    """What is before the lens, picture by picture; at the end what closes the last window."""
    height, width = background.shape[:2]
    for _ in range(0, QUIET_FIRST * length, place.every):
        yield background
    for part, stretch in plan:
        x, y, w, h = part.region
        rows = slice(round(y * height), round((y + h) * height))
        columns = slice(round(x * width), round((x + w) * width))
        for number in stretch[:: place.every]:
            picture = background.copy()
            picture[rows, columns] = take[number - place.first][rows, columns]
            yield picture
        for _ in range(0, QUIET_BETWEEN * length, place.every):
            yield background
    yield background


def noisy(clean: Iterator[Picture], sigma: float) -> Iterator[Picture]:
    """Under noise: a few fields, shifted at random, are as new to an encoder as fresh ones."""
    random = np.random.default_rng(7)
    fields: list[np.ndarray[tuple[int, ...], np.dtype[np.int16]]] = []
    for picture in clean:
        if not fields:
            shape = (*picture.shape[:2], 1)
            fields = [random.normal(0, sigma, shape).round().astype(np.int16)
                      for _ in range(_FIELDS)]  # fmt: skip
        field = np.roll(
            fields[random.integers(_FIELDS)],
            tuple(random.integers(picture.shape[:2])),
            axis=(0, 1),
        )
        yield np.clip(picture.astype(np.int16) + field, 0, 255).astype(np.uint8)
