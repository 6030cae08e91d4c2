"""Owns: which cameras there are: groups that share footage and faults."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from kilocam.media import (
    MediaFile,
    PatternSpec,
    StillSpec,
    VideoEncoding,
    open_media,
    pattern_media,
    still_media,
)
from kilocam.simulate.build import build_content
from kilocam.simulate.content import Content
from kilocam.simulate.errors import SimulateError
from kilocam.simulate.faults import Faults

Source: TypeAlias = Path | PatternSpec | StillSpec | MediaFile
_GOLDEN = 0.618_033_988_749_895
"""Multiples of it, modulo 1, spread evenly however many are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cameras that play the same footage with the same faults."""

    count: int = 1
    source: Source = field(default_factory=PatternSpec)
    encoding: VideoEncoding | None = None
    """For a `Path`: transcode to this, whatever the file holds."""
    faults: Faults = field(default_factory=Faults)
    phase_s: float | None = None
    """How far into the footage they are at the start; `None`: each elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPlan:
    """One camera before it lives."""

    index: int
    content: Content
    faults: Faults
    phase_s: float

    @property
    def path(self) -> str:
        """Where it is played."""
        return f"/cam/{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedFleet:
    """All cameras of one simulator; cameras are numbered through the groups, from 0."""

    groups: Sequence[Group]
    seed: int = 1
    """Of faults, sequence numbers and the like: the same fleet behaves the same."""

    def load(self, cache: Path | None = None) -> list[CameraPlan]:
        """Open, transcode and packetise all footage; takes long on the first time.

        Raises:
            ConfigError: a file cannot be read.
            SimulateError: there is no camera at all.
        """
        contents: dict[object, Content] = {}
        plans: list[CameraPlan] = []
        for group in self.groups:
            key = (
                id(group.source) if isinstance(group.source, MediaFile) else group.source,
                group.encoding,
            )
            if key not in contents:
                contents[key] = build_content(_media(group, cache))
            content = contents[key]
            for _ in range(group.count):
                index = len(plans)
                plans.append(
                    CameraPlan(
                        index=index,
                        content=content,
                        faults=group.faults,
                        phase_s=_phase(group, content, index),
                    )
                )
        if not plans:
            raise SimulateError("a fleet of no cameras cannot be played; give one or more")
        return plans


def _media(group: Group, cache: Path | None) -> MediaFile:
    match group.source:
        case PatternSpec():
            return pattern_media(group.source, cache=cache)
        case StillSpec():
            return still_media(group.source, cache=cache)
        case MediaFile():
            return group.source
        case _:
            return open_media(group.source, cache=cache, encoding=group.encoding)


def _phase(group: Group, content: Content, index: int) -> float:
    if group.phase_s is not None:
        return group.phase_s
    return index * _GOLDEN % 1 * content.loop_us(1) / 1e6
