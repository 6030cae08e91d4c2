"""Roles that the supervisor's tests start as real child processes."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from kilocam.cli.child import Child
from kilocam.core import ConfigError, KilocamError


def _note(child: Child, what: str) -> None:
    with Path(str(child.config["journal"])).open("a") as journal:
        journal.write(f"{what} {child.name} {os.getpid()}\n")


async def steady(child: Child) -> None:
    """Works until asked to stop."""
    _note(child, "start")
    child.report("working", ready=True, items=3)
    await child.stopping.wait()
    _note(child, "stop")


async def parent_of_one(child: Child) -> None:
    """Has a process of its own that leaves its group and ignores signals, as Postgres's do."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    worker = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    _note(child, f"worker-{worker.pid}")
    child.report("working", ready=True)
    await asyncio.Event().wait()


async def stubborn(child: Child) -> None:
    """Does not stop when asked to."""
    _note(child, "start")
    child.report("working", ready=True)
    await asyncio.Event().wait()


async def gives_up(child: Child) -> None:
    """Ends at once with an error of ours."""
    _note(child, "start")
    raise KilocamError("disk /mnt/a is not mounted; mount it")


async def wrongly_set(child: Child) -> None:
    """Ends at once because of its settings."""
    _note(child, "start")
    raise ConfigError("setting x is wrong")


async def has_a_bug(child: Child) -> None:
    """Ends at once with an error of Python's."""
    _note(child, "start")
    raise ZeroDivisionError("division by zero")


async def blocks_its_loop(child: Child) -> None:
    """Alive by every sign of the system, yet its loop does not turn."""
    _note(child, "start")
    child.report("working", ready=True)
    await asyncio.sleep(0.1)
    os.read(os.pipe()[0], 1)


async def never_ready(child: Child) -> None:
    """Waits for something that does not come."""
    _note(child, "start")
    child.report("waiting for the database", ready=False)
    await child.stopping.wait()
    _note(child, "stop")


async def tells_its_environment(child: Child) -> None:
    """Writes down what it was given."""
    secret = [f"environment={value}" for value in os.environ.values() if "hunter" in value]
    command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode()
    lines = [*secret, f"argv={command}", f"config={child.config['secret']}"]
    Path(str(child.config["journal"])).write_text("".join(f"{line}\n" for line in lines))
    await steady(child)
