"""Models as data: the manifest beside each network, and loading one only if it is what it says.

`tools/models.py` puts `NAME.json` (the manifest) and `NAME.onnx` into a folder; nothing is fetched
at run time. More models, and more versions of one, lie beside them as `NAME@VERSION.json`. A model
is called by its *reference*, `NAME` or `NAME@VERSION`.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kilocam.analyse.errors import ModelError

DETECTOR = "ssdlite-mobilenet-v2-int8"
DETECTOR_32 = "ssdlite-mobilenet-v2"
"""The same network with 32 bits instead of 8, which the default is made of; not used itself."""
READER = "ppocr-v6-small"
LISTENER = "whisper-tiny-en"
SOUNDS = "yamnet-sounds"
"""Optional: nothing but speech is named in sound without it."""
LIKENESS = "likeness-mobilenet-v2"
"""Makes a vector of a picture of an object; part of the detector with 32 bits."""
BUILT_IN = "ssdlite"
"""The runtime of detectors whose network has the outputs of `tools/tfjs.py`."""
EMBEDDING = "embedding"
"""The runtime of networks that make vectors of pictures (`embedder.py`)."""
MEND = "run tools/models.py to fetch it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """What a network that makes a vector of a picture takes and gives."""

    dimensions: int
    layout: str = "nhwc"
    """Of its input: `nhwc` or `nchw`."""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """Of red, green and blue between 0 and 1: it takes float32, (rgb / 255 - mean) / std. Empty: it
    takes the bytes as they are."""
    text: str = ""
    """Of a joint model: the file that makes vectors of texts, to be compared with pictures' ..."""
    tokenizer: str = ""
    """... and the one that cuts texts into numbers for it (JSON of the tokenizers library)."""
    tokens: int = 77
    """So many it takes; shorter texts are filled up with `pad`."""
    pad: int = 0

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "Vectors":
        """Of JSON (hence `Any`)."""
        for name in ("mean", "std"):
            fields[name] = tuple(float(each) for each in fields.get(name, ()))
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a model is, where it came from and on what terms."""

    name: str
    version: str
    file: str
    sha256: str
    licence: str
    source: str
    input: tuple[int, ...] = ()
    """Shape of the one input, batch first; empty: it has no such shape."""
    classes: dict[int, str] = field(default_factory=dict)
    """Label of each score column that means something."""
    others: dict[str, str] = field(default_factory=dict)
    """More files that belong to it, each with its SHA-256."""
    runtime: str = BUILT_IN
    """Who makes a detector of it (`detectors.py`); of others, what runs them."""
    vectors: Vectors | None = None
    """Of networks that make vectors of pictures (`embedder.py`)."""

    @property
    def reference(self) -> str:
        """Name and version: what it is called where there may be several."""
        return f"{self.name}@{self.version}"

    def to_json(self) -> str:
        """The manifest as it stands in the folder."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is no manifest.
        """
        try:
            fields = json.loads(text)
            fields["input"] = tuple(fields["input"])
            fields["classes"] = {int(column): str(k) for column, k in fields["classes"].items()}
            fields["others"] = dict(fields.get("others", {}))
            if fields.get("vectors") is not None:
                fields["vectors"] = Vectors.from_fields(fields["vectors"])
            return cls(**fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A manifest and its files, checked against each other when it was loaded."""

    manifest: Manifest
    directory: Path
    network: bytes

    def path(self, name: str) -> Path:
        """Where one of its files is, for libraries that read files themselves."""
        return self.directory / name


def cache_directory() -> Path:
    """`KILOCAM_CACHE`, else `~/.cache/kilocam`: models and footage that can be fetched again."""
    return Path(os.environ.get("KILOCAM_CACHE") or Path.home() / ".cache" / "kilocam")


def models_directory() -> Path:
    """Where `tools/models.py` puts models unless told otherwise."""
    return cache_directory() / "models"


def load_manifest(reference: str, directory: Path) -> Manifest:
    """The manifest of the model `reference`; its files are not looked at.

    Raises:
        ModelError: there is none, or it is another's; one line.
    """
    name, _, version = reference.partition("@")
    file = directory / f"{reference}.json"
    if not file.exists():
        file = directory / f"{name}.json"
    manifest = _manifest(reference, file, directory)
    if manifest.name != name or version not in ("", manifest.version):
        raise ModelError(
            f"model {reference}: {file} is that of {manifest.reference}; {_mend(directory)}"
        )
    return manifest


def load_model(reference: str, directory: Path) -> Model:
    """The model `reference` of `directory`.

    Raises:
        ModelError: it is missing, or its bytes are not those of its manifest; one line.
    """
    manifest = load_manifest(reference, directory)
    network = _checked(reference, directory / manifest.file, manifest.sha256)
    for other, sha256 in manifest.others.items():
        _checked(reference, directory / other, sha256)
    return Model(manifest=manifest, directory=directory, network=network)


def known_models(directory: Path) -> Iterator[Manifest | ModelError]:
    """What each manifest of a folder says, or what is wrong with it; by file name."""
    for file in sorted(directory.glob("*.json")):
        try:
            yield _manifest(file.stem, file, directory)
        except ModelError as error:
            yield error


def _checked(name: str, file: Path, sha256: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(f"model {name}: {file}: {error.strerror}; {MEND}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(
            f"model {name}: {file} is not the file its manifest names (SHA-256 differs); "
            f"delete it and {MEND}"
        )
    return content


def _manifest(name: str, file: Path, directory: Path) -> Manifest:
    try:
        return Manifest.from_json(file.read_text())
    except OSError as error:
        raise ModelError(f"model {name}: {file}: {error.strerror}; {_mend(directory)}") from None
    except ValueError as error:
        raise ModelError(
            f"model {name}: manifest {file} cannot be read ({error}); delete it and {MEND}"
        ) from None


def _mend(directory: Path) -> str:
    """How to come by a model that is not there: fetch it, or take another."""
    there = ", ".join(sorted(file.stem for file in directory.glob("*.json")))
    return f"{MEND}, or name one that is there: {there}" if there else MEND
