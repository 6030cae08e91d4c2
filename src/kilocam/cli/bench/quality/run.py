"""The table of all sections; what else is to be judged takes its place in `measure_quality`."""

from pathlib import Path

import kilocam
from kilocam.analyse import DETECTOR, load_model
from kilocam.analyse.detector import Detector
from kilocam.cli.bench.quality.figures import Section
from kilocam.cli.bench.quality.labels import read_labels
from kilocam.cli.bench.quality.seeing import detector_section, tracker_section, watch

LABELS = Path(kilocam.__file__).parents[2] / "bench" / "labels"
"""Of a checkout; what is installed from a wheel has none."""
FILMS = ("campus", "bikes")


def measure_quality(labels: Path, cache: Path, models: Path) -> list[Section]:
    """Judge the shipped models on labelled footage.

    Raises:
        ConfigError: labels or footage are not there.
        ModelError: the models have not been fetched.
    """
    known = [read_labels(labels / f"{name}.json") for name in FILMS]
    model = load_model(DETECTOR, models)
    detector = Detector(model)
    watched = [one for each in known for one in watch(each, cache, detector)]
    return [detector_section(model, watched), tracker_section(watched)]
