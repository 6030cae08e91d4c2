"""The detector with 8 bits beside the one with 32 that it is made of, on the same pictures.

    python -m bench.int8                # what both see, how far they agree, what a picture costs
    python -m bench.int8 --calibrate    # measures the ranges in tools/int8.json anew

Both models are those of the models directory; `--calibrate` needs `onnx`, which the build has.

Ranges are the lowest and the highest values of activations on every eighth picture of each film
(of the campus those between the labelled spans), and on the same pictures made dark and noisy,
grey and noisy, or bright. A score below .02 is one of .02: nobody asks, and what is left of the
range is finer. Whoever writes new ranges has the new digest told by `tools/models.py`.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np
import onnx
import onnxruntime
from tools.quantise import RANGES, activations, simplified

from kilocam.analyse import DETECTOR, DETECTOR_32, cache_directory, load_model, models_directory
from kilocam.analyse.canary import Agreement, agreement
from kilocam.analyse.detector import Detector, Pixels
from kilocam.cli.bench.quality.figures import table
from kilocam.cli.bench.quality.films import pictures
from kilocam.cli.bench.quality.labels import read_labels
from kilocam.cli.bench.quality.run import FILMS, LABELS
from kilocam.cli.bench.quality.seeing import detector_section, tracker_section, watch

SHOWN = {
    "vtest.avi": range(129, 530, 8),
    "bikes.mp4": range(1, 250, 8),
    "carphone.mp4": range(1, 120, 8),
    "bigbuckbunny.mp4": range(1, 132, 8),
}
"""Pictures by film; none is labelled."""
HALF_WAY = 4
"""From these to those on which the two are compared."""
LEAST_SCORE = -4.0
"""Before the sigmoid: .02."""


def shown(offset: int) -> Iterator[tuple[Pixels, float]]:
    """Pictures with their aspect, each as it is and otherwise; `offset` from the calibration's."""
    random = np.random.default_rng(0)
    kinds = cycle((_dark, _infrared, _bright))
    for film, numbers in SHOWN.items():
        wanted = {number + offset for number in numbers}
        for number, picture in enumerate(pictures(film, cache_directory())):
            if number in wanted:
                width, height = picture.display_size
                plain = picture.rgb(300, 300)
                yield plain, width / height
                yield next(kinds)(plain.astype(np.float32), random), width / height


def _dark(pixels: np.ndarray, random: np.random.Generator) -> Pixels:
    return _as_pixels(pixels * 0.35 + random.normal(0, 3, pixels.shape))


def _infrared(pixels: np.ndarray, random: np.random.Generator) -> Pixels:
    grey = pixels.mean(axis=2, keepdims=True) * 0.6
    return _as_pixels((grey + random.normal(0, 6, grey.shape)).repeat(3, axis=2))


def _bright(pixels: np.ndarray, random: np.random.Generator) -> Pixels:
    del random
    return _as_pixels(pixels * 1.3 + 25)


def _as_pixels(pixels: np.ndarray) -> Pixels:
    return pixels.clip(0, 255).astype(np.uint8)


def calibrate() -> None:
    """Write the ranges, rounded to four digits."""
    model = simplified(
        onnx.load_model_from_string(load_model(DETECTOR_32, models_directory()).network)
    )
    names = activations(model)
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    low, high = np.zeros(len(names)), np.zeros(len(names))
    for pixels, _ in shown(0):
        values = session.run(names, {"pixels": pixels[np.newaxis]})
        low = np.minimum(low, [each.min() for each in values])
        high = np.maximum(high, [each.max() for each in values])
    ranges = {
        name: (max(low[at], LEAST_SCORE) if "/ClassPredictor/" in name else low[at], high[at])
        for at, name in enumerate(names)
    }
    lines = (f"{json.dumps(name)}: [{low:.4g}, {high:.4g}]" for name, (low, high) in ranges.items())
    RANGES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def compare() -> None:
    models = [load_model(name, models_directory()) for name in (DETECTOR_32, DETECTOR)]
    detectors = [Detector(each) for each in models]
    labels = [read_labels(LABELS / f"{name}.json") for name in FILMS]
    for model, detector in zip(models, detectors, strict=True):
        watched = [
            one
            for film in labels
            for one in watch(film, pictures(film.film, cache_directory()), detector)
        ]
        print(table([detector_section(model, watched), tracker_section(watched)]), end="\n\n")
    agreed, cost_ms = side_by_side(detectors)
    for model, cost in zip(models, cost_ms, strict=True):
        size = len(model.network) / 1e6
        print(f"{model.manifest.reference}: {cost:.1f} ms of a core a picture, {size:.1f} MB")
    print(f"32 bits cost {cost_ms[0] / cost_ms[1]:.2f} times what 8 cost")
    for kind, of in sorted(agreed.items()):
        print(f"{kind}: 8 bits miss {of.missed} of {of.known}, see {of.extra} of {of.found} alone")


def side_by_side(detectors: Sequence[Detector]) -> tuple[dict[str, Agreement], list[float]]:
    """How far two agree, by kind, as a trial counts it; and what a picture costs each."""
    agreed: dict[str, Agreement] = {}
    cost_ns, looks = [0, 0], 0
    for pixels, aspect in shown(HALF_WAY):
        seen = []
        for at, detector in enumerate(detectors):
            begun = time.process_time_ns()
            seen.append(detector.detect(pixels, aspect, 0))
            cost_ns[at] += time.process_time_ns() - begun
        for kind, more in agreement(seen[0], seen[1], ()).items():
            agreed[kind] = agreed.get(kind, Agreement()) + more
        looks += 1
    return agreed, [each / looks / 1e6 for each in cost_ns]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calibrate", action="store_true")
    if parser.parse_args().calibrate:
        calibrate()
    else:
        compare()


if __name__ == "__main__":
    main()
