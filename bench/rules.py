"""What rules cost: writing a window without and with them, and evaluating them over the past.

    python -m bench.rules [--windows 300] [--objects 5] [--json]

Made windows of one camera follow each other, each with so many people who walk and are seen four
times; an object is in view for 40 s. Printed: milliseconds a window, in a Postgres of its own, and
seconds for evaluating each rule over all of it.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.fakes.postgres import Installation, running_postgres
from tests.integration.insight.made import NOW_US, T0, VERSION, S, looked, seen, window_at

from kilocam.analyse import BoxAt, ObjectSeen, WindowResult
from kilocam.core import CameraKey
from kilocam.core.rules import Rule, parse_rule
from kilocam.database import Database, Room, Transaction
from kilocam.insight import RuleHits, Windows, make_days

HALL = {"kind": "zone", "polygon": [[0.25, 0.5], [0.75, 0.5], [0.75, 1], [0.25, 1]]}
ALONE: Mapping[str, Mapping[str, Any]] = {
    "hall": HALL,
    "door": {"kind": "line", "line": [[0.5, 1], [0.5, 0]]},
    "stay": {"kind": "loitering", "zone": "hall", "seconds": 5},
    "fast": {"kind": "speed", "image": [[0.2, 0.4], [0.8, 0.4], [1, 1], [0, 1]],
             "ground": [[0, 30], [6, 30], [6, 0], [0, 0]], "above_kmh": 10},
}  # fmt: skip
TOGETHER: Mapping[str, Mapping[str, Any]] = {
    "hall": HALL,
    "many": {"kind": "crowd", "zone": "hall", "count": 3},
    "bag": {"kind": "left_object", "zone": "hall", "seconds": 60},
}
SETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "no rules": {},
    "zone, line, loitering, speed": ALONE,
    "zone, crowd, left object": TOGETHER,
}
LIFE = 20
"""Windows in which an object is seen."""


class Given:
    """Rules out of memory: reading them is one more statement, of some 0.3 ms."""

    def __init__(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        self._rules = [parse_rule(name, each, 1) for name, each in definitions.items()]

    async def of(self, _: Transaction, _tenant: str, _camera: str) -> Sequence[Rule]:
        return self._rules


def windows(key: CameraKey, count: int, objects: int) -> list[WindowResult]:
    places = random.Random(1)

    def walker(number: int, ordinal: int) -> ObjectSeen:
        there = seen(number // LIFE * LIFE, number, ordinal=ordinal, key=key)
        x, start = places.uniform(0, 0.85), window_at(number).start_us
        boxes = tuple(
            BoxAt(at_us=start + n * S // 2, box=(x + n / 100, 0.4, 0.1, 0.4), score=0.8)
            for n in range(4)
        )
        return replace(there, boxes=boxes)

    return [looked(n, *(walker(n, o) for o in range(objects)), key=key) for n in range(count)]


async def write(database: Database, results: Sequence[WindowResult], given: Given) -> list[float]:
    sink, took = Windows(database, VERSION, rules_of=given.of), []
    for result in results:
        begun = time.perf_counter()
        await sink.write(result)
        took.append((time.perf_counter() - begun) * 1e3)
    return sorted(took)


async def measure(count: int, objects: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    async with running_postgres() as server:
        installation = Installation(server, (Room("fleet"), Room("insight")))
        await installation.prepare()
        async with installation.database() as database, installation.control() as control:
            await make_days(control, NOW_US)
            for number, (name, definitions) in enumerate(SETS.items()):
                key, given = CameraKey("default", f"cam-{number}"), Given(definitions)
                took = await write(database, windows(key, count, objects), given)
                row = {
                    "median_ms": statistics.median(took),
                    "p95_ms": took[len(took) * 95 // 100],
                }
                hits = RuleHits(database, given.of)
                for rule in definitions:
                    begun = time.perf_counter()
                    await hits.evaluate(
                        "default", key.camera, rule, from_us=T0, to_us=T0 + count * 2 * S
                    )
                    row[f"evaluate_{rule}_s"] = time.perf_counter() - begun
                found[name] = {what: round(value, 3) for what, value in row.items()}
    return found


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = asyncio.run(measure(given.windows, given.objects))
    if given.json:
        print(json.dumps(found))
        return
    for name, row in found.items():
        print(f"{name}: " + ", ".join(f"{what} {value:g}" for what, value in row.items()))


if __name__ == "__main__":
    main()
