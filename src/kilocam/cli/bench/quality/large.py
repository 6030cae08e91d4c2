"""A labelled film at its own size in a corner of a large picture: who is in it is far away.

Around it is its own background (its median picture), enlarged to fill what is left, so the scene is
of one kind; nothing moves there.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from kilocam.cli.bench.quality.films import decoded, pictures
from kilocam.cli.bench.quality.labels import Box, Labels
from kilocam.core import ConfigError
from kilocam.media import (
    DecodedPicture,
    Picture,
    VideoEncoding,
    encode_media,
    resized,
)

SIZE = (1920, 1080)
AT = (200, 400)
"""Of the film's top left corner, in pixels."""
_MEDIAN_EVERY = 12
_KINDS = frozenset({"person"})
"""Cars of the enlarged background are not labelled."""


def placed(labels: Labels, cache: Path) -> tuple[Labels, Iterator[DecodedPicture]]:
    """Labels and pictures of the large film, which is encoded once per cache.

    Raises:
        ConfigError: the footage has not been fetched.
    """
    encoding = VideoEncoding(width=SIZE[0], height=SIZE[1], fps=Fraction(labels.fps))
    last = max(picture.number for span in labels.spans for picture in span.pictures)
    video = encode_media(
        labels.film, _drawn(labels.film, cache, last), encoding=encoding, cache=cache / "footage",
        cache_key=f"placed {labels.film} {AT} {last}",
    ).video  # fmt: skip
    if video is None:
        raise ConfigError(f"{labels.film}: no pictures; delete it and run tools/footage.py")
    width, height = next(pictures(labels.film, cache)).display_size
    place = (AT[0] / SIZE[0], AT[1] / SIZE[1], width / SIZE[0], height / SIZE[1])
    return _moved(labels, place), decoded(video)


def _drawn(film: str, cache: Path, last: int) -> Iterator[Picture]:
    some = [each.rgb() for each in islice(pictures(film, cache), 0, None, _MEDIAN_EVERY)]
    median = np.median(some, axis=0).astype(np.uint8)
    height, width = median.shape[:2]
    high = round(SIZE[0] * height / width)
    scene = resized(median, SIZE[0], high)[(high - SIZE[1]) // 2 :][: SIZE[1]]
    for picture in islice(pictures(film, cache), last + 1):
        large = scene.copy()
        large[AT[1] : AT[1] + height, AT[0] : AT[0] + width] = picture.rgb()
        yield large


def _moved(labels: Labels, place: Box) -> Labels:
    x, y, w, h = place

    def at(box: Box) -> Box:
        return (x + box[0] * w, y + box[1] * h, box[2] * w, box[3] * h)

    spans = tuple(
        replace(
            span,
            pictures=tuple(
                replace(
                    picture,
                    seen=tuple(
                        replace(seen, box=at(seen.box))
                        for seen in picture.seen
                        if seen.kind in _KINDS
                    ),
                    unclear=tuple(replace(each, box=at(each.box)) for each in picture.unclear),
                )
                for picture in span.pictures
            ),
        )
        for span in labels.spans
    )
    return replace(
        labels,
        film=f"{labels.film} in a corner of {SIZE[0]}x{SIZE[1]}",
        kinds=_KINDS,
        covers=tuple(map(at, labels.covers)),
        spans=spans,
    )
