"""The reading service: which pictures are read, when, and what becomes of the lines.

Looks say where a picture changed; that is read, the most overdue camera first, and change that no
moving object explains (a sign, a parcel) before change that one does. What looks as it did when it
was read last is not read again for a while. One worker reads, for a share of one core, so that
reading starves nobody. Of each place of a picture the newest wish waits; those it does not come to
expire, and all are counted.
"""

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from kilocam.analyse.detector import iou
from kilocam.analyse.difference import HEIGHT, WIDTH, Grey
from kilocam.analyse.errors import FootageError, ModelError, Refused, WorkerError
from kilocam.analyse.lines import WHOLE, ReadOutcome, ReadTask
from kilocam.analyse.patience import FAILED, Patience, read_footage
from kilocam.analyse.pictures import part_of
from kilocam.analyse.results import Box, ObjectSeen
from kilocam.analyse.seams import FootageSource, Glance, Readers, ReadingSink
from kilocam.analyse.texts import Texts
from kilocam.core import CameraKey, Clock

_log = logging.getLogger(__name__)

_S = 1_000_000
_MODELS_AGAIN_S = 15.0
STEP, CELLS = 12, 3
"""Grey levels by which so many cells of the small picture must differ to be something else: a cell
is a mean over dozens of pixels, so noise of sigma 6 moves none so far."""
MOST_FAILURES = 6
"""By which the time between two attempts doubles: four minutes at most."""
ATTEMPTS = 5
"""To keep what was read; a database that is away for longer gets what is read then."""
MOST_WISHES = 4
"""Of one camera; a picture that changes in more places is read as a whole soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """How much reading may take, and how often a camera is read."""

    share: float = 0.25
    """Of one core's time ..."""
    least_share: float = 0.01
    """... and while looks have too little."""
    gap_us: int = 4 * _S
    """Between two readings of a camera ..."""
    same_gap_us: int = 60 * _S
    """... and of what looks as it did."""
    whole_us: int = 600 * _S
    """A picture in which nothing changes is read as a whole this often."""
    stale_us: int = 60 * _S
    """A wish that waited so long expires."""
    margin: float = 0.04
    """Read around what changed, of the picture's sides."""
    most_region: float = 0.6
    """Change of more of the picture than this is change of all of it."""
    unexplained: float = 3.0
    """How much more overdue change is that no moving object explains."""
    fresh_us: int = 600_000
    """Footage read from a window's start on."""
    read_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What should be read of a camera."""

    glance: Glance
    region: Box
    wished_us: int
    """On the monotonic clock, as all times here but those of windows."""


@dataclass(slots=True)
class _Camera:
    texts: Texts
    met_us: int
    wishes: deque[Wish] = field(default_factory=deque)
    """Of different places, the oldest first."""
    read_us: int | None = None
    grey: Grey | None = None
    """What it looked like when it was read last."""
    whole_us: int | None = None
    """When the whole picture was read last."""
    failures: int = 0
    """In a row."""


class Wishes:
    """What each camera should have read; pure."""

    def __init__(self, options: ReadingOptions, counts: Counter[str]) -> None:
        self._options = options
        self._cameras: dict[CameraKey, _Camera] = {}
        self._counts = counts

    def looked(self, glance: Glance, now_us: int) -> None:
        """A look was done: is there something to be read?"""
        camera = self._cameras.get(glance.key)
        if camera is None:
            camera = self._cameras[glance.key] = _Camera(Texts(glance.key), now_us)
        camera.texts.looked(glance.window.start_us, glance.changed)
        region = self._region(glance, camera, now_us)
        if region is None:
            return
        if not self._is_due(camera, glance, region, now_us):
            return
        self._counts["wished"] += 1
        waiting = [each for each in camera.wishes if not _same_place(each.region, region)]
        waiting = waiting[-MOST_WISHES + 1 :]
        self._counts["replaced"] += len(camera.wishes) - len(waiting)
        camera.wishes = deque([*waiting, Wish(glance=glance, region=region, wished_us=now_us)])

    def take(self, now_us: int) -> Wish | None:
        """The wish of the most overdue camera."""
        best: tuple[float, _Camera] | None = None
        for camera in self._cameras.values():
            while camera.wishes and now_us - camera.wishes[0].wished_us > self._options.stale_us:
                camera.wishes.popleft()
                self._counts["expired"] += 1
            if not camera.wishes:
                continue
            weight = 1.0 if camera.wishes[0].glance.moving else self._options.unexplained
            # One that was never read comes before one that was when it was met.
            never_us = camera.met_us - self._options.gap_us
            overdue = (now_us - (never_us if camera.read_us is None else camera.read_us)) * weight
            if best is None or overdue > best[0]:
                best = overdue, camera
        return best[1].wishes.popleft() if best is not None else None

    def read(self, wish: Wish, outcome: ReadOutcome, now_us: int) -> tuple[ObjectSeen, ...]:
        """What a wish's reading contributes."""
        camera = self._cameras.get(wish.glance.key)
        if camera is None:
            return ()  # given away meanwhile
        glance = wish.glance
        seen = camera.texts.step(
            glance.window.start_us,
            outcome.at_us,
            outcome.lines,
            region=wish.region,
            changed=glance.changed,
        )
        camera.read_us, camera.grey, camera.failures = now_us, glance.grey, 0
        if wish.region == WHOLE:
            camera.whole_us = now_us
        return seen

    def failed(self, wish: Wish, now_us: int) -> None:
        """It could not be read: others come first, and this camera waits longer each time."""
        camera = self._cameras.get(wish.glance.key)
        if camera is not None:
            camera.read_us, camera.grey = now_us, None
            camera.failures = min(camera.failures + 1, MOST_FAILURES)

    def drop(self, partition: int) -> None:
        """Forget a partition's cameras."""
        for key in [key for key in self._cameras if key.partition == partition]:
            del self._cameras[key]

    def _region(self, glance: Glance, camera: _Camera, now_us: int) -> Box | None:
        if glance.changed is not None:
            return _around(glance.changed, self._options)
        if camera.whole_us is not None and now_us - camera.whole_us < self._options.whole_us:
            return None
        return WHOLE

    def _is_due(self, camera: _Camera, glance: Glance, region: Box, now_us: int) -> bool:
        if camera.read_us is None:
            return True
        news = _looks_different(camera.grey, glance.grey, region)
        regular = glance.changed is None  # its time has come, however it looks
        gap_us = self._options.gap_us if news or regular else self._options.same_gap_us
        return now_us - camera.read_us >= gap_us << camera.failures


@dataclass(slots=True)
class Reading:
    """Reads what looks make worth reading; a `Companion` of the analyst, `run` beside it."""

    footage: FootageSource
    readers: Readers
    sink: ReadingSink
    clock: Clock
    options: ReadingOptions = field(default_factory=ReadingOptions)
    counts: Counter[str] = field(default_factory=Counter)
    """`wished` = `replaced` + `expired` + `unreadable` + `failed` + `refused` + `read` + those that
    wait or were given away; `lines`; `cost_us`."""
    problem: str = ""
    """Why nothing is read; empty: it is."""
    _pressed: bool = field(init=False, default=False)
    _wishes: Wishes = field(init=False)
    _wake: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        self._wishes = Wishes(self.options, self.counts)
        self._patience = Patience(self.options.read_s, (0.5, 1.0, 2.0, 5.0))

    def looked(self, glance: Glance) -> None:
        """A look was done."""
        self._pressed = glance.pressed
        self._wishes.looked(glance, self.clock.monotonic_us())
        self._wake.set()

    def dropped(self, partition: int) -> None:
        """A partition is not ours any more."""
        self._wishes.drop(partition)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            self._wake.clear()
            begun_us = self.clock.monotonic_us()
            wish = self._wishes.take(begun_us)
            if wish is None:
                await self._wake.wait()
                continue
            spent_us = await self._grant(wish)
            if spent_us is None:  # a failure costs what it took, whoever was busy with it
                spent_us = self.clock.monotonic_us() - begun_us
                self._wishes.failed(wish, self.clock.monotonic_us())
            share = self.options.least_share if self._pressed else self.options.share
            await asyncio.sleep(spent_us / 1e6 * (1 / share - 1))

    async def _grant(self, wish: Wish) -> int | None:
        """Read, keep; gives what reading took, None when it failed."""
        try:
            outcome = await self._read(wish)
        except FootageError:
            self.counts["unreadable"] += 1
        except WorkerError as error:
            self.counts["failed"] += 1
            _log.warning("nothing was read: %s", error)
        except ModelError as error:
            self.counts["failed"] += 1
            await self._without_model(error)
        else:
            self.problem = ""
            self.counts["cost_us"] += outcome.cost_us
            self.counts["lines"] += len(outcome.lines)
            now_us = self.clock.monotonic_us()
            await self._keep(wish, self._wishes.read(wish, outcome, now_us))
            return outcome.cost_us
        return None

    async def _read(self, wish: Wish) -> ReadOutcome:
        glance = wish.glance
        to_us = glance.window.start_us + self.options.fresh_us
        footage = await read_footage(
            self.footage, glance.key, glance.gop_us, to_us, self.options.read_s
        )
        return await self.readers.do(
            ReadTask(key=glance.key, window=glance.window, region=wish.region, footage=footage)
        )

    async def _without_model(self, error: ModelError) -> None:
        if str(error) != self.problem:
            _log.warning("nothing is read: %s", error)
        self.problem = str(error)
        await asyncio.sleep(_MODELS_AGAIN_S)

    async def _keep(self, wish: Wish, texts: tuple[ObjectSeen, ...]) -> None:
        window = wish.glance.window
        if texts:
            try:
                kept = await self._patience.insist("read", lambda: self.sink.read(window, texts))
            except Refused as error:
                self.counts["refused"] += 1
                _log.warning("camera %s: what was read is not kept: %s", wish.glance.key, error)
                return
            self.counts["kept"] += kept is not FAILED
        self.counts["read"] += 1


def _looks_different(before: Grey | None, now: Grey | None, region: Box) -> bool:
    """Whether a part of a picture differs from another picture, but for the light on all of it."""
    if before is None or now is None:
        return True
    part = part_of(region, WIDTH, HEIGHT)
    off = now.astype(np.int16) - before
    off -= np.int16(np.median(off))
    return int((np.abs(off[part]) > STEP).sum()) >= CELLS


def _same_place(one: Box, other: Box) -> bool:
    return iou(one, other) >= 0.5


def _around(changed: Box, options: ReadingOptions) -> Box:
    """The part of the picture to read: what changed and a little more."""
    left, top = (max(0.0, part - options.margin) for part in changed[:2])
    right = min(1.0, changed[0] + changed[2] + options.margin)
    bottom = min(1.0, changed[1] + changed[3] + options.margin)
    if (right - left) * (bottom - top) > options.most_region:
        return WHOLE
    return (left, top, right - left, bottom - top)
