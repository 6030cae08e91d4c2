"""A recorder loads nothing it does not need: what it imports is downtime after a crash."""

import subprocess
import sys


def test_a_recorder_loads_neither_gateway_nor_decoder() -> None:
    script = "import sys, kilocam.cli.roles.recorder; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    assert "kilocam.ingest" in loaded
    unneeded = {"fastapi", "av", "numpy", "onnxruntime", "kilocam.api", "kilocam.playback"}
    assert not loaded & unneeded
