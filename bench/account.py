"""Every window of the log against every row of the database, and what is summed up there.

Each window is there once; hours' counts and stages' sums are those of the windows, so that none
was counted twice; each event is what its windows say, and there once.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench.recording import until
from tests.fakes.house import House

from kilocam.cli.data import DataDir
from kilocam.cli.installation import Installation
from kilocam.core.settings import load_settings
from kilocam.database import Database
from kilocam.record import Position, replay

_SETTLED_S = 1800.0
"""A backlog is looked at window by window, and each of them whole."""
_WINDOWS = "select camera, start as start_us, outcome, looked as looked_us from window_state"
_COUNTS = "select camera, outcome, sum(windows)::bigint as many from window_count group by 1, 2"
_STAGES = """
  with summed as (
    select camera, date_trunc('hour', start, 'UTC') as hour, stage.key as stage,
      sum((stage.value->>0)::bigint)::bigint as seen,
      sum((stage.value->>1)::bigint)::bigint as passed,
      sum((stage.value->>2)::bigint)::bigint as cost_us
    from window_state, jsonb_each(stages) stage group by 1, 2, 3
  ), counted as (
    select camera, hour, stage, seen, passed, cost_us from stage_count
    where (seen, passed, cost_us) <> (0, 0, 0)
  )
  (select 'summed' as said, * from (table summed except all table counted) one) union all
  (select 'counted' as said, * from (table counted except all table summed) other)
"""
"""Where the sums of stages are not those of the windows; both sides of it."""
_EVENTS = """
  with folded as (
    select event, camera, min(first), max(last), max(score) from contribution group by 1, 2
  ), kept as (
    select id, camera, start, ends, score from event
  )
  (table folded except all table kept) union all (table kept except all table folded)
"""
"""Events that are not what their windows say, or there twice; both sides of it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A window's row in the database."""

    camera: str
    start_us: int
    outcome: str
    looked_us: int | None


@dataclass(slots=True)
class Account:
    """Every window of the log against every row of the database."""

    windows: frozenset[tuple[str, int]] = frozenset()
    """Camera and start of each window of the log."""
    looked: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    events: int = 0
    faults: list[str] = field(default_factory=list)


def account(it: House) -> Account:
    """Once the cameras have ended: waits until all is settled, then compares window by window."""
    walk = replay([it.data / "footage"], Position(recorder="recorder-0", sequence=0))
    stored = Counter((ref.camera, ref.start_us) for ref, _ in walk)
    found = Account(windows=frozenset(stored))

    def settled() -> bool:
        return int(it.get_json("/v1/analysis")["offered"]) >= len(stored)

    try:
        until(settled, _SETTLED_S, "every window accounted for")
    except TimeoutError as error:
        found.faults.append(str(error))
    asyncio.run(_compare(it, found, stored))
    return found


async def _compare(it: House, found: Account, stored: Counter[tuple[str, int]]) -> None:
    installation = Installation(DataDir(it.data), load_settings(it.config))
    async with (
        Database(installation.shards, installation.database_secrets) as database,
        database.for_tenant("default") as transaction,
    ):
        rows = await transaction.fetch(_WINDOWS)
        counts = await transaction.fetch(_COUNTS)
        stages = await transaction.fetch(_STAGES)
        events = await transaction.fetch(_EVENTS)
        found.events = await transaction.fetchval("select count(*) from event")
    found.kept = [Kept(r["camera"], r["start_us"], r["outcome"], r["looked_us"]) for r in rows]
    outcomes = Counter(row.outcome for row in found.kept)
    found.looked = outcomes.pop("looked", 0)
    found.skipped = dict(outcomes)
    kept = Counter((row.camera, row.start_us) for row in found.kept)
    for what, windows in (("stored, not kept", stored - kept), ("kept, not stored", kept - stored)):
        if windows:
            found.faults.append(f"{windows.total()} windows {what}: {sorted(windows)[:3]}")
    told = Counter({(r["camera"], r["outcome"]): r["many"] for r in counts})
    if told != Counter((row.camera, row.outcome) for row in found.kept):
        found.faults.append("the counts are not those of the windows")
    for what, differing in (("stages' sums", stages), ("events", events)):
        if differing:
            first = dict(differing[0])
            found.faults.append(f"{len(differing)} {what} are not those of the windows: {first}")


def longest_unseen_s(kept: Sequence[Kept], cameras: int, from_us: int, to_us: int) -> list[float]:
    """Of each camera the longest time between two looks, as far as it lies in [from, to)."""
    looks: dict[str, list[int]] = defaultdict(list)
    for row in kept:
        if row.looked_us is not None:
            looks[row.camera].append(row.looked_us)
    worst = []
    for n in range(cameras):
        at = sorted(each for each in looks[f"cam{n}"] if each < to_us)
        before = max((each for each in at if each <= from_us), default=from_us)
        within = [before, *(each for each in at if each > from_us), to_us]
        worst.append(max(b - a for a, b in pairwise(within)) / 1e6)
    return worst


def looks_per_camera(kept: Sequence[Kept], cameras: int, from_us: int, to_us: int) -> list[int]:
    """Windows of [from, to) that were looked at in [from, to), by camera."""
    looked = Counter(
        row.camera
        for row in kept
        if row.looked_us is not None and from_us <= row.start_us <= row.looked_us < to_us
    )
    return [looked[f"cam{n}"] for n in range(cameras)]
