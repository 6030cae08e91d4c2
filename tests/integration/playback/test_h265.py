"""Recorded H.265, whose key frames are known: every way of playing it says that it cannot."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest
import pytest_asyncio
from av.video.frame import VideoFrame
from tests.fakes.clock import FakeClock
from tests.fakes.footage import open_log
from tests.fakes.stored_footage import T0, Recording, encode, record

from kilocam.core import CameraKey, Piece, Session
from kilocam.playback import CapabilityKeys, NotPlayable, Playback
from kilocam.record import Archive

S = 1_000_000


@pytest.fixture(scope="module")
def camera() -> Recording:
    noise = np.random.default_rng(0).integers(0, 255, (60, 360, 640, 3), dtype=np.uint8)
    frames = [VideoFrame.from_ndarray(each // 8 + 90, format="rgb24") for each in noise]
    return record("new", encode(frames, codec="h265"), codec="h265")


class Follower:
    """Gives the camera's footage as if it came now."""

    def __init__(self, camera: Recording) -> None:
        self._camera = camera

    async def follow(self, key: CameraKey) -> AsyncGenerator[tuple[Session, Piece], None]:
        assert key == self._camera.key
        for piece in self._camera.pieces:
            yield self._camera.session, piece
            await asyncio.sleep(0)


@pytest.fixture(scope="module")
def archive(camera: Recording, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("log")
    writer = open_log(folder)
    try:
        writer.open_session(camera.session)
        for piece in camera.pieces:
            assert bool(piece.key_us) == (piece.wall_us in camera.keys_us)
            writer.append(piece)
        assert writer.flush(60)
    finally:
        writer.close()
    return Archive([folder])


@pytest_asyncio.fixture
async def playback(archive: Archive, camera: Recording) -> AsyncIterator[Playback]:
    keys = CapabilityKeys(current="a1", keys={"a1": b"a secret for tests"})
    async with Playback(archive, Follower(camera), keys, clock=FakeClock(T0 + 7 * S)) as made:
        yield made


@pytest.mark.asyncio
async def test_recorded_h265_is_there_but_neither_played_nor_shown(
    playback: Playback, camera: Recording
) -> None:
    found = await playback.footage(camera.key, T0, T0 + 6 * S)
    assert found.coverage == pytest.approx(1, abs=0.05)
    said = "'new' sends h265; it is recorded, but only H.264 can be played so far"
    with pytest.raises(NotPlayable, match=said):
        await playback.playlist(camera.key, T0, T0 + 6 * S)
    for at_us in (T0, T0 + 3 * S + 50_000, None):
        with pytest.raises(NotPlayable, match=said):
            await playback.snapshot(camera.key, at_us)
    with pytest.raises(NotPlayable, match=said):
        await playback.clip(camera.key, T0, T0 + 6 * S)
    with pytest.raises(NotPlayable, match=said):
        async with aclosing(playback.live(camera.key)) as live:
            await anext(live)
