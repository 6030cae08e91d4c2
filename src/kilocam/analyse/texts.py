"""Which lines read in pictures of a camera are one text: that is one event, as an object is.

The same place and about the same letters are the same text, however well it was read; and so is the
same text elsewhere, as when a van with a name on it drives by.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from kilocam.analyse.detector import iou
from kilocam.analyse.lines import Line
from kilocam.analyse.results import TEXT, BoxAt, ObjectSeen, event_id
from kilocam.core import CameraKey

REMEMBERED_US = 150_000_000
"""What was not read for so long and comes again is another event."""
PLACE = 0.3
"""Boxes that overlap so far (intersection over union) are in one place."""
ALIKE = 0.6
"""So much of the letters must be the same there."""
TELLING = 4
"""Letters and digits of a text that is known again elsewhere."""
MOST = 64
"""Texts remembered of one camera."""


@dataclass(slots=True)
class _Known:
    event_id: str
    text: str
    box: tuple[float, float, float, float]
    at_us: int


@dataclass(slots=True)
class Texts:
    """What was read of one camera of late."""

    key: CameraKey
    _known: list[_Known] = field(default_factory=list)

    def step(
        self, window_start_us: int, at_us: int, lines: Sequence[Line]
    ) -> tuple[ObjectSeen, ...]:
        """What a window's reading contributes; windows come in order of time."""
        free = [each for each in self._known if at_us - each.at_us <= REMEMBERED_US]
        seen: list[ObjectSeen] = []
        opened = 0
        stays: list[_Known] = []
        for line in sorted(lines, key=lambda each: -each.score):
            known = _same(line, free)
            opens = known is None
            if known is None:
                id_ = event_id(self.key, window_start_us, opened, TEXT)
                opened += 1
                known = _Known(id_, line.text, line.box, at_us)
            else:
                free.remove(known)
                known.text, known.box, known.at_us = line.text, line.box, at_us
            stays.append(known)
            seen.append(
                ObjectSeen(
                    event_id=known.event_id,
                    opens=opens,
                    label=TEXT,
                    still=False,
                    text=line.text,
                    boxes=(BoxAt(at_us=at_us, box=line.box, score=line.score),),
                )
            )
        self._known = (stays + free)[:MOST]
        return tuple(seen)


def _same(line: Line, known: Sequence[_Known]) -> _Known | None:
    """The text that a line is, if it is one of those."""
    best = max(known, key=lambda each: _likeness(line, each), default=None)
    return best if best is not None and _likeness(line, best) > 0 else None


def _likeness(line: Line, known: _Known) -> float:
    """How sure it is that they are one text; 0: they are not."""
    ours, its = _letters(line.text), _letters(known.text)
    alike = SequenceMatcher(None, ours, its, autojunk=False).ratio()
    if iou(line.box, known.box) >= PLACE and alike >= ALIKE:
        return 1 + alike
    return float(ours == its and len(ours) >= TELLING)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
