"""Which camera's sound is listened to next; pure, times are handed in.

A camera's sound is heard in stretches: the live one, which follows what comes, and those that were
left behind when hearing could not keep up (or did not run), which are caught up, the newest first,
when nothing live is due. A camera that is quiet is heard in longer turns than one that is not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from kilocam.core import CameraKey

_S = 1_000_000


class Kept(Protocol):
    """A stretch as it is kept: heard up to `until_us`, to be heard up to `ends_us`."""

    @property
    def start_us(self) -> int: ...  # noqa: D102 - what the class says
    @property
    def until_us(self) -> int: ...  # noqa: D102
    @property
    def ends_us(self) -> int | None:
        """None: the live one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EarOptions:
    """How often, how far, how late."""

    turn_us: int = 2 * _S
    quiet_turn_us: int = 6 * _S
    """Between two turns of a live stretch, of a camera that was loud and of one that was not."""
    arrival_us: int = 1 * _S
    """Sound so young may still be on its way."""
    most_us: int = 20 * _S
    """Heard in one turn; longer than anything said without a pause."""
    behind_us: int = 60 * _S
    """A live stretch so far behind is left to be caught up."""
    ahead_us: int = 10 * _S
    again_us: int = 10 * _S
    """Before a turn that failed is tried again; the second time twice as long."""
    attempts: int = 3
    """Turns that fail so often are given up."""
    most_behind: int = 8
    """Stretches left behind of one camera; of more the oldest are given up."""
    hour_us: int = 3_600 * _S
    """What is older is not caught up."""


@dataclass(slots=True, eq=False)
class Stretch:
    """Of one camera's sound."""

    key: CameraKey
    start_us: int
    until_us: int
    ends_us: int | None
    due_us: int = 0
    noted_us: int = 0
    """Kept as heard up to here."""
    failures: int = 0
    """In a row, at the same turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What to listen to now."""

    stretch: Stretch
    from_us: int
    to_us: int
    last: bool
    """Nothing of the stretch comes after it."""
    floor_db: float | None


@dataclass(slots=True)
class _Ear:
    stretches: list[Stretch] = field(default_factory=list)
    floor_db: float | None = None


class Ears:
    """All cameras whose sound is listened to."""

    def __init__(self, options: EarOptions) -> None:
        self._options = options
        self._ears: dict[CameraKey, _Ear] = {}
        self.unheard_us = 0
        """Time that is given up: too old, too much of it, or unreadable again and again."""

    def __contains__(self, key: CameraKey) -> bool:
        return key in self._ears

    def put(self, key: CameraKey, kept: Iterable[Kept]) -> None:
        """Listen to a camera from where its kept stretches are."""
        ear = self._ears.setdefault(key, _Ear())
        ear.stretches = [
            Stretch(
                key=key,
                start_us=each.start_us,
                until_us=each.until_us,
                ends_us=each.ends_us,
                noted_us=each.until_us,
            )
            for each in kept
        ]

    def drop(self, key: CameraKey) -> None:
        """Listen to it no more."""
        self._ears.pop(key, None)

    def astray(self, now_us: int) -> Stretch | None:
        """A live stretch that is to be ended and a new one begun.

        It is too far behind, or ahead: the clock was put back.
        """
        behind_us, ahead_us = self._options.behind_us, self._options.ahead_us
        return next(
            (each for each in self._live() if not -ahead_us <= now_us - each.until_us <= behind_us),
            None,
        )

    def expire(self, now_us: int) -> None:
        """Give up what is too old, or too much."""
        for ear in self._ears.values():
            past = sorted((e for e in ear.stretches if e.ends_us), key=lambda each: -each.start_us)
            for n, each in enumerate(past):
                ends_us = each.ends_us or 0
                oldest_us = min(now_us - self._options.hour_us, ends_us)
                if n >= self._options.most_behind:
                    oldest_us = ends_us
                self.unheard_us += max(0, oldest_us - each.until_us)
                each.until_us = max(each.until_us, oldest_us)

    def over(self) -> list[Stretch]:
        """Stretches that are heard to their end, or given up."""
        return [each for each in self._past() if each.until_us >= (each.ends_us or 0)]

    def forget(self, stretch: Stretch) -> None:
        """It is done with."""
        ear = self._ears.get(stretch.key)
        if ear is not None and stretch in ear.stretches:
            ear.stretches.remove(stretch)

    def take(self, now_us: int) -> Turn | None:
        """The live stretch that is most overdue; else the newest of those left behind."""
        arrived_us = now_us - self._options.arrival_us
        due = sorted((e for e in self._live() if e.due_us <= now_us), key=lambda each: each.due_us)
        for live in due:
            live.due_us = now_us + self._options.turn_us
            if live.until_us < arrived_us:
                return self._turn(live, arrived_us)
        waiting = (e for e in self._past() if e.due_us <= now_us and e.until_us < (e.ends_us or 0))
        past = max(waiting, key=lambda each: each.start_us, default=None)
        return self._turn(past, past.ends_us or 0) if past is not None else None

    def heard(self, turn: Turn, until_us: int, *, loud: bool, floor_db: float | None) -> None:
        """A turn is done."""
        stretch = turn.stretch
        longest = turn.to_us - turn.from_us >= self._options.most_us
        # Nothing is said for so long without a pause: it must go on.
        stretch.until_us = turn.to_us if longest and until_us <= turn.from_us else until_us
        stretch.failures = 0
        ear = self._ears.get(stretch.key)
        if ear is None:
            return
        if stretch.ends_us is None:
            ear.floor_db = floor_db
            if not loud:
                stretch.due_us += self._options.quiet_turn_us - self._options.turn_us

    def failed(self, turn: Turn, now_us: int) -> None:
        """A turn could not be heard: it is tried again, and given up in the end."""
        stretch = turn.stretch
        stretch.failures += 1
        stretch.due_us = now_us + stretch.failures * self._options.again_us
        if stretch.failures >= self._options.attempts:
            stretch.failures = 0
            self.unheard_us += turn.to_us - stretch.until_us
            stretch.until_us = turn.to_us

    def put_off(self, turn: Turn, now_us: int) -> None:
        """A turn could not be kept for the moment: nothing is given up."""
        turn.stretch.due_us = now_us + self._options.again_us

    def unnoted(self) -> list[Stretch]:
        """Stretches that are heard further than is kept."""
        return [each for each in self._all() if each.until_us > each.noted_us]

    def due_us(self) -> int | None:
        """When the next live stretch is due."""
        return min((each.due_us for each in self._live()), default=None)

    def lag_us(self, now_us: int) -> int:
        """How far behind the live stretch is that is furthest behind."""
        return max((now_us - each.until_us for each in self._live()), default=0)

    def _turn(self, stretch: Stretch, upto_us: int) -> Turn:
        to_us = min(upto_us, stretch.until_us + self._options.most_us)
        return Turn(
            stretch=stretch,
            from_us=stretch.until_us,
            to_us=to_us,
            last=stretch.ends_us is not None and to_us >= stretch.ends_us,
            floor_db=self._ears[stretch.key].floor_db,
        )

    def _all(self) -> Iterator[Stretch]:
        return (each for ear in self._ears.values() for each in ear.stretches)

    def _live(self) -> Iterator[Stretch]:
        return (each for each in self._all() if each.ends_us is None)

    def _past(self) -> Iterator[Stretch]:
        return (each for each in self._all() if each.ends_us is not None)
