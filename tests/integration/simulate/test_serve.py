"""The simulator as a process of its own, as `kilocam simulate` runs it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kilocam.media import PatternSpec, pattern_media
from kilocam.simulate import Ledger, SimulateError, simulate

PROGRAM = """
import sys
from pathlib import Path
from kilocam.simulate import simulate

def announce(simulator):
    print(simulator.port, flush=True)

folder = Path(sys.argv[1])
simulate(
    [folder / "street.mp4"], cameras=2, user="operator", ledger=folder / "ledger.jsonl",
    control=folder / "control", announce=announce,
)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    spec = PatternSpec(width=160, height=96, seconds=4, bitrate_kbps=100, key_interval_s=0.5)
    pattern_media(spec, cache=tmp_path / "cache")
    next((tmp_path / "cache").iterdir()).rename(tmp_path / "street.mp4")
    return tmp_path


def order(path: Path, text: str) -> object:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(text.encode() + b"\n")
        return json.loads(sock.makefile().readline())


def test_it_plays_until_a_signal_and_leaves_its_ledger(folder: Path) -> None:
    environment = os.environ | {"KILOCAM_SIMULATE_PASSWORD": "secret"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        url = f"rtsp://operator:secret@127.0.0.1:{port}/cam/1"
        command = ["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-t", "1"]
        player = subprocess.run(
            [*command, "-f", "null", "-"], capture_output=True, timeout=60, check=False
        )
        assert (player.returncode, player.stderr) == (0, b"")
        assert order(folder / "control", '{"do": "save"}') == {"ok": True}
        assert (folder / "ledger.jsonl").exists()
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=30)
        assert (process.returncode, out, errors) == (0, "", "")
    ledger = Ledger.load(folder / "ledger.jsonl")
    (record,) = ledger.connections(1)
    assert record.closed_us
    assert len(list(ledger.expected_packets(1, 0))) > 10
    assert "secret" not in (folder / "ledger.jsonl").read_text()
    assert not (folder / "control").exists()


@pytest.mark.parametrize(("user", "password"), [("operator", None), (None, "secret")])
def test_half_of_the_credentials_is_refused(
    user: str | None, password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KILOCAM_SIMULATE_PASSWORD", raising=False)
    with pytest.raises(SimulateError, match="credentials need a user and a password; give --"):
        simulate([], user=user, password=password)
