"""The asker's side: asyncio for programs, a plain socket for `Archive` in a thread."""

import asyncio
import contextlib
import socket as sockets
import weakref
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import TypeAlias

from kilocam.core import CameraKey, Piece, PieceFlag, Session
from kilocam.ranges import wire
from kilocam.ranges.errors import RangesError, RecorderUnreachableError, RemoteProtocolError
from kilocam.record import FormatError, LiveAnswer, LogStatus
from kilocam.record.format import (
    HEADER_MIN,
    Header,
    Kind,
    leaf_matches,
    piece_of,
    session_of,
    unpack_header,
)

_RECEIVE = 1 << 16
_Connection: TypeAlias = sockets.socket


class RangesClient:
    """Asks one recorder. Each call is a connection of its own; each wait has a deadline."""

    def __init__(self, socket: Path, timeout_s: float = 5.0) -> None:
        self._socket = socket
        self._timeout = timeout_s

    async def range(
        self, key: CameraKey, from_us: int, to_us: int, *, exact: bool = False
    ) -> AsyncGenerator[tuple[Session, Piece], None]:
        """Footage of [from_us, to_us), as `Archive.pieces` gives it.

        Raises:
            RangesError: the recorder cannot be reached, refused, or broke off.
        """
        request = _request("range", key, from_us=from_us, to_us=to_us, exact=exact)
        async with self._ask(request) as (reader, _):
            async for part in self._records(reader, self._timeout):
                yield part

    async def follow(self, key: CameraKey) -> AsyncGenerator[tuple[Session, Piece], None]:
        """Pieces from now on, as they are appended; waits as long as a camera is silent.

        Who reads too slowly is moved to a later key frame, flagged DISCONTINUITY.

        Raises:
            RangesError: the recorder cannot be reached, refused, or ended.
        """
        async with self._ask(_request("follow", key)) as (reader, _):
            async for part in self._records(reader, None):
                yield part

    async def where(self, key: CameraKey, from_us: int, to_us: int) -> LiveAnswer:
        """What the recorder's unsealed files hold of a camera."""
        request = _request("where", key, from_us=from_us, to_us=to_us)
        async with self._ask(request) as (_, values):
            return wire.answer_from_json(values)

    async def status(self) -> LogStatus:
        """The recorder's state."""
        async with self._ask({"op": "status"}) as (_, values):
            return wire.status_from_json(values)

    @contextlib.asynccontextmanager
    async def _ask(
        self, request: wire.Json
    ) -> AsyncIterator[tuple[asyncio.StreamReader, wire.Json]]:
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer = await asyncio.open_unix_connection(
                    self._socket, limit=16 * wire.LINE_LIMIT
                )
        except (OSError, TimeoutError) as error:
            raise self._unreachable(error) from None
        try:
            try:
                async with asyncio.timeout(self._timeout):
                    writer.write(wire.encode_line(request))
                    line = await reader.readline()
            except (OSError, TimeoutError, ValueError) as error:
                raise self._unreachable(error) from None
            yield reader, wire.checked(wire.decode_line(line))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _unreachable(self, error: Exception) -> RecorderUnreachableError:
        reason = str(error) or "no answer in time"
        return RecorderUnreachableError(
            f"recorder at {self._socket}: {reason}; is `kilocam up` running?"
        )

    async def _records(
        self, reader: asyncio.StreamReader, timeout_s: float | None
    ) -> AsyncIterator[tuple[Session, Piece]]:
        session: Session | None = None
        while True:
            try:
                header, payload = await _record(reader, timeout_s, self._timeout)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                raise self._unreachable(error) from None
            except FormatError as error:
                raise RemoteProtocolError(str(error)) from None
            if header.kind == Kind.END:
                return
            if header.kind == Kind.SESSION:
                session = session_of(payload)
            elif header.kind == Kind.PIECE:
                if session is None:
                    raise RemoteProtocolError("a piece came before its session")
                whole = leaf_matches(header, payload)
                extra = PieceFlag.NONE if whole else PieceFlag.DAMAGED | PieceFlag.LOST
                yield session, piece_of(header, payload, extra)


async def _record(
    reader: asyncio.StreamReader, first_s: float | None, rest_s: float
) -> tuple[Header, bytes]:
    async with asyncio.timeout(first_s):
        head = await reader.readexactly(HEADER_MIN)
    async with asyncio.timeout(rest_s):
        length = int.from_bytes(head[6:8], "little")
        head += await reader.readexactly(max(0, length - HEADER_MIN))
        header = unpack_header(head)
        if header.payload_length > wire.PAYLOAD_LIMIT:
            raise FormatError(f"a record of {header.payload_length} bytes is over the limit")
        return header, await reader.readexactly(header.payload_length)


def _request(op: str, key: CameraKey, **values: object) -> wire.Json:
    return {"op": op, "tenant": key.tenant, "camera": key.camera, **values}


class SocketLiveView:
    """`where` over the sockets of this machine's recorders: a `record.LiveView` for `Archive`.

    A recorder that does not answer in time is left out; `Archive` then scans its files itself.
    """

    def __init__(self, sockets: Sequence[Path], timeout_s: float = 2.0) -> None:
        self._sockets = list(sockets)
        self._timeout = timeout_s
        self._kept: dict[Path, list[_Connection]] = defaultdict(list)
        """Connections that nobody asks over now; taking one and putting it back are atomic."""
        weakref.finalize(self, _close_all, self._kept)

    def where(self, key: CameraKey, from_us: int, to_us: int) -> LiveAnswer | None:
        """Entries of all recorders that answer; None when none does."""
        request = wire.encode_line(_request("where", key, from_us=from_us, to_us=to_us))
        answers = []
        for path in self._sockets:
            with contextlib.suppress(OSError, RangesError):
                answers.append(wire.answer_from_json(wire.checked(self._line(path, request))))
        if not answers:
            return None
        return LiveAnswer(files=tuple(file for answer in answers for file in answer.files))

    def _line(self, path: Path, request: bytes) -> wire.Json:
        with contextlib.suppress(IndexError):
            kept = self._kept[path].pop()
            # The recorder may have ended it: it was idle, or that recorder is gone.
            with contextlib.suppress(ConnectionError):
                return self._ask(path, kept, request)
        return self._ask(path, _connect(path, self._timeout), request)

    def _ask(self, path: Path, connection: _Connection, request: bytes) -> wire.Json:
        """One line each way; what did not end well is closed, so no answer comes to another."""
        try:
            connection.sendall(request)
            answer = bytearray()
            while not answer.endswith(b"\n"):
                part = connection.recv(_RECEIVE)
                if not part:
                    raise ConnectionResetError(f"recorder at {path}: it ended the connection")
                answer += part
            values = wire.decode_line(answer)
        except BaseException:
            connection.close()
            raise
        self._kept[path].append(connection)
        return values


def _close_all(kept: dict[Path, list[_Connection]]) -> None:
    for connections in kept.values():
        for connection in connections:
            connection.close()


def _connect(path: Path, timeout_s: float) -> _Connection:
    connection = sockets.socket(sockets.AF_UNIX)
    try:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection
