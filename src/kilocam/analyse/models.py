"""Models as data: the manifest beside each network, and loading one only if it is what it says.

`tools/models.py` puts `NAME.json` (the manifest) and `NAME.onnx` into a folder; nothing is fetched
at run time.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from kilocam.analyse.errors import ModelError

DETECTOR = "ssdlite-mobilenet-v2"
MEND = "run tools/models.py to fetch it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a model is, where it came from and on what terms."""

    name: str
    version: str
    file: str
    sha256: str
    licence: str
    source: str
    input: tuple[int, ...]
    """Shape of the one input, batch first."""
    classes: dict[int, str]
    """Label of each score column that means something."""

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
            return cls(**fields)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A manifest and the bytes of its network, checked against each other."""

    manifest: Manifest
    network: bytes


def cache_directory() -> Path:
    """`KILOCAM_CACHE`, else `~/.cache/kilocam`: models and footage that can be fetched again."""
    return Path(os.environ.get("KILOCAM_CACHE") or Path.home() / ".cache" / "kilocam")


def models_directory() -> Path:
    """Where `tools/models.py` puts models unless told otherwise."""
    return cache_directory() / "models"


def load_model(name: str, directory: Path) -> Model:
    """The model `name` of `directory`.

    Raises:
        ModelError: it is missing, or its bytes are not those of its manifest; one line.
    """
    manifest = _manifest(name, directory / f"{name}.json")
    file = directory / manifest.file
    try:
        network = file.read_bytes()
    except OSError as error:
        raise ModelError(f"model {name}: {file}: {error.strerror}; {MEND}") from None
    if hashlib.sha256(network).hexdigest() != manifest.sha256:
        raise ModelError(
            f"model {name}: {file} is not the file its manifest names (SHA-256 differs); "
            f"delete it and {MEND}"
        )
    return Model(manifest=manifest, network=network)


def _manifest(name: str, file: Path) -> Manifest:
    try:
        return Manifest.from_json(file.read_text())
    except OSError as error:
        raise ModelError(f"model {name}: {file}: {error.strerror}; {MEND}") from None
    except ValueError as error:
        raise ModelError(
            f"model {name}: manifest {file} cannot be read ({error}); delete it and {MEND}"
        ) from None
