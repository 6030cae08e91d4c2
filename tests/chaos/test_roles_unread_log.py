"""Whoever stops reading `kilocam up`'s standard error stops nothing."""

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from bench.recording import Recording, stop, until


def _full_pipe() -> tuple[int, int]:
    """A pipe that takes nothing any more."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    os.set_blocking(writer, True)
    return reader, writer


@pytest.mark.timeout(120)
def test_a_recorder_is_replaced_though_nobody_reads_standard_error(tmp_path: Path) -> None:
    reader, writer = _full_pipe()
    argv = [sys.executable, "-m", "kilocam", "up", "--roles", "recorder",
            "--data", str(tmp_path / "data"), "--http", "127.0.0.1:0"]  # fmt: skip
    running = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    recording = Recording(running, tmp_path / "data")
    try:
        until(lambda: recording.figure("cameras") == 0, 60, "a recorder at work")
        for _ in range(2):
            pid = recording.pid
            recording.signal(signal.SIGKILL)
            recording.wait_replaced(pid)
            until(lambda: recording.figure("cameras") == 0, 60, "its successor at work")
    finally:
        # Somebody reads again, so that the last lines get out.
        fcntl.fcntl(reader, fcntl.F_SETFL, os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while os.read(reader, 65536):
                pass
        stop(running)
        os.close(reader)
