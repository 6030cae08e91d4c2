"""The user whom an engine runs as: ourselves, or for root one of the machine who has no rights."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kilocam.core import ConfigError

ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """The user who runs the server."""

    name: str
    uid: int
    gid: int
    other: bool
    """Not us: we are root and step down."""

    def run(self, argv: list[str], timeout: float) -> "subprocess.CompletedProcess[str]":
        """Run a program as this user, with no right of ours."""
        return subprocess.run(
            argv,
            user=self.uid if self.other else None,
            group=self.gid if self.other else None,
            extra_groups=() if self.other else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            cwd="/",
            env=ENV,
            umask=0o077,
        )


def account_of(root: Path) -> Account:
    """Ourselves; for root the owner of an existing cluster, else a user that every machine has."""
    if os.geteuid() != 0:
        return Account(name="", uid=os.geteuid(), gid=os.getegid(), other=False)
    cluster = root / "cluster"
    try:
        owner = cluster.stat().st_uid if cluster.exists() else 0
        if owner:
            entry = pwd.getpwuid(owner)
            return Account(name=entry.pw_name, uid=owner, gid=entry.pw_gid, other=True)
    except KeyError:
        raise ConfigError(
            f"database directory {cluster} belongs to user id {owner}, which this machine does not "
            f"know: give it to one it knows, for example `chown -R {_USERS[-1]} {root}`"
        ) from None
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, other=True)
    raise ConfigError(
        f"Postgres refuses to run as root and this machine has no user {' or '.join(_USERS)}: "
        "add one, or start Kilocam as an ordinary user"
    )


def check_enterable(path: Path, account: Account) -> None:
    """The user must be able to enter `path`.

    Raises:
        ConfigError: naming the outermost directory that keeps it out.
    """
    if not account.other or _can_enter(path, account):
        return
    for directory in (*reversed(path.parents), path):
        if not _can_enter(directory, account):
            above = "" if directory == path else f" (above {path})"
            raise ConfigError(
                f"Postgres refuses to run as root and its user {account.name!r} cannot enter "
                f"{directory}{above}: run `chmod o+x {directory}`, choose another place "
                "(--data), or start Kilocam as an ordinary user"
            )


def _can_enter(path: Path, account: Account) -> bool:
    tried = account.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(path)], timeout=10)
    return tried.returncode == 0
