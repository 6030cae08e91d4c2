"""What search costs and finds among so many events: asked through the product's own rooms."""

import asyncio
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from kilocam.cli.bench.processes import Meter
from kilocam.cli.bench.search.house import House, open_house
from kilocam.cli.bench.search.load import State, Tell, load, read_state
from kilocam.cli.bench.search.made import (
    ALL_TIME,
    DAYS,
    NOW_US,
    Fleet,
    Floats,
    Look,
    Question,
    Tenant,
)
from kilocam.core import SystemClock
from kilocam.insight import Insight, Likeness, Meaning

_RECALL_AT = 10
_RECALL_QUESTIONS = 20
_HYBRID = ("hybrid", "colour", "looks")
"""Kinds of questions that are answered by words and by looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFigures:
    """One measurement; times of questions are of one at a time, the first of each tenant too."""

    events: int
    vectors: int
    cameras: int
    tenants: int
    days: int
    ingest_events_per_s: float
    """With their windows, contributions, told changes and vectors, over the whole load."""
    ingest_last_day_events_per_s: float
    vector_ms: float
    """Of keeping one of many, with one of two writers."""
    close_days_s: float
    vector_indexes: int
    questions: int
    search_p50_ms: float
    search_p95_ms: float
    search_p99_ms: float
    search_max_ms: float
    hybrid_p95_ms: float
    """Of the questions that words and looks answer."""
    by_kind_p50_p95_ms: dict[str, tuple[float, float]]
    by_days_asked_p50_p95_ms: dict[str, tuple[float, float]]
    similar_p50_p95_ms: tuple[float, float]
    """Vectors alone, of all the time."""
    recall_at_10_least: float
    """Of the tenant with the least."""
    recall_at_10_by_tenant: dict[str, float]
    postgres_rss_mb: float
    postgres_pss_mb: float
    """Shared memory counted once."""
    disk_mb: float
    tables_mb: dict[str, float]
    indexes_mb: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Asked:
    """How long questions took, what was found, and how long that took."""

    times: list[tuple[Question, float]]
    recalls: dict[str, float]
    similar: list[float]


@dataclass(frozen=True, slots=True)
class _Used:
    """Memory and disk."""

    rss_mb: float
    pss_mb: float
    disk_mb: float
    sizes: dict[str, tuple[int, int]]
    """Bytes of tables and of their indexes."""


class _Clock(SystemClock):
    """The time at which the events end."""

    def wall_us(self) -> int:
        return NOW_US


def measure_search(fleet: Fleet, folder: Path | None, questions: int, tell: Tell) -> SearchFigures:
    """Make and keep what `folder` has not yet, then ask.

    Raises:
        BenchError: something was not kept, or the folder has another fleet.
    """
    if folder is not None:
        return asyncio.run(_measure(fleet, folder, questions, tell))
    made = Path(tempfile.mkdtemp(prefix="kilocam-search-"))
    try:
        return asyncio.run(_measure(fleet, made, questions, tell))
    finally:
        shutil.rmtree(made, ignore_errors=True)


async def _measure(fleet: Fleet, folder: Path, questions: int, tell: Tell) -> SearchFigures:
    state = await asyncio.to_thread(read_state, folder, fleet)
    async with open_house(folder) as house:
        await load(house, folder, fleet, state, tell)
        tell("asking")
        times = await _ask(house, fleet.questions(questions))
        tell("comparing with what is nearest")
        recalls, similar = await _recall(house, fleet)
        used = await _used(house)
    return _figures(fleet, state, _Asked(times, recalls, similar), used)


async def _ask(house: House, questions: Sequence[Question]) -> list[tuple[Question, float]]:
    clock = _Clock()
    likeness = Likeness(house.database, clock)
    insight = Insight(house.database, clock)
    took = []
    for question in questions:
        look = question.look

        async def encode(_: str, look: Look = look) -> Look:
            return look

        meaning = Meaning(insight, likeness, encode)
        begun = time.perf_counter()
        await meaning.search(question.tenant, question.text, question.wanted)
        took.append((question, 1000 * (time.perf_counter() - begun)))
    return took


async def _recall(house: House, fleet: Fleet) -> tuple[dict[str, float], list[float]]:
    """Of each tenant the share of the ten nearest that is found; and how long it took."""
    likeness = Likeness(house.database, _Clock())
    recalls, took = {}, []
    for tenant in fleet.members:
        asked = fleet.looks(tenant, _RECALL_QUESTIONS)
        nearest = await asyncio.to_thread(_nearest, fleet, tenant, asked)
        hits = []
        for vector, truth in zip(asked, nearest, strict=True):
            begun = time.perf_counter()
            found = await likeness.like(
                tenant.id, Look(vector.tolist()), ALL_TIME, limit=_RECALL_AT
            )
            took.append(1000 * (time.perf_counter() - begun))
            hits.append(len(truth & {each.event.id for each in found}) / max(1, len(truth)))
        recalls[tenant.id] = round(float(np.mean(hits)), 4)
    return recalls, took


def _nearest(fleet: Fleet, tenant: Tenant, asked: Floats) -> list[set[str]]:
    """The ids of the ten nearest to each vector, by all there are, in half precision as kept."""
    best: list[list[tuple[float, str]]] = [[] for _ in asked]
    for day in range(DAYS):
        _, looks = fleet.day(tenant, day)
        if not looks:
            continue
        kept = np.array([each.vector for each in looks], dtype=np.float16).astype(np.float32)
        kept /= np.linalg.norm(kept, axis=1, keepdims=True)
        for so_far, row in zip(best, asked @ kept.T, strict=True):
            top = np.argsort(-row)[:_RECALL_AT]
            so_far += [(float(row[n]), looks[n].event_id) for n in top]
            so_far.sort(reverse=True)
            del so_far[_RECALL_AT:]
    return [{id_ for _, id_ in each} for each in best]


def _figures(fleet: Fleet, state: State, asked: _Asked, used: _Used) -> SearchFigures:
    kinds, spans = defaultdict(list), defaultdict(list)
    for question, ms in asked.times:
        kinds[question.kind].append(ms)
        wanted = question.wanted
        spans[f"{((wanted.to_us or 0) - (wanted.from_us or 0)) / 86_400e6:.2g}"].append(ms)
    every = [ms for _, ms in asked.times]
    return SearchFigures(
        events=state.events, vectors=state.vectors,
        cameras=sum(len(t.cameras) for t in fleet.members), tenants=len(fleet.members), days=DAYS,
        ingest_events_per_s=round(state.kept / state.load_s, 1),
        ingest_last_day_events_per_s=round(state.last_day_events_per_s, 1),
        vector_ms=round(1000 * state.vectors_s / max(1, state.vectors), 3),
        close_days_s=round(state.close_s, 1), vector_indexes=state.vector_indexes,
        questions=len(asked.times),
        search_p50_ms=_at(every, 50), search_p95_ms=_at(every, 95), search_p99_ms=_at(every, 99),
        search_max_ms=round(max(every), 1),
        hybrid_p95_ms=_at([ms for kind in _HYBRID for ms in kinds[kind]], 95),
        by_kind_p50_p95_ms={k: (_at(v, 50), _at(v, 95)) for k, v in sorted(kinds.items())},
        by_days_asked_p50_p95_ms={
            k: (_at(v, 50), _at(v, 95)) for k, v in sorted(spans.items(), key=lambda i: float(i[0]))
        },
        similar_p50_p95_ms=(_at(asked.similar, 50), _at(asked.similar, 95)),
        recall_at_10_least=min(asked.recalls.values()), recall_at_10_by_tenant=asked.recalls,
        postgres_rss_mb=round(used.rss_mb, 1), postgres_pss_mb=round(used.pss_mb, 1),
        disk_mb=round(used.disk_mb, 1),
        tables_mb={n: round(rows / 1e6, 1) for n, (rows, _) in used.sizes.items() if rows > 1e5},
        indexes_mb={n: round(of / 1e6, 1) for n, (_, of) in used.sizes.items() if of > 1e5},
    )  # fmt: skip


def _at(values: Iterable[float], percentile: float) -> float:
    return round(float(np.percentile(list(values) or [0.0], percentile)), 1)


async def _used(house: House) -> _Used:
    return _Used(
        rss_mb=Meter([house.pid]).stop().rss_mb,
        pss_mb=_pss_mb(house.pid),
        disk_mb=await asyncio.to_thread(_disk_mb, house.cluster),
        sizes=await house.control.sizes(),
    )


def _pss_mb(pid: int) -> float:
    root = psutil.Process(pid)
    every = [root, *root.children(recursive=True)]
    return sum(process.memory_full_info().pss for process in every) / 1e6


def _disk_mb(folder: Path) -> float:
    return (
        sum(
            Path(parent, name).stat().st_size
            for parent, _, names in os.walk(folder)
            for name in names
        )
        / 1e6
    )
