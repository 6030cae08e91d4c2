"""The key file."""

from pathlib import Path

import pytest

from kilocam.core import ConfigError
from kilocam.fleet import Keyring, Use


def test_a_key_file_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first, second = Keyring.open(path), Keyring.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    for use in Use:
        assert first.newest(use) == second.newest(use)
        assert first.find(use, first.newest(use).id) == first.newest(use)
    assert len({first.newest(use).secret for use in Use}) == len(Use)


def test_no_secret_shows_in_a_keys_text(tmp_path: Path) -> None:
    key = Keyring.open(tmp_path / "keys.json").newest(Use.CAMERA)
    assert repr(key.secret) not in repr(key)


def test_a_file_made_before_a_use_was_known_gets_its_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    camera = Keyring.open(path).newest(Use.CAMERA)
    text = path.read_text().replace('"session"', '"camera"')
    path.write_text(text)
    again = Keyring.open(path)
    assert again.find(Use.CAMERA, camera.id) == camera
    assert again.newest(Use.CAMERA) != camera
    assert again.newest(Use.SESSION)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    Keyring.open(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError) as caught:
        Keyring.open(path)
    assert str(caught.value) == f"key file {path} can be read by others: run `chmod 600 {path}`"


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", "{}", '{"version": 1, "keys": [{"id": "x"}]}', "\x00",
             '{"version": 1, "keys": [{"id": "x", "use": "camera", "secret": "!"}]}',
             '{"version": 1, "keys": [{"id": "x", "use": "other", "secret": "AAAA"}]}'],
)  # fmt: skip
def test_a_file_that_is_no_key_file_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        Keyring.open(path)
    line = f"key file {path} is not one of Kilocam: restore it from a backup"
    assert str(caught.value) == line
    assert path.read_text() == text


def test_a_key_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"version": 2, "keys": []}')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="has version 2, this Kilocam knows 1: upgrade Kilocam"):
        Keyring.open(path)


def test_a_key_of_another_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"version": 1, "keys": [{"id": "x", "use": "camera", "secret": "AAAA"}]}')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds a key that is not 32 bytes"):
        Keyring.open(path)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "keys.json"
    with pytest.raises(ConfigError) as caught:
        Keyring.open(path)
    assert str(caught.value) == (
        f"key file {path}: No such file or directory; make its directory writable, or name "
        "another with security.key_file"
    )
