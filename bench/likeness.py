"""How well likeness tells one object from another, against labels.

    python -m bench.likeness                # on people of the campus, whose identities are labelled
    python -m bench.likeness --calibrate    # measures the scales in tools/likeness.json anew

Scales are mean and deviation over what the detector sees in pictures none of which is labelled
(those on which its 8 bits were calibrated). A deviation is at least a twentieth of the largest:
what never varies would else count most. Whoever writes new ones has the new digest told by
`tools/models.py`.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from bench.int8 import SHOWN
from numpy.typing import NDArray
from tools.likeness import DIMENSIONS, SCALES, SIDE, network

from kilocam.analyse import (
    DETECTOR,
    DETECTOR_32,
    LIKENESS,
    cache_directory,
    load_model,
    models_directory,
)
from kilocam.analyse.detector import THRESHOLD, Detector
from kilocam.analyse.embedder import Embedder, crop
from kilocam.analyse.embedding import EmbedTask
from kilocam.analyse.models import EMBEDDING, Manifest, Model, Vectors
from kilocam.analyse.pictures import Picture
from kilocam.analyse.stored import StoredPicture
from kilocam.cli.bench.quality.films import pictures
from kilocam.cli.bench.quality.labels import Labels, read_labels
from kilocam.cli.bench.quality.run import LABELS
from kilocam.core import CameraKey

LEAST_DEVIATION = 0.05
APART = 10
"""Pictures between two sights of one person that are compared: a second."""
RAW = Manifest(
    name="raw", version="", file="", sha256="", licence="", source="", runtime=EMBEDDING,
    input=(1, SIDE, SIDE, 3), vectors=Vectors(dimensions=DIMENSIONS),
)  # fmt: skip
"""Vectors as they come, neither centred nor scaled."""


@dataclass(frozen=True)
class Sight:
    """One labelled object in one picture."""

    use: str
    kind: str
    id: str
    number: int
    size: float
    vector: NDArray[np.float64]
    cost_us: int


def calibrate() -> None:
    """Write the scales, rounded to four digits."""
    whole = onnx.load_model_from_string(load_model(DETECTOR_32, models_directory()).network)
    raw = network(whole, None).SerializeToString()
    embedder = Embedder(Model(manifest=RAW, directory=models_directory(), network=raw), _nothing)
    detector = Detector(load_model(DETECTOR, models_directory()))
    vectors = np.array([embedder.raw(each) for each in _found(detector)], np.float64)
    deviation = vectors.std(axis=0)
    kept = {
        "mean": vectors.mean(axis=0),
        "deviation": np.maximum(deviation, LEAST_DEVIATION * deviation.max()),
    }
    lines = (
        f'"{name}": [' + ", ".join(f"{each:.4g}" for each in values) + "]"
        for name, values in kept.items()
    )
    SCALES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"scales of {len(vectors)} objects")


def _found(detector: Detector) -> Iterator[NDArray[np.uint8]]:
    """Pictures of what is seen where nothing is labelled."""
    for film, numbers in SHOWN.items():
        for number, decoded in enumerate(pictures(film, cache_directory())):
            if number in numbers:
                picture = StoredPicture(0, decoded)
                pixels = picture.rgb(detector.width, detector.height)
                for each in detector.detect(pixels, picture.width / picture.height, 0):
                    if each.score >= THRESHOLD:
                        yield crop(picture, each.box, SIDE, SIDE)


def _nothing(*_: object) -> Iterator[Picture]:
    return iter(())


def judge() -> None:
    """Print how alike the same and others are, and who is found again."""
    labels = read_labels(LABELS / "campus.json")
    model = load_model(LIKENESS, models_directory())
    sights = list(_sights(labels, model))
    print(f"{model.manifest.reference}, {len(model.network) / 1e6:.2f} MB, vtest.avi")
    cost_ms = np.mean([each.cost_us for each in sights]) / 1e3
    print(f"{cost_ms:.1f} ms of a core an object, decoding left out")
    print("| people | same | other | same above other | found again |")
    print("|---|---|---|---|---|")
    for use in ("tuning", "judging"):
        people = [each for each in sights if each.use == use and each.kind == "person"]
        print(f"| {use} | {' | '.join(_figures(people))} |")
    vehicles = [each.vector for each in sights if each.kind == "vehicle"]
    people_ = [each.vector for each in sights if each.kind == "person"]
    print(f"a person and a vehicle: {np.mean(np.array(people_) @ np.array(vehicles).T):.2f}")


def _sights(labels: Labels, model: Model) -> Iterator[Sight]:
    shown = {
        picture.number: (span.use, picture) for span in labels.spans for picture in span.pictures
    }
    key = CameraKey("bench", "campus")
    for number, decoded in enumerate(pictures(labels.film, cache_directory())):
        if number not in shown:
            continue
        use, labelled = shown[number]
        picture = StoredPicture(0, decoded)
        embedder = _embedder(model, picture)
        for seen in labelled.seen:
            outcome = embedder.embed(EmbedTask(key=key, at_us=0, box=seen.box, footage=()))
            yield Sight(
                use=use, kind=seen.kind, id=seen.id, number=number, size=seen.box[2] * seen.box[3],
                vector=np.array(outcome.vector), cost_us=outcome.cost_us,
            )  # fmt: skip


def _embedder(model: Model, picture: StoredPicture) -> Embedder:
    return Embedder(model, lambda *_: iter((picture,)))


def _figures(people: list[Sight]) -> tuple[str, ...]:
    """Means of cosines; how often a pair of one is more alike than one of two; who comes first."""
    vectors = np.array([each.vector for each in people])
    ids = np.array([each.id for each in people])
    numbers = np.array([each.number for each in people])
    alike = vectors @ vectors.T
    one = ids[:, None] == ids
    same = alike[one & (np.abs(numbers[:, None] - numbers) >= APART)]
    other = alike[~one]
    above = (np.searchsorted(np.sort(other), same) / len(other)).mean()
    right, of = _found_again(people)
    return f"{same.mean():.2f}", f"{other.mean():.2f}", f"{above:.2f}", f"{right} of {of}"


def _found_again(people: list[Sight]) -> tuple[int, int]:
    """Of each person two events, the first and the second half of their sights; of each the
    largest sight. Asked for what is like the first, who comes first of the second ones?"""
    first, second = [], []
    for id_ in sorted({each.id for each in people}):
        theirs = sorted((each for each in people if each.id == id_), key=lambda each: each.number)
        if len(theirs) >= 4:
            half = len(theirs) // 2
            for events, part in ((first, theirs[:half]), (second, theirs[half:])):
                events.append(max(part, key=lambda each: each.size))
    alike = np.array([each.vector for each in first]) @ np.array([each.vector for each in second]).T
    return int((alike.argmax(axis=1) == np.arange(len(first))).sum()), len(first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrate", action="store_true")
    calibrate() if parser.parse_args().calibrate else judge()


if __name__ == "__main__":
    main()
