"""What `kilocam up` checks before it starts anything."""

import socket
from pathlib import Path

import pytest

from kilocam.cli.assignment import AssignedCamera, read_assignment, write_assignment
from kilocam.cli.commands.demo import simulator_child
from kilocam.cli.commands.up import parse_roles
from kilocam.cli.data import DataDir
from kilocam.cli.engines.postgres import EmbeddedPostgres
from kilocam.cli.installation import RECORDER, Installation
from kilocam.cli.supervise_spec import ChildSpec, RoleChild
from kilocam.cli.up import ROLES, Up, check_cameras, free_address, listen_address
from kilocam.core import ConfigError
from kilocam.core.settings import CameraSettings, Settings, StreamSettings
from kilocam.fleet import Seal


def test_addresses_are_understood() -> None:
    assert listen_address("127.0.0.1:8000") == ("127.0.0.1", 8000)
    assert listen_address("[::1]:80") == ("::1", 80)
    for bad in ("8000", "host:", "host:99999", ":8000"):
        with pytest.raises(ConfigError, match="write it as 127"):
            listen_address(bad)


def test_a_port_in_use_gets_one_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            free_address("127.0.0.1", port)
    assert str(caught.value) == (
        f"http address 127.0.0.1:{port}: Address already in use; "
        "stop the program that uses it or choose another with --http"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_gets_one_line(host: str) -> None:
    with pytest.raises(ConfigError, match=rf"^http address {host}:8000: .+; choose an address of"):
        free_address(host, 8000)


def test_a_declared_camera_that_nobody_can_record_is_refused_before_the_start() -> None:
    good = CameraSettings(id="yard", url="rtsp://cam/1")
    check_cameras(Settings(camera=[good]))
    bad = CameraSettings(id="gate", url="http://u:secret@cam/1")
    with pytest.raises(ConfigError) as caught:
        check_cameras(Settings(camera=[good, bad]))
    assert str(caught.value) == (
        "camera 'gate': address 'http://cam/1' is not rtsp://: "
        "write it as rtsp://user:password@host:554/path"
    )


def test_port_zero_is_any_free_one() -> None:
    assert free_address("127.0.0.1", 0)[1] > 0


def test_unknown_roles_are_named() -> None:
    assert parse_roles("recorder, api") == ("recorder", "api")
    with pytest.raises(ConfigError, match="role 'cook' is not one of recorder"):
        parse_roles("recorder,cook")
    with pytest.raises(ConfigError, match="--roles is empty"):
        parse_roles(",")


def declared(folder: Path, *cameras: str) -> list[str]:
    """Cameras of the assignment after a start with these in the configuration file."""
    data = DataDir(folder)
    data.open()
    settings = Settings(camera=[CameraSettings(id=c, url=f"rtsp://host/{c}") for c in cameras])
    installation = Installation(data, settings)
    Up(installation, ("127.0.0.1", 0), ["recorder"], print)._declare()
    found = read_assignment(data.assignment(RECORDER), Seal(installation.keyring))
    return sorted(camera.camera for camera in found)


def test_a_camera_that_is_gone_from_the_file_is_not_recorded_though_control_is_dead(
    tmp_path: Path,
) -> None:
    assert declared(tmp_path, "gate", "yard") == ["gate", "yard"]
    assert declared(tmp_path, "gate") == ["gate"]
    assert declared(tmp_path) == []


def test_cameras_of_the_api_outlive_a_start_without_a_database(tmp_path: Path) -> None:
    declared(tmp_path, "gate")
    data = DataDir(tmp_path)
    seal = Seal(Installation(data, Settings()).keyring)
    own = AssignedCamera(tenant="default", camera="attic", url="rtsp://host/attic", keep_us=7)
    write_assignment(data.assignment(RECORDER), [own], seal)
    assert declared(tmp_path, "gate") == ["attic", "gate"]


def boot(folder: Path, *beside: ChildSpec) -> list[list[str]]:
    return [[child.name for child in stage] for stage in stages(folder, *beside)]


def stages(folder: Path, *beside: ChildSpec) -> list[list[ChildSpec]]:
    data = DataDir(folder)
    data.open()
    up = Up(Installation(data, Settings()), ("127.0.0.1", 0), ROLES, print, beside=beside)
    return up._stages()


def test_whoever_reads_models_knows_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KILOCAM_CACHE", "/elsewhere")
    roles = [each for stage in stages(tmp_path) for each in stage if isinstance(each, RoleChild)]
    knowing = {each.name for each in roles if each.env == {"KILOCAM_CACHE": "/elsewhere"}}
    assert knowing >= {"analyst-0", "api-0"}


def test_recorders_start_before_everything_else(tmp_path: Path) -> None:
    assert boot(tmp_path) == [
        ["recorder-0"], ["nats", "postgres"], ["control-0"], ["analyst-0"], ["api-0"],
    ]  # fmt: skip


def test_streams_have_a_process_only_where_one_is_configured(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.open()
    stream = StreamSettings(name="files", kind="parquet", path="/files")
    up = Up(
        Installation(data, Settings(stream=[stream])),
        ("127.0.0.1", 0),
        ["control", "streams"],
        print,
    )
    assert [c.name for stage in up._stages() for c in stage][-1] == "streams-0"
    alone = Up(Installation(data, Settings(stream=[stream])), ("127.0.0.1", 0), ["control"], print)
    assert "streams-0" not in [c.name for stage in alone._stages() for c in stage]


def test_the_demos_cameras_play_before_anybody_connects(tmp_path: Path) -> None:
    cameras = simulator_child(4, 8554, tmp_path)
    assert cameras.limits.boot_wait_s >= 60
    assert boot(tmp_path, cameras)[:2] == [["simulator", "nats", "postgres"], ["recorder-0"]]


def test_the_tree_is_planned_though_the_database_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilocam.cli.engines.postgres.find_spec", lambda _: None)
    engine = EmbeddedPostgres(tmp_path / "postgres", "password")
    assert engine.child(tmp_path / "log").name == "postgres"
    with pytest.raises(ConfigError, match=r"is not installed: run ./start again, or set database"):
        engine.prepare(tmp_path / "log")
