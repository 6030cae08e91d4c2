"""Windows that cannot be kept: no such tenant, no partition for their day, an unforeseen failure.

Each may be about to end, so whoever hands such a window in is told `NotYet` for a minute, and
what is known of others goes on meanwhile. After that a tenant is gone, and the window refused.
"""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NoReturn

from kilocam.core import Clock, Window
from kilocam.database import Database, DatabaseError
from kilocam.insight.days import ask_for_day, day_of
from kilocam.insight.errors import NotYet, Refused

_MOST_DOUBTS = 10_000
_PATIENCE_US = 60_000_000
"""A camera may be declared moments before its tenant has a place; a day is made in seconds."""


class Homes:
    """What is missing, and since when."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._tenants: dict[str, int] = {}
        self._days: dict[date, int] = {}
        self._asked: dict[date, int] = {}
        self._doubts: OrderedDict[Window, int] = OrderedDict()

    def found(self, tenant: str, day: date, window: Window | None = None) -> None:
        """A tenant and a day have their place, and so has a window that was in doubt."""
        self._tenants.pop(tenant, None)
        self._days.pop(day, None)
        self._asked.pop(day, None)
        if window is not None:
            self._doubts.pop(window, None)

    def without_tenant(self, tenant: str) -> None:
        """Returns when the tenant is gone for good.

        Counted from the first window that missed it, whatever the windows' own age: the recorder
        may go on recording a camera whose tenant is gone, and analysis may come to it late.

        Raises:
            NotYet: it may be about to get its place.
        """
        now_us = self._clock.monotonic_us()
        first_us = self._tenants.setdefault(tenant, now_us)
        if now_us - first_us < _PATIENCE_US:
            raise NotYet(f"tenant {tenant!r} has no place yet, or none any more")

    async def without_day(self, days: Iterable[date]) -> NoReturn:
        """Asks control for days that windows need.

        Raises:
            NotYet: they may come. Today's, yesterday's and tomorrow's are waited for as long as it
                takes: without them nothing can be kept.
            Refused: one did not come within a minute.
        """
        wanted = sorted(days)
        for day in wanted:
            await self._ask(day)
        now_us = self._clock.monotonic_us()
        today = day_of(self._clock.wall_us()).date()
        for day in wanted:
            far = abs(day - today) > timedelta(days=1)
            if far and now_us - self._days.get(day, now_us) >= _PATIENCE_US:
                raise Refused(f"there is no place for {day}, and control does not make one")
        raise NotYet(f"there is no place for {wanted[0]} yet: control was asked to make it")

    def doubt(self, window: Window, error: DatabaseError) -> NoReturn:
        """The window alone may be at fault, or the database for all of them: time tells.

        Raises:
            NotYet: for a minute.
            Refused: after it.
        """
        now_us = self._clock.monotonic_us()
        first_us = self._doubts.setdefault(window, now_us)
        if now_us - first_us < _PATIENCE_US:
            while len(self._doubts) > _MOST_DOUBTS:
                self._doubts.popitem(last=False)
            raise NotYet(str(error)) from error
        del self._doubts[window]
        raise Refused(str(error)) from error

    async def _ask(self, day: date) -> None:
        now_us = self._clock.monotonic_us()
        asked_us = self._asked.get(day)
        if asked_us is None or now_us - asked_us >= _PATIENCE_US:
            await ask_for_day(self._database, day)
            self._asked[day] = now_us
            self._days.setdefault(day, now_us)
