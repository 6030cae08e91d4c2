"""The listening service: hears every camera that has sound, and keeps what was said and sounded.

Looks say which cameras have sound. One worker listens, stretch by stretch; how far is kept with
what was heard, in one transaction, so that nothing is kept twice or left out, whoever dies.
What is silent is noted by the way, every few seconds: heard again after a crash, it is silent.
"""

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from kilocam.analyse.ears import EarOptions, Ears, Turn
from kilocam.analyse.errors import FootageError, ModelError, Refused, WorkerError
from kilocam.analyse.noises import Noises, heard
from kilocam.analyse.patience import FAILED, Patience, read_footage
from kilocam.analyse.results import SPEECH, ObjectSeen, event_id
from kilocam.analyse.seams import FootageSource, Glance, HearingSink, Listeners
from kilocam.analyse.utterances import ListenOutcome, ListenTask, Utterance
from kilocam.core import CameraKey, Clock

_log = logging.getLogger(__name__)

LEAD_US, LATE_US = 1_000_000, 1_000_000
"""Footage read before and after what is listened to: decoders start up, sound arrives late."""
PATIENCE_US = 10_000_000
"""Footage that has not come after so long does not come."""
UNSEEN_US = 300_000_000
"""A camera without a look for so long is gone, or silent; one that comes again is met again."""
REFUSED_US = 60_000_000
"""A camera that had no place is asked about again after so long."""
_MODELS_AGAIN_S = 15.0
_IDLE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningOptions:
    """How much listening may take."""

    ears: EarOptions = field(default_factory=EarOptions)
    share: float = 0.5
    """Of one core's time."""
    note_every_us: int = 5_000_000
    read_s: float = 10.0
    keep_s: float = 15.0


@dataclass(slots=True)
class Listening:
    """A `Companion` of the analyst; `run` it beside."""

    footage: FootageSource
    """Pieces from the moment asked for on: sound needs no key frame."""
    listeners: Listeners
    sink: HearingSink
    clock: Clock
    options: ListeningOptions = field(default_factory=ListeningOptions)
    counts: Counter[str] = field(default_factory=Counter)
    """`turns`, `said`, `sounds`, `failed`, `unreadable`, `refused`, `overtaken`; by stage
    `_heard_us` (sound it was given) and `_cost_us`."""
    problem: str = ""
    """Why nothing is heard; empty: it is."""
    _ears: Ears = field(init=False)
    _new: dict[CameraKey, int] = field(init=False, default_factory=dict)
    """Cameras with sound that are not listened to yet, and since when."""
    _looked_us: dict[CameraKey, int] = field(init=False, default_factory=dict)
    """Of those listened to or about to be, when the last look was."""
    _refused_us: dict[CameraKey, int] = field(init=False, default_factory=dict)
    """Cameras that had no place, and when."""
    _noted_us: int = field(init=False, default=0)
    _wake: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _patience: Patience = field(init=False)
    _noises: Noises = field(init=False, default_factory=Noises)

    def __post_init__(self) -> None:
        self._ears = Ears(self.options.ears)
        self._patience = Patience(self.options.keep_s, (0.5, 1.0, 2.0, 5.0))

    def looked(self, glance: Glance) -> None:
        """A look was done."""
        key, now_us = glance.key, self.clock.monotonic_us()
        if not glance.audible:
            self._forget(key)
            return
        self._looked_us[key] = now_us
        refused_us = self._refused_us.get(key)
        if refused_us is not None and now_us - refused_us < REFUSED_US:
            return
        if key not in self._ears and key not in self._new:
            self._new[key] = glance.window.start_us
            self._wake.set()

    def dropped(self, partition: int) -> None:
        """A partition is not ours any more."""
        for key in [key for key in self._looked_us if key.partition == partition]:
            self._forget(key)

    def _forget(self, key: CameraKey) -> None:
        self._ears.drop(key)
        self._noises.forget(key)
        self._new.pop(key, None)
        self._looked_us.pop(key, None)
        self._refused_us.pop(key, None)

    def lag_s(self) -> float:
        """How far behind what is live is heard, at worst."""
        return self._ears.lag_us(self.clock.wall_us()) / 1e6

    def unheard_s(self) -> float:
        """Time given up: too old, too much, or unreadable again and again."""
        return self._ears.unheard_us / 1e6

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            self._wake.clear()
            await self._tend()
            turn = self._ears.take(self.clock.wall_us())
            if turn is None:
                await self._idle()
                continue
            begun_us = self.clock.monotonic_us()
            spent_us = await self._listen(turn)
            if spent_us is None:  # a failure costs what it took, whoever was busy with it
                spent_us = self.clock.monotonic_us() - begun_us
            await asyncio.sleep(spent_us / 1e6 * (1 / self.options.share - 1))

    async def _idle(self) -> None:
        due_us = self._ears.due_us()
        wait_s = _IDLE_S if due_us is None else (due_us - self.clock.wall_us()) / 1e6
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(wait_s, 0.05), _IDLE_S)):
                await self._wake.wait()

    # What is listened to

    async def _tend(self) -> None:
        """New cameras, those that went astray, stretches that are over, silence to be noted."""
        for key, start_us in list(self._new.items()):
            if not await self._begin(key, start_us):
                break  # the database is away: once is enough
            self._new.pop(key, None)
        now_us, monotonic_us = self.clock.wall_us(), self.clock.monotonic_us()
        for key in [k for k, at in self._looked_us.items() if monotonic_us - at > UNSEEN_US]:
            self._forget(key)
        self._ears.expire(now_us)
        astray = self._ears.astray(now_us) if not self.problem else None
        if astray is not None and await self._note():  # or what is heard would be heard again
            live_us = now_us - self.options.ears.turn_us
            await self._begin(astray.key, live_us, instead_of=astray.start_us)
        if (over := self._ears.over()) and await self._note():
            for key in {each.key for each in over}:
                with suppress(Refused):
                    await self._patience.attempt("hear", self.sink.drop(key))
            for each in over:
                self._ears.forget(each)
        if monotonic_us - self._noted_us > self.options.note_every_us:
            await self._note()
            self._noted_us = monotonic_us

    async def _begin(self, key: CameraKey, start_us: int, *, instead_of: int | None = None) -> bool:
        """Go on from what is kept of a camera; False: that cannot be known for the moment.

        Where nothing live is kept, or what is live began at `instead_of`, it begins at `start_us`.
        """
        try:
            kept = await self._patience.attempt("hear", self.sink.stretches(key))
            live = kept is not FAILED and any(each.ends_us is None for each in kept)
            if kept is not FAILED and (not live or instead_of is not None):
                begun = self.sink.begin(key, start_us, instead_of)
                if await self._patience.attempt("hear", begun) is FAILED:
                    return False
                kept = await self._patience.attempt("hear", self.sink.stretches(key))
        except Refused as error:
            self._refused(key, error)
            self._ears.drop(key)
            return True
        if kept is FAILED:
            return False
        if key in self._looked_us:  # else it was given away meanwhile
            self._ears.put(key, kept)
        return True

    async def _note(self) -> bool:
        """Keep how far was heard; False: that cannot be kept for the moment."""
        heard = self._ears.unnoted()
        if not heard:
            return True
        silences = [(each.key, each.start_us, each.until_us) for each in heard]
        if await self._patience.attempt("hear", self.sink.silent(silences)) is FAILED:
            return False
        for each, (_, _, until_us) in zip(heard, silences, strict=True):
            each.noted_us = until_us
        return True

    # Listening

    async def _listen(self, turn: Turn) -> int | None:
        """One turn; gives what it took, None when it failed."""
        self.counts["turns"] += 1
        try:
            outcome = await self._hear(turn)
        except FootageError:
            self.counts["unreadable"] += 1
            self._ears.failed(turn, self.clock.wall_us())
        except WorkerError as error:
            self.counts["failed"] += 1
            _log.warning("nothing was heard: %s", error)
            self._ears.failed(turn, self.clock.wall_us())
        except ModelError as error:
            await self._without_model(error)
        else:
            if outcome is None:
                return 0
            self.problem = ""
            self._count(outcome)
            await self._keep(turn, outcome)
            return outcome.cost_us
        return None

    async def _hear(self, turn: Turn) -> ListenOutcome | None:
        """Read and listen; None: there is nothing new yet."""
        key = turn.stretch.key
        since_us, upto_us = turn.from_us - LEAD_US, turn.to_us + LATE_US
        footage = await read_footage(self.footage, key, since_us, upto_us, self.options.read_s)
        to_us = turn.to_us
        if not turn.last:  # what is late may still come, for a while
            there_us = max((p.wall_us + p.duration_us for _, p in footage), default=0)
            to_us = min(to_us, max(there_us, self.clock.wall_us() - PATIENCE_US))
        if to_us <= turn.from_us:
            return None
        return await self.listeners.do(
            ListenTask(
                key=key,
                from_us=turn.from_us,
                to_us=to_us,
                last=turn.last,
                floor_db=turn.floor_db,
                footage=footage,
            )
        )

    async def _keep(self, turn: Turn, outcome: ListenOutcome) -> None:
        """What was heard, with how far; silence alone is noted later."""
        if not (outcome.said or outcome.noises) or await self._keep_heard(turn, outcome):
            self._ears.heard(turn, outcome.until_us, loud=outcome.loud, floor_db=outcome.floor_db)

    async def _keep_heard(self, turn: Turn, outcome: ListenOutcome) -> bool:
        """False: it is not kept, and is to be heard again or belongs to others."""
        stretch = turn.stretch
        said = tuple(_event(stretch.key, each) for each in outcome.said)
        noises = self._noises.events(stretch.key, outcome.noises)
        kept = self.sink.heard(
            stretch.key, stretch.start_us, turn.from_us, outcome.until_us, (*said, *noises)
        )
        try:
            ours = await self._patience.attempt("hear", kept)
        except Refused as error:
            self._refused(stretch.key, error)
            return True
        if ours is FAILED:
            self._ears.put_off(turn, self.clock.wall_us())
            return False
        if not ours:
            # Another analyst has heard this already: where it is, is asked anew.
            self.counts["overtaken"] += 1
            self._ears.drop(stretch.key)
            return False
        self.counts["said"] += len(said)
        self.counts["sounds"] += len(noises)
        self._noises.kept(stretch.key, noises)
        stretch.noted_us = outcome.until_us
        return True

    def _refused(self, key: CameraKey, error: Refused) -> None:
        self.counts["refused"] += 1
        self._refused_us[key] = self.clock.monotonic_us()
        _log.warning("camera %s: what was heard is not kept: %s", key, error)

    def _count(self, outcome: ListenOutcome) -> None:
        for stage, many in outcome.heard_us.items():
            self.counts[f"{stage}_heard_us"] += many
        for stage, many in outcome.spent_us.items():
            self.counts[f"{stage}_cost_us"] += many

    async def _without_model(self, error: ModelError) -> None:
        if str(error) != self.problem:
            _log.warning("nothing is heard: %s", error)
        self.problem = str(error)
        await asyncio.sleep(_MODELS_AGAIN_S)


def _event(key: CameraKey, said: Utterance) -> ObjectSeen:
    return heard(said, event_id(key, said.from_us, 0, SPEECH), SPEECH, said.text)
