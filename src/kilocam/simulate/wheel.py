"""Owns: waking many players in time with one timer.

A wheel of 5 ms slots: a turn costs one list per slot and one call per player that is due.
"""

import asyncio
import time
from typing import Protocol

SLOT_S = 0.005
_SLOTS = 2048
"""A power of two; players due later than this wheel reaches are woken early and ask again."""


class Turning(Protocol):
    """Something that is due again and again."""

    def turn(self, now: float) -> float | None:
        """Do what is due; when to be called again (monotonic seconds), `None` for never."""
        ...


class Wheel:
    """Calls `turn` of each member when it is due, at most 5 ms late by itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: list[list[Turning]] = [[] for _ in range(_SLOTS)]
        self._at = 0
        """The next slot to be served."""
        self._members = 0
        self._timer: asyncio.TimerHandle | None = None
        self.worst_late_s = 0.0
        """The longest that a slot was served after its time."""

    def add(self, member: Turning, due: float) -> None:
        """Have `member` called at `due`."""
        if self._timer is None:
            self._at = int(time.monotonic() / SLOT_S)
            self._timer = self._loop.call_later(SLOT_S, self._tick)
        self._members += 1
        self._place(member, due)

    def close(self) -> None:
        """Call nobody any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _place(self, member: Turning, due: float) -> None:
        slot, at = int(due / SLOT_S) + 1, self._at
        if not at <= slot < at + _SLOTS:
            slot = at if slot < at else at + _SLOTS - 1
        self._slots[slot % _SLOTS].append(member)

    def _tick(self) -> None:
        now = time.monotonic()
        until = int(now / SLOT_S)
        self.worst_late_s = max(self.worst_late_s, now - self._at * SLOT_S)
        while self._at <= until:
            slot = self._at % _SLOTS
            due, self._slots[slot] = self._slots[slot], []
            self._at += 1
            for member in due:
                again = member.turn(now)
                if again is None:
                    self._members -= 1
                else:
                    self._place(member, again)
        self._timer = self._loop.call_later(SLOT_S, self._tick) if self._members else None
