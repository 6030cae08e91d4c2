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

from kilocam.analyse.errors import ModelError
from kilocam.analyse.shape import fields_of

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
FETCHED = frozenset({DETECTOR, DETECTOR_32, READER, LISTENER, SOUNDS, LIKENESS})
"""What `tools/models.py` puts there; all else is somebody's own."""


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
            ValueError: the text is no manifest; one line, which key it is and how to write it.
        """
        try:
            given = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"it is no JSON: {error}") from None
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        return cls(**fields_of(cls, given, {"vectors": Vectors}))


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
    file = _file(reference, directory)
    try:
        manifest = _manifest(reference, file)
    except FileNotFoundError as error:
        raise ModelError(
            f"model {reference}: {file}: {error.strerror}; {_another(reference, directory)}"
        ) from None
    if not _is_of(manifest, reference):
        raise ModelError(
            f"model {reference}: {file} is of the model with name {manifest.name!r} and version "
            f"{manifest.version!r}; {_another(reference, directory)}"
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
            yield _manifest(file.stem, file)
        except FileNotFoundError:
            continue  # gone since
        except ModelError as error:
            yield error


def mend(reference: str, own: str) -> str:
    """How to mend a model: what tools fetch is fetched, with somebody's own do as `own` says."""
    name = reference.partition("@")[0]
    if name not in FETCHED:
        return own
    return f"run tools/models.py{' --sounds' if name == SOUNDS else ''} to fetch it"


def _checked(reference: str, file: Path, sha256: str) -> bytes:
    try:
        content = file.read_bytes()
    except (OSError, ValueError) as error:  # a name may hold what no file's does
        why = error.strerror if isinstance(error, OSError) else error
        remedy = mend(reference, "put it there or correct its name in the manifest")
        raise ModelError(f"model {reference}: {str(file)!r}: {why}; {remedy}") from None
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        remedy = mend(reference, f"if it is the right file write {found} into the manifest")
        raise ModelError(
            f"model {reference}: {file} is not the file its manifest names (SHA-256 differs); "
            f"{remedy}"
        )
    return content


def _manifest(reference: str, file: Path) -> Manifest:
    """Raises `FileNotFoundError` besides: how to mend that only the caller knows."""
    try:
        return Manifest.from_json(file.read_text())
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ModelError(
            f"model {reference}: manifest {file} cannot be read ({why}); "
            f"{mend(reference, 'correct it')}"
        ) from None


def _file(reference: str, directory: Path) -> Path:
    """Where the manifest of a model is looked for."""
    file = directory / f"{reference}.json"
    return file if file.exists() else directory / f"{reference.partition('@')[0]}.json"


def _is_of(manifest: Manifest, reference: str) -> bool:
    name, _, version = reference.partition("@")
    return manifest.name == name and version in ("", manifest.version)


def _another(reference: str, directory: Path) -> str:
    """How to come by a model that is not there: fetch it, or take another."""
    first = mend(reference, "put it there")
    there = ", ".join(file.stem for file in sorted(directory.glob("*.json")) if _usable(file))
    return f"{first}, or name one that is there: {there}" if there else first


def _usable(file: Path) -> bool:
    """Whether a manifest can be read, is that of its file's name, and its network is there."""
    try:
        manifest = _manifest(file.stem, file)
        return _is_of(manifest, file.stem) and (file.parent / manifest.file).is_file()
    except (OSError, ValueError, ModelError):
        return False
