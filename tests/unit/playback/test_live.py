import asyncio

import pytest

from kilocam.playback import LiveFragment, LiveInit, LiveMessage, PlaybackError
from kilocam.playback.live import Viewer

INIT = LiveInit(mime="video/mp4", data=b"init")


def fragment(number: int, *, key: bool = False, size: int = 10) -> LiveFragment:
    return LiveFragment(data=bytes(size), key=key, wall_us=number)


async def drain(viewer: Viewer) -> list[LiveMessage]:
    viewer.end()
    return [message async for message in viewer.messages(1)]


@pytest.mark.asyncio
async def test_a_viewer_gets_the_init_segment_with_the_first_key_frame() -> None:
    viewer = Viewer()
    early, key, after = fragment(1), fragment(2, key=True), fragment(3)
    for message in (INIT, early, key, after):
        viewer.offer(message)
    assert await drain(viewer) == [INIT, key, after]
    assert viewer.dropped == 1


@pytest.mark.asyncio
async def test_a_slow_viewer_goes_on_at_the_next_key_frame() -> None:
    viewer = Viewer(limit=64)
    sent = [fragment(n, key=n % 10 == 0) for n in range(30)]
    viewer.offer(INIT)
    for message in sent[:25]:
        viewer.offer(message)
    got = await drain(viewer)
    assert got == [INIT, *sent[20:25]]
    assert viewer.dropped == 20


@pytest.mark.asyncio
async def test_a_new_init_segment_waits_for_its_key_frame() -> None:
    viewer = Viewer()
    other = LiveInit(mime="video/mp4", data=b"other")
    sent: list[LiveMessage] = [
        INIT,
        fragment(1, key=True),
        other,
        fragment(2),
        fragment(3, key=True),
    ]
    for message in sent:
        viewer.offer(message)
    assert await drain(viewer) == [sent[0], sent[1], other, sent[4]]


@pytest.mark.asyncio
async def test_the_queue_never_holds_more_than_its_limit() -> None:
    viewer = Viewer(limit=100)
    viewer.offer(INIT)
    for number in range(1000):
        viewer.offer(fragment(number, key=number % 7 == 0, size=number % 60))
    assert sum(len(m.data) for m in await drain(viewer)) <= 100 + len(INIT.data)


@pytest.mark.asyncio
async def test_an_error_comes_after_what_was_queued() -> None:
    viewer = Viewer()
    viewer.offer(INIT)
    viewer.offer(fragment(1, key=True))
    viewer.end(PlaybackError("gone"))
    messages = viewer.messages(1)
    assert await anext(messages) == INIT
    await anext(messages)
    with pytest.raises(PlaybackError, match="gone"):
        await anext(messages)


@pytest.mark.asyncio
async def test_messages_come_as_they_are_offered() -> None:
    viewer = Viewer()
    messages = viewer.messages(5)
    waiting = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0)
    viewer.offer(INIT)
    viewer.offer(fragment(1, key=True))
    assert await waiting == INIT
