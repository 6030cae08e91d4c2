"""A watched camera is read with short turns for as long as somebody watches."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.fakes.pieces import GATE, piece, session

from kilocam.cli.roles.api_follow import EagerFollow
from kilocam.core import CameraKey, KilocamError, Piece, Session

pytestmark = pytest.mark.asyncio


class FakeRecorder:
    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf
        self.hints: asyncio.Queue[CameraKey] = asyncio.Queue()
        self.following = 0

    async def follow(self, key: CameraKey) -> AsyncIterator[tuple[Session, Piece]]:
        self.following += 1
        try:
            while True:
                yield session(key), piece(key)
                await asyncio.sleep(0)
        finally:
            self.following -= 1

    async def eager(self, key: CameraKey, seconds: float) -> None:
        self.hints.put_nowait(key)
        if self.deaf:
            raise KilocamError("nobody listens")


@pytest.mark.parametrize("deaf", [False, True])
async def test_the_hint_is_repeated_while_somebody_follows(deaf: bool) -> None:
    recorder = FakeRecorder(deaf=deaf)
    parts = EagerFollow(recorder, every_s=0.001).follow(GATE)
    await anext(parts)
    async with asyncio.timeout(5):
        assert [await recorder.hints.get() for _ in range(3)] == [GATE] * 3
    await parts.aclose()  # type: ignore[attr-defined]  # an async generator
    assert recorder.following == 0
    assert len(asyncio.all_tasks()) == 1
