"""Machines that only look, beside a house: `kilocam up --roles analyst`, each with its own data.

They share the house's queue, database, keys and footage as analysts on other machines would, and
have their own supervisors, so that a whole one can freeze and wake up when its partitions are
somebody else's. Only the recorder's socket is lent to them: there is no network between machines.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
from bench.recording import until
from tests.fakes.house import House
from tests.fakes.tree import Tree, family, tell

from kilocam.cli.data import DataDir
from kilocam.cli.installation import RECORDER, Installation
from kilocam.core.settings import load_settings

WITHOUT_ANALYSTS = "recorder,control,api"
"""The roles of the house itself."""
ANALYST = "analyst-0"


class Machine(Tree):
    """One of them; `start` and `kill` it in turn."""

    def __init__(self, it: House, number: int) -> None:
        super().__init__(it.folder / f"machine{number}", it.folder / f"machine{number}.log")
        self.name = f"machine {number}"
        self._config = it.folder / f"machine{number}.toml"
        self._house = it
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """`up`, anew or again; what it finds in its data directory is what it had."""
        self._prepare()
        # What the one before said of itself would be taken for this one's.
        (self.data / "run" / "status.json").unlink(missing_ok=True)
        argv = [sys.executable, "-m", "kilocam", "up", "--roles", "analyst",
                "--config", str(self._config), "--data", str(self.data)]  # fmt: skip
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=log)

    def kill(self, name: str = "") -> int:
        """`kill -9` of one child or, without a name, of all there is: its power is cut."""
        if name:
            return super().kill(name)
        running = self._running
        assert running is not None
        pids = self.all
        tell(pids, signal.SIGKILL)
        running.wait(10)
        until(lambda: not any(map(_lives, pids)), 10, f"the end of {self.name}")
        self._running = None
        return running.pid

    def pid(self, name: str) -> int:
        """The process of a child; 0 while there is none, whatever the status file still says."""
        pid = super().pid(name)
        return pid if pid in self.all else 0

    @property
    def up(self) -> bool:
        """It was started and not killed."""
        return self._running is not None

    @property
    def all(self) -> set[int]:
        """The supervisor and everybody below it."""
        return family(self._running.pid) if self._running is not None else set()

    @property
    def workers(self) -> list[int]:
        """Processes that look, read or listen for the analyst."""
        analyst = self.pid(ANALYST)
        return sorted(family(analyst) - {analyst})

    @property
    def pending(self) -> int:
        """Windows that its analyst has and nobody has looked at."""
        return max(0, round(self.figure(ANALYST, "pending")))

    def _prepare(self) -> None:
        house = Installation(DataDir(self._house.data), load_settings(self._house.config))
        nats = json.loads((house.data.run / "nats.json").read_text())
        login = f"{nats['user']}:{nats['password']}"
        settings = {
            "bus": {"url": f"nats://{login}@127.0.0.1:{nats['port']}"},
            "database": {"url": house.database_url},
            "storage": {"path": str(house.footage[0])},
            "security": {"key_file": str(house.key_file)},
        }
        lines = [
            f"[{section}]\n{key} = {json.dumps(value)}\n"
            for section, values in settings.items()
            for key, value in values.items()
        ]
        self._config.touch(mode=0o600)
        self._config.write_text("".join(lines))
        socket = DataDir(self.data).ranges(RECORDER)
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not socket.is_symlink():
            socket.symlink_to(house.data.ranges(RECORDER))


@contextmanager
def machines(it: House, count: int) -> Iterator[list[Machine]]:
    """So many, started; gone afterwards, whatever happens."""
    with ExitStack() as stack:
        found = [Machine(it, number) for number in range(count)]
        for each in found:
            stack.callback(_end, each)
            each.start()
        yield found


def _end(machine: Machine) -> None:
    if machine.up:
        machine.kill()


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
