"""A real NATS server that tests can kill, freeze and start again."""

import asyncio
import signal
import subprocess
from pathlib import Path

from kilocam.bus import BusTarget
from kilocam.cli.engines.nats import NatsEngine, find_server


class Server:
    """The embedded server as a process of the test's own."""

    def __init__(self, folder: Path) -> None:
        (folder / "run").mkdir()
        self.engine = NatsEngine(folder / "nats", folder / "run")
        self.log = folder / "nats.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> BusTarget:
        access = self.engine.access
        return BusTarget(url=access.url, user=access.user, password=access.password, ours=True)

    def start(self) -> None:
        command = asyncio.run(self.engine.prepare())
        self.start_with(command.argv)

    def start_with(self, argv: tuple[str, ...]) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def again(self) -> None:
        """As the supervisor does it: the same files, the same port."""
        self.start_with((str(find_server()), "-c", str(self.engine._folder / "nats.conf")))

    def close(self) -> None:
        if self._process is not None:
            self.kill()
