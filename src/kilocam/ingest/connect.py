"""From a camera's URL to a socket on which packets flow, or to the reason why not."""

import asyncio
import dataclasses
import secrets
import socket
from dataclasses import dataclass
from typing import Protocol

from kilocam.core import GapCause, Track
from kilocam.ingest.errors import ConnectFailed
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
_READ_BYTES = 65536
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
    """The operating system's TCP."""

    async def dial(self, address: tuple[str, int]) -> socket.socket:
        """Try each of the host's addresses in turn.

        `SO_RCVBUF` stays untouched: setting it stops the kernel from growing the buffer, and a
        camera of 16 Mbit/s then gets 6.7 through (docs/design/ingest.md).
        """
        loop = asyncio.get_running_loop()
        try:  # an address needs no lookup, which waits behind those of dead name servers
            found = socket.getaddrinfo(
                *address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except socket.gaierror:
            found = await loop.getaddrinfo(*address, type=socket.SOCK_STREAM)
        failure: OSError | None = None
        for family, kind, protocol, _, target in found:
            connection = socket.socket(family, kind, protocol)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await loop.sock_connect(connection, target)
            except OSError as error:
                connection.close()
                failure = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure or OSError(f"{address[0]} has no address")


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
        raise ConnectFailed(
            GapCause.TIMED_OUT,
            f"{where} did not answer within {within_s:g} s; is the camera on, and is a firewall "
            "between?",
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
    while True:
        event = handshake.next_event()
        if data := handshake.data_to_send():
            await loop.sock_sendall(connection, data)
        if event is NEED_DATA:
            handshake.receive_data(await loop.sock_recv(connection, _READ_BYTES))
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
