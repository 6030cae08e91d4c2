"""One installation as each role sees it: its data directory, settings, keys and databases.

The supervisor reads settings once and hands them to every child in memory, so all agree and no
secret stands in an argument or the environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kilocam.cli.data import DataDir
from kilocam.cli.engines.postgres import EmbeddedPostgres
from kilocam.core.settings import Settings
from kilocam.database import ADMIN, DatabaseSecrets, Room, Shard
from kilocam.fleet import Keyring, Use

ROOMS = (Room("fleet"), Room("insight"), Room("streams"))
"""Rooms with tables of their own, in the order of their migrations."""
RECORDER = "recorder-0"


@dataclass(frozen=True)
class Installation:
    """Where everything is; nothing is opened before it is asked for."""

    data: DataDir
    settings: Settings

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> "Installation":
        """The inverse of `to_json`, in a child."""
        settings = Settings.model_validate_json(str(config["settings"]))
        return cls(DataDir(Path(str(config["data"]))), settings)

    def to_json(self) -> dict[str, object]:
        """JSON values for `RoleChild.config`; secrets included, for it stays in memory."""
        return {"data": str(self.data.root), "settings": self.settings.model_dump_json()}

    @cached_property
    def keyring(self) -> Keyring:
        """The installation's keys; made when missing."""
        return Keyring.open(self.key_file)

    @property
    def key_file(self) -> Path:
        """Where the keys are."""
        named = self.settings.security.key_file
        return Path(named) if named else self.data.keys

    @property
    def footage(self) -> list[Path]:
        """The directories of the log, in order of preference."""
        paths = self.settings.storage.path
        named = [paths] if isinstance(paths, str) else paths
        return [Path(path) for path in named if path] or [self.data.footage]

    @cached_property
    def database_secrets(self) -> DatabaseSecrets:
        """Logins and proofs of the database."""
        return DatabaseSecrets(self.keyring.newest(Use.DATABASE).secret)

    @cached_property
    def postgres(self) -> EmbeddedPostgres | None:
        """The embedded server; None when `database.url` names another."""
        if self.settings.database.url:
            return None
        return EmbeddedPostgres(self.data.postgres, self.database_secrets.password(ADMIN))

    @property
    def database_url(self) -> str:
        """The home database, with the administrator's login."""
        postgres = self.postgres
        return self.settings.database.url if postgres is None else postgres.url

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The databases of the installation."""
        return (Shard(url=self.database_url),)
