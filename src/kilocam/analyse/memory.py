"""What the service remembers of each camera between looks, wherever they run.

One background a camera, and the trackers after its last few looks: a look goes on from the nearest
one before its window, so that a window caught up later joins the events of its neighbours.
"""

from collections import deque
from dataclasses import dataclass, field

from kilocam.analyse.look import LookOutcome, Memory
from kilocam.core import CameraKey

REMEMBERED = 16
"""Half a minute of looks: one caught up later than that joins no event of its neighbours."""


@dataclass(slots=True)
class _Past:
    newest: Memory
    looks: deque[Memory] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class Memories:
    """Bounded: some 20 KB a camera, and some KB for each object in its last looks."""

    def __init__(self) -> None:
        self._cameras: dict[CameraKey, _Past] = {}

    def recall(self, key: CameraKey, window_us: int, *, newest: bool = False) -> Memory:
        """What a look at the window that starts at `window_us` goes on from.

        Nothing lies after a camera's `newest` window: what does was dated by a clock that has been
        put back since, would never be replaced, and is forgotten.
        """
        past = self._cameras.get(key)
        if past is not None and newest and _window_us(past.newest) > window_us:
            past = None
            del self._cameras[key]
        if past is None:
            return Memory()
        before = [
            m for m in past.looks if m.last is not None and m.last.window.start_us < window_us
        ]
        nearest = max(before, key=_window_us, default=Memory())
        return Memory(
            background=past.newest.background,
            detected_us=past.newest.detected_us,
            tracker=nearest.tracker,
            last=nearest.last,
        )

    def keep(self, key: CameraKey, outcome: LookOutcome) -> None:
        """Remember what a look gave."""
        past = self._cameras.setdefault(key, _Past(outcome.memory))
        if _window_us(outcome.memory) >= _window_us(past.newest):
            past.newest = outcome.memory
        past.looks.append(Memory(tracker=outcome.memory.tracker, last=outcome.memory.last))

    def forget(self, partition: int) -> None:
        """Drop a partition's cameras."""
        for key in [key for key in self._cameras if key.partition == partition]:
            del self._cameras[key]


def _window_us(memory: Memory) -> int:
    return memory.last.window.start_us if memory.last is not None else 0
