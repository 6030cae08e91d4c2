"""The embedded NATS server under the supervisor."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kilocam.cli.engines.nats import NatsEngine, find_server
from kilocam.cli.supervise_spec import ChildStatus, EngineChild, Limits
from kilocam.cli.supervisor import Supervisor
from kilocam.core import KilocamError

QUICK = Limits(silence_s=2.0, boot_wait_s=10.0)


@pytest.fixture
def engine(tmp_path: Path) -> NatsEngine:
    (tmp_path / "run").mkdir()
    return NatsEngine(tmp_path / "nats", tmp_path / "run")


@asynccontextmanager
async def running(engine: NatsEngine, tmp_path: Path) -> AsyncIterator[Supervisor]:
    child = engine.child()
    spec = EngineChild(
        name=child.name, role=child.role, prepare=child.prepare, probe=child.probe, limits=QUICK
    )
    supervisor = Supervisor([[spec]], tmp_path / "run")
    task = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(60):
            assert await supervisor.wait_ready()
            yield supervisor
    finally:
        supervisor.stop()
        await task


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def status(supervisor: Supervisor) -> ChildStatus:
    return supervisor.status()[0]


@pytest.mark.asyncio
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_dead_or_frozen_server_is_replaced_at_the_same_address(
    engine: NatsEngine, tmp_path: Path, how: signal.Signals
) -> None:
    async with running(engine, tmp_path) as supervisor:
        assert await engine.probe()
        first = status(supervisor).pid
        assert first is not None
        os.kill(first, how)
        await until(lambda: status(supervisor).restarts == 1 and supervisor.ready)
        assert await engine.probe()
        reason = status(supervisor).reason
        assert reason.startswith(
            "killed by SIGKILL" if how is signal.SIGKILL else "gave no sign of life for 2 s"
        )


@pytest.mark.asyncio
async def test_a_path_of_any_letters_is_understood_and_keeps_the_store(tmp_path: Path) -> None:
    strange = tmp_path / 'Überwachung "\u2603" \\u00fc, $HOME'
    (strange / "run").mkdir(parents=True)
    async with running(NatsEngine(strange / "nats", strange / "run"), strange):
        assert (strange / "nats" / "store" / "jetstream").is_dir()


@pytest.mark.asyncio
async def test_files_with_secrets_are_for_their_owner_only_and_arguments_hold_none(
    engine: NatsEngine, tmp_path: Path
) -> None:
    command = await engine.prepare()
    for file in (tmp_path / "run" / "nats.json", tmp_path / "nats" / "nats.conf"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert engine.access.password in file.read_text()
    assert not any(engine.access.password in part for part in command.argv)
    assert not any(engine.access.password in part for part in command.env.values())
    assert engine.access.password not in repr(engine.access)


@pytest.mark.asyncio
async def test_it_syncs_always_and_listens_on_the_loopback_only(
    engine: NatsEngine, tmp_path: Path
) -> None:
    await engine.prepare()
    text = (tmp_path / "nats" / "nats.conf").read_text()
    assert "sync_interval: always" in text
    assert f'listen: "127.0.0.1:{engine.access.port}"' in text
    config = str(tmp_path / "nats" / "nats.conf")
    subprocess.run([str(find_server()), "-c", config, "-t"], check=True, capture_output=True)


def test_port_and_login_stay_from_start_to_start_unless_the_port_is_taken(
    engine: NatsEngine, tmp_path: Path
) -> None:
    again = NatsEngine(tmp_path / "nats", tmp_path / "run")
    assert again.access == engine.access
    with socket.socket() as other:
        other.bind(("127.0.0.1", engine.access.port))
        other.listen()
        moved = NatsEngine(tmp_path / "nats", tmp_path / "run")
    assert moved.access.port != engine.access.port
    assert moved.access.password == engine.access.password


def test_damaged_access_file_is_replaced(engine: NatsEngine, tmp_path: Path) -> None:
    (tmp_path / "run" / "nats.json").write_text("{")
    again = NatsEngine(tmp_path / "nats", tmp_path / "run")
    assert again.access.password != engine.access.password


@pytest.mark.asyncio
async def test_something_else_on_the_port_is_no_nats_server(engine: NatsEngine) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", engine.access.port)
    async with server:
        with pytest.raises(KilocamError, match="is not a NATS server"):
            await engine.probe()
