"""One operating system process: in its own process group, watched by pidfd, killed with all kin.

Start processes from the main thread only: see `supervise_exec.die_with_parent`.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_KILL_ROUNDS = 5


class Process:
    """A running child; `exited` resolves to its status once it and its process group are gone."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.pid = popen.pid
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: int,
        output: int,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
    ) -> "Process":
        """Start `argv` with `stdin`, and standard output and error going to `output`."""
        popen = subprocess.Popen(
            argv,
            env=dict(env),
            stdin=stdin,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            cwd=cwd,
            # Not a session of its own: Linux shares processors out by sessions (sched_autogroup),
            # and niceness, by which analysis yields to recording, counts within one only.
            process_group=0,
        )
        try:
            return cls(popen)
        except OSError:
            popen.kill()
            popen.wait()
            raise

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone; its own children are its own to tell."""
        if not self.exited.done():
            self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill it and all it has started, frozen or not, in whatever process group."""
        if self.exited.done():
            return
        # Frozen first, so that it starts nobody while its descendants are looked up. They may have
        # left its group: every Postgres backend calls setsid().
        self._popen.send_signal(signal.SIGSTOP)
        for _ in range(_KILL_ROUNDS):
            kin = descendants(self.pid)
            for pid in kin:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not kin:
                break
        self._kill_group()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Not reaped yet: its id, which is its group's, cannot have been given to anybody else.
        self._kill_group()
        status = self._popen.wait()
        if not self.exited.done():
            self.exited.set_result(status)


def descendants(root: int) -> list[int]:
    """Ids of all living processes below `root` (zombies left out)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # "pid (name, which may hold anything) state ppid ...": proc(5)
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    children.setdefault(int(parent), []).append(int(entry.name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def explain_status(status: int) -> str:
    """`exited with status 1` or `killed by SIGKILL`."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
