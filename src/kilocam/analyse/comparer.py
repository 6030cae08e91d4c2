"""Comparing: two detectors look at the same picture. Pure computing, in a worker process.

Whoever runs it gives it a process of its own: the candidate is not trusted yet, and one that
crashes or hangs costs no look of the detector in use.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from kilocam.analyse.detectors import ObjectDetector
from kilocam.analyse.pictures import Footage, Picture, PictureSource, picture_at
from kilocam.core import CameraKey, Detection, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareTask:
    """Which picture to show to both."""

    key: CameraKey
    window: Window
    """Its first picture is shown."""
    footage: Footage

    @property
    def what(self) -> str:
        """Camera and window."""
        return f"comparing camera {self.key}, window {self.window.start_us}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one detector saw, and the processor time that it took."""

    seen: tuple[Detection, ...]
    cost_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOutcome:
    """What both saw."""

    current: Opinion
    candidate: Opinion


class Comparer:
    """Compares one picture after the other; not for several threads at once."""

    def __init__(
        self,
        current: ObjectDetector,
        candidate: ObjectDetector,
        pictures: PictureSource,
        stopwatch_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self._current = current
        self._candidate = candidate
        self._pictures = pictures
        self._stopwatch_ns = stopwatch_ns

    def compare(self, task: CompareTask) -> CompareOutcome:
        """Show both the picture.

        Raises:
            FootageError: it cannot be decoded.
        """
        picture = picture_at(self._pictures, task.footage, task.window.start_us, task.what)
        return CompareOutcome(
            current=self._ask(self._current, picture),
            candidate=self._ask(self._candidate, picture),
        )

    def _ask(self, detector: ObjectDetector, picture: Picture) -> Opinion:
        pixels = picture.rgb(detector.width, detector.height)
        begun = self._stopwatch_ns()
        seen = detector.detect(pixels, picture.width / picture.height, picture.at_us)
        cost_us = (self._stopwatch_ns() - begun) // 1000
        return Opinion(seen=tuple(seen), cost_us=cost_us)
