"""To Parquet files for analysts: `PATH/tenant=T/date=YYYY-MM-DD/STREAM-PLACE.parquet`.

The date is the UTC day an event starts on. A file is named by the place its batch comes after,
written beside its name, synced and renamed: what can be seen is whole, and a batch that is written
again (the process died before the place moved) replaces its own files. A row is one version of an
event, or that it is withdrawn; the one of an id with the greatest `changed` holds.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pyarrow import parquet

from kilocam.core.settings import StreamSettings
from kilocam.streams.errors import Away
from kilocam.streams.seams import Outgoing

EVERY_S = 60.0
_MOMENT = pa.timestamp("us", tz="UTC")
_STRINGS = pa.list_(pa.string())
COLUMNS = pa.schema([
    pa.field("id", pa.string(), nullable=False),
    pa.field("changed", pa.int64(), nullable=False),
    pa.field("withdrawn", pa.bool_(), nullable=False),
    pa.field("camera", pa.string(), nullable=False),
    pa.field("class", pa.string(), nullable=False),
    pa.field("start_time", _MOMENT, nullable=False),
    pa.field("end_time", _MOMENT, nullable=False),
    pa.field("best_time", _MOMENT, nullable=False),
    pa.field("title", pa.string()),
    pa.field("score", pa.float64()),
    pa.field("box", pa.list_(pa.float64())),
    pa.field("colours", _STRINGS),
    pa.field("zones", _STRINGS),
    pa.field("text", _STRINGS),
    pa.field("description", pa.string()),
    pa.field("described_by", pa.string()),
    pa.field("still", pa.bool_()),
    pa.field("snapshot_url", pa.string()),
    pa.field("clip_url", pa.string()),
])  # fmt: skip
"""The tenant is in the path, where hive partitioning finds it."""


class ParquetReceiver:
    """A directory."""

    most = 10_000

    def __init__(self, stream: StreamSettings) -> None:
        self.rest_s = (stream.every or EVERY_S * 1e6) / 1e6
        self._root = Path(stream.path) / f"tenant={stream.tenant}"
        self._name = stream.name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"parquet-{stream.name}")

    async def __aenter__(self) -> Self:
        """Directories are made with their first file."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """A file under way is finished, and will be replaced."""
        self._thread.shutdown(wait=False)

    async def idle(self) -> None:
        """Nothing has to be kept alive."""

    async def deliver(self, items: Sequence[Outgoing], after: str) -> None:
        """Return once all are in files on the disk."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._write, items, after)
        except OSError as error:
            raise Away(f"{error.filename or self._root}: {error.strerror}") from None

    def _write(self, items: Sequence[Outgoing], after: str) -> None:
        by_day: dict[str, list[Outgoing]] = defaultdict(list)
        for item in items:
            by_day[f"{_day(item.start_us):%Y-%m-%d}"].append(item)
        for day, of_day in by_day.items():
            folder = self._root / f"date={day}"
            folder.mkdir(parents=True, exist_ok=True)
            table = pa.Table.from_pylist([_row(item) for item in of_day], schema=COLUMNS)
            _write_whole(table, folder / f"{self._name}-{after or 'first'}.parquet")


def _write_whole(table: pa.Table, file: Path) -> None:
    """Either the old content, or the new one, whatever happens in between."""
    # A dot in front: who reads *.parquet does not meet it.
    temporary = file.with_name(f".{file.name}.new")
    with temporary.open("wb") as out:
        parquet.write_table(table, out, compression="zstd")
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _day(wall_us: int) -> datetime:
    return datetime.fromtimestamp(wall_us // 1_000_000, UTC)


def _row(item: Outgoing) -> dict[str, Any]:
    """By column; what the body of a withdrawal has not is null. `Any`: column values."""
    return {
        **{name: item.body.get(name) for name in COLUMNS.names},
        "id": item.id,
        "changed": item.changed,
        "withdrawn": item.withdrawn,
        "camera": item.camera,
        "class": item.label,
        "start_time": item.start_us,
        "end_time": item.end_us,
        "best_time": item.best_us,
    }
