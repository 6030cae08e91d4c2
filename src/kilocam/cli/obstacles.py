"""What a start would fail of for ever, found before anything is started: one line each.

Only where there is no footage yet: else recording must go on whatever the engines meet, which are
tried again. Nor does a full disk last then, as the recorder deletes the oldest.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

from kilocam.cli.installation import Installation
from kilocam.core import ConfigError
from kilocam.record import list_names

ENGINE_USERS = frozenset(("control", "analyst", "api", "streams"))
"""Roles that need queue and database; a recorder alone needs neither."""
_NEW_MB = 200
"""The database's files and its first journal."""
_USED_MB = 16


def check_start(installation: Installation, roles: Collection[str]) -> None:
    """Refuse a start that cannot come to anything; the data directory is there already.

    Raises:
        ConfigError: the disk is full, or the database's user cannot reach its files.
    """
    embedded = bool(ENGINE_USERS & set(roles)) and not installation.settings.database.url
    new = embedded and not (installation.data.postgres / "cluster").exists()
    needed_mb = _NEW_MB if new else _USED_MB
    free_mb = shutil.disk_usage(installation.data.root).free // 1_000_000
    disk = installation.data.root.stat().st_dev
    if free_mb < needed_mb and not ("recorder" in roles and _has_footage(installation, disk)):
        raise ConfigError(
            f"data directory {installation.data.root}: {free_mb} MB are free on its disk, a start "
            f"needs {needed_mb} MB; free space there or choose another with --data"
        )
    recorded = "recorder" in roles and _has_footage(installation)
    if embedded and not recorded and installation.postgres is not None:
        installation.postgres.check_place()


def _has_footage(installation: Installation, disk: int | None = None) -> bool:
    """Whether there is footage, on this disk if one is named, that retention may delete."""
    return any(_has_sealed(path, disk) for path in installation.footage)


def _has_sealed(path: Path, disk: int | None) -> bool:
    try:
        there = disk is None or path.stat().st_dev == disk
        return there and any(name.sealed for name in list_names(path))
    except OSError:
        return False  # what is wrong with a path of the log is its own line, soon
