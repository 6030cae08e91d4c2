"""The likeness service: of which objects vectors are made, and when.

Of each event one is made when it is opened, and again when its object is seen much better. Windows
tell of their objects when they have been kept, looked at late or at once. One worker makes vectors,
for a share of a core. What waits is bounded: when there are too many, the one that waits longest
goes without, and is counted.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from kilocam.analyse.embedding import EmbedOutcome, EmbedTask
from kilocam.analyse.errors import FootageError, ModelError, NotYet, Refused, WorkerError
from kilocam.analyse.patience import FAILED, Patience, read_footage
from kilocam.analyse.results import ObjectSeen, WindowResult
from kilocam.analyse.seams import Embedders, FootageSource, Glance, LikenessSink, Portrait
from kilocam.core import CameraKey, Clock, Window

_log = logging.getLogger(__name__)
_AGAIN_S = 15.0
"""Without a model, or without a place for vectors."""
MOST_WAITING = 1_000
MOST_KNOWN = 50_000
"""Events whose vectors are remembered; older ones, seen again, are taken for new."""
BETTER = 0.1
"""A sight whose score is so much higher is worth another vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeningOptions:
    """How much likeness may take."""

    share: float = 0.1
    """Of one core's time ..."""
    least_share: float = 0.005
    """... and while looks have too little."""
    picture_us: int = 600_000
    """Footage read from a picture's moment on."""
    read_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One sight of an object."""

    window: Window
    seen: ObjectSeen

    @property
    def score(self) -> float:
        """How clearly it is seen."""
        return self.seen.best.score


class Wishes:
    """Whose vectors should be made, the first come first; pure."""

    def __init__(self, counts: Counter[str], most: int = MOST_WAITING) -> None:
        self._counts = counts
        self._most = most
        self._waiting: OrderedDict[str, Wish] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()
        """The score of the sight that an event's vector is of."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, wish: Wish) -> None:
        """An object was seen: the first time, or better than before, or else nothing happens."""
        event = wish.seen.event_id
        known, before = self._known.get(event), self._waiting.get(event)
        if known is not None and wish.score < known + BETTER:
            return
        if before is not None and wish.score <= before.score:
            return
        self._counts["wished"] += 1
        self._counts["replaced"] += before is not None
        self._waiting[event] = wish  # where the one before stood
        if len(self._waiting) > self._most:
            self._waiting.popitem(last=False)
            self._counts["crowded_out"] += 1

    def take(self) -> Wish | None:
        """The one that waits longest."""
        return self._waiting.popitem(last=False)[1] if self._waiting else None

    def kept(self, wish: Wish) -> None:
        """Its vector is kept."""
        self._known[wish.seen.event_id] = wish.score
        self._known.move_to_end(wish.seen.event_id)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


@dataclass(slots=True)
class Likening:
    """Has vectors made of what windows show; a `Companion` of the analyst, `run` beside it."""

    footage: FootageSource
    embedders: Embedders
    sink: LikenessSink
    clock: Clock
    options: LikeningOptions = field(default_factory=LikeningOptions)
    counts: Counter[str] = field(default_factory=Counter)
    """`wished` = `replaced` + `crowded_out` + `unreadable` + `failed` + `refused` + `unkept` +
    `kept` + those that wait; `cost_us`."""
    problem: str = ""
    """Why no vectors are made; empty: they are."""
    _pressed: bool = field(init=False, default=False)
    _wishes: Wishes = field(init=False)
    _wake: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        self._wishes = Wishes(self.counts)
        self._patience = Patience(self.options.read_s, (0.5, 1.0, 2.0, 5.0))

    def looked(self, glance: Glance) -> None:
        """A look was done: how much time there is."""
        self._pressed = glance.pressed

    def dropped(self, partition: int) -> None:
        """What waits is done all the same: whoever has the partition now has not seen it."""

    def written(self, result: WindowResult) -> None:
        """A window's objects are kept."""
        for seen in result.objects:
            self._wishes.add(Wish(window=result.window, seen=seen))
        if self._wishes:
            self._wake.set()

    async def run(self) -> None:
        """Make vectors until cancelled."""
        while True:
            self._wake.clear()
            wish = self._wishes.take()
            if wish is None:
                await self._wake.wait()
                continue
            begun_us = self.clock.monotonic_us()
            spent_us = await self._grant(wish)
            if spent_us is None:  # a failure costs what it took, whoever was busy with it
                spent_us = self.clock.monotonic_us() - begun_us
            share = self.options.least_share if self._pressed else self.options.share
            await asyncio.sleep(spent_us / 1e6 * (1 / share - 1))

    async def _grant(self, wish: Wish) -> int | None:
        """Make, keep; gives what making took, None when it failed."""
        try:
            outcome = await self._embed(wish)
        except FootageError:
            self.counts["unreadable"] += 1
        except WorkerError as error:
            self.counts["failed"] += 1
            _log.warning("no vector was made: %s", error)
        except ModelError as error:
            self.counts["failed"] += 1
            await self._without(error)
        else:
            self.counts["cost_us"] += outcome.cost_us
            await self._keep(wish, outcome)
            return outcome.cost_us
        return None

    async def _embed(self, wish: Wish) -> EmbedOutcome:
        best, key = wish.seen.best, CameraKey(wish.window.tenant, wish.window.camera)
        to_us = best.at_us + self.options.picture_us
        footage = await read_footage(self.footage, key, best.at_us, to_us, self.options.read_s)
        return await self.embedders.do(
            EmbedTask(key=key, at_us=best.at_us, box=best.box, footage=footage)
        )

    async def _keep(self, wish: Wish, outcome: EmbedOutcome) -> None:
        portrait = Portrait(
            window=wish.window,
            event_id=wish.seen.event_id,
            label=wish.seen.label,
            at_us=wish.seen.best.at_us,
            model=outcome.model,
            vector=outcome.vector,
        )
        try:
            kept = await self._patience.insist("likeness", lambda: self.sink.keep(portrait))
        except NotYet as error:
            self.counts["unkept"] += 1
            await self._without(error)
        except Refused as error:
            self.counts["refused"] += 1
            _log.warning("camera %s: a vector is not kept: %s", wish.window.camera, error)
        else:
            if kept is FAILED:
                self.counts["unkept"] += 1
                return
            self.counts["kept"] += 1
            self.problem = ""
            self._wishes.kept(wish)

    async def _without(self, error: ModelError | NotYet) -> None:
        if str(error) != self.problem:
            _log.warning("how objects look is not kept: %s", error)
        self.problem = str(error)
        await asyncio.sleep(_AGAIN_S)
