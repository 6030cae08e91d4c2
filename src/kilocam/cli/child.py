"""The library half of a child of the supervisor: `python -m kilocam.cli.child` runs a role's entry.

A role is `async def main(child: Child) -> None`. It returns soon after `child.stopping` is set,
says how it is by `child.report(...)`, and raises a `KilocamError` when it cannot go on; it will be
started again. What it needs stands in `child.config`.
"""

import asyncio
import gc
import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from kilocam.cli.child_logs import set_up_logging
from kilocam.cli.supervise_exec import die_with_parent
from kilocam.core import ConfigError, KilocamError
from kilocam.core.metrics import Metrics, MetricsPage

_BEAT_S = 1.0
_SAYS_LIMIT = 2000
_COLLECT = (20_000, 20, 20)
"""What waits (pieces for their write, windows for a look) waits in thousands, and is no garbage:
looking for some is wasted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Envelope:
    """What the supervisor hands over on standard input."""

    name: str
    role: str
    entry: str
    parent: int
    beat_fd: int
    nice: int
    run_dir: str
    froze: bool
    go_fd: int
    """A spare waits here until it is needed; -1 for who is needed at once."""
    config: Mapping[str, object] = field(repr=False)


class Child:
    """This process, as its role sees it.

    Attributes:
        name: `recorder-0`.
        config: JSON values given by the supervisor.
        run_dir: `DATA/run`.
        froze: The life before this one was ended because it froze.
        stopping: Set when the role should drain and return.
    """

    def __init__(self, envelope: _Envelope) -> None:
        self.name = envelope.name
        self.role = envelope.role
        self.config = envelope.config
        self.run_dir = Path(envelope.run_dir)
        self.froze = envelope.froze
        self.stopping = asyncio.Event()
        self._beat_fd = envelope.beat_fd
        self._says = "starting"
        self._ready = False
        self._figures: dict[str, float] = {}
        self._page = MetricsPage(process=self.name, role=self.role)
        own = self._page.metrics("process")
        self._lag = own.gauge("loop_lag_seconds", "How late the last heartbeat was.")

    def report(self, state: str, *, ready: bool, **figures: float) -> None:
        """Say how we are, in words for a person; shown in status.json from the next heartbeat on.

        Args:
            state: `recording 12 cameras`, `waiting for the database`.
            ready: We do what we are there for.
            figures: A few numbers worth showing.
        """
        self._says, self._ready, self._figures = state[:_SAYS_LIMIT], ready, figures

    def metrics(self, room: str) -> Metrics:
        """Where a room registers its metrics; shown by the gateway's `GET /metrics`."""
        return self._page.metrics(room)

    def beat(self) -> None:
        """Send one heartbeat now."""
        message = {"state": self._says, "ready": self._ready, "figures": self._figures}
        try:
            os.write(self._beat_fd, json.dumps(message).encode() + b"\n")
        except BlockingIOError:
            pass  # The supervisor is frozen; it forgives silence of a time it did not live itself.
        except BrokenPipeError:
            self.stopping.set()  # It is gone, and we should have died with it.

    async def beat_forever(self) -> None:
        """A heartbeat each second: a loop that does not turn sends none and is replaced."""
        loop = asyncio.get_running_loop()
        writing: asyncio.Task[None] | None = None
        while True:
            self.beat()
            if writing is None or writing.done():  # A disk that hangs must not stop the heart.
                writing = asyncio.create_task(self._write_metrics())
            due = loop.time() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            self._lag.set(loop.time() - due)

    async def _write_metrics(self) -> None:
        try:
            text = self._page.text()
            await asyncio.to_thread(self._page.write, self.run_dir / "metrics", text)
        except Exception as error:  # noqa: BLE001 - edge of a task; metrics must not stop a role
            _log.warning("metrics cannot be written: %r", error)


def keep_collector_away() -> None:
    """What lives now lives as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)


async def serve(child: Child, entry: Callable[[Child], Awaitable[None]]) -> None:
    """Run a role's entry with heartbeats and signals around it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, child.stopping.set)
    beating = asyncio.create_task(child.beat_forever())
    try:
        await entry(child)
        child.report("stopped", ready=False)
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


def run_child(child: Child, entry: Callable[[Child], Awaitable[None]]) -> int:
    """Run to the end; returns the exit status: 0 done, 1 failed, 2 wrong settings."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(child, entry))
    except KilocamError as error:
        _log.error("%s", error)
        child.report(str(error), ready=False)
        return 2 if isinstance(error, ConfigError) else 1
    except Exception as error:  # noqa: BLE001 - edge of the process; it is started again
        _log.exception("%s failed", child.name)
        child.report(f"{type(error).__name__}: {error}", ready=False)
        return 1
    finally:
        child.beat()
    return 0


def _read_envelope() -> _Envelope:
    envelope = _Envelope(**json.loads(sys.stdin.buffer.read()))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return envelope


def main() -> int:
    """Entry of the process."""
    envelope = _read_envelope()
    die_with_parent(envelope.parent)
    os.nice(envelope.nice)
    os.set_inheritable(envelope.beat_fd, False)
    logs = set_up_logging(envelope.name)
    try:
        module, _, function = envelope.entry.partition(":")
        entry = getattr(importlib.import_module(module), function)
        if envelope.go_fd >= 0 and not os.read(envelope.go_fd, 1):
            return 0  # the one we stood by for lives again
        return run_child(Child(envelope), entry)
    finally:
        logs.close()


if __name__ == "__main__":
    # This file runs as `__main__`; roles import it by its name, and there must be one `Child` only.
    from kilocam.cli.child import main as _main

    sys.exit(_main())
