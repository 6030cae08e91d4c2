"""Live pictures: one muxer per watched camera, any number of viewers.

A viewer's queue is bounded. When it is full the viewer is too slow: what waits is thrown away and
the viewer goes on at the next key frame. Nobody else waits for them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from kilocam.core import CameraKey, KilocamError
from kilocam.playback.errors import PlaybackError
from kilocam.playback.live_muxer import LiveFragment, LiveInit, LiveMessage, LiveMuxer
from kilocam.playback.source import FollowSource
from kilocam.playback.sync import SyncFinder

QUEUE_BYTES = 8 << 20
IDLE_S = 30.0
_log = logging.getLogger(__name__)


class Viewer:
    """The queue of one viewer.

    Args:
        limit: bytes that may wait.
    """

    def __init__(self, limit: int = QUEUE_BYTES) -> None:
        self._limit = limit
        self._queue: deque[LiveMessage] = deque()
        self._bytes = 0
        self._ready = asyncio.Event()
        self._at_key = True
        """It waits for a key frame."""
        self._init: LiveInit | None = None
        """An init segment it has to get first."""
        self._over = False
        self._error: PlaybackError | None = None
        self.dropped = 0
        """Fragments thrown away because the viewer was too slow."""

    def offer(self, message: LiveMessage) -> None:
        """Queue a message, or drop it; never waits."""
        if isinstance(message, LiveInit):
            self._init, self._at_key = message, True
            return
        if self._at_key:
            if not message.key or self._init is None:
                self.dropped += 1
                return
            self._put(self._init)
            self._at_key = False
        if self._bytes + len(message.data) > self._limit:
            self.dropped += 1 + sum(isinstance(m, LiveFragment) for m in self._queue)
            self._queue.clear()
            self._bytes, self._at_key = 0, True
            return
        self._put(message)

    def end(self, error: PlaybackError | None = None) -> None:
        """No more will come."""
        self._over, self._error = True, error
        self._ready.set()

    async def messages(self, idle_s: float) -> AsyncGenerator[LiveMessage, None]:
        """What was queued, until the end.

        Raises:
            PlaybackError: nothing came for `idle_s`, or the stream ended with an error.
        """
        while True:
            while self._queue:
                message = self._queue.popleft()
                self._bytes -= len(message.data)
                yield message
            if self._over:
                if self._error is not None:
                    raise self._error
                return
            self._ready.clear()
            try:
                async with asyncio.timeout(idle_s):
                    await self._ready.wait()
            except TimeoutError:
                raise PlaybackError(
                    f"the camera sent no picture for {idle_s:.0f} s; see its status for why"
                ) from None

    def _put(self, message: LiveMessage) -> None:
        self._queue.append(message)
        self._bytes += len(message.data)
        self._ready.set()


class _Camera:
    """One watched camera: its pump, its viewers, and the current GOP for who joins."""

    def __init__(self) -> None:
        self.viewers: set[Viewer] = set()
        self.task: asyncio.Task[None] | None = None
        self._init: LiveInit | None = None
        self._gop: list[LiveFragment] = []
        self._gop_bytes = 0

    def join(self, viewer: Viewer) -> None:
        """A viewer starts with the current GOP, so that the first picture is there at once."""
        if self._init is not None:
            viewer.offer(self._init)
        for message in self._gop:
            viewer.offer(message)
        self.viewers.add(viewer)

    def publish(self, message: LiveMessage) -> None:
        if isinstance(message, LiveInit):
            self._init, self._gop = message, []
        elif message.key:
            self._gop, self._gop_bytes = [message], len(message.data)
        elif self._gop:
            self._gop.append(message)
            self._gop_bytes += len(message.data)
            if self._gop_bytes > QUEUE_BYTES // 2:
                self._gop = []
        for viewer in self.viewers:
            viewer.offer(message)

    def end(self, error: PlaybackError | None) -> None:
        for viewer in self.viewers:
            viewer.end(error)


class Live:
    """Live pictures of all cameras; an async context manager that owns the pumps.

    Args:
        source: what cameras send, as it comes.
        sync: places the sound, from stored footage.
    """

    def __init__(self, source: FollowSource, sync: SyncFinder) -> None:
        self._source = source
        self._sync = sync
        self._cameras: dict[CameraKey, _Camera] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for key in list(self._cameras):
            camera = self._cameras.pop(key)
            camera.end(None)
            await _stop(camera)

    async def watch(
        self, key: CameraKey, *, idle_s: float = IDLE_S
    ) -> AsyncGenerator[LiveMessage, None]:
        """Init segment and fragments of a camera, from its current GOP on, until it ends.

        Close the generator (or cancel whoever reads it) to stop watching.

        Raises:
            NotPlayable: the camera does not send H.264.
            PlaybackError: it sent nothing for `idle_s`, or its recorder could not be followed.
        """
        camera = self._cameras.get(key)
        if camera is None or camera.task is None or camera.task.done():
            camera = self._cameras[key] = _Camera()
            camera.task = asyncio.create_task(self._pump(key, camera), name=f"live {key}")
        viewer = Viewer()
        camera.join(viewer)
        try:
            async with aclosing(viewer.messages(idle_s)) as messages:
                async for message in messages:
                    yield message
        finally:
            camera.viewers.discard(viewer)
            if not camera.viewers:
                if self._cameras.get(key) is camera:
                    del self._cameras[key]
                await _stop(camera)

    async def _pump(self, key: CameraKey, camera: _Camera) -> None:
        muxer = LiveMuxer(self._sync)
        error: PlaybackError | None = None
        try:
            follow = self._source.follow(key)
            async with aclosing(follow) as pieces:  # type: ignore[type-var]  # a generator
                async for session, piece in pieces:
                    for message in await asyncio.to_thread(muxer.feed, session, piece):
                        camera.publish(message)
        except PlaybackError as failure:
            error = failure
        except (KilocamError, OSError) as failure:
            error = PlaybackError(
                f"camera {key.camera!r}: its recorder cannot be followed: {failure}"
            )
        except Exception:  # noqa: BLE001 - the edge of a task
            _log.exception("live pictures of %s ended", key)
            error = PlaybackError(f"camera {key.camera!r}: live pictures failed; see the log")
        finally:
            camera.end(error)


async def _stop(camera: _Camera) -> None:
    if camera.task is None:
        return
    camera.task.cancel()
    await asyncio.wait([camera.task])
