"""Labels of footage: who is where in which picture, made by people (`bench/labels/README.md`)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilocam.core import ConfigError

Box = tuple[float, float, float, float]
"""(x, y, w, h) as fractions of the picture, origin top left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One object in one picture."""

    id: str
    """Of the object; it keeps it from picture to picture."""
    kind: str
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """What nobody is asked to find, and nobody is blamed for finding."""

    kind: str
    box: Box
    region: bool
    """Anything of its kind that lies mostly inside; else one object, more than half covered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """All that is in one picture."""

    number: int
    seen: tuple[Seen, ...]
    unclear: tuple[Unclear, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Labelled pictures that follow each other."""

    use: str
    """`tuning`: parameters may be chosen on them; `judging`: never."""
    pictures: tuple[LabelledPicture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What is known of one film."""

    film: str
    fps: int
    kinds: frozenset[str]
    """Labelled completely; what is found of any other kind is not judged."""
    identities: bool
    """Objects keep their id from picture to picture, so that tracking can be judged."""
    covers: tuple[Box, ...]
    """What things stand behind: a sign."""
    spans: tuple[Span, ...]


def read_labels(file: Path) -> Labels:
    """Labels as they lie in `bench/labels`.

    Raises:
        ConfigError: they are not there, or no labels.
    """
    try:
        return _labels(json.loads(file.read_text()))
    except OSError as error:
        raise ConfigError(
            f"labels {file}: {error.strerror}; they come with the source, in bench/labels: "
            "run this from a checkout or give --labels"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"labels {file} cannot be read: {error!r}; take them out again") from None


def _labels(raw: Mapping[str, Any]) -> Labels:  # `Any`: JSON
    size = (raw["width"], raw["height"])
    spans = tuple(
        Span(use=span["use"], pictures=tuple(_pictures(raw, span, size))) for span in raw["spans"]
    )
    return Labels(
        film=raw["film"],
        fps=raw["fps"],
        kinds=frozenset(raw["kinds"]),
        identities=raw["identities"],
        covers=tuple(_fractions(box, size) for box in raw["covers"]),
        spans=spans,
    )


def _pictures(
    raw: Mapping[str, Any], span: Mapping[str, Any], size: tuple[int, int]
) -> Iterator[LabelledPicture]:
    for number in range(span["first"], span["last"] + 1, span["every"]):
        seen: list[Seen] = []
        unclear = [
            Unclear(kind=each["kind"], box=_fractions(each["box"], size), region=True)
            for each in raw["ignored"]
            if each["first"] <= number <= each["last"]
        ]
        for track in raw["tracks"]:
            pixels = track["boxes"].get(str(number))
            if pixels is None:
                continue
            box, kind = _fractions(pixels, size), track["kind"]
            if number in track["hidden"]:
                unclear.append(Unclear(kind=kind, box=box, region=False))
            else:
                seen.append(Seen(id=track["id"], kind=kind, box=box))
        yield LabelledPicture(number=number, seen=tuple(seen), unclear=tuple(unclear))


def _fractions(pixels: list[int], size: tuple[int, int]) -> Box:
    (x, y, w, h), (width, height) = pixels, size
    if w <= 0 or h <= 0 or x < 0 or y < 0 or x + w > width or y + h > height:
        raise ValueError(f"box {pixels} does not lie in the picture")
    return (x / width, y / height, w / width, h / height)
