"""Writers on a temporary directory, closed whatever the test did."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.pieces import START_US

from kilocam.core import Clock
from kilocam.record import GopSink, LogOptions, LogWriter
from kilocam.record.disk import Disk

OpenLog = Callable[..., LogWriter]


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[OpenLog]:
    """Start a writer on `tmp_path / "log"` (or other paths); recorder `r0` unless named."""
    with contextlib.ExitStack() as stack:

        def start(
            *paths: Path,
            recorder: str = "r0",
            options: LogOptions | None = None,
            gops: GopSink | None = None,
            disk: Disk | None = None,
            clock: Clock | None = None,
        ) -> LogWriter:
            writer = LogWriter(
                paths or (tmp_path / "log",),
                recorder,
                options or LogOptions(reserve=0, gather_us=1000),
                gops=gops,
                disk=disk,
                clock=clock or FakeClock(START_US),
            )
            writer.start()
            stack.callback(writer.close)
            return writer

        yield start
