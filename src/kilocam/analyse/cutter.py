"""Cutting: the part of a picture around an object, as JPEG. Pure computing, in a worker process."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from kilocam.analyse.pictures import Footage, PictureSource, part_of, picture_at
from kilocam.analyse.results import Box
from kilocam.core import CameraKey
from kilocam.media import encode_jpeg

LONGEST = 768
"""Pixels of what is cut, at most: what models look at closely, and pay for by area."""
AROUND = 1.0
"""Of an object's own sides, shown of its surroundings on each side ..."""
LEAST = 0.35
"""... and so much of the picture's sides at least: a face alone says little of what happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutTask:
    """Which part of which picture to cut."""

    key: CameraKey
    at_us: int
    box: Box
    """Around the object; what is cut is larger."""
    footage: Footage

    @property
    def what(self) -> str:
        """Camera and moment."""
        return f"cutting camera {self.key} at {self.at_us}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOutcome:
    """The part as JPEG, and the processor time it took."""

    jpeg: bytes
    cost_us: int


class Cutter:
    """Cuts one picture after the other; not for several threads at once."""

    def __init__(
        self, pictures: PictureSource, stopwatch_ns: Callable[[], int] = time.process_time_ns
    ) -> None:
        self._pictures = pictures
        self._stopwatch_ns = stopwatch_ns

    def cut(self, task: CutTask) -> CutOutcome:
        """Cut.

        Raises:
            FootageError: the picture cannot be decoded.
        """
        begun = self._stopwatch_ns()
        picture = picture_at(self._pictures, task.footage, task.at_us, task.what)
        around = surroundings(task.box)
        scale = min(1.0, LONGEST / max(picture.width * around[2], picture.height * around[3]))
        wide, high = max(2, round(picture.width * scale)), max(2, round(picture.height * scale))
        jpeg = encode_jpeg(picture.rgb(wide, high)[part_of(around, wide, high)])
        return CutOutcome(jpeg=jpeg, cost_us=(self._stopwatch_ns() - begun) // 1000)


def surroundings(box: Box) -> Box:
    """What to show of a picture, of whose object this is the box."""
    (x, width), (y, height) = _grown(box[0], box[2]), _grown(box[1], box[3])
    return (x, y, width, height)


def _grown(start: float, length: float) -> tuple[float, float]:
    """One side: larger around the same middle, and within the picture."""
    wanted = min(1.0, max(LEAST, length * (1 + 2 * AROUND)))
    from_ = min(max(0.0, start + length / 2 - wanted / 2), 1.0 - wanted)
    return from_, wanted
