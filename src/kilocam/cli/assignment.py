"""What a recorder records, kept beside its log so that it starts with nothing else alive.

Control (or the configuration file) writes it, the recorder watches it. Camera URLs hold passwords,
so they are sealed with the installation's camera key; the file has mode 600 besides.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kilocam.core import CameraKey, ConfigError
from kilocam.ingest import CameraSpec

FORMAT = 1
POLL_S = 0.5


class Seal(Protocol):
    """Encrypts what must not lie about in the clear; `context` binds a text to its place."""

    def seal(self, text: str, context: str) -> str:
        """Encrypt."""
        ...

    def unseal(self, sealed: str, context: str) -> str:
        """Decrypt; raises a `KilocamError` when key or context differ."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedCamera:
    """One camera to be recorded, and how long its footage is kept.

    A declared one comes from the configuration file and is gone when it is gone from there, whether
    or not control is there to say so.
    """

    tenant: str
    camera: str
    url: str = field(repr=False)
    keep_us: int
    declared: bool = False

    @property
    def key(self) -> CameraKey:
        """The camera's full name."""
        return CameraKey(self.tenant, self.camera)

    @property
    def spec(self) -> CameraSpec:
        """What ingest needs to know of it."""
        return CameraSpec(tenant=self.tenant, camera=self.camera, url=self.url)


def write_assignment(file: Path, cameras: Iterable[AssignedCamera], seal: Seal) -> None:
    """Replace the assignment in one step."""
    items = [
        {
            "tenant": camera.tenant,
            "camera": camera.camera,
            "url": seal.seal(camera.url, str(camera.key)),
            "keep_us": camera.keep_us,
            "declared": camera.declared,
        }
        for camera in cameras
    ]
    temporary = file.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump({"format": FORMAT, "cameras": items}, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)


def read_assignment(file: Path, seal: Seal) -> list[AssignedCamera]:
    """The cameras of `file`; none when it does not exist yet.

    Raises:
        ConfigError: the file is not one of ours, or is from a newer version.
    """
    try:
        content = json.loads(file.read_text())
        if content["format"] != FORMAT:
            raise ConfigError(
                f"assignment {file} has format {content['format']}, this Kilocam knows {FORMAT}; "
                "upgrade Kilocam"
            )
        return [
            AssignedCamera(
                tenant=item["tenant"],
                camera=item["camera"],
                url=seal.unseal(item["url"], f"{item['tenant']}/{item['camera']}"),
                keep_us=item["keep_us"],
                declared=item.get("declared", False),
            )
            for item in content["cameras"]
        ]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"assignment {file} is damaged ({error}); remove it") from None


async def watch_assignment(file: Path, seal: Seal) -> AsyncIterator[list[AssignedCamera]]:
    """The assignment now, then again whenever the file was replaced."""
    seen: tuple[int, int] | None = None
    while True:
        state = await asyncio.to_thread(_state, file)
        if state != seen:
            seen = state
            yield await asyncio.to_thread(read_assignment, file, seal)
        await asyncio.sleep(POLL_S)


def _state(file: Path) -> tuple[int, int]:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_ino)
