"""What reads and listens beside the analyst's looks, and keeps it; each in a process of its own.

They start their workers when there is something for them, so a fleet of mute cameras without
lettering pays for none of it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from kilocam import insight
from kilocam.analyse import (
    Companion,
    FootageSource,
    ObjectSeen,
    PoolOptions,
    Reading,
    ReadPool,
    Refused,
    models_directory,
    worker_command,
)
from kilocam.cli.child import Child
from kilocam.core import Clock, Window
from kilocam.database import Database
from kilocam.insight import Told

_OPTIONS = PoolOptions(workers=1, task_s=60.0)


class ToldSink:
    """What was read and heard, as analysis hands it in."""

    def __init__(self, told: Told) -> None:
        self._told = told

    async def read(self, window: Window, texts: Sequence[ObjectSeen]) -> None:
        """Replace all that was read in a window."""
        try:
            await self._told.read(window, texts)
        except insight.Refused as error:
            raise Refused(str(error)) from error


class Senses:
    """Reading, beside an analyst."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.companions: Sequence[Companion] = (reading,)

    async def run(self) -> None:
        """Read until cancelled."""
        await self._reading.run()

    def show_metrics(self, child: Child) -> None:
        """What came of what."""
        child.metrics("analyse").watch_counters(
            "reading",
            "Pictures wished to be read, what came of them, lines read, cost.",
            ("what",),
            lambda: [((what,), many) for what, many in sorted(self._reading.counts.items())],
        )

    @property
    def problem(self) -> str:
        """Why something is not done; empty: all is."""
        reading = self._reading.problem
        return f"nothing is read: {reading}" if reading else ""


@asynccontextmanager
async def senses(footage: FootageSource, database: Database, clock: Clock) -> AsyncIterator[Senses]:
    """Whoever reads, its workers ended afterwards."""
    sink = ToldSink(Told(database))
    async with AsyncExitStack() as stack:
        readers = ReadPool(worker_command(models_directory(), "read"), _OPTIONS)
        stack.push_async_exit(readers)
        yield Senses(Reading(footage, readers, sink, clock))
