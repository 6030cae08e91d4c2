"""The data directory and the assignment beside the log."""

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from kilocam.cli.assignment import AssignedCamera, read_assignment, write_assignment
from kilocam.cli.data import DataDir, unusable
from kilocam.core import ConfigError
from kilocam.fleet import Keyring, Seal


def test_a_new_directory_gets_a_version_and_private_folders(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    data.open()
    data.open()
    assert (data.root / "version").read_text() == "1\n"
    assert stat.S_IMODE(data.assignments.stat().st_mode) == 0o700


def test_a_relative_path_means_from_here_on_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = DataDir(Path("data"))
    monkeypatch.chdir("/")
    assert data.nats == tmp_path / "data" / "nats"


def test_a_newer_version_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("7\n")
    with pytest.raises(ConfigError, match="has version 7, this Kilocam knows 1; upgrade Kilocam"):
        DataDir(tmp_path).open()
    assert [file.name for file in tmp_path.iterdir()] == ["version"]


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("apple\n")
    with pytest.raises(ConfigError, match="says 'apple', not a number"):
        DataDir(tmp_path).open()


def test_a_file_in_its_place_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(ConfigError, match="File exists; make it writable for this user or choose"):
        DataDir(tmp_path / "data").open()


def test_a_name_that_is_too_long_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        DataDir(tmp_path / ("d" * 300)).open()
    assert str(caught.value).endswith(": File name too long; choose a shorter one with --data")


def test_a_full_disk_is_told_with_what_mends_it(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(unusable(tmp_path, full)) == (
        f"data directory {tmp_path}: No space left on device; "
        "free space there or choose another with --data"
    )


def test_a_socket_lies_in_the_run_directory_however_long_its_path_is(tmp_path: Path) -> None:
    assert DataDir(tmp_path / "d").ranges("recorder-0") == tmp_path / "d" / "run/recorder-0.sock"
    data = DataDir(tmp_path / ("ü" * 100))
    data.open()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(data.ranges("recorder-0")))
        server.listen()
        client.connect(str(DataDir(data.root).ranges("recorder-0")))
    assert (data.run / "recorder-0.sock").is_socket()


def camera(url: str) -> AssignedCamera:
    return AssignedCamera(tenant="default", camera="gate", url=url, keep_us=7)


def test_an_assignment_comes_back_and_shows_no_password(tmp_path: Path) -> None:
    seal = Seal(Keyring.open(tmp_path / "keys.json"))
    file = tmp_path / "recorder-0.json"
    assert read_assignment(file, seal) == []
    write_assignment(file, [camera("rtsp://user:secret@host/stream")], seal)
    assert read_assignment(file, seal) == [camera("rtsp://user:secret@host/stream")]
    assert "secret" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in repr(camera("rtsp://user:secret@host/stream"))


def test_a_damaged_or_newer_assignment_gets_one_line(tmp_path: Path) -> None:
    seal = Seal(Keyring.open(tmp_path / "keys.json"))
    file = tmp_path / "recorder-0.json"
    file.write_text("{")
    with pytest.raises(ConfigError, match=r"recorder-0\.json is damaged .*; remove it"):
        read_assignment(file, seal)
    for foreign in ("[]", "{}", '{"format": 1, "cameras": [{}]}', '{"format": 1, "cameras": 3}'):
        file.write_text(foreign)
        with pytest.raises(ConfigError, match="is damaged"):
            read_assignment(file, seal)
    file.write_text('{"format": 9, "cameras": []}')
    with pytest.raises(ConfigError, match="has format 9, this Kilocam knows 1; upgrade Kilocam"):
        read_assignment(file, seal)
