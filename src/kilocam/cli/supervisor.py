"""`kilocam up`'s process: starts children in stages, keeps them alive, stops them in reverse.

Stages start one after another and never fail as a whole: the next one starts when every child of
this one is ready or its `boot_wait_s` is over. Recorders are the first stage and wait for nobody.
Within a stage, children start in the order given. See docs/design/supervisor.md.
"""

import asyncio
import logging
import signal
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from kilocam.cli.supervise_keeper import Keeper
from kilocam.cli.supervise_spec import Backoff, ChildSpec, ChildStatus
from kilocam.cli.supervise_state import DataLock, write_status

_STATUS_EVERY_S = 1.0
_POLL_S = 0.05

_log = logging.getLogger(__name__)


class Supervisor:
    """The tree of one machine's processes; `run` it once, in the main thread."""

    def __init__(
        self,
        stages: Sequence[Sequence[ChildSpec]],
        run_dir: Path,
        *,
        backoff: Backoff | None = None,
        lock: DataLock | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            stages: Who is started after whom.
            run_dir: `DATA/run`.
            backoff: When children are started again.
            lock: The data directory's, where the caller holds it already; else `run` takes it.
        """
        self._run_dir = run_dir
        self._lock = lock
        self._hard = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stages = [
            [Keeper(spec, run_dir, backoff or Backoff(), self._hard) for spec in stage]
            for stage in stages
        ]
        self._keepers = [keeper for stage in self._stages for keeper in stage]
        names = [keeper.spec.name for keeper in self._keepers]
        if len(set(names)) != len(names):
            raise ValueError(f"child names must be unique: {names}")

    def status(self) -> list[ChildStatus]:
        """Every child, in the order of boot."""
        return [keeper.status() for keeper in self._keepers]

    @property
    def ready(self) -> bool:
        """Every child runs and serves."""
        return all(keeper.ready for keeper in self._keepers)

    async def wait_ready(self) -> bool:
        """Until every child serves (True) or the supervisor is asked to stop (False)."""
        while not self.ready and not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._stopping.wait()
        return not self._stopping.is_set()

    def stop(self) -> None:
        """Stop cleanly; asked a second time, kill everything."""
        if self._stopping.is_set():
            _log.warning("asked to stop again: killing all children")
            self._hard.set()
        self._stopping.set()

    async def run(self) -> None:
        """Boot, keep alive, and stop on SIGTERM, SIGINT or `stop()`.

        Raises:
            ConfigError: another supervisor has this data directory.
        """
        loop = asyncio.get_running_loop()
        with nullcontext() if self._lock else DataLock(self._run_dir):
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
            try:
                await self._run()
            finally:
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.remove_signal_handler(number)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(self._report())
            booting = tasks.create_task(self._boot(tasks))
            await self._stopping.wait()
            await booting
            for stage in reversed(self._stages):
                await asyncio.gather(*(keeper.stop() for keeper in stage))
            reporting.cancel()
        await asyncio.to_thread(write_status, self._run_dir, "stopped", self.status())

    async def _boot(self, tasks: asyncio.TaskGroup) -> None:
        for stage in self._stages:
            if self._stopping.is_set():
                break
            for keeper in stage:
                keeper.begin(tasks)
            await self._give_time(stage)

    async def _give_time(self, stage: Sequence[Keeper]) -> None:
        """Wait until each child of the stage is ready or has used up its `boot_wait_s`."""
        began = asyncio.get_running_loop().time()
        while not self._stopping.is_set():
            waited = asyncio.get_running_loop().time() - began
            if all(k.ready or waited >= k.spec.limits.boot_wait_s for k in stage):
                return
            await asyncio.sleep(_POLL_S)

    async def _report(self) -> None:
        """Keep status.json fresh; a disk that hangs or is full hurts nobody but its readers."""
        failed = ""
        while True:
            state = "stopping" if self._stopping.is_set() else "running"
            try:
                await asyncio.to_thread(write_status, self._run_dir, state, self.status())
                failed = ""
            except OSError as error:
                if failed != str(error):
                    _log.warning("status.json cannot be written: %s", error)
                failed = str(error)
            await asyncio.sleep(_STATUS_EVERY_S)
