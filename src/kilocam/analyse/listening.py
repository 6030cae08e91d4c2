"""The listening service: hears every camera that has sound, and keeps what was said.

Looks say which cameras have sound. One worker listens, stretch by stretch; how far is kept with
what was said, in one transaction, so that nothing said is kept twice or left out, whoever dies.
What is silent is noted by the way, every few seconds: heard again after a crash, it is silent.
"""

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from kilocam.analyse.ears import EarOptions, Ears, Turn
from kilocam.analyse.errors import FootageError, ModelError, Refused, WorkerError
from kilocam.analyse.patience import FAILED, PASSING, Patience
from kilocam.analyse.results import SPEECH, BoxAt, ObjectSeen, event_id
from kilocam.analyse.seams import FootageSource, Glance, HearingSink, Listeners
from kilocam.analyse.utterances import ListenOutcome, ListenTask, Utterance
from kilocam.core import CameraKey, Clock, Session

_log = logging.getLogger(__name__)

CODECS = frozenset({"mpeg4-generic", "pcmu", "pcma", "opus"})
"""Sound that is listened to; others are not decoded here."""
EVERYWHERE = (0.0, 0.0, 1.0, 1.0)
"""Where something said is in a picture: sound has no place in it."""
LEAD_US, LATE_US = 1_000_000, 1_000_000
"""Footage read before and after what is listened to: decoders start up, sound arrives late."""
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
    listeners: Listeners
    sink: HearingSink
    clock: Clock
    options: ListeningOptions = field(default_factory=ListeningOptions)
    counts: Counter[str] = field(default_factory=Counter)
    """`turns`, `said`, `failed`, `unreadable`, `refused`, `overtaken`; by stage `_heard_us` (sound
    it was given) and `_cost_us`."""
    problem: str = ""
    """Why nothing is heard; empty: it is."""
    _ears: Ears = field(init=False)
    _new: dict[CameraKey, int] = field(init=False, default_factory=dict)
    """Cameras with sound that are not listened to yet, and since when."""
    _noted_us: int = field(init=False, default=0)
    _wake: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        self._ears = Ears(self.options.ears)
        self._patience = Patience(self.options.keep_s, (0.5, 1.0, 2.0, 5.0))

    def looked(self, glance: Glance) -> None:
        """A look was done."""
        key = glance.key
        if not is_audible(glance.session):
            self._ears.drop(key)
            self._new.pop(key, None)
        elif key not in self._ears and key not in self._new:
            self._new[key] = glance.window.start_us
            self._wake.set()

    def dropped(self, partition: int) -> None:
        """A partition is not ours any more."""
        self._ears.drop_partition(partition)
        for key in [key for key in self._new if key.partition == partition]:
            del self._new[key]

    def lag_s(self) -> float:
        """How far behind what is live is heard, at worst."""
        return self._ears.lag_us(self.clock.wall_us()) / 1e6

    def unheard_s(self) -> float:
        """Sound given up, for it was too old."""
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
            spent_s = await self._listen(turn) / 1e6
            await asyncio.sleep(spent_s * (1 / self.options.share - 1))

    async def _idle(self) -> None:
        due_us = self._ears.due_us()
        wait_s = _IDLE_S if due_us is None else (due_us - self.clock.wall_us()) / 1e6
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(wait_s, 0.05), _IDLE_S)):
                await self._wake.wait()

    # What is listened to

    async def _tend(self) -> None:
        """New cameras, those that went astray, stretches that are over, silence to be noted."""
        while self._new:
            key, start_us = next(iter(self._new.items()))
            await self._begin(key, start_us)
            self._new.pop(key, None)
        now_us = self.clock.wall_us()
        while (astray := self._ears.astray(now_us)) is not None:
            await self._note()  # or what is heard already would be heard again
            await self._begin(astray.key, now_us - self.options.ears.turn_us, anew=True)
        while (over := self._ears.over()) is not None:
            await self._note()
            with suppress(Refused):
                await self._patience.attempt("hear", self.sink.drop(over.key))
            self._ears.forget(over)
        if now_us - self._noted_us > self.options.note_every_us:
            await self._note()
            self._noted_us = now_us

    async def _begin(self, key: CameraKey, start_us: int, *, anew: bool = False) -> None:
        """Go on from what is kept of a camera; nothing live, or `anew`: from `start_us`."""
        while True:
            try:
                if anew:
                    begun = await self._patience.attempt("hear", self.sink.begin(key, start_us))
                    if begun is FAILED:
                        continue
                kept = await self._patience.attempt("hear", self.sink.stretches(key))
            except Refused as error:
                self._refused(key, error)
                self._ears.drop(key)
                return
            if kept is FAILED:
                continue
            if anew or any(each.ends_us is None for each in kept):
                self._ears.put(key, kept)
                return
            anew = True

    async def _note(self) -> None:
        heard = self._ears.unnoted()
        if not heard:
            return
        silences = [(each.key, each.start_us, each.until_us) for each in heard]
        if await self._patience.attempt("hear", self.sink.silent(silences)) is not FAILED:
            for each, (_, _, until_us) in zip(heard, silences, strict=True):
                each.noted_us = until_us

    # Listening

    async def _listen(self, turn: Turn) -> int:
        """One turn; gives what it took."""
        self.counts["turns"] += 1
        try:
            outcome = await self._hear(turn)
        except FootageError:
            self.counts["unreadable"] += 1
            self._ears.heard(turn, turn.to_us, loud=False, floor_db=turn.floor_db)
        except WorkerError as error:
            self.counts["failed"] += 1
            _log.warning("nothing was heard: %s", error)
            self._ears.heard(turn, turn.to_us, loud=False, floor_db=turn.floor_db)
        except ModelError as error:
            await self._without_model(error)
        else:
            self.problem = ""
            self._count(outcome)
            await self._keep(turn, outcome)
            return outcome.cost_us
        return 0

    async def _hear(self, turn: Turn) -> ListenOutcome:
        key = turn.stretch.key
        try:
            async with asyncio.timeout(self.options.read_s):
                footage = await self.footage.read(key, turn.from_us - LEAD_US, turn.to_us + LATE_US)
        except PASSING as error:
            raise FootageError(f"camera {key}: footage cannot be read: {error}") from error
        return await self.listeners.do(
            ListenTask(
                key=key,
                from_us=turn.from_us,
                to_us=turn.to_us,
                last=turn.last,
                floor_db=turn.floor_db,
                footage=footage,
            )
        )

    async def _keep(self, turn: Turn, outcome: ListenOutcome) -> None:
        """What was said, with how far was heard; silence alone is noted later."""
        if outcome.said:
            await self._keep_said(turn, outcome)
        self._ears.heard(turn, outcome.until_us, loud=outcome.loud, floor_db=outcome.floor_db)

    async def _keep_said(self, turn: Turn, outcome: ListenOutcome) -> None:
        stretch = turn.stretch
        said = tuple(_event(stretch.key, each) for each in outcome.said)
        while stretch.key in self._ears:
            try:
                ours = await self._patience.attempt(
                    "hear",
                    self.sink.heard(
                        stretch.key, stretch.start_us, turn.from_us, outcome.until_us, said
                    ),
                )
            except Refused as error:
                self._refused(stretch.key, error)
                return
            if ours is FAILED:
                continue
            if ours:
                self.counts["said"] += len(said)
                stretch.noted_us = outcome.until_us
            else:
                # Another analyst has heard this already: where it is, is asked anew.
                self.counts["overtaken"] += 1
                self._ears.drop(stretch.key)
            return

    def _refused(self, key: CameraKey, error: Refused) -> None:
        self.counts["refused"] += 1
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


def is_audible(session: Session) -> bool:
    """Whether there is sound that is listened to."""
    return any(track.media == "audio" and track.codec in CODECS for track in session.tracks)


def _event(key: CameraKey, said: Utterance) -> ObjectSeen:
    return ObjectSeen(
        event_id=event_id(key, said.from_us, 0, SPEECH),
        opens=True,
        label=SPEECH,
        still=False,
        text=said.text,
        boxes=tuple(
            BoxAt(at_us=at_us, box=EVERYWHERE, score=said.score)
            for at_us in (said.from_us, said.to_us)
        ),
    )
