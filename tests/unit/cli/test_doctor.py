"""What `kilocam doctor` says of the port."""

import json
import socket
import time
from pathlib import Path

from kilocam.cli.data import DataDir
from kilocam.cli.doctor import Finding, examine_port


def port_finding(data: Path, port: int) -> Finding:
    return examine_port(f"127.0.0.1:{port}", DataDir(data))


def runs(data: Path, port: int, *, updated_s: float, state: str = "running") -> None:
    (data / "run").mkdir(exist_ok=True)
    (data / "run" / "address").write_text(f"http://127.0.0.1:{port}\n")
    status = {"pid": 4711, "state": state, "updated_us": int(updated_s * 1e6)}
    (data / "run" / "status.json").write_text(json.dumps(status))


def test_a_port_that_kilocam_itself_serves_is_well(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        runs(tmp_path, port, updated_s=time.time())
        found = port_finding(tmp_path, port)
    assert found.ok
    assert found.text == (
        f"127.0.0.1:{port} is served by Kilocam itself, process 4711, from {tmp_path}"
    )


def test_a_port_that_somebody_else_has_is_bad(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        wrong = [
            (port, time.time() - 60, "running"),  # it died
            (port, time.time(), "stopped"),
            (port + 1, time.time(), "running"),  # it serves elsewhere
        ]
        assert not port_finding(tmp_path, port).ok
        for there, updated_s, state in wrong:
            runs(tmp_path, there, updated_s=updated_s, state=state)
            found = port_finding(tmp_path, port)
            assert not found.ok
            assert "Address already in use" in found.text
            assert found.mend == "choose another with --http"


def test_a_free_port_is_well(tmp_path: Path) -> None:
    assert port_finding(tmp_path, 0).text == "127.0.0.1:0 is free"
