"""One look at one camera: decode, difference, detect, track. Pure computing, no input or output.

A look goes through at most three stretches of footage:
1. the rest of the window before, when something moving was found in its key frame;
2. the window's own key frame: difference from the background, then the detector where something
   changed or none has run for a while;
3. the rest of the window itself, when all of it is there already and something moving was found.
What the camera must remember for its next look is handed in and out, so any process can look.
"""

import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from kilocam.analyse.colours import Pixels, colours_of, is_monochrome
from kilocam.analyse.detector import THRESHOLD, Box
from kilocam.analyse.detectors import ObjectDetector
from kilocam.analyse.difference import (
    HEIGHT,
    WIDTH,
    Background,
    Change,
    Grey,
    Mask,
    accept,
    compare,
)
from kilocam.analyse.errors import FootageError
from kilocam.analyse.pictures import TOLERANCE_US, Footage, Picture, PictureSource
from kilocam.analyse.results import ObjectSeen, StageCount
from kilocam.analyse.tiles import LEAST_LINES, joined, tiles, untiled
from kilocam.analyse.tracker import Tracker
from kilocam.analyse.utterances import is_audible
from kilocam.core import CameraKey, Detection, Window

SAMPLE_US = 500_000
"""Between the pictures looked at in the rest of a window ..."""
SPARE_US = 1_000_000
"""... and of one that is looked at late, as much waits then."""
DETECT_EVERY_US = 30_000_000
"""The detector runs this often even if nothing seems to change, where there is time for it."""

Stages = dict[str, StageCount]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one window contributes."""

    window: Window
    objects: tuple[ObjectSeen, ...]
    changed: Box | None
    stages: Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a camera carries from look to look."""

    background: Background | None = None
    detected_us: int = 0
    """When the detector last ran."""
    tracker: bytes = b""
    """The tracker, pickled: its owner keeps it and never opens it."""
    last: Findings | None = None
    """What the last window's look gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookTask:
    """All that a look needs."""

    key: CameraKey
    window: Window
    before: Window | None
    """The window before, looked at by its key frame alone and remembered in `memory`."""
    whole: bool
    """All of the window's footage is there."""
    audit: bool = False
    """All of it is shown to the detector, whatever the stages before would say."""
    sample_us: int = SAMPLE_US
    """Between the pictures to look at in the rest of a window."""
    spare: bool = True
    """There is time for the detector where nothing seems to change."""
    enlarge: bool = True
    """There is time to show the detector parts of large pictures too."""
    stretch: tuple[int, int] | None = None
    """What footage it needs, [from, to); whoever is handed the task and has a log reads it."""
    footage: Footage = ()
    """That, once it is read."""
    memory: Memory

    @property
    def what(self) -> str:
        """Camera and window."""
        return f"camera {self.key}, window {self.window.start_us}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookOutcome:
    """What a look gives."""

    before: Findings | None
    findings: Findings
    memory: Memory
    stages: Stages
    """Of this look alone, whatever windows it was about."""
    changed: bool
    found: bool
    """Something that moves."""
    grey: Grey | None = None
    """The window's key frame as the difference stage saw it."""
    audible: bool = False
    """Whoever records the camera gets sound that can be listened to."""


class _Moment(Enum):
    BEFORE = auto()
    KEY = auto()
    REST = auto()


class Looker:
    """Looks at one task after the other; not for several threads at once."""

    def __init__(
        self,
        detector: ObjectDetector,
        pictures: PictureSource,
        stopwatch_ns: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self._detector = detector
        self._pictures = pictures
        self._stopwatch_ns = stopwatch_ns

    def look(self, task: LookTask) -> LookOutcome:
        """Look.

        Raises:
            FootageError: the window's key frame cannot be decoded from the footage given.
        """
        run = _Run(task, self._detector, self._stopwatch_ns)
        moments = _moments(task)
        pictures = self._pictures(task.footage, moments[0][0] - TOLERANCE_US)
        while moments and (task.audit or run.tracker.moving or not run.done_with_key):
            picture = self._next(run, pictures)
            if picture is None or picture.at_us >= task.window.end_us:
                break
            due = []
            while moments and moments[0][0] - TOLERANCE_US <= picture.at_us:
                due.append(moments.popleft()[1])
            if _Moment.KEY in due:
                run.key_frame(picture)
            elif due:
                run.rest(picture)
        return run.outcome()

    def _next(self, run: "_Run", pictures: Iterator[Picture]) -> Picture | None:
        begun = self._stopwatch_ns()
        try:
            picture = next(pictures, None)
        except FootageError:
            if not run.done_with_key:
                raise
            picture = None  # damage after the key frame: what was seen so far stands
        run.count("decode", begun, seen=1, passed=int(picture is not None))
        return picture


def _moments(task: LookTask) -> deque[tuple[int, _Moment]]:
    """When to look at a picture, and which stretch that belongs to."""
    moments = deque[tuple[int, _Moment]]()
    if _remembered(task) is not None and task.before is not None:
        moments.extend((at, _Moment.BEFORE) for at in _samples(task.before, task.sample_us))
    moments.append((task.window.start_us, _Moment.KEY))
    if task.whole:
        moments.extend((at, _Moment.REST) for at in _samples(task.window, task.sample_us))
    return moments


def _remembered(task: LookTask) -> Findings | None:
    """What the key frame of the window before gave, if that window's rest is to be looked at."""
    last = task.memory.last
    if task.before is None or last is None or last.window.start_us != task.before.start_us:
        return None
    return replace(last, window=task.before)


def _samples(window: Window, every_us: int) -> range:
    """Moments of a window after its key frame, none just before its end."""
    return range(window.start_us + every_us, window.end_us - every_us // 2, every_us)


class _Run:
    """One look in progress."""

    def __init__(
        self, task: LookTask, detector: ObjectDetector, stopwatch_ns: Callable[[], int]
    ) -> None:
        self._task = task
        self._detector = detector
        self._stopwatch_ns = stopwatch_ns
        self._before = _remembered(task)
        self._background = task.memory.background
        self._detected_us = task.memory.detected_us
        self._changed: Box | None = None
        self._grey: Grey | None = None
        # The rest of the window before goes on with what its key frame counted.
        self._stages: Stages = dict(self._before.stages) if self._before is not None else {}
        self._spent: Stages = {}
        self.tracker: Tracker = (
            # Written by an earlier look of ours and kept by our parent process.
            pickle.loads(task.memory.tracker)  # noqa: S301
            if task.memory.tracker
            else Tracker(task.key)
        )
        self.done_with_key = False

    def rest(self, picture: Picture) -> None:
        """A picture of the rest of a window: straight to the detector."""
        self._detect(picture, "whole", None)

    def key_frame(self, picture: Picture) -> None:
        """The window's first picture: difference first."""
        if self._before is not None:
            objects = self.tracker.findings()
            self._before = replace(self._before, objects=objects, stages=self._stages)
            self._stages = {}
        self.tracker.begin(self._task.window.start_us)
        change = self._compare(picture)
        due = self._task.spare and picture.at_us - self._detected_us >= DETECT_EVERY_US
        if change.changed or due or self._task.audit:
            found = self._detect(picture, "detector", change)
            self._detected_us = max(self._detected_us, picture.at_us)
            if change.cells is not None and change.changed:
                self._accept(picture.at_us, change.cells, found)
        self.done_with_key = True

    def count(self, stage: str, begun_ns: int, *, seen: int, passed: int) -> None:
        """Add to what a stage saw, passed on and cost."""
        cost_us = (self._stopwatch_ns() - begun_ns) // 1000
        more = StageCount(seen=seen, passed=passed, cost_us=cost_us)
        for stages in (self._stages, self._spent):
            stages[stage] = stages.get(stage, StageCount()) + more

    def outcome(self) -> LookOutcome:
        """What the look gives; raises `FootageError` if there was no key frame."""
        if not self.done_with_key:
            raise FootageError(
                f"camera {self._task.key}: no picture at {self._task.window.start_us} can be "
                "decoded; its footage is gone, damaged or of an unknown codec"
            )
        if self._task.audit:
            self._stages["audit"] = self._spent["audit"] = StageCount(
                seen=1, passed=int(self.tracker.moved)
            )
        findings = Findings(
            window=self._task.window,
            objects=self.tracker.findings(),
            changed=self._changed,
            stages=self._stages,
        )
        memory = Memory(
            background=self._background,
            detected_us=self._detected_us,
            tracker=pickle.dumps(self.tracker) if self.tracker.tracks else b"",
            last=findings,
        )
        return LookOutcome(
            before=self._before,
            findings=findings,
            memory=memory,
            stages=self._spent,
            changed=self._changed is not None,
            found=self.tracker.moving,
            grey=self._grey,
            audible=is_audible(self._task.footage[-1][0]),  # there was a picture in it
        )

    def _compare(self, picture: Picture) -> Change:
        begun = self._stopwatch_ns()
        self._grey = grey = picture.grey(WIDTH, HEIGHT)
        change, self._background = compare(self._background, grey, picture.at_us)
        self._changed = change.box if change.changed else None
        self.count("difference", begun, seen=1, passed=int(change.changed))
        return change

    def _accept(self, at_us: int, differs: Mask, found: list[Detection]) -> None:
        """What differs and is no object is the scene of now."""
        background = self._task.memory.background
        if background is not None and self._grey is not None:
            objects = (each.box for each in found)
            self._background = accept(background, self._grey, at_us, differs, objects)

    def _detect(self, picture: Picture, stage: str, change: Change | None) -> list[Detection]:
        """Show a picture to the detector, and parts of it; `change` if it is known already."""
        parts = self._detect_parts(picture, change) if self._task.enlarge else []
        begun = self._stopwatch_ns()
        pixels = picture.rgb(self._detector.width, self._detector.height)
        aspect = picture.width / picture.height
        found = _coloured(self._detector.detect(pixels, aspect, picture.at_us), pixels)
        if parts:
            found = joined([*found, *parts])
        self.tracker.step(found, picture.at_us, aspect)
        self.count(stage, begun, seen=1, passed=int(_any_sure(found)))
        return found

    def _detect_parts(self, picture: Picture, change: Change | None) -> list[Detection]:
        """What is in enlarged parts of a large picture around what changed."""
        if picture.height < LEAST_LINES:
            return []
        begun = self._stopwatch_ns()
        if change is None:
            grey = picture.grey(WIDTH, HEIGHT)
            change, _ = compare(self._background, grey, picture.at_us)  # it teaches nothing
        if change.cells is None or not change.changed:
            return []
        width, height = self._detector.width, self._detector.height
        parts: list[Detection] = []
        for pixels, tile in tiles(picture, change.cells, width, height):
            aspect = picture.width * tile[2] / (picture.height * tile[3])
            found = untiled(
                _coloured(self._detector.detect(pixels, aspect, picture.at_us), pixels), tile
            )
            self.count("tiles", begun, seen=1, passed=int(_any_sure(found)))
            parts += found
            begun = self._stopwatch_ns()
        return parts


def _any_sure(found: list[Detection]) -> bool:
    return any(each.score >= THRESHOLD for each in found)


def _coloured(found: list[Detection], pixels: Pixels) -> list[Detection]:
    """With the colours of what was seen well; a picture of infra-red light has none."""
    if not _any_sure(found) or is_monochrome(pixels):
        return found
    return [
        replace(each, colours=colours_of(pixels, each.box)) if each.score >= THRESHOLD else each
        for each in found
    ]
