"""Owns: a living camera: its clock, its mood, who plays it, and when its faults strike."""

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

from kilocam.rtsp import Description, ServerQuirk
from kilocam.simulate.build import describe
from kilocam.simulate.content import Content
from kilocam.simulate.faults import Every, Faults
from kilocam.simulate.fleet import CameraPlan
from kilocam.simulate.player import Temper
from kilocam.simulate.record import CameraLife


class Client(Protocol):
    """Someone who plays a camera."""

    def end(self, reason: str, *, reset: bool) -> None:
        """Let what was sent arrive, then close."""
        ...


class Camera:
    """One camera of a running simulator."""

    def __init__(
        self,
        plan: CameraPlan,
        loop: asyncio.AbstractEventLoop,
        *,
        born: float,
        born_us: int,
        dice: random.Random,
    ) -> None:
        """`born` and `born_us` are now, by the monotonic clock and by the wall."""
        self.content: Content = plan.content
        self.faults: Faults = plan.faults
        self.epoch = born - plan.phase_s
        self.life = CameraLife(
            camera=plan.index,
            path=plan.path,
            content=plan.content.digest,
            epoch_us=born_us - round(plan.phase_s * 1e6),
            drift_ppm=plan.faults.drift_ppm,
        )
        self.description: Description = describe(plan.content)
        self.temper = Temper(lose=plan.faults.lose)
        self.dice = dice
        self.clients: set[Client] = set()
        self.is_away = False
        self._loop = loop
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._next_jump = 1
        self._plan(plan.faults.flap, "flap", self.flap)
        self._plan(plan.faults.stall, "stall", self.stall)
        self._plan(plan.faults.jump, "jump", self.jump)

    def next_block(self, now: float) -> int:
        """Number of the first block of someone who begins to play now: a key frame's.

        A camera that sends before it answers does not wait for a key frame either.
        """
        life_us = (now - self.epoch) * 1e6 * (1 + self.faults.drift_ppm / 1e6)
        number = self.content.first_due(round(life_us))
        if ServerQuirk.RTP_BEFORE_PLAY in self.faults.quirks:
            return number
        return self.content.next_key(number)

    # -- faults --------------------------------------------------------------------------------

    def flap(self, away_s: float | None = None) -> None:
        """End all connections and stay away for a while."""
        self.is_away = True
        for client in list(self.clients):
            client.end("flap", reset=self.faults.flap_resets)
        self._after("return", self.faults.away_s if away_s is None else away_s, self._return)

    def _return(self) -> None:
        self.is_away = False

    def stall(self, seconds: float | None = None) -> None:
        """Send nothing for a while, with connections open."""
        self.temper.stalled = True
        self._after("resume", self.faults.stall_s if seconds is None else seconds, self.resume)

    def resume(self) -> None:
        """End a stall."""
        self.temper.stalled = False

    def jump(self, seconds: float | None = None) -> None:
        """Let timestamps jump; without a width forward and back in turn."""
        if seconds is None:
            seconds, self._next_jump = self.faults.jump_s * self._next_jump, -self._next_jump
        self.temper.jump_us += round(seconds * 1e6)

    def lose(self, share: float) -> None:
        """Lose this share of packets from now on."""
        self.temper.lose = share

    def close(self) -> None:
        """No fault strikes any more."""
        for timer in self._timers.values():
            timer.cancel()

    def _plan(self, every: Every | None, name: str, strike: Callable[[], None]) -> None:
        if every is None:
            return

        def struck() -> None:
            # Times count while someone plays: a fault that nobody sees is none.
            if self.clients:
                strike()
            self._plan(every, name, strike)

        self._after(name, self.dice.uniform(every.low_s, every.high_s), struck)

    def _after(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self._loop.call_later(seconds, action)
