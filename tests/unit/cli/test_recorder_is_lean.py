"""A recorder loads nothing it does not need: what it imports is downtime after a crash."""

import subprocess
import sys


def loaded_by(role: str) -> set[str]:
    script = f"import sys, kilocam.cli.roles.{role}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_a_recorder_loads_neither_gateway_nor_decoder() -> None:
    loaded = loaded_by("recorder")
    assert "kilocam.ingest" in loaded
    unneeded = {"fastapi", "av", "numpy", "onnxruntime", "kilocam.api", "kilocam.playback"}
    assert not loaded & unneeded


def test_a_gateway_loads_the_sdk_of_models_only_for_the_first_of_them() -> None:
    loaded = loaded_by("api")
    assert "kilocam.api.mcp" in loaded
    assert not loaded & {"mcp", "kilocam.api.tools"}
