"""`kilocam up`: checks what can be checked, starts the processes, says when it is ready."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import closing, suppress
from dataclasses import replace

from kilocam.cli.assignment import AssignedCamera, read_assignment, write_assignment
from kilocam.cli.child_logs import set_up_logging
from kilocam.cli.data import unusable
from kilocam.cli.engines.nats import NatsEngine
from kilocam.cli.installation import RECORDER, Installation
from kilocam.cli.limits import raise_file_limit
from kilocam.cli.obstacles import ENGINE_USERS, check_start
from kilocam.cli.supervise_spec import ChildSpec, Limits, RoleChild
from kilocam.cli.supervise_state import DataLock, write_whole
from kilocam.cli.supervisor import Supervisor
from kilocam.core import ConfigError
from kilocam.core.settings import Settings
from kilocam.database import SYSTEM
from kilocam.fleet import (
    DEFAULT_TENANT,
    Invalid,
    Principal,
    Role,
    Seal,
    Sessions,
    check_address,
)
from kilocam.record import prepare_paths

ROLES = ("recorder", "control", "analyst", "api", "streams")
_FILES_BESIDE_CAMERAS = 200
_ANALYSTS = 2
"""Worker processes that look, where there are so many cores."""
_ANALYST_NICE = 5
_CACHE = "KILOCAM_CACHE"
"""Where models are; children get no other `KILOCAM_*`."""

_HTTP_MENDS = {
    errno.EADDRINUSE: "stop the program that uses it or choose another with --http",
    errno.EACCES: "choose a port from 1024 on with --http",
}

_log = logging.getLogger(__name__)


def listen_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; port 0 means any free one.

    Raises:
        ConfigError: it is not of that form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"http address {text!r} is not valid: write it as 127.0.0.1:8000")
    return host.strip("[]"), int(port)


def free_address(host: str, port: int) -> tuple[str, int]:
    """The address itself, or a free port for port 0.

    Raises:
        ConfigError: the port is in use, or the host is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            mend = _HTTP_MENDS.get(
                error.errno or 0, "choose an address of this machine with --http"
            )
            raise ConfigError(f"http address {host}:{port}: {error.strerror}; {mend}") from None
        return host, probe.getsockname()[1]


class Up:
    """One run of `kilocam up` in the foreground.

    Args:
        installation: what runs.
        address: where the gateway listens.
        roles: which roles run here.
        say: prints one line for the person or program that started us.
        beside: children that have nothing to do with the product, such as simulated cameras; the
            recorder comes after them.
    """

    def __init__(
        self,
        installation: Installation,
        address: tuple[str, int],
        roles: Collection[str],
        say: Callable[[str], None],
        *,
        beside: Sequence[ChildSpec] = (),
    ) -> None:
        self._installation = installation
        self._address = address
        self._roles = roles
        self._say = say
        self._beside = list(beside)

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C.

        Raises:
            ConfigError: something stands in the way; one line that says what and how to mend it.
        """
        installation = self._installation
        installation.data.open()
        raise_file_limit(len(installation.settings.camera) + _FILES_BESIDE_CAMERAS)
        with DataLock(installation.data.run) as lock:
            stages = self._prepare()
            # From a thread and without secrets, as its children: a supervisor that waits for who
            # reads its standard error could not replace a recorder.
            with closing(set_up_logging("up")):
                asyncio.run(self._supervise(stages, lock))

    def _prepare(self) -> list[list[ChildSpec]]:
        """All that is written before the first process is started, and who will be."""
        try:
            check_start(self._installation, self._roles)
            prepare_paths(self._installation.footage)
            self._declare()
            return self._stages()
        except OSError as error:
            raise unusable(self._installation.data.root, error) from error

    async def _supervise(self, stages: list[list[ChildSpec]], lock: DataLock) -> None:
        supervisor = Supervisor(stages, self._installation.data.run, lock=lock)
        announcing = asyncio.create_task(self._announce(supervisor))
        try:
            await supervisor.run()
        finally:
            announcing.cancel()
            with suppress(asyncio.CancelledError):
                await announcing

    async def _announce(self, supervisor: Supervisor) -> None:
        if not await supervisor.wait_ready():
            return
        if "api" not in self._roles:
            self._say("ready")
            return
        host, port = self._address
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{port}"
        file = self._installation.data.address
        try:
            await asyncio.to_thread(write_whole, file, url + "\n")
        except OSError as error:
            _log.warning("%s: %s; commands on this machine need --server", file, error.strerror)
        admin = Principal(tenant=SYSTEM, role=Role.ADMIN, subject="link/administrator")
        link = Sessions(self._installation.keyring).issue_link(admin)
        self._say(f"sign in: {url}/v1/session/link?link={link}")
        self._say(f"ready {url}")

    def _stages(self) -> list[list[ChildSpec]]:
        """The order of boot: recording first, and it waits for nothing that follows."""
        installation = self._installation
        engines: list[ChildSpec] = []
        config = {**installation.to_json(), "nats": self._nats(engines)}
        postgres = installation.postgres
        if postgres is not None and ENGINE_USERS & set(self._roles):
            engines.append(postgres.child(installation.data.run / "postgres.log"))
        host, port = self._address
        recorders: list[ChildSpec] = []
        if "recorder" in self._roles:
            recorders.append(_role(RECORDER, "recorder", config))
        first = [self._beside + engines, recorders] if self._beside else [recorders, engines]
        stages: list[list[ChildSpec]] = [
            *first,
            [_role("control-0", "control", config)] if "control" in self._roles else [],
            [_analyst("analyst-0", config)] if "analyst" in self._roles else [],
            [_role("api-0", "api", {**config, "host": host, "port": port})]
            if "api" in self._roles
            else [],
            # Last: whoever is told of what was seen waits for nothing here, and nobody for it.
            [_streams("streams-0", config)]
            if "streams" in self._roles and installation.settings.stream
            else [],
        ]
        return [stage for stage in stages if stage]

    def _nats(self, engines: list[ChildSpec]) -> dict[str, object] | None:
        """Where the queue is; the embedded one joins the engines.

        None: a recorder that is alone here has nobody to tell; what it records is announced from
        the log once there is a queue.
        """
        url = self._installation.settings.bus.url
        if url:
            return {"url": url, "user": "", "password": "", "ours": False}
        if set(self._roles) == {"recorder"}:
            return None
        data = self._installation.data
        engine = NatsEngine(data.nats, data.run)
        engines.append(engine.child())
        access = engine.access
        return {"url": access.url, "user": access.user, "password": access.password, "ours": True}

    def _declare(self) -> None:
        """Give the recorder the declared cameras at once; control repeats it when it is up."""
        file = self._installation.data.assignment(RECORDER)
        seal = Seal(self._installation.keyring)
        known = read_assignment(file, seal)
        cameras = {camera.key: camera for camera in known if not camera.declared}
        for camera in self._installation.settings.camera:
            assigned = AssignedCamera(
                tenant=camera.tenant or DEFAULT_TENANT,
                camera=camera.id,
                url=camera.url,
                keep_us=camera.keep or self._installation.settings.storage.keep,
                declared=True,
            )
            cameras[assigned.key] = assigned
        if list(cameras.values()) != known:
            write_assignment(file, cameras.values(), seal)


def check_cameras(settings: Settings) -> None:
    """Refuse declared cameras with an address nobody can record from.

    Raises:
        ConfigError: names the camera and what is wrong.
    """
    for camera in settings.camera:
        try:
            for url in filter(None, (camera.url, camera.detect_url)):
                check_address(camera.id, url)
        except Invalid as error:
            raise ConfigError(str(error)) from None


def _role(name: str, role: str, config: dict[str, object]) -> RoleChild:
    boot_wait_s = 0.0 if role == "recorder" else 20.0
    return RoleChild(
        name=name,
        role=role,
        entry=f"kilocam.cli.roles.{role}:main",
        config=config,
        env={_CACHE: os.environ[_CACHE]} if os.environ.get(_CACHE) else {},
        limits=Limits(boot_wait_s=boot_wait_s),
    )


def _analyst(name: str, config: dict[str, object]) -> RoleChild:
    """Looking yields to recording: a lower priority, and workers that go lower still."""
    workers = min(_ANALYSTS, len(os.sched_getaffinity(0)))
    return replace(_role(name, "analyst", {**config, "workers": workers}), nice=_ANALYST_NICE)


def _streams(name: str, config: dict[str, object]) -> RoleChild:
    """A process of its own, as libraries of others run threads in it that may hang."""
    return replace(_role(name, "streams", config), limits=Limits(), nice=_ANALYST_NICE)
