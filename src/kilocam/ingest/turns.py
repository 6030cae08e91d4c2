"""Turns: every socket is read once in a while, not whenever a packet comes.

A read costs about the same for one packet as for thirty, and the kernel's buffer holds them
meanwhile, so 1000 cameras cost 2000 reads a second instead of 30,000. A timer wheel decides who is
next; there is no task and no readiness event per camera.
"""

import asyncio
from typing import Protocol

from kilocam.core import Clock

TICK_US = 10_000
SLOTS = 64
COARSE = 5
"""Turns of 100 ms and more start at every fifth tick only: fewer, fuller rounds."""
BUFFER_BYTES = 1 << 20
LAG_US = 2_000_000


class Player(Protocol):
    """Whoever takes turns."""

    def turn(self, now_us: int, buffer: memoryview) -> int:
        """Read what is there; return microseconds until the next turn, or 0 to be left out."""
        ...


class Turns:
    """A timer wheel of 10 ms ticks, 640 ms around."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots: list[list[Player]] = [[] for _ in range(SLOTS)]
        self._gone: set[Player] = set()
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._tick = clock.monotonic_us() // TICK_US
        self.lag_us = 0
        """How late the last round of turns was."""
        self.froze_us = (0, 0)
        """The last stretch (monotonic) in which this process did not run for over 2 s."""

    def add(self, player: Player) -> None:
        """Give `player` its first turn at the next tick."""
        self._gone.discard(player)
        self._slots[(self._tick + 1) % SLOTS].append(player)

    def remove(self, player: Player) -> None:
        """Give `player` no more turns."""
        for slot in self._slots:
            if player in slot:
                slot.remove(player)
                return
        self._gone.add(player)

    async def run(self) -> None:
        """Take turns until cancelled."""
        self._tick = self._clock.monotonic_us() // TICK_US
        while True:
            now = self._clock.monotonic_us()
            self.lag_us = now - self._tick * TICK_US
            if self.lag_us > LAG_US:
                self.froze_us = (self._tick * TICK_US, now)
                self._tick = now // TICK_US
                for slot in self._slots:
                    self._play(slot, now)
            self._play(self._slots[self._tick % SLOTS], now)
            ahead = 1
            while ahead < SLOTS and not self._slots[(self._tick + ahead) % SLOTS]:
                ahead += 1
            # Never sleep over a tick that may get a new player.
            self._tick += min(ahead, 5)
            await asyncio.sleep(max(0, self._tick * TICK_US - self._clock.monotonic_us()) / 1e6)

    def _play(self, slot: list[Player], now_us: int) -> None:
        due = slot[:]
        slot.clear()
        for player in due:
            wait = player.turn(now_us, self._buffer)
            if wait and player not in self._gone:
                ticks = max(1, min(wait // TICK_US, SLOTS - 1))
                due_tick = self._tick + ticks
                if ticks >= 10:
                    due_tick -= due_tick % COARSE
                self._slots[due_tick % SLOTS].append(player)
        self._gone.clear()
