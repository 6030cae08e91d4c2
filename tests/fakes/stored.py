"""Footage in a real log, ready to be played."""

from dataclasses import dataclass
from pathlib import Path

from tests.fakes.footage import GATE, T0, FootageSpec, Truth, store_footage

from kilocam.playback import Library, Range
from kilocam.record import Archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Footage in a log, and the truth about it."""

    path: Path
    archive: Archive
    library: Library
    truth: Truth

    def range(self, from_s: float, to_s: float) -> Range:
        return Range(key=GATE, from_us=at(from_s), to_us=at(to_s))


def at(seconds: float) -> int:
    return T0 + round(seconds * 1_000_000)


def store(path: Path, spec: FootageSpec) -> Stored:
    (truth,) = store_footage(path, spec)
    archive = Archive([path])
    return Stored(path=path, archive=archive, library=Library(archive), truth=truth)
