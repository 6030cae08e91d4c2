"""The connection to the server: made, watched, thrown away, made again; nobody else reconnects.

The client library's own reconnection is off. It waits for the old socket to be closed, which with a
frozen server and unsent bytes is never, and it keeps subscriptions of which the server may have
forgotten what they were for. So each connection is a `Session` that ends once and for all, and
whoever works over one starts again on the next, from where it was.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from kilocam.bus.errors import BusConflict, BusError, BusUnavailable

_CONNECT_S = 5
_PREPARE_S = 20.0
_PING_EVERY_S = 2.0
_PONG_WITHIN_S = 4
_RETRY_S = (0.1, 2.0)
_CONFLICT_RETRY_S = 10.0
_CLOSE_S = 1.0
_PENDING_BYTES = 8 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusTarget:
    """Which server.

    Attributes:
        url: `nats://host:port`, several separated by commas; may hold a login.
        ours: The embedded server, whose streams are ours to change.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    ours: bool = False

    @property
    def shown(self) -> str:
        """The address without a login."""
        hosts = [urlsplit(url.strip()).netloc.rpartition("@")[2] for url in self.url.split(",")]
        return "nats://" + ",".join(hosts)


class Session:
    """One connection, from success to failure; `lost` is set when it is over."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lost = asyncio.Event()


class Connection:
    """The one connection of a `Bus`; `keep` runs as long as that lives."""

    def __init__(
        self, target: BusTarget, name: str, prepare: Callable[[Session], Awaitable[None]]
    ) -> None:
        self.target = target
        self.connects = 0
        self._name = name
        self._prepare = prepare
        self._session: Session | None = None
        self._up = asyncio.Event()
        self._problem: BusError = BusUnavailable(f"the bus {target.shown} is not yet connected")

    @property
    def problem(self) -> str:
        """Why there is no connection; empty with one."""
        return "" if self._session else str(self._problem)

    def session(self) -> Session:
        """The connection of now.

        Raises:
            BusUnavailable: there is none.
            BusConflict: there could be one, but a stream is not as it must be.
        """
        if self._session is None:
            raise type(self._problem)(str(self._problem))
        return self._session

    async def wait(self, deadline_s: float | None) -> Session:
        """The connection as soon as there is one; after the deadline as `session`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._up.wait()
        return self.session()

    async def keep(self) -> None:
        """Connect, watch, drop, for ever."""
        failures = 0
        while True:
            try:
                session = await self._open()
            except BusError as error:
                self._note(error)
                failures += 1
                await asyncio.sleep(_pause(error, failures))
                continue
            except Exception as error:
                self._note(
                    BusUnavailable(
                        f"the bus {self.target.shown} gives an answer that is not understood "
                        f"({error!r}); check that bus.url is a NATS server with JetStream"
                    )
                )
                raise
            failures = 0
            await self._live(session)

    async def _live(self, session: Session) -> None:
        self._session = session
        self.connects += 1
        self._up.set()
        _log.info("connected to the bus %s", self.target.shown)
        try:
            await self._until_lost(session)
        finally:
            self._session = None
            self._up.clear()
            session.lost.set()
            await discard(session.client)
        self._note(BusUnavailable(f"the bus {self.target.shown} does not answer"))

    def _note(self, error: BusError) -> None:
        if str(error) != str(self._problem):
            _log.warning("%s", error)
        self._problem = error

    async def _open(self) -> Session:
        client = Client()
        session = Session(client)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._connect(client, session)
            async with asyncio.timeout(_PREPARE_S):
                with unavailable(self.target.shown):
                    await self._prepare(session)
        except BaseException as error:
            session.lost.set()
            await discard(client)
            if isinstance(error, TimeoutError):
                raise BusUnavailable(f"the bus {self.target.shown} does not answer") from None
            raise
        return session

    async def _connect(self, client: Client, session: Session) -> None:
        async def closed() -> None:
            session.lost.set()

        failed: list[Exception] = []

        async def problem(error: Exception) -> None:
            failed.append(error)
            del failed[:-1]

        target = self.target
        try:
            await client.connect(
                [url.strip() for url in target.url.split(",")],
                user=target.user or None,
                password=target.password or None,
                name=f"kilocam {self._name}",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=_CONNECT_S,
                pending_size=_PENDING_BYTES,
                flush_timeout=_PONG_WITHIN_S,
                closed_cb=closed,
                error_cb=problem,
            )
        except (OSError, nats.errors.Error) as error:
            cause = (
                failed[-1] if isinstance(error, nats.errors.NoServersError) and failed else error
            )
            raise BusUnavailable(_explain(target.shown, cause)) from None

    async def _until_lost(self, session: Session) -> None:
        while not session.lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_PING_EVERY_S):
                    await session.lost.wait()
                return
            try:
                with unavailable(self.target.shown):
                    async with asyncio.timeout(_PONG_WITHIN_S + 1):
                        await session.client.flush(_PONG_WITHIN_S)
            except BusUnavailable:
                return


def _explain(server: str, error: Exception) -> str:
    if isinstance(error, nats.errors.AuthorizationError) or "uthorization" in str(error):
        return f"the bus {server} refuses our login; check user and password in bus.url"
    if isinstance(error, ConnectionRefusedError):
        return f"the bus {server} refuses connections; is the server running?"
    if isinstance(error, TimeoutError):
        return f"the bus {server} does not answer"
    return f"the bus {server} cannot be reached: {str(error) or type(error).__name__}"


def _pause(error: BusError, failures: int) -> float:
    if isinstance(error, BusConflict):
        return _CONFLICT_RETRY_S
    first, most = _RETRY_S
    full = min(most, first * 2.0 ** min(failures, 16))
    return full * (0.5 + random.random() / 2)  # noqa: S311 - jitter


async def discard(client: Client) -> None:
    """Drop a connection whatever state its server is in."""
    # close() would first wait for unsent bytes to leave, which a frozen server never takes; there
    # is no public way to abort (nats-py 2.16).
    transport = client._transport
    if isinstance(transport, TcpTransport) and transport._io_writer is not None:
        transport._io_writer.transport.abort()
    with suppress(OSError, nats.errors.Error, TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await client.close()


@contextmanager
def unavailable(server: str) -> Iterator[None]:
    """Around every wait for the client: turns its errors into ours, keeps cancellation alive.

    Its `wait_for` (Python 3.11) and its flushing (nats-py 2.16) swallow a cancellation that comes
    at the wrong moment; the task still knows that it was asked to end.
    """
    try:
        yield
    except nats.js.errors.APIError as error:
        raise BusUnavailable(f"the bus {server} refused: {error.description}") from None
    except (OSError, nats.errors.Error) as error:
        raise BusUnavailable(_explain(server, error)) from None
    finally:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
