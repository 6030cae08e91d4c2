"""One stream: read what comes after its place, deliver, wait for the acknowledgement, move on.

Procedure of one turn: 1. ask where the stream is; 2. read what comes after; 3. hand it to the
receiver; 4. when that has acknowledged all of it, move the place. Dying anywhere leaves the place
where it was, so everything is delivered at least once and in order; what is repeated is repeated
from a place on, as it is by then. Nothing is kept in memory between turns.

A receiver that is away is tried again for ever, ever later. One that refuses gets half as much each
time, until what it refuses is one message; that one is tried `TRIES` times and then a dead letter.
Who refuses `IN_A_ROW` messages and takes none does not dislike messages: it counts as away.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from kilocam.core import Clock, KilocamError
from kilocam.streams.errors import Away, Moved, Refused
from kilocam.streams.places import Letter, Place, letter
from kilocam.streams.seams import BEGINNING, Batch, Receiver, Source

_log = logging.getLogger(__name__)

TRIES = 5
"""Of one message that is refused."""
IN_A_ROW = 10
FIRST_S, LONGEST_S = 0.5, 60.0
"""Waits after failures double from the one to the other; a random part up to half is taken off."""
HANGS_S = 120.0
"""However a receiver hangs; each has shorter limits of its own."""


class Keeping(Protocol):
    """Where the place is kept (`places.py`)."""

    async def now(self) -> Place | None:
        """Where the stream is."""
        ...

    async def begin(self, at: str) -> None:
        """It begins."""
        ...

    async def move(
        self, before: str, after: str, *, delivered: int = 0, refused: tuple[Letter, ...] = ()
    ) -> None:
        """It was acknowledged up to there."""
        ...


class Delivery:
    """One stream; run by one task.

    Attributes:
        delivered: acknowledged since the start of this process.
        letters: dead ones since the stream began.
        failures: by what failed, since the start of this process.
        problem: what is in its way now; empty: nothing.
        behind_since_us: since when there is more than was delivered; None: nothing waits.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        places: Keeping,
        receiver: Receiver,
        *,
        begins: Literal["all", "now"],
        clock: Clock,
        rng: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.delivered = 0
        self.letters = 0
        self.failures: Counter[str] = Counter()
        self.problem = ""
        self.behind_since_us: int | None = None
        self._source = source
        self._places = places
        self._receiver = receiver
        self._begins = begins
        self._clock = clock
        self._rng = rng
        self._sleep = sleep
        self._size = receiver.most
        self._failed = 0
        """Turns in a row."""
        self._tries = 0
        """Of the one message that comes next."""
        self._in_a_row = 0
        """Dead letters, and nothing acknowledged between them."""

    async def run(self) -> None:
        """For ever; a failure of any kind is waited out."""
        async with self._receiver:
            while True:
                await self._sleep(await self.turn())

    async def turn(self) -> float:
        """Deliver what comes next; how long to rest before the next turn, in seconds."""
        try:
            more = await self._advance()
        except Away as error:
            return self._wait("away", error, error.wait_us)
        except Refused as error:
            return self._wait("refused", error)
        except Moved as error:
            return self._wait("moved", error)
        except KilocamError as error:
            return self._wait("database", error)
        except Exception as error:  # noqa: BLE001 - the edge of a task
            _log.exception("stream %s failed", self.name)
            return self._wait("unforeseen", error)
        if self.problem:
            _log.info("stream %s goes on", self.name)
        self.problem, self._failed = "", 0
        return 0.0 if more else self._receiver.rest_s

    async def _advance(self) -> bool:
        """One turn; whether there may be more at once."""
        place = await self._places.now()
        if place is None:
            at = BEGINNING if self._begins == "all" else await self._source.now_at()
            await self._places.begin(at)
            return True
        self.letters = place.letters
        batch = await self._source.read(place.at, self._size)
        if batch.after == place.at:
            self.behind_since_us = None
            await self._receiver.idle()
            return False
        if self.behind_since_us is None:
            self.behind_since_us = self._clock.wall_us()
        refused: tuple[Letter, ...] | None = ()
        if batch.items:
            refused = await self._deliver(place.at, batch)
        if refused is None:
            return True
        accepted = len(batch.items) - len(refused)
        await self._places.move(place.at, batch.after, delivered=accepted, refused=refused)
        self._count(accepted, refused)
        if not batch.more:
            self.behind_since_us = None
        return batch.more

    async def _deliver(self, after: str, batch: Batch) -> tuple[Letter, ...] | None:
        """Dead letters, if it came to that; else all is acknowledged. None: try with less."""
        try:
            async with asyncio.timeout(HANGS_S):
                await self._receiver.deliver(batch.items, after)
        except TimeoutError:
            raise Away(f"no acknowledgement in {HANGS_S:g} s") from None
        except Refused as error:
            if self._size > 1:
                self._size //= 2
                return None
            self._tries += 1
            if self._tries < TRIES:
                raise
            if self._in_a_row >= IN_A_ROW:
                raise Away(
                    f"{error}; so were {IN_A_ROW} before it, so nothing is given up"
                ) from None
            return tuple(letter(each, str(error), self._clock.wall_us()) for each in batch.items)
        return ()

    def _count(self, accepted: int, refused: tuple[Letter, ...]) -> None:
        self.delivered += accepted
        self.letters += len(refused)
        self._tries = 0
        for each in refused:
            self._in_a_row += 1
            _log.warning(
                "stream %s: event %s of camera %s is a dead letter: %s",
                self.name, each.event, each.camera, each.why,
            )  # fmt: skip
        if accepted:
            self._in_a_row = 0
        self._size = min(self._size * 2, self._receiver.most)

    def _wait(self, kind: str, error: Exception, least_us: int = 0) -> float:
        self.failures[kind] += 1
        self._failed += 1
        text = str(error) or type(error).__name__
        if text != self.problem:
            _log.warning("stream %s waits: %s", self.name, text)
        self.problem = text
        full = min(FIRST_S * 2.0 ** min(self._failed - 1, 32), LONGEST_S)
        return max(full * self._rng.uniform(0.5, 1.0), least_us / 1e6)
