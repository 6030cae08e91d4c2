"""The room's face for asyncio: every question about footage, answered off the loop.

Reading, muxing and decoding run in worker threads, as many at once as the limits say.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from kilocam.core import CameraKey, Clock, SystemClock
from kilocam.playback.capability import CapabilityKeys, sign, verify
from kilocam.playback.clip import clip
from kilocam.playback.errors import Busy, PlaybackError
from kilocam.playback.export import Exported, export
from kilocam.playback.hls import playlist
from kilocam.playback.library import Library, Range
from kilocam.playback.live import Live
from kilocam.playback.live_muxer import LiveMessage
from kilocam.playback.outline import check_playable
from kilocam.playback.plan import SegmentName
from kilocam.playback.segments import make_init
from kilocam.playback.snapshot import snapshot
from kilocam.playback.source import FollowSource, FootageSource
from kilocam.playback.timeline import Footage, footage, newest

_P = ParamSpec("_P")
_T = TypeVar("_T")
_OPEN_US = _LONGEST_US = 24 * 3_600_000_000
"""A playlist without an end reaches this far; none spans more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is done at once; who waits longer than `wait_s` is told to try again."""

    decodes: int = 2
    reads: int = 8
    wait_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """A picture and when it was taken."""

    data: bytes
    taken_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipStream:
    """A clip being made; close `chunks` when they are not read to the end."""

    mime: str
    left_out: tuple[str, ...]
    chunks: AsyncGenerator[bytes, None]


class Playback:
    """Footage and live pictures of all cameras; an async context manager.

    Args:
        source: stored footage.
        follow: what cameras send, as it comes.
        capabilities: the keys that sign media links.
        clock: tells what is past.
        limits: how much is done at once.
    """

    def __init__(
        self,
        source: FootageSource,
        follow: FollowSource,
        capabilities: CapabilityKeys,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._library = Library(source)
        self._live = Live(follow, self._library.sync)
        self._capabilities = capabilities
        self._clock = clock or SystemClock()
        self._limits = limits or Limits()
        self._decoding = asyncio.Semaphore(self._limits.decodes)
        self._reading = asyncio.Semaphore(self._limits.reads)

    async def __aenter__(self) -> "Playback":
        await self._live.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._live.__aexit__(None, None, None)

    async def footage(self, key: CameraKey, from_us: int, to_us: int) -> Footage:
        """What exists in [from_us, to_us) and what is missing, with causes."""
        source, now_us = self._library.source, self._clock.wall_us()
        return await self._read(footage, source, key, from_us, to_us, now_us)

    async def playlist(
        self, key: CameraKey, from_us: int, to_us: int | None, *, base: str = ""
    ) -> str:
        """The HLS playlist of a range; without an end it grows while the camera is recorded.

        Args:
            key: the camera.
            from_us: where playing begins.
            to_us: where it ends.
            base: what precedes `TOKEN/TENANT/CAMERA/NAME` in a link to a segment; those parts are
                what `media` takes.

        Raises:
            NotPlayable: what is recorded there is not H.264.
            PlaybackError: the range is longer than a day.
        """
        now_us = self._clock.wall_us()
        end_us = now_us + _OPEN_US if to_us is None else to_us
        if min(end_us, now_us) - from_us > _LONGEST_US:
            raise PlaybackError("a playlist spans at most 24 hours; ask for a shorter range")
        plan = await self._read(self._library.planner.plan, key, from_us, end_us, now_us)
        if not plan.segments:
            wanted = Range(key=key, from_us=from_us, to_us=end_us)
            await self._read(check_playable, self._library.source, wanted)

        def link(name: str) -> str:
            resource = _resource(key, name)
            return f"{base}{sign(self._capabilities, resource, now_us)}/{resource}"

        return playlist(plan, from_us, link)

    async def media(self, token: str, key: CameraKey, name: str) -> bytes:
        """A segment or init segment that a playlist names; immutable, for anyone to cache.

        Raises:
            CapabilityRefused: the token does not allow it.
            NoSuchSegment: there is none of this name.
        """
        verify(self._capabilities, token, _resource(key, name), self._clock.wall_us())
        if name.startswith("init."):
            return make_init(name)
        return await self._read(self._library.segments.make, key, SegmentName.parse(name))

    async def snapshot(
        self, key: CameraKey, at_us: int | None = None, *, max_width: int | None = None
    ) -> Jpeg:
        """The picture shown at a moment, exactly; without one the newest.

        Raises:
            NoFootage: nothing was recorded then; the error says why.
            NoPicture: there is footage, but no picture up to then can be decoded.
            NotPlayable: the camera does not send H.264.
        """
        if at_us is None:
            at_us = await self._read(newest, self._library.source, key, self._clock.wall_us())
        moment = at_us

        def take() -> Jpeg:
            taken = snapshot(self._library, key, moment)
            return Jpeg(data=taken.picture.jpeg(max_width=max_width), taken_us=taken.taken_us)

        async with self._turn(self._decoding):
            return await asyncio.to_thread(take)

    async def clip(self, key: CameraKey, from_us: int, to_us: int) -> ClipStream:
        """A range as MP4, made while it is sent.

        Raises:
            PlaybackError: nothing that can be played is recorded there.
        """
        wanted = Range(key=key, from_us=from_us, to_us=to_us)
        made = await self._read(clip, self._library, wanted)
        return ClipStream(
            mime=made.mime, left_out=made.left_out, chunks=self._stream(_Chunks(made.chunks))
        )

    async def export(self, key: CameraKey, from_us: int, to_us: int, file: Path) -> Exported:
        """A range as a plain MP4 file with all that was received.

        Raises:
            PlaybackError: nothing that can be played is recorded there.
            MediaError: the file cannot be written.
        """
        wanted = Range(key=key, from_us=from_us, to_us=to_us)
        return await self._read(export, self._library, wanted, file)

    def live(self, key: CameraKey) -> AsyncGenerator[LiveMessage, None]:
        """Live pictures; see `Live.watch`."""
        return self._live.watch(key)

    async def _read(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        async with self._turn(self._reading):
            return await asyncio.to_thread(work, *args, **kwargs)

    @asynccontextmanager
    async def _turn(
        self, limit: asyncio.Semaphore, *, patient: bool = False
    ) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(None if patient else self._limits.wait_s):
                await limit.acquire()
        except TimeoutError:
            raise Busy("too much footage is being read at once; try again in a moment") from None
        try:
            yield
        finally:
            limit.release()

    async def _stream(self, chunks: "_Chunks") -> AsyncGenerator[bytes, None]:
        try:
            while (chunk := await self._next(chunks)) is not None:
                yield chunk
        finally:
            await asyncio.to_thread(chunks.close)

    async def _next(self, chunks: "_Chunks") -> bytes | None:
        # A file under way cannot be told to try again: it would be cut short.
        async with self._turn(self._reading, patient=True):
            return await asyncio.to_thread(chunks.next)


class _Chunks:
    """A generator that may be closed while a worker thread, no longer waited for, is in it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks: Iterator[bytes] | None = chunks
        self._lock = threading.Lock()

    def next(self) -> bytes | None:
        with self._lock:
            return None if self._chunks is None else next(self._chunks, None)

    def close(self) -> None:
        with self._lock:
            chunks, self._chunks = self._chunks, None
            close = getattr(chunks, "close", None)
            if close is not None:
                close()


def _resource(key: CameraKey, name: str) -> str:
    return f"{key.tenant}/{key.camera}/{name}"
