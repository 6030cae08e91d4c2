"""The processes of one `kilocam up`, which can be killed and frozen one by one or all at once."""

import json
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.recording import until


class Tree:
    """A data directory, the supervisor that has it, and that one's children.

    Args:
        data: the directory.
        log: what `up` and its children write to standard error.
    """

    def __init__(self, data: Path, log: Path) -> None:
        self.data = data
        self.log = log

    # -- processes --------------------------------------------------------------------------

    def child(self, name: str) -> dict[str, Any]:
        """What the supervisor says of a child; empty before it does."""
        with suppress(OSError, ValueError, KeyError):
            status = json.loads((self.data / "run" / "status.json").read_text())
            return next((c for c in status["children"] if c["name"] == name), {})
        return {}

    def children(self) -> list[str]:
        """Names of all children, in the order of boot."""
        with suppress(OSError, ValueError, KeyError):
            status = json.loads((self.data / "run" / "status.json").read_text())
            return [child["name"] for child in status["children"]]
        return []

    def pid(self, name: str) -> int:
        """The process of a child; 0 while there is none."""
        return int(self.child(name).get("pid") or 0)

    def figure(self, name: str, figure: str) -> float:
        """One of a child's own figures; -1 before it has said it."""
        return float(self.child(name).get("figures", {}).get(figure, -1))

    def kill(self, name: str) -> int:
        """`kill -9`; the process it was."""
        pid = until(lambda: self.pid(name), 60, f"a process of {name}")
        tell([pid], signal.SIGKILL)
        return pid

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """SIGSTOP for the whole block: every successor and all its descendants, too."""
        over = threading.Event()
        stopped: set[int] = set()

        def hold() -> None:
            while not over.is_set():
                fresh = family(self.pid(name)) - stopped
                tell(fresh, signal.SIGSTOP)
                stopped.update(fresh)
                over.wait(0.2)

        holding = threading.Thread(target=hold)
        holding.start()
        try:
            yield
        finally:
            over.set()
            holding.join()
            tell(stopped, signal.SIGCONT)

    # -- waits ----------------------------------------------------------------------------------

    def wait_ready(self, *names: str, seconds: float = 120) -> None:
        """Until these children serve; all when none is named."""

        def ready() -> bool:
            wanted = names or self.children()
            return bool(wanted) and all(self.child(name).get("ready") for name in wanted)

        until(ready, seconds, f"{names or 'all'} ready")

    def wait_replaced(self, name: str, before: int, seconds: float = 60) -> None:
        """Until another process does its work, and well."""
        until(lambda: self.pid(name) not in (0, before), seconds, f"a new {name}")
        self.wait_ready(name, seconds=seconds)

    def wait_dead(self, name: str, before: int, seconds: float = 60) -> None:
        """Until that process is gone."""
        until(lambda: not Path(f"/proc/{before}").exists(), seconds, f"the end of {name}")

    def lines(self, text: str) -> list[str]:
        """Lines of `up`'s standard error that hold this text."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if text in line]


def tell(pids: Iterable[int], what: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


def family(pid: int) -> set[int]:
    """A process and all its descendants; nobody's when there is none."""
    if not pid:
        return set()
    found, waiting = set(), [pid]
    while waiting:
        one = waiting.pop()
        found.add(one)
        with suppress(OSError, ValueError):
            for thread in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(p) for p in (thread / "children").read_text().split()]
    return found
