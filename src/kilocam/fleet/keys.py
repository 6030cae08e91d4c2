"""The installation's keys: one file, mode 600, made at the first start.

`DATA/keys.json`, or `security.key_file`, the same on all machines of an installation:

    {"version": 1, "keys": [{"id": "…", "use": "camera", "secret": "base64 of 32 bytes"}, …]}

The last key of a use makes new things; every key in the file reads what it made before. Losing the
file loses the cameras' credentials and locks the database's logins until control has run again.
"""

import base64
import binascii
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

from kilocam.core import ConfigError

_VERSION = 1
_SECRET_BYTES = 32


class Use(StrEnum):
    """What a key is for; one key never serves two uses."""

    CAMERA = "camera"
    """Seals the cameras' addresses with their credentials."""
    SESSION = "session"
    """Signs sign-ins."""
    CAPABILITY = "capability"
    """Signs addresses of media and requests between machines."""
    DATABASE = "database"
    """The logins of the database and the proofs of tenants come from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key; `id` stands in what it made, so that it is found again."""

    id: str
    use: Use
    secret: bytes = field(repr=False)


class Keyring:
    """The keys of one file."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Reads the file; makes it, or the keys it lacks. Safe in several processes at once.

        Raises:
            ConfigError: it is no key file, others may read it, or it cannot be read or written.
        """
        try:
            with _locked(path):
                keys = _read(path) if path.exists() else []
                missing = [use for use in Use if not any(key.use is use for key in keys)]
                if missing:
                    keys += [_fresh(use) for use in missing]
                    _write(path, keys)
        except OSError as error:
            raise ConfigError(
                f"key file {path}: {error.strerror}; make its directory writable, or name another "
                "with security.key_file"
            ) from None
        return cls(keys)

    def newest(self, use: Use) -> Key:
        """The key that makes new things of this use."""
        return [key for key in self._keys if key.use is use][-1]

    def find(self, use: Use, key_id: str) -> Key | None:
        """The key with this id, if it is there."""
        return next((key for key in self._keys if key.use is use and key.id == key_id), None)


def _fresh(use: Use) -> Key:
    return Key(id=secrets.token_hex(4), use=use, secret=secrets.token_bytes(_SECRET_BYTES))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> list[Key]:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"key file {path} can be read by others: run `chmod 600 {path}`")
    try:
        content = json.loads(path.read_text())
        version, items = content["version"], content["keys"]
        keys = [
            Key(id=i["id"], use=Use(i["use"]), secret=base64.b64decode(i["secret"], validate=True))
            for i in items
        ]
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise ConfigError(
            f"key file {path} is not one of Kilocam: restore it from a backup"
        ) from None
    if version != _VERSION:
        raise ConfigError(
            f"key file {path} has version {version}, this Kilocam knows {_VERSION}: upgrade Kilocam"
        )
    if any(len(key.secret) != _SECRET_BYTES for key in keys):
        raise ConfigError(f"key file {path} holds a key that is not 32 bytes: restore the file")
    return keys


def _write(path: Path, keys: Sequence[Key]) -> None:
    items = [
        {"id": key.id, "use": key.use, "secret": base64.b64encode(key.secret).decode()}
        for key in keys
    ]
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"version": _VERSION, "keys": items}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
