"""Keeps what was made up as analysis keeps what it finds, days in order, two tenants at a time.

A data directory can be used again: `search.json` says which days of which tenants are kept. What
was under way when a run died is kept again, which changes nothing.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kilocam.cli.bench.record import BenchError
from kilocam.cli.bench.search.house import House
from kilocam.cli.bench.search.made import DAYS, NOW_US, VERSION, Fleet, Tenant, day_us
from kilocam.database import Outbox, OutboxMessage
from kilocam.insight import Closer, Likeness, Windows, make_days

AT_ONCE = 1_000
"""Windows of one transaction."""
WRITERS = 2
_STATE = "search.json"
Tell = Callable[[str], None]


@dataclass
class State:
    """How far a data directory is; times are of all runs together."""

    fleet: dict[str, int]
    done: list[str] = field(default_factory=list)
    events: int = 0
    vectors: int = 0
    kept: int = 0
    """Events that were new: a day that is kept again after a death is quick and no measure."""
    load_s: float = 0.0
    last_day_events_per_s: float = 0.0
    vectors_s: float = 0.0
    """Of `load_s`, over both writers."""
    close_s: float = 0.0
    vector_indexes: int = 0


def read_state(folder: Path, fleet: Fleet) -> State:
    """What was kept before.

    Raises:
        BenchError: the directory has another fleet.
    """
    file = folder / _STATE
    if not file.exists():
        return State(fleet=asdict(fleet))
    state = State(**json.loads(file.read_text()))
    if state.fleet != asdict(fleet):
        raise BenchError(f"{folder} has another fleet ({state.fleet}): choose another --data")
    return state


async def load(house: House, folder: Path, fleet: Fleet, state: State, tell: Tell) -> None:
    """Keep what is not kept yet, then close the days that are over."""
    for tenant in fleet.members:
        await house.database.place(tenant.id)
    for day in range(0, DAYS + 1, 4):
        await make_days(house.control, day_us(day))
    relays = [asyncio.create_task(_relay(outbox)) for outbox in house.control.outboxes()]
    try:
        for day in range(DAYS):
            await _load_day(house, folder, fleet, state, day)
            tell(f"day {day + 1} of {DAYS}: {state.events} events, {state.vectors} vectors")
    finally:
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)
    begun = time.monotonic()
    closer = Closer(house.control, pausing=False)
    state.vector_indexes += await closer.close_days(NOW_US, day_us(0))
    state.close_s += time.monotonic() - begun
    _write(folder, state)


async def _load_day(house: House, folder: Path, fleet: Fleet, state: State, day: int) -> None:
    missing = [t for t in fleet.members if f"{day}/{t.number}" not in state.done]
    if not missing:
        return
    resumed = len(missing) < len(fleet.members) or bool(state.done)
    waiting: Iterator[Tenant] = iter(missing)
    begun, before = time.monotonic(), state.kept

    async def keep_some() -> None:
        for tenant in waiting:
            await _keep(house, fleet, state, tenant, day, again=resumed)
            state.done.append(f"{day}/{tenant.number}")

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(keep_some())
    finally:
        took_s = time.monotonic() - begun
        state.load_s += took_s
        state.last_day_events_per_s = (state.kept - before) / took_s
        _write(folder, state)


async def _keep(
    house: House, fleet: Fleet, state: State, tenant: Tenant, day: int, *, again: bool
) -> None:
    windows, likeness = Windows(house.database, VERSION), Likeness(house.database)
    results, looks = await asyncio.to_thread(fleet.day, tenant, day)
    for at in range(0, len(results), AT_ONCE):
        known, later = await windows.note(results[at : at + AT_ONCE])
        if later or (known and not again):
            raise BenchError(f"{len(known) + len(later)} windows of {tenant.id} were not kept")
        state.kept -= len(known)
    state.events += len(results)
    state.kept += len(results)
    begun = time.monotonic()
    for at in range(0, len(looks), AT_ONCE):
        await likeness.keep_all(tenant.id, looks[at : at + AT_ONCE])
    state.vectors_s += time.monotonic() - begun
    state.vectors += len(looks)


async def _relay(outbox: Outbox) -> None:
    """What control does beside: it takes out what is told; here nobody listens."""
    publish: Callable[[OutboxMessage], Awaitable[None]] = _publish
    await outbox.run(publish)


async def _publish(_: OutboxMessage) -> None:
    return


def _write(folder: Path, state: State) -> None:
    fresh = folder / f"{_STATE}.new"
    fresh.write_text(json.dumps(asdict(state)))
    fresh.replace(folder / _STATE)
