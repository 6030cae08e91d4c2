"""Reading, listening, describing and likeness beside the looks; each has a worker of its own.

They start their workers when there is something for them, so a fleet of mute cameras without
lettering pays for none of it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from kilocam.analyse import (
    Companion,
    Describing,
    EmbedPool,
    FootageSource,
    Likening,
    Listening,
    ListenPool,
    ObjectSeen,
    PoolOptions,
    Portrait,
    Reading,
    ReadPool,
    WindowResult,
    models_directory,
    worker_command,
)
from kilocam.cli.child import Child
from kilocam.cli.roles.describer import describer, refusals
from kilocam.core import CameraKey, Clock, Window
from kilocam.core.metrics import by_name
from kilocam.core.settings import Settings
from kilocam.database import Database
from kilocam.insight import Likeness, Stretch, Told

_OPTIONS = PoolOptions(workers=1, task_s=60.0)


class ToldSink:
    """What was read and heard, as analysis hands it in."""

    def __init__(self, told: Told) -> None:
        self._told = told

    async def read(self, window: Window, texts: Sequence[ObjectSeen]) -> None:
        """Replace all that was read in a window."""
        with refusals():
            await self._told.read(window, texts)

    async def stretches(self, key: CameraKey) -> Sequence[Stretch]:
        """What of a camera's sound is being listened to."""
        with refusals():
            return await self._told.stretches(key)

    async def begin(self, key: CameraKey, at_us: int, instead_of: int | None) -> None:
        """A live stretch from here on."""
        with refusals():
            await self._told.begin(key, at_us, instead_of)

    async def heard(
        self,
        key: CameraKey,
        start_us: int,
        from_us: int,
        until_us: int,
        said: Sequence[ObjectSeen],
    ) -> bool:
        """This was said in a stretch, which is heard so far now."""
        with refusals():
            return await self._told.heard(key, start_us, from_us, until_us, said)

    async def silent(self, silences: Sequence[tuple[CameraKey, int, int]]) -> None:
        """Stretches are heard so far, and nothing was said."""
        await self._told.silent(silences)

    async def drop(self, key: CameraKey) -> None:
        """A camera's stretches that are heard to their end are done with."""
        with refusals():
            await self._told.drop(key)


class PortraitSink:
    """How objects look, as analysis hands it in."""

    def __init__(self, likeness: Likeness) -> None:
        self._likeness = likeness

    async def keep(self, portrait: Portrait) -> None:
        """Replace what is kept of an event by the same model."""
        with refusals():
            await self._likeness.keep(portrait)


class Senses:
    """Reading, listening, perhaps describing and likeness, beside an analyst."""

    def __init__(
        self,
        reading: Reading,
        listening: Listening,
        describing: Describing | None,
        likening: Likening | None,
    ) -> None:
        self._reading = reading
        self._listening = listening
        self._describing = describing
        self.likening = likening
        self._all: list[Reading | Listening | Describing | Likening] = [
            each for each in (reading, listening, describing, likening) if each is not None
        ]
        self.companions: Sequence[Companion] = self._all

    def written(self, result: WindowResult) -> None:
        """A window's objects are kept."""
        if self.likening is not None:
            self.likening.written(result)

    async def run(self) -> None:
        """Read, listen, describe and compare until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for each in self._all:
                tasks.create_task(each.run())

    def show_metrics(self, child: Child) -> None:
        """What came of what."""
        metrics, reading, listening = child.metrics("analyse"), self._reading, self._listening
        metrics.watch_counters(
            "reading",
            "Pictures wished to be read, what came of them, lines read, cost.",
            ("what",),
            lambda: by_name(reading.counts),
        )
        metrics.watch_counters(
            "listening",
            "Turns of listening, what came of them, sound given to each stage and its cost.",
            ("what",),
            lambda: by_name(listening.counts),
        )
        metrics.watch_gauge(
            "listening_lag_seconds", "How far behind sound is heard, at worst.", listening.lag_s
        )
        metrics.watch_counter(
            "listening_unheard_seconds",
            "Time of cameras with sound that is given up: too old, or unreadable.",
            listening.unheard_s,
        )
        if (describing := self._describing) is not None:
            metrics.watch_counters(
                "describing",
                "Events that might be described, what came of them, cost of their pictures.",
                ("what",),
                lambda: by_name(describing.counts),
            )
        if (likening := self.likening) is not None:
            metrics.watch_counters(
                "likeness",
                "Sights of objects wished to be kept as vectors, what came of them, cost.",
                ("what",),
                lambda: by_name(likening.counts),
            )

    @property
    def likeness_problem(self) -> str:
        """Why how objects look is not kept; empty: it is, or nobody wants it."""
        return self.likening.problem if self.likening else ""

    @property
    def problem(self) -> str:
        """Why something is not done; empty: all is."""
        told = {
            "nothing is read": self._reading.problem,
            "nothing is heard": self._listening.problem,
            "nothing is described": self._describing.problem if self._describing else "",
            "how objects look is not kept": self.likeness_problem,
        }
        return "; ".join(f"{what}: {why}" for what, why in told.items() if why)


@asynccontextmanager
async def senses(
    footage: FootageSource,
    sound: FootageSource,
    database: Database,
    clock: Clock,
    settings: Settings,
) -> AsyncIterator[Senses]:
    """Whoever reads, listens, describes and sees likeness, their workers ended afterwards."""
    told, models, likeness = Told(database), models_directory(), settings.analysis.likeness
    sink = ToldSink(told)
    async with AsyncExitStack() as stack:
        readers = ReadPool(worker_command(models, "read"), _OPTIONS)
        listeners = ListenPool(worker_command(models, "listen"), _OPTIONS)
        embedders = EmbedPool(worker_command(models, "embed", likeness), _OPTIONS)
        # Not entered, only left: they start when there is something for them.
        stack.push_async_exit(readers)
        stack.push_async_exit(listeners)
        stack.push_async_exit(embedders)
        describing = await stack.enter_async_context(describer(settings.llm, footage, told, clock))
        portraits = PortraitSink(Likeness(database))
        yield Senses(
            Reading(footage, readers, sink, clock),
            Listening(sound, listeners, sink, clock),
            describing,
            Likening(footage, embedders, portraits, clock) if likeness else None,
        )
