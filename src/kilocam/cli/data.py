"""The data directory: one place for all state, its layout and its version."""

import errno
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kilocam.core import ConfigError

VERSION = 1
_SOCKET_PATH_MAX = 107  # sun_path of unix(7), less the final zero
_OTHERWISE = "make it writable for this user or choose another with --data"
_MENDS = {
    errno.ENOSPC: "free space there or choose another with --data",
    errno.EDQUOT: "free space there or choose another with --data",
    errno.ENAMETOOLONG: "choose a shorter one with --data",
}


def unusable(root: Path, error: OSError) -> ConfigError:
    """One line for a data directory that the system will not let us use."""
    mend = _MENDS.get(error.errno or 0, _OTHERWISE)
    return ConfigError(f"data directory {root}: {error.strerror}; {mend}")


@cache
def _shortened(directory: Path) -> Path:
    """The same directory by a name of few bytes, good in this process for as long as it lives."""
    return Path(f"/proc/self/fd/{os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)}")


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths below `DATA`; nothing is touched before `open`."""

    root: Path
    """Absolute, for engines run elsewhere than we do."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", self.root.absolute())

    @property
    def run(self) -> Path:
        """Sockets, status and metrics of running processes; worthless after a stop."""
        return self.root / "run"

    @property
    def footage(self) -> Path:
        """Logs, unless `storage.path` says otherwise."""
        return self.root / "footage"

    @property
    def assignments(self) -> Path:
        """What each recorder was last told to record."""
        return self.root / "assignments"

    @property
    def keys(self) -> Path:
        """Signing and encryption keys, unless `security.key_file` says otherwise."""
        return self.root / "keys.json"

    @property
    def admin_token(self) -> Path:
        """The administrator's API token, mode 600."""
        return self.root / "admin-token"

    @property
    def signed_out(self) -> Path:
        """Sign-ins that are over before they expire, mode 600."""
        return self.root / "signed-out.json"

    @property
    def address(self) -> Path:
        """Where the gateway listens, for commands on this machine."""
        return self.run / "address"

    @property
    def nats(self) -> Path:
        """The embedded NATS server's files."""
        return self.root / "nats"

    @property
    def postgres(self) -> Path:
        """The embedded Postgres's files."""
        return self.root / "postgres"

    def ranges(self, recorder: str) -> Path:
        """The Unix socket of one recorder's range server.

        By way of a descriptor where the kernel would not take the path for a socket's: it is too
        long, but the file lies in the same place.
        """
        socket = self.run / f"{recorder}.sock"
        if len(os.fsencode(socket)) <= _SOCKET_PATH_MAX:
            return socket
        return _shortened(self.run) / socket.name

    def board(self, recorder: str) -> Path:
        """What one recorder says of its cameras."""
        return self.run / f"{recorder}.cameras.json"

    def models(self, analyst: str) -> Path:
        """What one analyst says of its models."""
        return self.run / f"{analyst}.models.json"

    def lease(self, analyst: str) -> Path:
        """By which name an analyst leases partitions, for the one that takes its place."""
        return self.run / f"{analyst}.lease"

    def quiet(self, analyst: str) -> Path:
        """What one analyst has learnt of its cameras' packets, for the one that comes after it."""
        return self.root / f"quiet-{analyst}.json"

    def watermark(self, recorder: str) -> Path:
        """Up to where one recorder's windows are announced on the queue."""
        return self.root / f"announced-{recorder}.json"

    def assignment(self, recorder: str) -> Path:
        """The assignment file of one recorder."""
        return self.assignments / f"{recorder}.json"

    def open(self) -> None:
        """Make the directory, or check that this version may use it.

        Raises:
            ConfigError: it cannot be made or written, or a newer Kilocam has used it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            version = self.root / "version"
            if version.exists():
                self._check(version.read_text().strip())
            for folder in (self.run, self.assignments):
                folder.mkdir(mode=0o700, exist_ok=True)
            if not version.exists():
                version.write_text(f"{VERSION}\n")
        except OSError as error:
            raise unusable(self.root, error) from None
        if not os.access(self.root, os.W_OK):
            raise ConfigError(
                f"data directory {self.root} is read-only; "
                "make it writable for this user or choose another with --data"
            )

    def _check(self, found: str) -> None:
        if not found.isdigit():
            raise ConfigError(
                f"data directory {self.root}: its version file says {found!r}, not a number; "
                "is this a Kilocam data directory?"
            )
        if int(found) > VERSION:
            raise ConfigError(
                f"data directory {self.root} has version {found}, this Kilocam knows {VERSION}; "
                "upgrade Kilocam or choose another directory with --data"
            )
