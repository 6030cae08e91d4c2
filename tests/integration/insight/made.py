"""Windows as analysis tells of them, made for tests."""

import time
from collections.abc import Mapping

from kilocam.analyse import (
    BoxAt,
    ObjectSeen,
    SkippedWindow,
    SkipReason,
    StageCount,
    WindowResult,
    event_id,
)
from kilocam.bus import Position
from kilocam.core import CameraKey, Window

VERSION = "1"
S = 1_000_000
NOW_US = time.time_ns() // 1000
T0 = NOW_US - 600 * S
GATE = CameraKey("default", "gate")


def window_at(number: int, key: CameraKey = GATE) -> Window:
    start = T0 + number * 2 * S
    return Window(tenant=key.tenant, camera=key.camera, start_us=start, end_us=start + 2 * S)


def seen(
    opened_in: int,
    at: int,
    *,
    key: CameraKey = GATE,
    ordinal: int = 0,
    label: str = "person",
    score: float = 0.75,
    colours: tuple[str, ...] = (),
) -> ObjectSeen:
    """What window `at` adds to the event that window `opened_in` opened."""
    start = window_at(at, key).start_us
    return ObjectSeen(
        event_id=event_id(key, window_at(opened_in, key).start_us, ordinal),
        opens=opened_in == at,
        label=label,
        still=False,
        colours=colours,
        boxes=(
            BoxAt(at_us=start, box=(0.1, 0.2, 0.25, 0.5), score=score),
            BoxAt(at_us=start + S, box=(0.5, 0.2, 0.25, 0.5), score=score / 2),
        ),
    )


def looked(
    number: int,
    *objects: ObjectSeen,
    key: CameraKey = GATE,
    stages: Mapping[str, StageCount] | None = None,
) -> WindowResult:
    return WindowResult(
        window=window_at(number, key),
        version=VERSION,
        partition=key.partition,
        position=Position(7, 100 + number),
        looked_us=NOW_US,
        objects=objects,
        changed=(0.0, 0.0, 0.5, 0.5),
        stages=stages or {"detector": StageCount(seen=1, passed=1, cost_us=20_000)},
    )


def skipped(
    number: int, reason: SkipReason = SkipReason.QUIET, key: CameraKey = GATE
) -> SkippedWindow:
    return SkippedWindow(
        window=window_at(number, key),
        version=VERSION,
        partition=key.partition,
        position=Position(7, 100 + number),
        reason=reason,
    )
