import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.footage import GATE
from tests.fakes.samples import check_decodes, probe_frames, probe_packets
from tests.fakes.stored import Stored, at

from kilocam.core import CameraKey, Piece, Session
from kilocam.playback import (
    Library,
    Live,
    LiveFragment,
    LiveInit,
    LiveMessage,
    NotPlayable,
    PlaybackError,
)
from kilocam.record import Archive

Pieces = Sequence[tuple[Session, Piece]]


class Feed:
    """A camera under the test's hand: pieces come when it says so."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._allowed = asyncio.Semaphore(0)
        self.followers = 0

    def send(self, count: int) -> None:
        for _ in range(count):
            self._allowed.release()

    async def follow(self, key: CameraKey) -> AsyncGenerator[tuple[Session, Piece], None]:
        assert key == GATE
        self.followers += 1
        try:
            for pair in self._pieces:
                await self._allowed.acquire()
                yield pair
        finally:
            self.followers -= 1


def pieces_of(stored: Stored, from_s: float, to_s: float) -> Pieces:
    return list(stored.archive.pieces(GATE, at(from_s), at(to_s), exact=True))


async def read_all(messages: AsyncIterator[LiveMessage]) -> list[LiveMessage]:
    return [message async for message in messages]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def write(file: Path, messages: Sequence[LiveMessage]) -> Path:
    file.write_bytes(b"".join(message.data for message in messages))
    return file


@pytest.mark.asyncio
async def test_live_pictures_begin_at_a_key_frame_and_come_with_each_piece(
    plain: Stored, tmp_path: Path
) -> None:
    pieces = pieces_of(plain, 4.6, 12)
    feed = Feed(pieces)
    async with Live(feed, plain.library.sync) as live:
        feed.send(len(pieces))
        messages = await read_all(live.watch(GATE))

    init, first = messages[:2]
    assert isinstance(init, LiveInit)
    assert init.mime.startswith('video/mp4; codecs="avc1.')
    assert init.mime.endswith('mp4a.40.2"')
    assert isinstance(first, LiveFragment)
    assert first.key
    assert all(isinstance(message, LiveFragment) for message in messages[1:])
    file = write(tmp_path / "a.mp4", messages)
    sent = [s for s in plain.truth.shots if at(6) < s.wall_us < at(12)]
    packets = probe_packets(file)
    assert abs(len(packets) - len(sent)) <= 5
    assert [p.pts for p in packets] == [9_000 * n for n in range(len(packets))]
    check_decodes(file)


@pytest.mark.asyncio
async def test_sound_is_with_its_pictures(plain: Stored, tmp_path: Path) -> None:
    pieces = pieces_of(plain, 4, 12)
    feed = Feed(pieces)
    async with Live(feed, plain.library.sync) as live:
        feed.send(len(pieces))
        file = write(tmp_path / "a.mp4", await read_all(live.watch(GATE)))

    first = next(s.wall_us for s in plain.truth.shots if s.key and s.wall_us > at(4))
    heard = [(us - first) / 1e6 for us, _ in plain.truth.sounds]
    for packet in probe_packets(file, "a:0"):
        assert min(abs(packet.pts / 48_000 - wanted) for wanted in heard) < 0.001


@pytest.mark.asyncio
async def test_a_new_picture_size_begins_with_a_new_init_segment(
    troubled: Stored, tmp_path: Path
) -> None:
    pieces = pieces_of(troubled, 17, 29)
    feed = Feed(pieces)
    async with Live(feed, troubled.library.sync) as live:
        feed.send(len(pieces))
        messages = await read_all(live.watch(GATE))

    inits = [n for n, message in enumerate(messages) if isinstance(message, LiveInit)]
    assert len(inits) == 2
    after = messages[inits[1] + 1]
    assert isinstance(after, LiveFragment)
    assert after.key
    for number, part in enumerate((messages[: inits[1]], messages[inits[1] :])):
        file = write(tmp_path / f"{number}.mp4", part)
        check_decodes(file)
        assert {f["width"] for f in probe_frames(file)} == {(320, 480)[number]}


@pytest.mark.asyncio
async def test_viewers_share_one_feed_and_who_joins_starts_with_the_current_gop(
    plain: Stored,
) -> None:
    pieces = pieces_of(plain, 4, 12)
    feed = Feed(pieces)
    async with Live(feed, plain.library.sync) as live, aclosing(live.watch(GATE)) as first:
        feed.send(7)
        early = [await anext(first) for _ in range(5)]
        async with aclosing(live.watch(GATE)) as second:
            assert await anext(second) == early[0]
            joined = await anext(second)
            assert isinstance(joined, LiveFragment)
            assert joined.key
            assert feed.followers == 1
    assert feed.followers == 0


@pytest.mark.asyncio
async def test_the_feed_ends_with_its_last_viewer(plain: Stored) -> None:
    feed = Feed(pieces_of(plain, 4, 12))
    async with Live(feed, plain.library.sync) as live:
        async with aclosing(live.watch(GATE)) as watching:
            feed.send(3)
            await anext(watching)
            assert feed.followers == 1
        await until(lambda: feed.followers == 0)


@pytest.mark.asyncio
async def test_a_camera_that_sends_nothing_is_told_of(plain: Stored) -> None:
    feed = Feed(pieces_of(plain, 4, 12))
    async with Live(feed, plain.library.sync) as live:
        with pytest.raises(PlaybackError, match="the camera sent no picture for 0 s"):
            await read_all(live.watch(GATE, idle_s=0.05))


@pytest.mark.asyncio
async def test_a_camera_of_another_codec_is_a_clear_error(tmp_path: Path, plain: Stored) -> None:
    (session, piece), *_ = pieces_of(plain, 4, 12)
    foreign = replace(session, tracks=(replace(session.tracks[0], codec="h265"),))
    feed = Feed([(foreign, piece)])
    feed.send(1)
    async with Live(feed, Library(Archive([tmp_path])).sync) as live:
        with pytest.raises(
            NotPlayable, match=r"'gate' sends h265; it is recorded, but only H\.264"
        ):
            await read_all(live.watch(GATE))


@pytest.mark.asyncio
async def test_a_recorder_that_cannot_be_followed_is_a_clear_error(plain: Stored) -> None:
    class Broken:
        async def follow(self, key: CameraKey) -> AsyncGenerator[tuple[Session, Piece], None]:
            raise ConnectionRefusedError(111, "Connection refused")
            yield pieces_of(plain, 4, 5)[0]

    async with Live(Broken(), plain.library.sync) as live:
        with pytest.raises(PlaybackError, match="'gate': its recorder cannot be followed"):
            await read_all(live.watch(GATE))
