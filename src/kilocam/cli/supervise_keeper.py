"""Keeps one child alive: starts it, watches it, replaces it when it died or froze, stops it."""

import asyncio
import json
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from kilocam.cli import supervise_exec
from kilocam.cli.supervise_process import Process, explain_status
from kilocam.cli.supervise_pulse import Heartbeats, Pulse, probe_forever
from kilocam.cli.supervise_spare import Spare
from kilocam.cli.supervise_spec import (
    SERVED,
    Backoff,
    ChildSpec,
    ChildState,
    ChildStatus,
    Command,
    EngineChild,
    RoleChild,
)
from kilocam.core import KilocamError, now_us

_TICK_S = 0.5
_STDERR = 2
_KILL_S = 5.0
_OUTPUT_LIMIT = 4 << 20
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Keeper:
    """One child, over all its incarnations."""

    def __init__(
        self, spec: ChildSpec, run_dir: Path, backoff: Backoff, hard: asyncio.Event
    ) -> None:
        self.spec = spec
        self.begun = False
        self._ended = asyncio.Event()
        self._run_dir = run_dir
        self._backoff = backoff
        self._hard = hard
        self._stop = asyncio.Event()
        self._pulse = Pulse()
        self._pid: int | None = None
        self._restarts = 0
        self._failures = 0
        self._reason = ""
        self._froze = False
        self._spare: Spare | None = None
        self._state = ChildState.WAITING
        self._since_us = now_us()

    @property
    def ready(self) -> bool:
        """It runs and says that it serves."""
        return self._state in (ChildState.STARTING, ChildState.RUNNING) and self._pulse.ready

    def status(self) -> ChildStatus:
        """Where it stands."""
        return ChildStatus(
            name=self.spec.name,
            role=self.spec.role,
            state=self._state,
            ready=self.ready,
            pid=self._pid,
            since_us=self._since_us,
            restarts=self._restarts,
            reason=self._reason,
            says=self._pulse.says,
            figures=dict(self._pulse.figures),
        )

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Start it, and keep it until `stop`."""
        self.begun = True
        tasks.create_task(self._run(), name=self.spec.name)

    async def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        self._stop.set()
        if self.begun:
            await self._ended.wait()

    async def _run(self) -> None:
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                reason = await self._one_life()
                if self._stop.is_set():
                    break
                await self._wait_before_next(reason, time.monotonic() - began)
        finally:
            self._drop_spare()
            self._enter(ChildState.STOPPED)
            self._ended.set()

    async def _wait_before_next(self, reason: str, ran_s: float) -> None:
        good = ran_s >= self._backoff.good_run_s
        # A recorder that served and was killed, however often, must be back within a second.
        most = SERVED if self._pulse.served else self._failures + 1
        self._failures = 1 if good else min(self._failures + 1, most)
        delay = self._backoff.delay(self._failures, random.random())  # noqa: S311 - jitter
        self._reason = reason
        self._enter(ChildState.BACKOFF)
        _log.warning("%s %s; starting it again in %.1f s", self.spec.name, reason, delay)
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stop.wait()
        self._restarts += not self._stop.is_set()

    def _enter(self, state: ChildState) -> None:
        if state is not self._state:
            self._state = state
            self._since_us = now_us()

    # One life

    async def _one_life(self) -> str:
        """Start it and stay with it until it is gone; returns why."""
        self._pulse = Pulse()
        self._enter(ChildState.STARTING)
        try:
            match self.spec:
                case RoleChild():
                    return await self._live_role(self.spec)
                case EngineChild():
                    return await self._live_engine(self.spec)
        except (OSError, KilocamError) as error:
            return f"could not be started: {error}"
        except Exception as error:  # noqa: BLE001 - edge of a task: one child's bug stays its own
            _log.exception("keeping %s failed", self.spec.name)
            return f"could not be kept: {error!r}"
        finally:
            self._pid = None

    async def _live_role(self, spec: RoleChild) -> str:
        spare, self._spare = self._spare, None
        if spare is not None and not spare.go():
            spare = None
        if spare is None:
            beats = Heartbeats(self._pulse)
            process = self._start_role(spec, beats)
        else:
            beats, process = spare.beats, spare.process
            beats.pulse = self._pulse
        try:
            reason = await self._stay_with(process, signal.SIGTERM)
        finally:
            beats.close()
        failed = process.exited.done() and process.exited.result() > 0
        return f"{reason}: {self._pulse.says}" if failed and self._pulse.says else reason

    def _start_role(self, spec: RoleChild, beats: Heartbeats, go_fd: int = -1) -> Process:
        """With `go_fd` a spare for one that seems to be frozen."""
        envelope = {
            "name": spec.name,
            "role": spec.role,
            "entry": spec.entry,
            "parent": os.getpid(),
            "beat_fd": beats.child_end,
            "nice": spec.nice,
            "run_dir": str(self._run_dir),
            "froze": self._froze or go_fd >= 0,
            "go_fd": go_fd,
            "config": dict(spec.config),
        }
        # Settings reach a child as our values, in memory: `KILOCAM_...` may hold secrets.
        env = {k: v for k, v in os.environ.items() if not k.startswith("KILOCAM_")}
        stdin = _in_memory(json.dumps(envelope).encode())
        try:
            return Process.start(
                (sys.executable, "-P", "-m", "kilocam.cli.child", spec.name),
                env=env | dict(spec.env),
                stdin=stdin,
                output=_STDERR,
                pass_fds=[fd for fd in (beats.child_end, go_fd) if fd >= 0],
            )
        except BaseException:
            beats.close()
            raise
        finally:
            beats.started()
            os.close(stdin)

    def _keep_spare(self) -> None:
        """Have a successor ready, all but started, while a child seems to be frozen."""
        spec, pulse = self.spec, self._pulse
        seems_frozen = pulse.alive and pulse.silent_s >= spec.limits.silence_s / 2
        if not seems_frozen:
            self._drop_spare()
        elif self._spare is None and isinstance(spec, RoleChild):
            waits, goes = os.pipe2(os.O_CLOEXEC)
            beats = Heartbeats(Pulse())
            try:
                self._spare = Spare(self._start_role(spec, beats, waits), beats, goes)
            except OSError as error:  # the one that is silent may speak again: it must not suffer
                os.close(goes)
                _log.warning("%s: no spare could be started: %s", spec.name, error)
            finally:
                os.close(waits)

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.drop()
            self._spare = None

    async def _live_engine(self, spec: EngineChild) -> str:
        prepared = await self._unless_stopped(spec.prepare(), spec.limits.start_s)
        if prepared is None:
            return "stopped before it was started"
        process = self._start_engine(spec, prepared)
        probing = asyncio.create_task(probe_forever(self._pulse, spec.probe, spec.probe_s))
        try:
            reason = await self._stay_with(process, spec.stop_signal)
        finally:
            probing.cancel()
            await asyncio.wait([probing])
        last = await asyncio.to_thread(_last_line, prepared.output)
        return f"{reason}: {last} (see {prepared.output})" if last else reason

    async def _unless_stopped(self, work: Awaitable[_T], deadline_s: float) -> _T | None:
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait(
                [task, stop], timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not task.done() and not self._stop.is_set():
                raise KilocamError(f"preparing it took over {deadline_s:g} s")
            return task.result() if task.done() else None
        finally:
            task.cancel()
            stop.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    @staticmethod
    def _start_engine(spec: EngineChild, command: Command) -> Process:
        wrapper = (sys.executable, "-I", "-S", supervise_exec.__file__)
        started_by = (str(os.getpid()), str(spec.nice), command.user)
        stdin = os.open(os.devnull, os.O_RDONLY)
        output = _open_output(command.output)
        try:
            return Process.start(
                (*wrapper, *started_by, *command.argv),
                env={k: os.environ[k] for k in _PASSED_ON if k in os.environ} | dict(command.env),
                stdin=stdin,
                output=output,
                cwd=command.cwd,
            )
        finally:
            os.close(stdin)
            os.close(output)

    # Watching

    async def _stay_with(self, process: Process, stop_signal: signal.Signals) -> str:
        self._pid = process.pid
        last = time.monotonic()
        try:
            while True:
                left_s = self.spec.limits.silence_s - self._pulse.silent_s
                await _either(process, self._stop, max(0.01, min(_TICK_S, left_s)))
                if process.exited.done():
                    self._drop_spare()
                    self._froze = False
                    return explain_status(process.exited.result())
                if self._stop.is_set():
                    return await self._bring_down(process, stop_signal)
                now = time.monotonic()
                self._pulse.pass_time(now - last, at_most=2 * _TICK_S)
                last = now
                if self._pulse.alive:
                    self._enter(ChildState.RUNNING)
                if reason := self._too_silent():
                    self._froze = self._pulse.alive
                    return await _put_down(process, reason)
                self._keep_spare()
        finally:
            process.kill()

    def _too_silent(self) -> str:
        if self._pulse.alive:
            limit, what = self.spec.limits.silence_s, "gave no sign of life for"
        else:
            limit, what = self.spec.limits.start_s, "did not come to life within"
        return f"{what} {limit:g} s" if self._pulse.silent_s >= limit else ""

    async def _bring_down(self, process: Process, stop_signal: signal.Signals) -> str:
        self._enter(ChildState.STOPPING)
        process.signal(stop_signal)
        await _either(process, self._hard, self.spec.limits.stop_s)
        if process.exited.done():
            return "stopped"
        late = f"did not stop within {self.spec.limits.stop_s:g} s and was killed"
        self._reason = "killed on a second request to stop" if self._hard.is_set() else late
        _log.warning("%s %s", self.spec.name, self._reason)
        return await _put_down(process, self._reason)


async def _either(process: Process, event: asyncio.Event, timeout_s: float) -> None:
    """Until the process is gone, the event is set or the time is over."""
    waiter = asyncio.ensure_future(event.wait())
    both: list[asyncio.Future[Any]] = [process.exited, waiter]  # Any: their results do not matter
    try:
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()


async def _put_down(process: Process, reason: str) -> str:
    process.kill()
    await asyncio.wait([process.exited], timeout=_KILL_S)
    if process.exited.done():
        return reason
    return f"{reason}; process {process.pid} hangs in the kernel and cannot be killed"


def _in_memory(content: bytes) -> int:
    """A file without a name that holds `content`, rewound; never on a disk, never blocks."""
    fd = os.memfd_create("kilocam-config")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _open_output(path: Path) -> int:
    """Open for appending; what is there is dropped when it has grown too long."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if os.fstat(fd).st_size > _OUTPUT_LIMIT:
        os.ftruncate(fd, 0)
    return fd


def _last_line(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2048))
        lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
    return ""
