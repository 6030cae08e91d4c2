"""The worker processes: started, handed one task at a time, killed and replaced when they fail.

A worker is replaced after a number of tasks, when it has grown too large, when it crashed and when
a task took longer than its deadline (a frozen worker does). One that has done its number works on
until its successor is ready, and one after the other: workers of an age would leave together, and
nothing be done for seconds. A task that a worker failed is tried once more by another; footage that
cannot be decoded is no failure of the worker.
"""

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Self, TypeVar, cast

from kilocam.analyse.comparer import CompareOutcome, CompareTask
from kilocam.analyse.cutter import CutOutcome, CutTask
from kilocam.analyse.embedding import EmbedOutcome, EmbedTask, TextTask
from kilocam.analyse.errors import FootageError, ModelError, WorkerError
from kilocam.analyse.lines import ReadOutcome, ReadTask
from kilocam.analyse.look import LookOutcome, LookTask
from kilocam.analyse.utterances import ListenOutcome, ListenTask
from kilocam.analyse.wire import Broken, Done, Ready, Task, Unreadable, read_answer, write_task

Doing = TypeVar("Doing", bound=Task)
Outcome = TypeVar("Outcome")

_log = logging.getLogger(__name__)

ATTEMPTS = 2
_GONE = (asyncio.IncompleteReadError, ConnectionError, EOFError)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """How many workers, and when one is replaced."""

    workers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    """One a core."""
    start_s: float = 60.0
    """Loading models on a busy machine takes a while."""
    task_s: float = 20.0
    stop_s: float = 2.0
    max_tasks: int = 100_000
    max_rss_bytes: int = 1024**3


@dataclass(slots=True)
class PoolCounts:
    """What happened to workers so far."""

    started: int = 0
    crashed: int = 0
    overdue: int = 0
    recycled: int = 0


def worker_command(models: Path, kind: str = "look", *names: str) -> tuple[str, ...]:
    """How to start a worker that finds its models in a folder; kinds are in `worker.py`."""
    return (sys.executable, "-m", "kilocam.analyse.worker", kind, str(models), *names)


class WorkerPool(Generic[Doing, Outcome]):
    """Runs tasks of one kind in `options.workers` processes; an async context manager."""

    def __init__(self, command: Sequence[str], options: PoolOptions | None = None) -> None:
        self.options = options or PoolOptions()
        self.counts = PoolCounts()
        self._command = tuple(command)
        # A semaphore hands out places in the order asked for; a queue lets whoever returns a
        # worker take it again before those who wait.
        self._places = asyncio.Semaphore(self.options.workers)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._succession: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start one worker, so that a missing model is known at once; the rest start when used."""
        self._idle.append(await self._start())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._succession is not None:
            self._succession.cancel()
            await asyncio.wait([self._succession])
        await asyncio.gather(*(worker.stop(self.options.stop_s) for worker in self._all))
        self._all.clear()

    def renew(self, command: Sequence[str]) -> None:
        """Start workers like this from now on; those there are finish their task and go."""
        self._command = tuple(command)

    async def do(self, task: Doing) -> Outcome:
        """Have a task done, waiting for a worker to be free.

        Raises:
            FootageError: the footage cannot be decoded.
            WorkerError: two workers in turn crashed or took too long over it.
            ModelError: a worker cannot load its models any more.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._attempt(task)
            except WorkerError:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError

    async def _attempt(self, task: Doing) -> Outcome:
        async with self._places:
            worker = await self._next()
            try:
                answer = await worker.exchange(task, self.options.task_s)
            except BaseException as error:
                # Whatever happened, the worker may be in the middle of something: it goes.
                await self._discard(worker, error)
                raise
            too_large = isinstance(answer, Done) and answer.rss_bytes > self.options.max_rss_bytes
            if worker.leaving or too_large:
                await self._retire(worker)
            else:
                self._idle.append(worker)
                self._let_go(worker)
        if isinstance(answer, Unreadable):
            raise FootageError(answer.text)
        # Pool and worker are started for the same kind of task, and of the same version.
        return cast("Outcome", answer.outcome)

    def _let_go(self, worker: "_Worker") -> None:
        """Start a successor of one that has done its number, unless another's is starting."""
        starting = self._succession is not None and not self._succession.done()
        if worker.tasks >= self.options.max_tasks and not starting:
            self._succession = asyncio.create_task(self._succeed(worker))

    async def _succeed(self, worker: "_Worker") -> None:
        try:
            successor = await self._start()
        except (WorkerError, ModelError) as error:
            _log.warning("a worker of analysis stays, as none can take its place: %s", error)
            worker.tasks = 0
            return
        self._idle.insert(0, successor)
        worker.leaving = True
        if worker in self._idle:
            self._idle.remove(worker)
            await self._retire(worker)

    async def _next(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()
            if worker.command == self._command:
                return worker
            await self._retire(worker)
        return await self._start()

    async def _start(self) -> "_Worker":
        command = self._command
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        except OSError as error:
            raise WorkerError(f"a worker cannot be started: {error}") from None
        worker = _Worker(process, command)
        self._all.add(worker)
        self.counts.started += 1
        try:
            await worker.ready(self.options.start_s)
        except BaseException as error:
            await self._discard(worker, error)
            raise
        return worker

    async def _discard(self, worker: "_Worker", error: BaseException) -> None:
        if isinstance(error, _Overdue):
            self.counts.overdue += 1
        elif isinstance(error, WorkerError):
            self.counts.crashed += 1
        self._all.discard(worker)
        await worker.stop(0)

    async def _retire(self, worker: "_Worker") -> None:
        self.counts.recycled += 1
        self._all.discard(worker)
        await worker.stop(self.options.stop_s)


LookPool = WorkerPool[LookTask, LookOutcome]
ReadPool = WorkerPool[ReadTask, ReadOutcome]
ListenPool = WorkerPool[ListenTask, ListenOutcome]
ComparePool = WorkerPool[CompareTask, CompareOutcome]
CutPool = WorkerPool[CutTask, CutOutcome]
EmbedPool = WorkerPool[EmbedTask, EmbedOutcome]
TextPool = WorkerPool[TextTask, EmbedOutcome]


class _Overdue(WorkerError):
    """A worker did not answer in time."""


class _Worker:
    """One process and its two pipes."""

    def __init__(self, process: Process, command: tuple[str, ...]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self.command = command
        self._input, self._answers = process.stdin, process.stdout
        self.tasks = 0
        self.leaving = False
        """Its successor is there."""

    async def ready(self, deadline_s: float) -> None:
        """Wait until it has loaded its models."""
        try:
            async with asyncio.timeout(deadline_s):
                answer = await read_answer(self._answers)
        except TimeoutError:
            raise _Overdue(f"worker {self._process.pid}: not ready in {deadline_s:g} s") from None
        except _GONE:
            raise WorkerError(f"worker {self._process.pid}: died while it started") from None
        match answer:
            case Broken(text=text):
                raise ModelError(text)
            case Ready():
                return
            case _:
                raise WorkerError(f"worker {self._process.pid}: said {answer!r} when it started")

    async def exchange(self, task: Task, deadline_s: float) -> Done[object] | Unreadable:
        """One task, one answer."""
        self.tasks += 1
        try:
            async with asyncio.timeout(deadline_s):
                await write_task(self._input, task)
                answer = await read_answer(self._answers)
        except TimeoutError:
            raise _Overdue(self._of(task, f"no answer in {deadline_s:g} s")) from None
        except ValueError as error:
            raise WorkerError(self._of(task, str(error))) from None
        except _GONE:
            raise WorkerError(self._of(task, "died")) from None
        if isinstance(answer, Broken):
            raise WorkerError(self._of(task, answer.text))
        if not isinstance(answer, Done | Unreadable):
            raise WorkerError(self._of(task, f"answered {answer!r}"))
        return answer

    def _of(self, task: Task, trouble: str) -> str:
        return f"worker {self._process.pid}, {task.what}: {trouble}"

    async def stop(self, grace_s: float) -> None:
        """Close its input, wait a little, kill it; the process is gone when this returns."""
        self._input.close()
        exited = asyncio.create_task(self._process.wait())
        # Not `asyncio.timeout`: in a task that was cancelled, as one is that gives up a look, that
        # of Python before 3.11.4 ends with the cancellation, and nobody would kill.
        await asyncio.wait([exited], timeout=grace_s)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await exited
        with contextlib.suppress(*_GONE):
            await self._input.wait_closed()
