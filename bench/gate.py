"""How well packet headers tell a quiet scene from one in which somebody walks.

    python bench/gate.py [--pictures 2000] [--json]

The quiet scene is the median picture of the street plus sensor noise; "busy" is the street as it
is, "far walker" a small part of it (20 by 25 per cent of the picture, people some 25 pixels high)
in the quiet scene. Each is encoded and weighed as a recorder does. Printed: the share of windows
of 2 s that the gate lets through, for what is quiet after it has learnt.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kilocam.analyse import cache_directory
from kilocam.analyse.gate import RateGate
from kilocam.cli.bench.windows import complexities
from kilocam.media import VideoEncoding, decode_pictures, encode_media

Grey = NDArray[np.uint8]
FPS = 10
LEARNT = 60
ENCODINGS = {
    "variable": VideoEncoding(width=640, height=480, fps=Fraction(FPS)),
    "constant": VideoEncoding(
        width=640, height=480, fps=Fraction(FPS), bitrate_kbps=256, strict_cbr=True
    ),
}


def weighed(pictures: Iterator[Grey], encoding: VideoEncoding) -> list[float]:
    """The complexity of each window that has some P-frames."""
    video = encode_media("bench", pictures, encoding=encoding).video
    assert video is not None
    return [each for each in complexities(video) if each]


def noisy(pictures: Sequence[Grey], sigma: float, seed: int) -> Iterator[Grey]:
    random = np.random.default_rng(seed)
    for picture in pictures:
        seen = picture + random.normal(0, sigma, picture.shape)
        yield np.clip(seen, 0, 255).astype(np.uint8)


def quietly(gate: RateGate, complexity: float) -> bool:
    """A window passes, and a look after it sees nothing."""
    passed = gate.busy(complexity)
    gate.asked()
    gate.answered(quiet=True)
    return passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000, help="of the quiet scene")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    footage = cache_directory() / "footage"
    name = json.loads((footage / "index.json").read_text())["street"][0]
    street = [p.mean(axis=2).astype(np.uint8) for p in decode_pictures(footage / name)]
    quiet = np.median(np.stack(street[::8]), axis=0).astype(np.uint8)
    height, width = quiet.shape
    part = np.s_[height // 20 : height * 5 // 16, width // 2 : width * 3 // 4]
    walker = [quiet.copy() for _ in street]
    for still, picture in zip(walker, street, strict=True):
        still[part] = picture[part]
    results = []
    for sigma in (1, 3, 6):
        for kind, encoding in ENCODINGS.items():
            gate = RateGate()
            calm = weighed(noisy([quiet] * options.pictures, sigma, 1), encoding)
            passed = [quietly(gate, value) for value in calm]
            shares = {"sigma": sigma, "bit rate": kind, "quiet": passed[LEARNT:]}
            for scene, pictures in (("busy", street), ("far walker", walker)):
                values = weighed(noisy(pictures, sigma, 2), encoding)
                shares[scene] = [gate.stands_out(value) for value in values]
            results.append(
                {k: round(float(np.mean(v)), 2) if isinstance(v, list) else v
                 for k, v in shares.items()}
            )  # fmt: skip
            if not options.json:
                print("  ".join(f"{k} {v}" for k, v in results[-1].items()), flush=True)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
