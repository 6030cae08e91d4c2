"""Owns: what is written to one client's socket, and how much of it has arrived.

Writes go straight to the kernel. What it does not take waits in a bounded backlog; when that is
full, blocks are refused whole. A packet is never cut: what was begun is always finished.
"""

import asyncio
import fcntl
import socket
import struct

_SIOCOUTQ = 0x5411
"""Linux: bytes in the send queue that are not acknowledged (man 7 tcp)."""
_NOTHING = bytes(4)
_READ = 65_536


class Wire:
    """One connected, non-blocking socket."""

    __slots__ = ("_backlog", "_limit", "_loop", "_socket", "answered", "broken", "queued")

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, *, backlog: int
    ) -> None:
        self._socket = sock
        self._loop = loop
        self._limit = backlog
        self._backlog: bytearray | None = None
        """What the kernel did not take yet; none is cheaper to see than an empty one."""
        self.queued = 0
        """Bytes taken so far, whether or not the kernel has them yet."""
        self.answered = 0
        """Those of them that were answers, since whoever notes where blocks lie set it to 0."""
        self.broken = False

    def offer(self, data: "bytes | bytearray") -> bool:
        """Send a block, now or from the backlog; `False` if there is no room for it."""
        size = len(data)
        if self._backlog:
            if len(self._backlog) + size > self._limit:
                return False
            self._backlog += data
            self.queued += size
            return True
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # the reader sees the end and closes
            self.broken = True
            return False
        self.queued += size
        if sent < size:
            self._backlog = bytearray(data[sent:])
            self._loop.add_writer(self._socket.fileno(), self._flush)
        return True

    @property
    def is_overfull(self) -> bool:
        """Whether answers have piled up that the client does not read."""
        return self._waiting > 2 * self._limit

    def write(self, data: bytes) -> None:
        """Send an answer; it is never refused, but may make the wire overfull."""
        before = self.queued
        if self._backlog:
            self._backlog += data
            self.queued += len(data)
        elif data:
            self.offer(data)
        self.answered += self.queued - before

    def read(self) -> bytes | None:
        """What has come; empty at the end, `None` if nothing has."""
        try:
            return self._socket.recv(_READ)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    @property
    def _waiting(self) -> int:
        return len(self._backlog) if self._backlog else 0

    def _flush(self) -> None:
        assert self._backlog
        try:
            sent = self._socket.send(self._backlog)
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            sent = 0
        del self._backlog[:sent]
        self._backlog = self._backlog or None
        if not self._backlog or self.broken:
            self._loop.remove_writer(self._socket.fileno())

    def written(self) -> int:
        """Bytes the kernel has taken."""
        return self.queued - self._waiting

    def acknowledged(self) -> int:
        """Bytes the peer's kernel has acknowledged."""
        try:
            answer = fcntl.ioctl(self._socket, _SIOCOUTQ, _NOTHING)
        except OSError:
            return 0
        waiting: int = struct.unpack("=i", answer)[0]
        written = self.written()
        # A FIN that is on its way counts as a byte.
        return max(0, min(written - waiting, written))

    def close(self, *, reset: bool = False) -> None:
        """Close; `reset`: drop what is unsent and send RST, as after a power cut."""
        if self._backlog:
            self._loop.remove_writer(self._socket.fileno())
        if reset:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()
