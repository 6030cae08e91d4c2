"""The supervisor with real processes: crash, freeze, deafness, order, and its own sudden death."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from kilocam.cli.supervise_process import descendants
from kilocam.cli.supervise_spec import (
    Backoff,
    ChildSpec,
    ChildState,
    ChildStatus,
    Command,
    EngineChild,
    Limits,
    RoleChild,
)
from kilocam.cli.supervise_state import DataLock
from kilocam.cli.supervisor import Supervisor
from kilocam.core import ConfigError, KilocamError

HERE = Path(__file__).parent
PATIENT = Limits(start_s=60.0, silence_s=30.0, stop_s=30.0)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    (tmp_path / "journal").touch()
    return tmp_path / "journal"


def role(name: str, entry: str, journal: Path, limits: Limits = PATIENT) -> RoleChild:
    return RoleChild(
        name=name,
        role="test",
        entry=f"supervised_roles:{entry}",
        config={"journal": str(journal), "secret": "hunter2hunter2"},
        env={"PYTHONPATH": str(HERE)},
        limits=limits,
    )


def engine(
    name: str, run_dir: Path, *argv: str, healthy: Callable[[], bool], limits: Limits
) -> EngineChild:
    async def prepare() -> Command:
        return Command(argv=argv, output=run_dir / f"{name}.log")

    async def probe() -> bool:
        if not healthy():
            await asyncio.Event().wait()
        return True

    return EngineChild(
        name=name, role=name, prepare=prepare, probe=probe, probe_s=0.2, limits=limits
    )


@asynccontextmanager
async def running(
    run_dir: Path, *stages: list[ChildSpec], backoff: Backoff | None = None
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(stages, run_dir, backoff=backoff)
    task = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(60):
            yield supervisor
    finally:
        supervisor.stop()
        await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come; the test's own deadline says when it did not."""
    while not condition():
        await asyncio.sleep(0.02)


def role_processes() -> list[int]:
    """Those that our supervisor started; other tests' engines may live beside them."""
    found = []
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            if b"kilocam.cli.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def child(supervisor: Supervisor, name: str) -> ChildStatus:
    return next(status for status in supervisor.status() if status.name == name)


def events(journal: Path, what: str) -> list[str]:
    rows = [line.split() for line in journal.read_text().splitlines()]
    return [row[1] for row in rows if row[0] == what]


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


@pytest.mark.asyncio
async def test_a_killed_child_is_replaced_and_the_reason_kept(run_dir: Path, journal: Path) -> None:
    async with running(run_dir, [role("a", "steady", journal)]) as supervisor:
        assert await supervisor.wait_ready()
        first = child(supervisor, "a").pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: child(supervisor, "a").restarts == 1 and supervisor.ready)
        status = child(supervisor, "a")
        assert status.pid is not None
        assert status.pid != first
        assert status.reason == "killed by SIGKILL"
        assert status.says == "working"
        assert status.figures == {"items": 3.0}
        # Of a session of its own it would not yield to the others, however nice it is.
        assert os.getsid(status.pid) == os.getsid(0)
        assert os.getpgid(status.pid) == status.pid
    assert events(journal, "stop") == ["a"]


@pytest.mark.asyncio
async def test_a_child_that_serves_is_back_soon_however_often_it_is_killed(
    run_dir: Path, journal: Path
) -> None:
    # Waits that double each time would take longer than `running` gives.
    backoff = Backoff(first_s=0.02, most_s=3600)
    async with running(run_dir, [role("a", "steady", journal)], backoff=backoff) as supervisor:
        for kills in range(14):
            await until(lambda: child(supervisor, "a").restarts == kills)  # noqa: B023
            assert await supervisor.wait_ready()
            pid = child(supervisor, "a").pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)


@pytest.mark.asyncio
async def test_a_frozen_child_is_killed_and_replaced(run_dir: Path, journal: Path) -> None:
    limits = Limits(silence_s=2.5)
    async with running(run_dir, [role("a", "steady", journal, limits)]) as supervisor:
        assert await supervisor.wait_ready()
        first = child(supervisor, "a").pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await until(lambda: child(supervisor, "a").restarts == 1 and supervisor.ready)
        assert gone(first)
        assert child(supervisor, "a").reason == "gave no sign of life for 2.5 s"


@pytest.mark.asyncio
async def test_the_spare_of_a_child_that_speaks_again_goes(run_dir: Path, journal: Path) -> None:
    limits = Limits(silence_s=12)
    async with running(run_dir, [role("a", "steady", journal, limits)]) as supervisor:
        assert await supervisor.wait_ready()
        first = child(supervisor, "a").pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await until(lambda: len(role_processes()) == 2)
        os.kill(first, signal.SIGCONT)
        await until(lambda: role_processes() == [first])
        assert child(supervisor, "a").restarts == 0


@pytest.mark.asyncio
async def test_a_child_whose_loop_is_blocked_counts_as_frozen(run_dir: Path, journal: Path) -> None:
    limits = Limits(silence_s=2.5)
    async with running(run_dir, [role("a", "blocks_its_loop", journal, limits)]) as supervisor:
        await until(lambda: child(supervisor, "a").restarts == 1)
        assert child(supervisor, "a").reason == "gave no sign of life for 2.5 s"


@pytest.mark.asyncio
async def test_a_child_that_ends_at_once_comes_back_ever_later_with_its_own_words_as_reason(
    run_dir: Path, journal: Path
) -> None:
    backoff = Backoff(first_s=0.05, most_s=0.2)
    children: list[ChildSpec] = [
        role("a", "gives_up", journal),
        role("b", "wrongly_set", journal),
        role("c", "has_a_bug", journal),
    ]
    async with running(run_dir, children, backoff=backoff) as supervisor:
        await until(lambda: all(status.restarts >= 3 for status in supervisor.status()))
        assert child(supervisor, "a").reason == (
            "exited with status 1: disk /mnt/a is not mounted; mount it"
        )
        assert child(supervisor, "b").reason == "exited with status 2: setting x is wrong"
        assert child(supervisor, "c").reason == (
            "exited with status 1: ZeroDivisionError: division by zero"
        )
        assert not supervisor.ready


@pytest.mark.asyncio
async def test_a_deaf_child_is_killed_when_its_time_to_stop_is_over(
    run_dir: Path, journal: Path
) -> None:
    limits = Limits(stop_s=0.5)
    async with running(run_dir, [role("a", "stubborn", journal, limits)]) as supervisor:
        assert await supervisor.wait_ready()
        pid = child(supervisor, "a").pid
        assert pid is not None
    assert gone(pid)
    assert child(supervisor, "a").state is ChildState.STOPPED
    assert child(supervisor, "a").reason == "did not stop within 0.5 s and was killed"


@pytest.mark.asyncio
async def test_a_second_request_to_stop_kills_at_once(run_dir: Path, journal: Path) -> None:
    limits = Limits(stop_s=3600.0)
    async with running(run_dir, [role("a", "stubborn", journal, limits)]) as supervisor:
        assert await supervisor.wait_ready()
        supervisor.stop()
        await until(lambda: child(supervisor, "a").state is ChildState.STOPPING)
    assert child(supervisor, "a").reason == "killed on a second request to stop"


@pytest.mark.asyncio
async def test_stages_start_in_order_when_the_one_before_is_ready_and_stop_in_reverse(
    run_dir: Path, journal: Path
) -> None:
    waits = Limits(boot_wait_s=30.0)
    stages: list[list[ChildSpec]] = [
        [role("a", "steady", journal, waits)],
        [role("b", "steady", journal, waits)],
        [role("c", "steady", journal, waits)],
    ]
    async with running(run_dir, *stages) as supervisor:
        assert await supervisor.wait_ready()
    assert events(journal, "start") == ["a", "b", "c"]
    assert events(journal, "stop") == ["c", "b", "a"]


@pytest.mark.asyncio
async def test_a_dead_engine_holds_up_neither_the_recorder_nor_for_ever_those_after_it(
    run_dir: Path, journal: Path
) -> None:
    broken = engine(
        "nats", run_dir, "/nonexistent", healthy=lambda: False, limits=Limits(boot_wait_s=0.5)
    )
    stages: list[list[ChildSpec]] = [
        [role("recorder", "steady", journal)],
        [broken],
        [role("api", "steady", journal)],
    ]
    async with running(run_dir, *stages) as supervisor:
        await until(lambda: child(supervisor, "api").ready)
        assert child(supervisor, "recorder").ready
        assert not supervisor.ready
        await until(lambda: "No such file or directory" in child(supervisor, "nats").reason)
    assert set(events(journal, "start")) == {"recorder", "api"}


@pytest.mark.asyncio
async def test_a_recorder_is_started_while_the_engine_is_still_being_prepared(
    run_dir: Path, journal: Path
) -> None:
    async def never_prepared() -> Command:
        await asyncio.Event().wait()
        raise AssertionError

    async def probe() -> bool:
        return True

    stuck = EngineChild(name="postgres", role="postgres", prepare=never_prepared, probe=probe)
    async with running(run_dir, [role("recorder", "steady", journal)], [stuck]) as supervisor:
        await until(lambda: child(supervisor, "recorder").ready)
        assert child(supervisor, "postgres").state is ChildState.STARTING


@pytest.mark.asyncio
async def test_a_failed_preparation_is_a_failed_start_with_its_reason(run_dir: Path) -> None:
    async def fails() -> Command:
        raise KilocamError("data directory cannot be entered by user nobody")

    async def probe() -> bool:
        return True

    spec = EngineChild(name="postgres", role="postgres", prepare=fails, probe=probe)
    async with running(run_dir, [spec]) as supervisor:
        await until(lambda: child(supervisor, "postgres").restarts >= 1)
        assert child(supervisor, "postgres").reason == (
            "could not be started: data directory cannot be entered by user nobody"
        )


@pytest.mark.asyncio
async def test_an_engine_that_stops_answering_is_replaced(run_dir: Path) -> None:
    well = True
    limits = Limits(silence_s=1.0)
    spec = engine("sleep", run_dir, "/bin/sleep", "600", healthy=lambda: well, limits=limits)
    async with running(run_dir, [spec]) as supervisor:
        assert await supervisor.wait_ready()
        first = child(supervisor, "sleep").pid
        well = False
        await until(lambda: child(supervisor, "sleep").restarts >= 1)
        well = True
        await until(lambda: supervisor.ready)
        assert child(supervisor, "sleep").pid != first
        assert child(supervisor, "sleep").reason == "gave no sign of life for 1 s"


@pytest.mark.asyncio
async def test_an_engine_s_last_words_are_part_of_the_reason(run_dir: Path) -> None:
    limits = Limits(boot_wait_s=0.0)
    argv = ("/bin/sh", "-c", "echo address already in use >&2; exit 3")
    spec = engine("nats", run_dir, *argv, healthy=lambda: False, limits=limits)
    async with running(run_dir, [spec]) as supervisor:
        await until(lambda: child(supervisor, "nats").restarts >= 1)
        assert child(supervisor, "nats").reason == (
            f"exited with status 3: address already in use (see {run_dir / 'nats.log'})"
        )


@pytest.mark.asyncio
async def test_what_a_child_has_started_dies_with_it_even_in_a_session_of_its_own(
    run_dir: Path, journal: Path
) -> None:
    limits = Limits(silence_s=2.5)
    async with running(run_dir, [role("a", "parent_of_one", journal, limits)]) as supervisor:
        assert await supervisor.wait_ready()
        word = journal.read_text().split()[0]
        worker = int(word.removeprefix("worker-"))
        assert not gone(worker)
        pid = child(supervisor, "a").pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: child(supervisor, "a").restarts == 1)
        assert gone(worker)


@pytest.mark.asyncio
async def test_secrets_reach_a_child_neither_by_arguments_nor_by_environment(
    run_dir: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILOCAM_LLM__API_KEY", "sk-hunter3")
    async with running(run_dir, [role("a", "tells_its_environment", journal)]) as supervisor:
        assert await supervisor.wait_ready()
        lines = journal.read_text().splitlines()
    assert [line for line in lines if "hunter" in line] == ["config=hunter2hunter2"]
    assert any(line.startswith("argv=") for line in lines)


@pytest.mark.asyncio
async def test_status_json_shows_every_child(run_dir: Path, journal: Path) -> None:
    children: list[ChildSpec] = [
        role("a", "steady", journal),
        role("b", "never_ready", journal),
    ]
    file = run_dir / "status.json"
    async with running(run_dir, children) as supervisor:
        await until(lambda: child(supervisor, "a").ready and bool(child(supervisor, "b").says))
        await until(
            lambda: file.exists() and "waiting for the database" in file.read_text(),
        )
        await until(lambda: json.loads(file.read_text())["children"][0]["ready"])
        content = json.loads(file.read_text())
        assert content["version"] == 1
        assert content["pid"] == os.getpid()
        assert content["state"] == "running"
        assert [c["name"] for c in content["children"]] == ["a", "b"]
        assert not content["children"][1]["ready"]
    content = json.loads(file.read_text())
    assert content["state"] == "stopped"
    assert {c["state"] for c in content["children"]} == {"stopped"}


@pytest.mark.asyncio
async def test_a_second_supervisor_of_the_same_data_gets_one_line_naming_the_first(
    run_dir: Path, journal: Path
) -> None:
    async with running(run_dir, [role("a", "steady", journal)]) as supervisor:
        assert await supervisor.wait_ready()
        with pytest.raises(ConfigError) as caught:
            await Supervisor([], run_dir).run()
    assert str(caught.value) == (
        f"data directory {run_dir.parent} is in use by kilocam, process {os.getpid()}; "
        "stop that one or choose another with --data"
    )


@pytest.mark.asyncio
async def test_lock_may_be_held_before_anything_of_the_data_directory_is_touched(
    run_dir: Path, journal: Path
) -> None:
    with DataLock(run_dir) as lock:
        supervisor = Supervisor([[role("a", "steady", journal)]], run_dir, lock=lock)
        running = asyncio.create_task(supervisor.run())
        assert await supervisor.wait_ready()
        supervisor.stop()
        await running
        with pytest.raises(ConfigError, match="is in use by kilocam"), DataLock(run_dir):
            pass
    with DataLock(run_dir):
        pass


def test_data_directory_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught, DataLock(tmp_path / "missing" / "run"):
        pass
    assert str(caught.value) == (
        f"data directory {tmp_path / 'missing'}: No such file or directory; "
        "make it writable for this user or choose another with --data"
    )


# The supervisor as a program of its own


@pytest.fixture
def program(run_dir: Path, journal: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*roles: str) -> subprocess.Popen[str]:
        argv = [sys.executable, str(HERE / "supervisor_program.py"), str(run_dir), str(journal)]
        process = subprocess.Popen([*argv, *roles], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def children_of(run_dir: Path) -> list[int]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        content = json.loads((run_dir / "status.json").read_text())
        pids = [child["pid"] for child in content["children"] if child["pid"]]
        if all(child["ready"] for child in content["children"]):
            return pids
        time.sleep(0.05)
    raise AssertionError("the children were not ready in time")


def wait_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not all(gone(pid) for pid in pids):
        time.sleep(0.02)
    assert [pid for pid in pids if not gone(pid)] == []


def test_no_child_outlives_a_supervisor_that_was_killed(
    program: Callable[..., subprocess.Popen[str]], run_dir: Path
) -> None:
    process = program("steady", "stubborn")
    pids = children_of(run_dir)
    assert len(pids) == 3
    os.kill(pids[1], signal.SIGSTOP)
    process.kill()
    wait_gone(pids)


def test_sigterm_stops_cleanly_and_a_second_ctrl_c_hard(
    program: Callable[..., subprocess.Popen[str]], run_dir: Path, journal: Path
) -> None:
    process = program("steady")
    pids = children_of(run_dir)
    process.terminate()
    assert process.wait(30) == 0
    wait_gone(pids)
    assert events(journal, "stop") == ["steady-0"]

    process = program("stubborn")
    pids = children_of(run_dir)
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 30
    while json.loads((run_dir / "status.json").read_text())["state"] != "stopping":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    wait_gone(pids)
