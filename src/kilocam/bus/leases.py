"""Partitions leased to holders: each has at most one, a dead holder's are taken over.

L1  A holder renews one key of its own; a partition's key names its holder and an epoch. So renewal
    costs one write per holder, not one per partition.
L2  A holder is dead when its key has not changed for `ttl_s` by the *watcher's* monotonic clock and
    a fresh look still finds it unchanged. Clocks of machines are never compared. Or when it is the
    one we are the heir of: whoever started us has seen it end, or killed it. An heir removes that
    key, so that all know at once.
L3  A holder that could not renew for `ttl_s`, counted from when it *sent* its last acknowledged
    renewal, has lost all it held. Watchers count from when they saw that renewal, which is later;
    so it stops before anybody takes over.
L4  Every change of a partition's key is a compare-and-set on its revision; the epoch grows by one
    at each grant and never falls.
L5  With n live holders each takes up to ceil(partitions / n). Whoever has more is asked to finish
    with the surplus and releases it, within `ttl_s`.
"""

import asyncio
import logging
import math
import random
import secrets
import time
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import TracebackType

from kilocam.bus.bucket import Bucket, Change, Synced
from kilocam.bus.errors import BusConflict, BusUnavailable, RevisionConflict
from kilocam.bus.tasks import Edge

_LAST_WORDS_S = 3.0
_NOBODY = ""
_AWAY = (BusUnavailable, BusConflict)
"""There is no connection; why, the connection itself has told."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """The value of both kinds of keys: who, and a number that grows."""

    holder: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The partition is ours from now on."""

    partition: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Others should have it: finish, then `release` it."""

    partition: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """It is not ours any more: stop at once."""

    partition: int
    epoch: int


LeaseChange = Granted | Asked | Revoked


@dataclass(slots=True)
class _Held:
    epoch: int
    revision: int
    give_back_by: float = math.inf


@dataclass(slots=True)
class _Seen:
    revision: int
    at: float


class LeaseSet:
    """One holder's view of the leases; use it as an asynchronous context.

    Args:
        bucket: where they are kept.
        holder: who we are; `name` makes it unique.
        heir_of: the `name` of a holder that is dead for sure; what it held is free at once.
        ttl_s: so long without a sign of life, and a holder counts as dead.
        partitions: how many there are.
        edge: keeps our tasks going.
    """

    def __init__(
        self,
        bucket: Bucket[Mark],
        *,
        holder: str,
        heir_of: str = "",
        ttl_s: float,
        partitions: int,
        edge: Edge,
    ) -> None:
        self._bucket = bucket
        self._me = f"{holder}-{secrets.token_hex(4)}"
        self._heir_of = heir_of
        self._ttl_s = ttl_s
        self._partitions = partitions
        self._names = {str(partition) for partition in range(partitions)}
        self._edge = edge
        self._held: dict[int, _Held] = {}
        self._leases: dict[int, tuple[Mark, int]] = {}
        self._epochs: dict[int, int] = {}
        self._holders: dict[str, _Seen] = {}
        self._synced = False
        self._valid_until = -math.inf
        self._beats = 0
        self._changes: list[LeaseChange] = []
        self._changed = asyncio.Event()
        self._tasks: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Ours alone; a later holder that takes our place is the heir of it."""
        return self._me

    @property
    def held(self) -> Mapping[int, int]:
        """Partition -> epoch of what is ours at this moment."""
        if time.monotonic() >= self._valid_until:
            return {}
        return {partition: held.epoch for partition, held in self._held.items()}

    async def next(self) -> LeaseChange:
        """The next change; a partition granted and revoked before anybody looked is left out."""
        while not self._changes:
            self._changed.clear()
            await self._changed.wait()
        return self._changes.pop(0)

    async def release(self, partition: int) -> None:
        """Give a partition back, having finished with it."""
        held = self._held.pop(partition, None)
        if held is not None:
            with suppress(*_AWAY, RevisionConflict):
                await self._write(partition, Mark(_NOBODY, held.epoch), held.revision)

    async def __aenter__(self) -> "LeaseSet":
        self._tasks = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tasks is not None:
            self._tasks.cancel()
            await asyncio.wait([self._tasks])
        with suppress(TimeoutError, *_AWAY, RevisionConflict):
            async with asyncio.timeout(_LAST_WORDS_S):
                await asyncio.gather(*(self.release(partition) for partition in list(self._held)))
                await self._bucket.delete(f"holder.{self._me}")

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._edge.keep("watching leases", self._watch))
            tasks.create_task(self._edge.keep("renewing leases", self._renew))
            tasks.create_task(self._edge.keep("deciding on leases", self._decide_often))

    # What happens elsewhere

    async def _watch(self) -> None:
        async with aclosing(self._bucket.watch()) as changes:
            async for change in changes:
                match change:
                    case Synced():
                        self._on_synced(anew=change.anew)
                    case Change():
                        self._on_change(change)

    def _on_synced(self, *, anew: bool) -> None:
        if anew:
            self._leases.clear()
            self._holders.clear()
            self._revoke_all()
        for seen in self._holders.values():  # An outage is no evidence of anybody's death.
            seen.at = time.monotonic()
        self._synced = True

    def _on_change(self, change: Change[Mark]) -> None:
        kind, _, name = change.key.partition(".")
        if kind == "holder":
            if change.value is None:
                self._holders.pop(name, None)
            else:
                self._saw(name, change.revision)
        elif change.value is not None and name in self._names:
            self._on_lease(int(name), change.value, change.revision)

    def _saw(self, holder: str, revision: int) -> None:
        seen = self._holders.get(holder)
        if seen is None or seen.revision < revision:
            self._holders[holder] = _Seen(revision, time.monotonic())

    def _on_lease(self, partition: int, mark: Mark, revision: int) -> None:
        known = self._leases.get(partition)
        if known is not None and known[1] >= revision:
            return
        self._leases[partition] = (mark, revision)
        self._epochs[partition] = max(mark.epoch, self._epochs.get(partition, 0))
        held = self._held.get(partition)
        if held is not None and revision > held.revision:
            self._revoke(partition)

    # What we do

    async def _renew(self) -> None:
        while True:
            sent = time.monotonic()
            self._beats += 1
            with suppress(*_AWAY):
                await self._bucket.put(f"holder.{self._me}", Mark(self._me, self._beats))
                self._valid_until = sent + self._ttl_s
            await asyncio.sleep(self._ttl_s / 4)

    async def _decide_often(self) -> None:
        while True:
            if time.monotonic() >= self._valid_until:
                self._revoke_all()
            elif self._synced:
                with suppress(*_AWAY):
                    await self._decide()
            await asyncio.sleep(self._ttl_s / 20)

    async def _decide(self) -> None:
        await self._tell_dead()
        now = time.monotonic()
        live = {name for name, seen in self._holders.items() if now - seen.at < self._ttl_s}
        live.add(self._me)
        fair = math.ceil(self._partitions / len(live))
        self._ask_back(len(self._held) - fair, now)
        for partition in [p for p, held in self._held.items() if held.give_back_by <= now]:
            if (held := self._held.get(partition)) is not None:  # not given back meanwhile
                self._tell(Revoked(partition, held.epoch))
                await self.release(partition)
        wanted = fair - len(self._held)
        if wanted > 0:
            await self._take(live, wanted)
        await self._give_up_strays()
        await self._forget_dead(live)

    async def _tell_dead(self) -> None:
        """Others leave the one we are the heir of its share for as long as they think it lives."""
        if self._heir_of in self._holders:
            await self._bucket.delete(f"holder.{self._heir_of}")
            self._holders.pop(self._heir_of, None)

    def _ask_back(self, surplus: int, now: float) -> None:
        asked = sum(1 for held in self._held.values() if held.give_back_by < math.inf)
        for partition, held in reversed(list(self._held.items())):
            if asked >= surplus:
                return
            if held.give_back_by == math.inf:
                held.give_back_by = now + self._ttl_s
                self._tell(Asked(partition, held.epoch))
                asked += 1

    async def _take(self, live: set[str], wanted: int) -> None:
        others = live - {self._me}
        free = [
            partition
            for partition in range(self._partitions)
            if partition not in self._held and self._holder(partition) not in others
        ]
        chosen = random.sample(free, min(wanted, len(free)))
        holders = {self._holder(partition) for partition in chosen} - {_NOBODY, self._me}
        alive = {holder for holder in holders if not await self._surely_dead(holder)}
        await asyncio.gather(*(self._grab(p) for p in chosen if self._holder(p) not in alive))

    def _holder(self, partition: int) -> str:
        return self._leases[partition][0].holder if partition in self._leases else _NOBODY

    async def _surely_dead(self, holder: str) -> bool:
        """A fresh look: we may have been frozen ourselves, with its renewals unread."""
        if holder == self._heir_of:
            return True
        entry = await self._bucket.get(f"holder.{holder}")
        seen = self._holders.get(holder)
        if entry is None or (seen is not None and seen.revision == entry.revision):
            return True
        self._saw(holder, entry.revision)
        return False

    async def _grab(self, partition: int) -> None:
        mark, revision = self._leases.get(partition, (Mark(_NOBODY, 0), 0))
        epoch = max(mark.epoch, self._epochs.get(partition, 0)) + 1
        try:
            revision = await self._write(partition, Mark(self._me, epoch), revision)
        except RevisionConflict:
            return  # Somebody was faster; the watch will tell who.
        self._held[partition] = _Held(epoch, revision)
        self._tell(Granted(partition, epoch))

    async def _write(self, partition: int, mark: Mark, revision: int) -> int:
        revision = await self._bucket.update(f"partition.{partition}", mark, revision)
        self._on_lease(partition, mark, revision)
        return revision

    async def _give_up_strays(self) -> None:
        """Partitions in our name that we do not hold: a release whose answer was lost."""
        for partition, (mark, revision) in list(self._leases.items()):
            if mark.holder == self._me and partition not in self._held:
                with suppress(RevisionConflict):
                    await self._write(partition, Mark(_NOBODY, mark.epoch), revision)

    async def _forget_dead(self, live: set[str]) -> None:
        named = {mark.holder for mark, _ in self._leases.values()}
        for name in self._holders.keys() - live - named:
            revision = self._holders.pop(name).revision
            with suppress(RevisionConflict):
                await self._bucket.delete(f"holder.{name}", revision)

    def _revoke_all(self) -> None:
        for partition in list(self._held):
            self._revoke(partition)

    def _revoke(self, partition: int) -> None:
        self._tell(Revoked(partition, self._held.pop(partition).epoch))

    def _tell(self, change: LeaseChange) -> None:
        """Changes nobody has fetched yet stay at most three per partition."""
        if isinstance(change, Revoked):
            same = (Granted(change.partition, change.epoch), Asked(change.partition, change.epoch))
            unseen = same[0] in self._changes
            self._changes = [kept for kept in self._changes if kept not in same]
            if unseen:
                return
        self._changes.append(change)
        self._changed.set()
