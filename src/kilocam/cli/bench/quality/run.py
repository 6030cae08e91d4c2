"""The table of all sections; what else is to be judged takes its place in `measure_quality`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import kilocam
from kilocam.analyse import DETECTOR, DETECTOR_32, Model, load_model
from kilocam.analyse.detector import Detector
from kilocam.analyse.models import LISTENER, READER
from kilocam.cli.bench.quality.figures import Section
from kilocam.cli.bench.quality.films import pictures
from kilocam.cli.bench.quality.gate import gate_section
from kilocam.cli.bench.quality.hearing import hearing_section
from kilocam.cli.bench.quality.labels import Labels, read_labels
from kilocam.cli.bench.quality.large import placed
from kilocam.cli.bench.quality.reading import reading_section
from kilocam.cli.bench.quality.scenes import PLACES, scenes
from kilocam.cli.bench.quality.seeing import Watched, detector_section, tracker_section, watch
from kilocam.media import H265Encoding, VideoEncoding

LABELS = Path(kilocam.__file__).parents[2] / "bench" / "labels"
"""Of a checkout; what is installed from a wheel has none."""
FILMS = ("campus", "bikes")


def measure_quality(labels: Path, cache: Path, models: Path) -> list[Section]:
    """Judge the shipped models, and the gate, on labelled footage; minutes the first time.

    Raises:
        ConfigError: labels or footage are not there.
        ModelError: the models have not been fetched.
    """
    known = {name: read_labels(labels / f"{name}.json") for name in FILMS}
    seeing = seeing_sections(list(known.values()), cache, models)
    gates = [
        gate_section(
            (one for place in PLACES for one in scenes(place, known[place.labels], cache, codec)),
            name,
        )
        for name, codec in (("gate", VideoEncoding), ("gate of H.265", H265Encoding))
    ]
    reading = reading_section(load_model(READER, models), cache)
    hearing = hearing_section(load_model(LISTENER, models), cache / "footage")
    large = large_sections(load_model(DETECTOR, models), known["campus"], cache)
    return [*seeing, *large, *gates, reading, hearing]


def seeing_sections(labels: Sequence[Labels], cache: Path, models: Path) -> list[Section]:
    """Detector and tracker; and the detector with 32 bits, which the shipped one is made of."""

    def seen_by(model: Model) -> list[Watched]:
        detector = Detector(model)
        return [one for each in labels for one in watch(each, pictures(each.film, cache), detector)]

    shipped, whole = load_model(DETECTOR, models), load_model(DETECTOR_32, models)
    watched = seen_by(shipped)
    beside = replace(detector_section(whole, seen_by(whole)), name="detector with 32 bits")
    return [detector_section(shipped, watched), tracker_section(watched), beside]


def large_sections(model: Model, labels: Labels, cache: Path) -> list[Section]:
    """Detector and tracker on a large picture, by the whole of it alone and by tiles too."""
    detector = Detector(model)
    sections: list[Section] = []
    for name, enlarge in (("by the whole", False), ("with tiles", True)):
        watched = watch(*placed(labels, cache), detector, enlarge=enlarge)
        sections += [
            replace(detector_section(model, watched), name=f"detector, large picture {name}"),
            replace(tracker_section(watched), name=f"tracker, large picture {name}"),
        ]
    return sections
