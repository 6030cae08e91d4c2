"""Stored footage together with what was learnt about it: key frames, sound, segments."""

from dataclasses import dataclass

from kilocam.core import CameraKey
from kilocam.playback.keys import KeyIndex
from kilocam.playback.plan import Planner
from kilocam.playback.segments import SegmentMaker
from kilocam.playback.source import FootageSource
from kilocam.playback.sync import SyncFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A stretch of one camera's footage: [from_us, to_us)."""

    key: CameraKey
    from_us: int
    to_us: int


class Library:
    """One source and its caches, shared by all readers; safe for several threads."""

    def __init__(self, source: FootageSource) -> None:
        self.source = source
        self.keys = KeyIndex(source)
        self.sync = SyncFinder(source)
        self.planner = Planner(source, self.keys)
        self.segments = SegmentMaker(source, self.sync)
