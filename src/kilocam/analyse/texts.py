"""Which lines read in pictures of a camera are one text: that is one event, as an object is.

The same place and about the same letters are the same text, however well it was read; and so is the
same text elsewhere, as when a van with a name on it drives by. A text is gone when its place looks
as before it came, or was read and did not hold it, twice in a row; the same text is another event
then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from kilocam.analyse.detector import iou, shared
from kilocam.analyse.lines import WHOLE, Line
from kilocam.analyse.results import TEXT, Box, BoxAt, ObjectSeen, event_id
from kilocam.core import CameraKey

REMEMBERED_US = 900_000_000
"""What was not read for so long and comes again is another event; whole pictures are read more
often (`ReadingOptions.whole_us`)."""
AGAIN_US = 30_000_000
"""A text that is read again and again contributes so often; at once if it is read better."""
PLACE = 0.3
"""Boxes that overlap so far (intersection over union) are in one place."""
ALIKE = 0.6
"""So much of the letters must be the same there."""
TELLING = 4
"""Letters and digits of a text that is known again elsewhere."""
GONE = 2
"""Looks in a row, or readings, by which a text is not there any more."""
COVERED = 0.5
"""So much of a text's box must have changed, or been read, for its place to have been."""
MOST = 128
"""Texts remembered of one camera."""


@dataclass(slots=True)
class _Known:
    event_id: str
    text: str
    box: Box
    at_us: int
    score: float
    """The best so far."""
    came: bool = False
    """With a change of the picture."""
    unchanged: int = 0
    """Looks in a row in which its place did not differ from the background."""
    missed: int = 0
    """Readings in a row of its place that did not find it."""
    told_us: int = 0
    """When it contributed last."""

    def read(self, line: Line, at_us: int) -> bool:
        """It was read again; whether that is worth telling."""
        news = (
            line.score > self.score
            or at_us - self.told_us >= AGAIN_US
            or self.missed + self.unchanged > 0
        )
        self.text, self.box, self.at_us = line.text, line.box, at_us
        self.score = max(self.score, line.score)
        self.missed = self.unchanged = 0
        return news


@dataclass(slots=True)
class Texts:
    """What was read of one camera of late."""

    key: CameraKey
    _known: list[_Known] = field(default_factory=list)

    def looked(self, at_us: int, changed: Box | None) -> None:
        """A look told where the picture differs from the background."""
        for known in self._known:
            if known.came and at_us > known.at_us:
                differs = _covers(changed, known.box)
                known.unchanged = 0 if differs else known.unchanged + 1
        self._known = [known for known in self._known if known.unchanged < GONE]

    def step(
        self,
        window_start_us: int,
        at_us: int,
        lines: Sequence[Line],
        *,
        region: Box = WHOLE,
        changed: Box | None = None,
    ) -> tuple[ObjectSeen, ...]:
        """What a window's reading contributes; windows come in order of time.

        Args:
            window_start_us: the window whose first picture was read.
            at_us: when that was taken.
            lines: what was read.
            region: the part that was read.
            changed: where that picture differs from the background.
        """
        free = [each for each in self._known if at_us - each.at_us <= REMEMBERED_US]
        seen: list[ObjectSeen] = []
        opened = 0
        stays: list[_Known] = []
        for line in sorted(lines, key=lambda each: -each.score):
            known = _same(line, free)
            opens = news = known is None
            if known is None:
                id_ = event_id(self.key, window_start_us, opened, TEXT)
                opened += 1
                came = _covers(changed, line.box)
                known = _Known(id_, line.text, line.box, at_us, line.score, came)
            else:
                free.remove(known)
                news = known.read(line, at_us)
            stays.append(known)
            if not news:
                continue
            known.told_us = at_us
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
        for known in free:
            known.missed += _covers(region, known.box)
        stays += [known for known in free if known.missed < GONE]
        self._known = stays[:MOST]
        return tuple(seen)


def _covers(part: Box | None, box: Box) -> bool:
    """Whether a place is in a part; a rest of change that slowly fades is not enough."""
    both = shared(part, box) if part is not None else 0.0
    return both > 0 and both >= COVERED * box[2] * box[3]


def _same(line: Line, known: Sequence[_Known]) -> _Known | None:
    """The text that a line is, if it is one of those."""
    ours = _letters(line.text)
    best: tuple[float, _Known] | None = None
    for each in known:
        likeness = _likeness(ours, line.box, each)
        if likeness > 0 and (best is None or likeness > best[0]):
            best = likeness, each
    return best[1] if best is not None else None


def _likeness(ours: str, box: Box, known: _Known) -> float:
    """How sure it is that they are one text; 0: they are not."""
    its = _letters(known.text)
    if iou(box, known.box) >= PLACE:
        alike = SequenceMatcher(None, ours, its, autojunk=False).ratio()
        if alike >= ALIKE:
            return 1 + alike
    return float(ours == its and len(ours) >= TELLING)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
