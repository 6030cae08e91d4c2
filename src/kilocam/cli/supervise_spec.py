"""What the supervisor is told of a child, and what it tells of it."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a child may take, in seconds.

    Attributes:
        start_s: From its start to its first sign of life; importing models takes its time.
        silence_s: Between two signs of life; after that it counts as frozen.
        stop_s: From being asked to stop until it is killed.
        boot_wait_s: How long the next stage's boot waits for this child to be ready. Recorders
            need nobody and nobody needs to wait for them: 0.
    """

    start_s: float = 60.0
    silence_s: float = 10.0
    stop_s: float = 10.0
    boot_wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChild:
    """One process of ours.

    Attributes:
        name: Unique in the tree: `recorder-0`.
        role: `recorder`, `analyst`, `api`, `control`.
        entry: `package.module:function`, an `async def function(child: Child) -> None`.
        config: JSON values, handed over in memory; the place for secrets.
        env: Added to the environment; never secrets.
        nice: Added to its niceness, so that analysis yields to recording.
    """

    name: str
    role: str
    entry: str
    config: Mapping[str, object] = field(default_factory=dict, repr=False)
    env: Mapping[str, str] = field(default_factory=dict)
    nice: int = 0
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program that is not ours.

    Attributes:
        argv: Absolute path and arguments; visible to everybody on the machine, so no secrets.
        user: The user it runs as, where we may choose; empty: ours.
        env: Its whole environment beside PATH, LANG and TZ.
        cwd: Its working directory.
        output: File that takes its standard output and error.
    """

    argv: tuple[str, ...]
    output: Path
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChild:
    """A server that is not ours and sends no heartbeats.

    Attributes:
        name: Unique in the tree: `nats`.
        role: What it is in the status: `nats`, `postgres`.
        prepare: Makes its files and says how to run it; awaited before every start, may raise
            `KilocamError` or `OSError`: that is a failed start like any other.
        probe: Is it well? True: it serves. False: alive but not yet serving (recovering). Raises
            when it does not answer. It has `probe_s` to say so.
        stop_signal: Asks it to stop cleanly.
    """

    name: str
    role: str
    prepare: Callable[[], Awaitable[Command]]
    probe: Callable[[], Awaitable[bool]]
    probe_s: float = 3.0
    stop_signal: signal.Signals = signal.SIGTERM
    nice: int = 0
    limits: Limits = Limits(boot_wait_s=10.0)


ChildSpec = RoleChild | EngineChild


SERVED = 2
"""Failures in a row that count of a child that had come to serve: the next wait is the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """When to start a child again: at once after a good run, soon if it served, else ever later.

    The n-th wait is `first_s` x 2^(n-1), at most `most_s`, of which a random part between half and
    all is taken, so that many children do not return in step.
    """

    first_s: float = 0.5
    most_s: float = 30.0
    good_run_s: float = 60.0

    def delay(self, failures: int, random: float) -> float:
        """Seconds to wait after so many failures in a row (1: the first); `random` in [0, 1)."""
        if failures <= 1:
            return 0.0
        full = min(self.most_s, self.first_s * 2.0 ** min(failures - 2, 32))
        return full * (0.5 + random / 2)


class ChildState(StrEnum):
    """Where a child is in its life; shown as it stands."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStatus:
    """One child as status.json and the log show it."""

    name: str
    role: str
    state: ChildState
    ready: bool
    pid: int | None
    since_us: int
    """When it came into this state, or started."""
    restarts: int
    reason: str
    """Why it was last replaced; empty if never."""
    says: str
    """What the child itself last said of its state."""
    figures: Mapping[str, float]
