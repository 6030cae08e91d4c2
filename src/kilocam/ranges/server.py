"""The recorder's side: answers on a Unix socket, and never slows the writer.

Owns: the socket, the connections, who follows what. Files are read in threads. So is `where`
answered, in one of its own, if open files hold much of a camera, as they do where there are few;
readers of a slow disk may keep all other threads waiting.
"""

import asyncio
import contextlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from kilocam.core import CameraKey, ConfigError, Piece, Session
from kilocam.ranges import wire
from kilocam.ranges.errors import LocalProtocolError, RangesError
from kilocam.ranges.follower import QUEUE_BYTES, Follower
from kilocam.record import Archive, LiveAnswer, LogStatus
from kilocam.record.format import Kind, pack_piece, pack_record
from kilocam.record.source import Opened

_CONNECTIONS = 256
SHORT = 300
"""Entries of a camera gone through at once, in .1 ms; a thread's turn takes longer."""
_PATH_LIMIT = 107
_REQUEST_S = 5.0
_KEPT_S = 60.0
"""A connection that has asked is kept for so long for more of the same."""
_SEND_S = 30.0
_BATCH = 1 << 20
HINT_S = 4.0
"""A camera that is followed is told so this often; a hint holds for 10 s (`Ingest.watch`)."""
_log = logging.getLogger(__name__)


class Recorder(Protocol):
    """What the server needs of a log's writer."""

    def tap(self, key: CameraKey, callback: Callable[[Session, Piece], None]) -> Session | None:
        """Hand each piece to `callback` too."""
        ...

    def untap(self, key: CameraKey, callback: Callable[[Session, Piece], None]) -> None:
        """End a tap."""
        ...

    def where(self, key: CameraKey, from_us: int, to_us: int) -> LiveAnswer:
        """What the unsealed files hold."""
        ...

    def unsealed(self, key: CameraKey) -> int:
        """How many entries that is at most."""
        ...

    def status(self) -> LogStatus:
        """The writer's state."""
        ...


class RangesServer:
    """Serves one recorder's footage to this machine; runs in the recorder's loop."""

    def __init__(
        self,
        socket: Path,
        writer: Recorder,
        archive: Archive,
        watch: Callable[[CameraKey], None] | None = None,
        *,
        follower_bytes: int = QUEUE_BYTES,
        hint_s: float = HINT_S,
    ) -> None:
        """`watch(key)` asks for short turns of a camera; called again each `hint_s` seconds."""
        self._socket = socket
        self._writer = writer
        self._archive = archive
        self._watch = watch
        self._follower_bytes = follower_bytes
        self._hint_s = hint_s
        self._followed: Counter[CameraKey] = Counter()
        self._hinting: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._finder = ThreadPoolExecutor(1, thread_name_prefix="ranges-where")

    async def start(self) -> None:
        """Listen; a socket left by a dead recorder is replaced.

        Raises:
            ConfigError: the path is longer than the kernel takes.
        """
        if len(os.fsencode(self._socket)) > _PATH_LIMIT:
            raise ConfigError(
                f"socket {self._socket}: the path is longer than {_PATH_LIMIT} bytes, which is all "
                "the kernel takes; choose a shorter data directory"
            )
        self._socket.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._connected, self._socket, limit=wire.LINE_LIMIT
            )
        finally:
            os.umask(before)
        self._hinting = asyncio.create_task(self._hint())

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        tasks = [*self._tasks, *filter(None, [self._hinting])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        self._finder.shutdown(wait=False, cancel_futures=True)
        self._socket.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if len(self._tasks) > _CONNECTIONS:
                raise LocalProtocolError(f"{_CONNECTIONS} connections are open; close some")
            patience_s = _REQUEST_S
            while await self._answer(reader, writer, patience_s):
                patience_s = _KEPT_S
        except RangesError as error:
            with contextlib.suppress(OSError):
                writer.write(wire.encode_line({"ok": False, "error": str(error)}))
                await asyncio.wait_for(writer.drain(), _SEND_S)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the asker went away or does not read
        except asyncio.CancelledError:
            pass  # close() ended this connection; nobody awaits its result
        except Exception:  # noqa: BLE001 - the edge of a connection's task
            _log.exception("ranges: a request failed")
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience_s: float
    ) -> bool:
        """Answer one request; whether there may be another."""
        try:
            async with asyncio.timeout(patience_s):
                line = await reader.readline()
        except ValueError:
            raise LocalProtocolError("the request is longer than 64 KiB") from None
        if not line:
            return False
        request = wire.decode_line(line)
        match request.get("op"):
            case "status":
                await self._line(writer, wire.status_to_json(self._writer.status()))
            case "where":
                await self._send(writer, await self._where(request))
            case "range":
                await self._range(writer, request)
                return False
            case "follow":
                await self._follow(reader, writer, wire.key_of(request))
                return False
            case other:
                raise LocalProtocolError(
                    f"unknown op {other!r}; known are range, follow, where, status"
                )
        return True

    async def _where(self, request: wire.Json) -> bytes:
        key = wire.key_of(request)
        asked = key, wire.time_of(request, "from_us"), wire.time_of(request, "to_us")
        if self._writer.unsealed(key) <= SHORT:
            return self._found(*asked)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._finder, self._found, *asked)

    def _found(self, key: CameraKey, from_us: int, to_us: int) -> bytes:
        """The answer to `where`."""
        answer = self._writer.where(key, from_us, to_us)
        return wire.encode_line(wire.answer_to_json(answer))

    async def _line(self, writer: asyncio.StreamWriter, values: wire.Json) -> None:
        await self._send(writer, wire.encode_line(values))

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        async with asyncio.timeout(_SEND_S):
            await writer.drain()

    async def _range(self, writer: asyncio.StreamWriter, request: wire.Json) -> None:
        records = self._archive.records(
            wire.key_of(request),
            wire.time_of(request, "from_us"),
            wire.time_of(request, "to_us"),
            exact=request.get("exact") is True,
        )
        await self._line(writer, {"ok": True})
        while batch := await asyncio.to_thread(_batch, records):
            await self._send(writer, batch)
        await self._send(writer, wire.end_record())

    async def _follow(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: CameraKey
    ) -> None:
        follower = Follower(self._follower_bytes)
        self._writer.tap(key, follower.take_in)
        self._followed[key] += 1
        if self._watch is not None:
            self._watch(key)
        gone = asyncio.create_task(reader.read(1))
        try:
            await self._line(writer, {"ok": True})
            await self._pump(writer, follower, gone)
        finally:
            self._writer.untap(key, follower.take_in)
            self._followed -= Counter([key])
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await gone

    async def _pump(
        self, writer: asyncio.StreamWriter, follower: Follower, gone: "asyncio.Task[bytes]"
    ) -> None:
        opened: Opened | None = None
        number = 0
        while not gone.done():
            waiting = asyncio.create_task(follower.next())
            try:
                await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not waiting.done():
                    waiting.cancel()
            if not waiting.done() or waiting.cancelled():
                return
            parts: list[bytes] = []
            for session, piece in waiting.result():
                if opened is None or opened.session != session:
                    opened = Opened(session)
                    parts += _session_record(opened)
                number += 1
                parts += (pack_piece(opened.origin, number, piece), piece.payload)
            await self._send(writer, b"".join(parts))

    async def _hint(self) -> None:
        """One hint would not do: it ends, and a camera that connects anew does not know of it."""
        while self._watch is not None:
            await asyncio.sleep(self._hint_s)
            for key in self._followed:
                self._watch(key)


def _session_record(opened: Opened) -> tuple[bytes, bytes]:
    started = opened.session.started_us
    payload = opened.payload
    return pack_record(opened.origin, Kind.SESSION, 0, payload, wall_us=started), payload


def _batch(records: Iterator[bytes]) -> bytes:
    """Records for one send, about a megabyte; empty at the end."""
    parts: list[bytes] = []
    size = 0
    for record in records:
        parts.append(record)
        size += len(record)
        if size >= _BATCH:
            break
    return b"".join(parts)
