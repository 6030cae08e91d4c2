"""Owns: running a simulator until it is cancelled: ledger file, control socket, event loop."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

import uvloop

from kilocam.rtsp import Credentials
from kilocam.simulate.control import ControlSocket
from kilocam.simulate.errors import SimulateError
from kilocam.simulate.fleet import Group, SimulatedFleet
from kilocam.simulate.server import Simulator

PASSWORD_VARIABLE = "KILOCAM_SIMULATE_PASSWORD"  # noqa: S105 - where it is, not what it is
_SAVE_EVERY_S = 10.0


async def serve(
    fleet: SimulatedFleet,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    credentials: Credentials | None = None,
    cache: Path | None = None,
    ledger: Path | None = None,
    control: Path | None = None,
    announce: Callable[[Simulator], None] = lambda _: None,
) -> None:
    """Play a fleet until cancelled.

    Args:
        fleet: the cameras.
        host: address to listen on.
        port: port to listen on; 0 for any free one.
        credentials: what clients must know.
        cache: folder for transcoded footage, so that the next start is quick.
        ledger: file for the ledger, written every 10 s and at the end.
        control: path of a Unix socket that takes commands (see `control.py`).
        announce: called once, when cameras can be played.

    Raises:
        ConfigError: a file cannot be read.
        SimulateError: it cannot listen, or not simulate at all.
    """
    simulator = Simulator(fleet, host=host, port=port, credentials=credentials, cache=cache)
    try:
        async with simulator, ControlSocket(simulator, control, ledger):
            gc.freeze()  # footage lives as long as we do: no use in walking it again and again
            announce(simulator)
            while True:
                await asyncio.sleep(_SAVE_EVERY_S)
                if ledger is not None:
                    await simulator.save(ledger)
    finally:
        if ledger is not None and simulator.ledger.cameras:
            simulator.ledger.save(ledger)


def simulate(
    files: Sequence[Path],
    *,
    cameras: int | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    user: str | None = None,
    password: str | None = None,
    cache: Path | None = None,
    ledger: Path | None = None,
    control: Path | None = None,
    announce: Callable[[Simulator], None] = lambda _: None,
) -> None:
    """Play files as cameras until SIGINT or SIGTERM; what `kilocam simulate` does.

    Cameras take the files in turn; without files they show the numbered test pattern. By default
    there are as many cameras as files. The password may come from KILOCAM_SIMULATE_PASSWORD, where
    a list of processes does not show it.

    Raises:
        ConfigError: a file cannot be read.
        SimulateError: wrong use, or the port cannot be had.
    """
    fleet = files_fleet(files, max(len(files), 1) if cameras is None else cameras)
    credentials = _credentials(user, password or os.environ.get(PASSWORD_VARIABLE))
    uvloop.run(
        until_signal(
            serve(
                fleet,
                host=host,
                port=port,
                credentials=credentials,
                cache=cache,
                ledger=ledger,
                control=control,
                announce=announce,
            )
        )
    )


def files_fleet(files: Sequence[Path], cameras: int) -> SimulatedFleet:
    """So many cameras, which take the files in turn; without files the test pattern."""
    if not files:
        return SimulatedFleet(groups=[Group(count=cameras)])
    return SimulatedFleet(
        groups=[Group(source=files[index % len(files)]) for index in range(cameras)]
    )


def _credentials(user: str | None, password: str | None) -> Credentials | None:
    if user is None and password is None:
        return None
    if user is None or password is None:
        missing = "--user" if user is None else f"--password (or {PASSWORD_VARIABLE})"
        raise SimulateError(f"simulator: credentials need a user and a password; give {missing}")
    return Credentials(user=user, password=password)


async def until_signal(work: Coroutine[None, None, None]) -> None:
    """Run `work` until it ends or a signal cancels it, which is a normal end."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
