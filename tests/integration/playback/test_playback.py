import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes.footage import GATE, T0
from tests.fakes.samples import check_decodes
from tests.fakes.stored import Stored, at

from kilocam.core import CameraKey, Gap, GapCause, Piece, Session, Span
from kilocam.playback import (
    Busy,
    CapabilityKeys,
    CapabilityRefused,
    Limits,
    NoSuchSegment,
    Playback,
    PlaybackError,
    sign,
)
from kilocam.playback.capability import PERIOD_US
from kilocam.record import Archive

KEYS = CapabilityKeys(current="a1", keys={"a1": b"a secret for tests"})


class Clock:
    """The wall clock in the test's hand."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def wall_us(self) -> int:
        return self.now_us

    def monotonic_us(self) -> int:
        return self.now_us


class Silent:
    """Nothing comes."""

    async def follow(self, key: CameraKey) -> AsyncGenerator[tuple[Session, Piece], None]:
        await asyncio.Event().wait()
        raise AssertionError(key)
        yield


@pytest_asyncio.fixture
async def playback(troubled: Stored) -> AsyncIterator[Playback]:
    async with Playback(troubled.archive, Silent(), KEYS, clock=Clock(at(1000))) as made:
        yield made


def links_in(text: str) -> list[str]:
    lines = text.splitlines()
    maps = [line.split('"')[1] for line in lines if line.startswith("#EXT-X-MAP")]
    return maps + [line for line in lines if not line.startswith("#")]


async def fetch(playback: Playback, link: str) -> bytes:
    _, media, token, tenant, camera, name = link.split("/")
    assert media == "media"
    return await playback.media(token, CameraKey(tenant, camera), name)


@pytest.mark.asyncio
async def test_a_playlist_and_its_links_play(playback: Playback, tmp_path: Path) -> None:
    text = await playback.playlist(GATE, at(16), at(24), base="/media/")
    init, *segments = [await fetch(playback, link) for link in links_in(text)]
    (tmp_path / "a.mp4").write_bytes(init + b"".join(segments))
    check_decodes(tmp_path / "a.mp4")
    assert "#EXT-X-ENDLIST" in text


@pytest.mark.asyncio
async def test_viewers_share_links(troubled: Stored) -> None:
    clock = Clock(PERIOD_US * 1000)
    playback = Playback(troubled.archive, Silent(), KEYS, clock=clock)
    first = links_in(await playback.playlist(GATE, at(1), at(11)))
    clock.now_us += PERIOD_US - 1
    second = links_in(await playback.playlist(GATE, at(6), at(30)))
    assert set(first[2:]) <= set(second)


@pytest.mark.asyncio
async def test_a_link_opens_nothing_else(playback: Playback) -> None:
    text = await playback.playlist(GATE, at(0), at(24), base="/media/")
    link = next(link for link in links_in(text) if link.endswith(".m4s"))
    _, _, token, tenant, camera, name = link.split("/")
    other = next(n for n in links_in(text) if n.endswith(".m4s") and n != link).split("/")[-1]
    for wrong in (
        (token, CameraKey("other", camera), name),
        (token, CameraKey(tenant, "yard"), name),
        (token, CameraKey(tenant, camera), other),
        ("", CameraKey(tenant, camera), name),
        (token[:-1], CameraKey(tenant, camera), name),
    ):
        with pytest.raises(CapabilityRefused, match="not valid; reload the page"):
            await playback.media(*wrong)


@pytest.mark.asyncio
async def test_a_snapshot_is_a_jpeg_with_its_time(playback: Playback, troubled: Stored) -> None:
    picture = await playback.snapshot(GATE, at(3.05), max_width=160)
    assert picture.data[:2] == b"\xff\xd8"
    assert picture.taken_us == troubled.truth.shown_at(at(3.05)).wall_us


@pytest.mark.asyncio
async def test_without_a_moment_the_newest_picture_is_taken(troubled: Stored) -> None:
    playback = Playback(troubled.archive, Silent(), KEYS, clock=Clock(at(41)))
    newest = max(shot.wall_us for shot in troubled.truth.shots)
    assert (await playback.snapshot(GATE)).taken_us == newest


@pytest.mark.asyncio
async def test_the_timeline_tells_gaps_and_coverage(playback: Playback) -> None:
    found = await playback.footage(GATE, at(2), at(22))
    assert [gap.cause for gap in found.gaps] == [GapCause.TIMED_OUT]
    assert len(found.ranges) == 2
    assert found.coverage == pytest.approx(17 / 20, abs=0.01)


@pytest.mark.asyncio
async def test_a_clip_may_be_left_half_read(playback: Playback) -> None:
    made = await playback.clip(GATE, at(1), at(39))
    async with aclosing(made.chunks) as chunks:
        assert (await anext(chunks))[4:8] == b"ftyp"
    assert made.left_out == ()


@pytest.mark.asyncio
async def test_an_export_is_written_off_the_loop(playback: Playback, tmp_path: Path) -> None:
    exported = await playback.export(GATE, at(0), at(10), tmp_path / "a.mp4")
    assert exported.pictures > 90
    check_decodes(tmp_path / "a.mp4")


@pytest.mark.asyncio
async def test_who_waits_too_long_is_told_to_try_again(troubled: Stored) -> None:
    limits = Limits(decodes=0, wait_s=0.01)
    playback = Playback(troubled.archive, Silent(), KEYS, limits=limits)
    with pytest.raises(Busy, match="try again in a moment"):
        await playback.snapshot(GATE, at(3))


class Held:
    """Stored footage whose time line is told only once the test lets it."""

    def __init__(self, archive: Archive) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.pieces, self.marks, self.read = archive.pieces, archive.marks, archive.read
        self._archive = archive

    def coverage(self, key: CameraKey, from_us: int, to_us: int) -> tuple[list[Span], list[Gap]]:
        self.asked.set()
        assert self.go_on.wait(30)
        return self._archive.coverage(key, from_us, to_us)


@pytest.mark.asyncio
async def test_a_clip_under_way_waits_its_turn_and_is_not_cut_short(troubled: Stored) -> None:
    held = Held(troubled.archive)
    limits = Limits(reads=1, wait_s=0.05)
    playback = Playback(held, Silent(), KEYS, clock=Clock(at(1000)), limits=limits)
    made = await playback.clip(GATE, at(1), at(9))
    async with aclosing(made.chunks) as chunks:
        await anext(chunks)
        slow = asyncio.create_task(playback.footage(GATE, at(0), at(40)))
        assert await asyncio.to_thread(held.asked.wait, 10)
        with pytest.raises(Busy):
            await playback.footage(GATE, at(0), at(40))
        following = asyncio.create_task(anext(chunks))
        await asyncio.sleep(0.3)
        held.go_on.set()
        assert (await following)[4:8] == b"moof"
        await slow


@pytest.mark.asyncio
async def test_nothing_recorded_gives_an_empty_playlist(playback: Playback) -> None:
    text = await playback.playlist(CameraKey("default", "yard"), T0, at(60))
    assert "#EXTINF" not in text
    assert "#EXT-X-ENDLIST" in text


@pytest.mark.asyncio
async def test_a_playlist_of_more_than_a_day_is_refused(playback: Playback) -> None:
    with pytest.raises(PlaybackError, match="at most 24 hours; ask for a shorter range"):
        await playback.playlist(GATE, at(1000) - 25 * 3_600_000_000, None)


@pytest.mark.asyncio
async def test_a_signed_name_of_nothing_is_no_segment(playback: Playback) -> None:
    token = sign(KEYS, f"{GATE}/nonsense", at(1000))
    with pytest.raises(NoSuchSegment, match="'nonsense' is not the name of a media segment"):
        await playback.media(token, GATE, "nonsense")
