"""What weather and light cost, and what they hide: made over a real scene, for want of footage.

    python -m bench.weather [--json]

A camera sees the campus of `kilocam bench analyse --quality` empty (its median picture) under
sensor noise for two minutes, then under one kind of weather for three, then people walk through it
for half a minute under the same weather. The shipped scheduler and looks watch. Printed by weather
and kind of bit rate: of windows in which nothing but the weather moves the share that is looked at
(first and last minute of it; one in three is looked at whatever happens), in what share of those
looks the difference saw a change, how many objects were claimed there; of windows with people the
share that was passed over.

The weather is drawn, not filmed: streaks for rain, a spot that crosses a dark scene for headlights,
rows of the trees shifted by a gust for wind, one switch to a grey and noisier picture for infra-red
light, a shade that passes for clouds. Real rain has depth and drops on the glass.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction

import numpy as np

from kilocam.analyse import DETECTOR, cache_directory, load_model, models_directory
from kilocam.analyse.detector import THRESHOLD, Detector
from kilocam.cli.bench.quality.audited import WatchedCamera
from kilocam.cli.bench.quality.labels import read_labels
from kilocam.cli.bench.quality.run import LABELS
from kilocam.cli.bench.quality.scenes import EVERYWHERE, PLACES, Part, film_of, moves, noisy
from kilocam.cli.bench.windows import FilmWindows, samples
from kilocam.media import Picture, VideoEncoding, encode_media

FPS, WINDOW = 10, 20
"""Pictures a second, and in a window of 2 s."""
CALM, WEATHER = 60, 90
"""Windows."""
MINUTE = 30
SIGMA = 2.0
PEOPLE = range(120), range(540, 700)
"""Pictures of the film in which people walk."""
ENCODINGS: Mapping[str, int | None] = {"variable": None, "constant": 256}

Field = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Weather = Callable[[Field, float, np.random.Generator], Field]
"""A picture as floats, seconds since the weather began, chance; gives what the camera sees."""


def none(picture: Field, _at_s: float, _random: np.random.Generator) -> Field:
    """Only noise."""
    return picture


def rain(picture: Field, _at_s: float, random: np.random.Generator) -> Field:
    """Bright slanting streaks, new in each picture."""
    height, width = picture.shape[:2]
    drops = random.random((height, width)) < 0.0006
    streaks = np.zeros((height, width), np.float32)
    for step in range(14):
        streaks = np.maximum(streaks, np.roll(drops, (step, step // 5), axis=(0, 1)))
    return picture + 45 * streaks[..., None]


def wind(picture: Field, at_s: float, _random: np.random.Generator) -> Field:
    """The upper third sways by up to 3 pixels, in gusts of some seconds."""
    swayed = picture.copy()
    gust = 1.5 + 1.5 * np.sin(at_s / 3)
    for row in range(picture.shape[0] // 3):
        shift = round(float(gust * np.sin(2 * np.pi * at_s * 0.7 + row / 25)))
        swayed[row] = np.roll(picture[row], shift, axis=0)
    return swayed


def headlights(picture: Field, at_s: float, _random: np.random.Generator) -> Field:
    """Night, and each 20 s a beam crosses the lower half in 3 s."""
    height, width = picture.shape[:2]
    dark = picture * 0.3
    since_s = at_s % 20
    if since_s > 3:
        return dark
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    centre = (since_s / 3 * 1.4 - 0.2) * width
    beam = np.exp(-(((x - centre) / 90) ** 2) - ((y - 0.7 * height) / 60) ** 2)
    return dark + (120 * beam.astype(np.float32) * (0.4 + picture.mean(axis=2) / 255))[..., None]


def infrared(picture: Field, _at_s: float, random: np.random.Generator) -> Field:
    """Grey, brighter in the middle, with more noise."""
    height, width = picture.shape[:2]
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    lamp = (0.45 + 0.5 * np.exp(-(x**2 + y**2) * 1.5)).astype(np.float32)
    noise = random.normal(0, 3, (height, width, 1)).astype(np.float32)
    return grey * lamp[..., None] + noise


def clouds(picture: Field, at_s: float, _random: np.random.Generator) -> Field:
    """A shade whose edge passes through the picture each 40 s."""
    width = picture.shape[1]
    edge = (at_s % 40) / 40 * 2 * width - width / 2
    shade = 0.65 + 0.35 / (1 + np.exp((np.arange(width) - edge) / 30))
    return picture * shade.astype(np.float32)[None, :, None]


WEATHERS: Mapping[str, Weather] = {
    "noise alone": none,
    "rain": rain,
    "wind in trees": wind,
    "headlights": headlights,
    "infra-red": infrared,
    "clouds": clouds,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one weather came to at one kind of bit rate."""

    looked_first: float
    looked_last: float
    changed: float
    """Of the looks under weather alone."""
    claimed: int
    """Objects seen there, by their first sight over the detector's threshold."""
    people_windows: int
    people_missed: int


def watch(weather: Weather, bitrate_kbps: int | None, detector: Detector) -> Outcome:
    """One camera's quarter of an hour, or so."""
    place = next(place for place in PLACES if place.name == "campus")
    labels = read_labels(LABELS / f"{place.labels}.json")
    take = film_of(place, labels, cache_directory())
    background = np.median(take[::12], axis=0).astype(np.uint8)
    walked = [number for some in PEOPLE for number in some]
    height, width = background.shape[:2]

    def seen() -> Iterator[Picture]:
        random = np.random.default_rng(11)
        pictures: list[Picture] = [background] * (CALM + WEATHER) * WINDOW
        pictures += [take[number] for number in walked] + [background]
        for number, picture in enumerate(pictures):
            at_s = (number - CALM * WINDOW) / FPS
            if at_s < 0:
                yield picture
                continue
            clean = weather(picture.astype(np.float32), at_s, random)
            yield np.clip(clean, 0, 255).astype(np.uint8)

    encoding = VideoEncoding(
        width=width, height=height, fps=Fraction(FPS), key_interval_s=2, bitrate_kbps=bitrate_kbps,
        strict_cbr=bitrate_kbps is not None,
    )  # fmt: skip
    video = encode_media("weather", noisy(seen(), SIGMA), encoding=encoding).video
    assert video is not None
    film = FilmWindows("campus", video)
    camera = WatchedCamera(film, detector)
    firsts = [each[0] if each else 0.0 for each in samples(video)]
    everywhere = Part(name="all of it", region=EVERYWHERE, stretches=())
    moving = [
        moves(labels, everywhere, range(walked[at], walked[at] + WINDOW))
        for at in range(0, len(walked), WINDOW)
    ]
    count = CALM + WEATHER + len(moving)
    for number in range(count):
        camera.offer(number, firsts[number])
    starts = [film.window(number).start_us for number in range(count)]
    alone = starts[CALM : CALM + WEATHER]
    looks = [camera.looks[start] for start in alone if start in camera.looks]
    objects = {
        each.event_id
        for look in looks
        for each in look.findings.objects
        if each.best.score >= THRESHOLD
    }
    people = [s for s, some in zip(starts[CALM + WEATHER :], moving, strict=True) if some]
    return Outcome(
        looked_first=_share(alone[:MINUTE], camera),
        looked_last=_share(alone[-MINUTE:], camera),
        changed=sum(look.changed for look in looks) / max(1, len(looks)),
        claimed=len(objects),
        people_windows=len(people),
        people_missed=sum(start not in camera.looks for start in people),
    )


def _share(starts: list[int], camera: WatchedCamera) -> float:
    return sum(start in camera.looks for start in starts) / len(starts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    detector = Detector(load_model(DETECTOR, models_directory()))
    found = {
        f"{name}, {rate}": watch(weather, kbps, detector)
        for name, weather in WEATHERS.items()
        for rate, kbps in ENCODINGS.items()
    }
    if options.json:
        print(json.dumps({name: asdict(each) for name, each in found.items()}))
        return
    print(
        "| weather, bit rate | looked at, first / last minute | changed | claimed | people missed |"
    )
    print("|---|---|---|---|---|")
    for name, each in found.items():
        print(
            f"| {name} | {each.looked_first:.2f}, {each.looked_last:.2f} | {each.changed:.2f} | "
            f"{each.claimed} | {each.people_missed} of {each.people_windows} |"
        )


if __name__ == "__main__":
    main()
