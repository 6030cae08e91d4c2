"""What `kilocam doctor` says of the port and of the models."""

import hashlib
import json
import socket
import time
from pathlib import Path

from kilocam.analyse import Manifest
from kilocam.cli.data import DataDir
from kilocam.cli.doctor import (
    Finding,
    examine_answers,
    examine_cameras,
    examine_llm,
    examine_models,
    examine_port,
)
from kilocam.core.settings import CameraSettings, LlmSettings, Settings


def test_an_address_that_up_would_refuse_is_told() -> None:
    good, bad = (CameraSettings(id="gate", url=f"{scheme}://cam/1") for scheme in ("rtsp", "http"))
    assert examine_cameras(Settings(camera=[good])).ok
    found = examine_cameras(Settings(camera=[bad]))
    assert (found.ok, "camera 'gate': address 'http://cam/1'" in found.text) == (False, True)


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


def test_models_are_shown_with_version_licence_and_what_was_checked_of_them(tmp_path: Path) -> None:
    for name, content in (("eye", b"one"), ("lens", b"another")):
        manifest = Manifest(
            name=name, version="7", file=f"{name}.onnx", licence="MIT", source="here",
            sha256=hashlib.sha256(b"one").hexdigest(), input=(1, 2, 2, 3), classes={0: "person"},
        )  # fmt: skip
        (tmp_path / f"{name}.json").write_text(manifest.to_json())
        (tmp_path / f"{name}.onnx").write_bytes(content)

    eye, lens, detector, canary, likeness = examine_models(tmp_path, "eye", "ear@2", "eye")

    assert (eye.ok, eye.text) == (
        True,
        "eye@7, MIT, files as its manifest says, 1 classes; from here",
    )
    assert not lens.ok
    assert "SHA-256 differs" in lens.text
    assert lens.mend.startswith("if it is the right file write ")
    assert not detector.ok  # its files are as its manifest says, and no network
    assert detector.text.startswith("model eye@7: ONNX Runtime refuses eye.onnx (")
    assert (canary.ok, canary.name) == (False, "canary")
    assert canary.mend.endswith("or name one that is there: eye, lens")
    assert (likeness.ok, likeness.name) == (False, "likeness")
    assert likeness.text.endswith("has the runtime 'ssdlite', not 'embedding'")
    assert likeness.mend == "name another model"


def test_who_describes_is_shown_and_what_others_may_read() -> None:
    off = examine_llm(LlmSettings())
    assert (off.ok, off.text) == (True, "off; llm.base_url turns them on")
    key = "sk-nobody-may-see-this"
    there = LlmSettings(base_url="https://models.example/v1", model="eye-1", api_key=key)
    safe = examine_llm(there)
    assert safe.ok
    assert safe.text == "by eye-1 at models.example, 500 a day for each tenant"
    bare = examine_llm(there.model_copy(update={"base_url": "http://10.0.0.7:8080/v1"}))
    assert not bare.ok
    assert bare.text == "by eye-1 at 10.0.0.7:8080, 500 a day for each tenant, unencrypted"
    assert key not in f"{safe} {bare}"


def test_who_answers_questions_is_shown() -> None:
    there = LlmSettings(base_url="https://models.example/v1", model="m-1")
    assert examine_answers(LlmSettings()).text == "by the built-in planner"
    assert examine_answers(there).text == (
        "by m-1 at models.example, at most 30000 tokens each, held against the built-in planner"
    )
    silent = there.model_copy(update={"tokens_per_question": 0})
    assert examine_answers(silent).text == "by the built-in planner"


def test_a_manifest_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "eye.json").write_text('{"name": "eye", "version": 5}')
    one, named = examine_models(tmp_path, "eye")
    assert (one.ok, named.ok) == (False, False)
    assert "cannot be read (file is missing: add it)" in one.text
    assert one.mend == named.mend == "correct it"
