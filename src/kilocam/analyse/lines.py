"""What a reading is asked for and gives: lines of text with their places."""

from dataclasses import dataclass

from kilocam.analyse.pictures import Footage
from kilocam.analyse.results import Box
from kilocam.core import CameraKey, Window

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTask:
    """Which part of which picture to read."""

    key: CameraKey
    window: Window
    """Its first picture is read."""
    region: Box
    footage: Footage

    @property
    def what(self) -> str:
        """Camera and window."""
        return f"reading camera {self.key}, window {self.window.start_us}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of text, its box as fractions of the whole picture."""

    text: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOutcome:
    """What was read, and when its picture was taken."""

    at_us: int
    lines: tuple[Line, ...]
    cost_us: int
