"""What the newest, unsealed files hold: the seam between a writer and readers elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kilocam.core import CameraKey
from kilocam.record.index import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFile:
    """One unsealed file and what it holds of the camera asked for, in the order written."""

    path: Path
    epoch: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAnswer:
    """Every unsealed file of a recorder, also those without the camera."""

    files: tuple[LiveFile, ...]


class LiveView(Protocol):
    """Who knows the unsealed files without reading them."""

    def where(self, key: CameraKey, from_us: int, to_us: int) -> LiveAnswer | None:
        """Entries that touch [from_us, to_us), sessions always; None when nobody answers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskStatus:
    """One data path of a recorder."""

    path: str
    error: str
    ring_bytes: int
    dropped: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStatus:
    """A writer's state, for people and metrics."""

    recorder: str
    epoch: int
    cameras: int
    accepted: int
    """Sequence of the newest record accepted."""
    durable: int
    """Sequence up to which everything is on stable storage."""
    disks: tuple[DiskStatus, ...]
