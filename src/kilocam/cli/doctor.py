"""Checks of the machine: what is wrong, and how to mend it."""

import asyncio
import ctypes
import ctypes.util
import os
import resource
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from kilocam.analyse.detectors import check_detector
from kilocam.analyse.embedder import check_embedding
from kilocam.analyse.errors import ModelError, WorkerError
from kilocam.analyse.models import (
    Manifest,
    known_models,
    load_manifest,
    load_model,
    models_directory,
)
from kilocam.analyse.pool import PoolOptions, WorkerPool, worker_command
from kilocam.cli.data import DataDir
from kilocam.cli.installation import Installation
from kilocam.cli.roles.describer import endpoint_of
from kilocam.cli.supervise_state import living
from kilocam.cli.up import check_cameras, listen_address
from kilocam.core import ConfigError
from kilocam.core.settings import LlmSettings, Settings
from kilocam.streams import check_streams

_FILES = 4096
_DISK_MB = 64
_SLOW_MB_S = 40.0
_STA_UNSYNC = 0x40  # timex.status, adjtimex(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: how it stands and, when it is not well, how to mend it."""

    name: str
    ok: bool
    text: str
    mend: str = ""


def examine(installation: Installation) -> Iterator[Finding]:
    """All checks, one after another; none changes anything but a file it removes again."""
    yield _files()
    yield _clock()
    yield examine_cameras(installation.settings)
    yield examine_streams(installation.settings)
    for path in installation.footage:
        yield _disk(path)
    yield examine_port(installation.settings.http.listen, installation.data)
    analysis = installation.settings.analysis
    yield from examine_models(
        models_directory(), analysis.detector, analysis.canary, analysis.likeness
    )
    yield examine_llm(installation.settings.llm)
    yield examine_answers(installation.settings.llm)
    yield _program("ffmpeg", "only `kilocam bench record` needs it", "apt-get install ffmpeg")


def examine_cameras(settings: Settings) -> Finding:
    """Addresses of the declared cameras; nobody is asked."""
    try:
        check_cameras(settings)
    except ConfigError as error:
        return Finding(name="cameras", ok=False, text=str(error), mend="without it nothing starts")
    many = len(settings.camera)
    return Finding(name="cameras", ok=True, text=f"{many} in the file, addresses well written")


def examine_streams(settings: Settings) -> Finding:
    """Streams out: whether they could begin; no receiver is asked."""
    try:
        check_streams(settings.stream)
    except ConfigError as error:
        return Finding(name="streams", ok=False, text=str(error), mend="without it nothing starts")
    many = len(settings.stream)
    return Finding(name="streams", ok=True, text=f"{many} in the file")


def _files() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= _FILES
    shown = "no limit" if hard == resource.RLIM_INFINITY else str(hard)
    return Finding(
        name="open files",
        ok=enough,
        text=f"{shown} allowed, a camera needs one",
        mend=f"raise the hard limit (ulimit -Hn {_FILES}, or LimitNOFILE= of the service)",
    )


def _clock() -> Finding:
    """Whether the kernel says that something keeps the clock right (adjtimex(2))."""
    buffer = ctypes.create_string_buffer(512)
    library = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    state = library.adjtimex(buffer)
    # struct timex: modes (int, padded), offset, freq, maxerror, esterror (long), status (int)
    status = int.from_bytes(buffer.raw[40:44], "little")
    synced = state >= 0 and not status & _STA_UNSYNC
    return Finding(
        name="clock",
        ok=synced,
        text="kept right by a time service" if synced else "nothing keeps it right",
        mend="run a time service (apt-get install chrony), or times of footage drift",
    )


def _disk(path: Path) -> Finding:
    name = f"disk of {path}"
    place = next(parent for parent in (path, *path.absolute().parents) if parent.is_dir())
    block = os.urandom(1 << 20)
    probe = place / f".kilocam-doctor-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            began = time.monotonic()
            for _ in range(_DISK_MB):
                file.write(block)
            file.flush()
            os.fdatasync(file.fileno())
            speed = _DISK_MB / (time.monotonic() - began)
    except OSError as error:
        return Finding(
            name=name,
            ok=False,
            text=f"cannot be written: {error.strerror}",
            mend="make it writable, or set storage.path to another directory",
        )
    finally:
        probe.unlink(missing_ok=True)
    free = shutil.disk_usage(place).free / 1e9
    return Finding(
        name=name,
        ok=speed >= _SLOW_MB_S,
        text=f"{speed:.0f} MB/s to stable storage, {free:.0f} GB free",
        mend="1000 cameras of 256 kbit/s need 33 MB/s: use a faster disk, or fewer cameras",
    )


def examine_port(listen: str, data: DataDir) -> Finding:
    """Whether the gateway can serve there, or does so already."""
    pid = living(data.run)
    if pid is not None and _address(data).endswith(f":{listen.rpartition(':')[2]}"):
        text = f"{listen} is served by Kilocam itself, process {pid}, from {data.root}"
        return Finding(name="port", ok=True, text=text)
    try:
        host, port = listen_address(listen)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, ConfigError) as error:
        text = f"{listen}: {error}"
        return Finding(name="port", ok=False, text=text, mend="choose another with --http")
    return Finding(name="port", ok=True, text=f"{listen} is free")


def _address(data: DataDir) -> str:
    """Where the gateway of this data directory serves; empty before it does."""
    try:
        return data.address.read_text().strip()
    except OSError:
        return ""


def examine_models(
    folder: Path, detector: str, canary: str = "", likeness: str = ""
) -> Iterator[Finding]:
    """Each model that is there, and whether those that are named can do what they are to.

    What those do is foreign code's: it is tried in a worker, started as the analyst starts one.
    """
    for known in known_models(folder):
        yield _whole(known, folder) if isinstance(known, Manifest) else _bad_model("model", known)
    for name, reference, check, kind in (
        ("detector", detector, check_detector, "look"),
        ("canary", canary, check_detector, "look"),
        ("likeness", likeness, check_embedding, "embed"),
    ):
        if reference:
            yield _works(name, reference, check, worker_command(folder, kind, reference), folder)


def _works(
    name: str,
    reference: str,
    check: Callable[[Manifest], None],
    command: tuple[str, ...],
    folder: Path,
) -> Finding:
    """Whether a worker with a model is ready: it has shown it a black picture then."""
    try:
        manifest = load_manifest(reference, folder)
        check(manifest)
        asyncio.run(_started(command))
    except ModelError as error:
        return _bad_model(name, error)
    except WorkerError as error:
        mend = "see above what it wrote; mend its network or plug-in, or name another"
        return Finding(name=name, ok=False, text=f"model {reference}: {error}", mend=mend)
    return Finding(name=name, ok=True, text=f"{manifest.reference} looks at a picture")


async def _started(command: tuple[str, ...]) -> None:
    async with WorkerPool[Never, Never](command, PoolOptions(workers=1)):
        pass


def _whole(manifest: Manifest, folder: Path) -> Finding:
    """Whether a model's files are those of its manifest."""
    try:
        load_model(manifest.reference, folder)
    except ModelError as error:
        return _bad_model("model", error)
    classes = f", {len(manifest.classes)} classes" if manifest.classes else ""
    text = (
        f"{manifest.reference}, {manifest.licence}, files as its manifest says{classes}; "
        f"from {manifest.source}"
    )
    return Finding(name="model", ok=True, text=text)


def _bad_model(name: str, error: ModelError) -> Finding:
    """Its text ends in how to mend it."""
    text, _, mend = str(error).rpartition("; ")
    return Finding(name=name, ok=False, text=text, mend=mend)


def examine_llm(settings: LlmSettings) -> Finding:
    """Who describes new events; the endpoint is not asked, for that may cost money."""
    if not settings.describes:
        return Finding(name="descriptions", ok=True, text="off; llm.base_url turns them on")
    endpoint = endpoint_of(settings)
    text = f"by {endpoint.shown}, {settings.descriptions_per_day} a day for each tenant"
    return Finding(
        name="descriptions",
        ok=not endpoint.exposed,
        text=f"{text}, unencrypted" if endpoint.exposed else text,
        mend="use https: pictures and llm.api_key can be read on the way",
    )


def examine_answers(settings: LlmSettings) -> Finding:
    """Who answers questions."""
    text = "by the built-in planner"
    if settings.answers:
        most = f"at most {settings.tokens_per_question} tokens each"
        text = f"by {endpoint_of(settings).shown}, {most}, held against the built-in planner"
    return Finding(name="answers", ok=True, text=text)


def _program(name: str, why: str, mend: str) -> Finding:
    found = shutil.which(name)
    return Finding(name=name, ok=True, text=found or f"missing; {why} ({mend})")
