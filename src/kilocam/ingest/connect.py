"""From a camera's URL to a socket on which packets flow, or to the reason why not."""

import asyncio
import dataclasses
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kilocam.core import GapCause, Track
from kilocam.ingest.errors import ConnectFailed
from kilocam.ingest.names import Address, Names, system_lookup
from kilocam.rtsp import (
    NEED_DATA,
    Failed,
    FailureReason,
    Handshake,
    LocalProtocolError,
    Playing,
    Redirected,
)

HANDSHAKE_S = 10.0
ADDRESS_S = 2.0
"""What each address of a name gets before the next is tried."""
HANDSHAKE_BYTES = 4 << 20
"""More than any answers and first packets; who sends more until PLAY has no end in mind."""
_READ_BYTES = 16_384
"""A read of nothing but small messages costs 30 ms at most, which all the others wait."""
_CAUSES = {
    FailureReason.UNAUTHORIZED: GapCause.UNAUTHORIZED,
    FailureReason.NOT_FOUND: GapCause.NOT_FOUND,
}


class Dialler(Protocol):
    """Opens connections; tests hand in one of their own."""

    async def dial(self, address: tuple[str, int]) -> socket.socket:
        """A connected, non-blocking TCP socket; raises `OSError`."""
        ...


class TcpDialler:
    """The operating system's TCP.

    Args:
        names: finds the addresses of names.
    """

    def __init__(self, names: Names | None = None) -> None:
        self._names = names or Names()

    async def dial(self, address: tuple[str, int]) -> socket.socket:
        """Try each of the host's addresses in turn; one that does not answer gets 2 s."""
        host, port = address
        try:
            found: Sequence[Address] = system_lookup(host, numeric=True)
        except socket.gaierror:
            found = await self._names.addresses(host)
        failure: OSError | None = None
        for place, (family, (where, _, *more)) in enumerate(found, 1):
            try:
                async with asyncio.timeout(ADDRESS_S if place < len(found) else None):
                    return await _connected(family, (where, port, *more))
            except OSError as error:  # TimeoutError is one
                failure = error
        raise failure or OSError(f"{host} has no address")


async def _connected(family: int, target: tuple[str | int | bytes, ...]) -> socket.socket:
    """A connection to one address.

    `SO_RCVBUF` stays untouched: setting it stops the kernel from growing the buffer, and a
    camera of 16 Mbit/s then gets 6.7 through (docs/design/ingest.md).
    """
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, target)
    except BaseException:
        connection.close()
        raise
    return connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A camera that plays: the socket is the receiver's, the handshake keeps the session alive."""

    connection: socket.socket
    handshake: Handshake
    source: str
    """URL without credentials."""
    sdp: bytes
    tracks: tuple[Track, ...]
    rest: bytes
    """What was read past the answer to PLAY: the first packets."""


def address_of(url: str) -> str:
    """`host:port` of a camera URL, for pacing; the URL itself when it is none."""
    try:
        host, port = Handshake(url, cnonce="").address
    except LocalProtocolError:
        return url
    return f"{host}:{port}"


async def connect(url: str, dialler: Dialler, *, within_s: float = HANDSHAKE_S) -> Connected:
    """Bring a camera to play.

    Raises:
        ConnectFailed: one line that says what went wrong and what to look at.
    """
    try:
        handshake = Handshake(url, cnonce=secrets.token_hex(8))
    except LocalProtocolError as error:
        raise ConnectFailed(GapCause.NOT_CONNECTED, str(error)) from None
    try:
        async with asyncio.timeout(within_s):
            while True:
                connected = await _converse(handshake, dialler)
                if connected is not None:
                    return connected
    except TimeoutError:
        where = "{}:{}".format(*handshake.address)
        if handshake.peer_answered:
            raise ConnectFailed(
                GapCause.TIMED_OUT,
                f"{where} answered, but did not play within {within_s:g} s; does this camera or "
                "channel have a picture?",
                answered=True,
            ) from None
        raise ConnectFailed(
            GapCause.TIMED_OUT,
            f"{where} did not answer within {within_s:g} s; is the camera on, and is a firewall "
            "between?",
            answered=handshake.answered,
        ) from None


async def _converse(handshake: Handshake, dialler: Dialler) -> Connected | None:
    """One connection's worth of the handshake; None when redirected elsewhere."""
    if handshake.tls:
        raise ConnectFailed(
            GapCause.PROTOCOL, f"{handshake.url}: rtsps:// is not supported; use rtsp://"
        )
    connection = await _dial(handshake.address, dialler)
    try:
        connected = await _shake(handshake, connection)
    except OSError as error:
        connection.close()
        raise ConnectFailed(
            GapCause.ENDED, f"{handshake.url}: the connection broke: {error.strerror or error}"
        ) from None
    except BaseException:
        connection.close()
        raise
    if connected is None:
        connection.close()
    return connected


async def _dial(address: tuple[str, int], dialler: Dialler) -> socket.socket:
    host, port = address
    try:
        return await dialler.dial(address)
    except socket.gaierror as error:
        raise ConnectFailed(
            GapCause.NOT_CONNECTED,
            f"host {host!r} is unknown ({error.strerror}); check the name in the URL and the DNS",
        ) from None
    except ConnectionRefusedError:
        raise ConnectFailed(
            GapCause.REFUSED,
            f"{host}:{port} refuses connections; is the camera on, and is this its RTSP port?",
        ) from None
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectFailed(
            GapCause.NOT_CONNECTED, f"{host}:{port} cannot be reached: {error.strerror or error}"
        ) from None


async def _shake(handshake: Handshake, connection: socket.socket) -> Connected | None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, handshake.start())
    left = HANDSHAKE_BYTES
    while left > 0:
        event = handshake.next_event()
        if data := handshake.data_to_send():
            await loop.sock_sendall(connection, data)
        if event is NEED_DATA:
            data = await loop.sock_recv(connection, _READ_BYTES)
            left -= len(data)
            handshake.receive_data(data)
            await asyncio.sleep(0)  # `sock_recv` does not wait for the loop while there is more
        elif isinstance(event, Redirected):
            return None
        elif isinstance(event, Failed):
            cause = _CAUSES.get(event.reason, GapCause.PROTOCOL)
            raise ConnectFailed(cause, event.text)
        elif isinstance(event, Playing):
            return Connected(
                connection=connection,
                handshake=handshake,
                source=handshake.url,
                sdp=event.sdp,
                tracks=tuple(Track(**dataclasses.asdict(setup)) for setup in event.media),
                rest=handshake.rest(),
            )
    raise ConnectFailed(
        GapCause.PROTOCOL,
        f"{handshake.url}: sent {HANDSHAKE_BYTES >> 20} MiB and did not begin to play; "
        "is it a camera?",
    )
