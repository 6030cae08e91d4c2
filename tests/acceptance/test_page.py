"""The page in a real Chromium, on a whole Kilocam that records simulated cameras."""

import base64
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.request import urlopen

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.acceptance.conftest import House

from kilocam.core import format_time
from kilocam.media import read_frame_number

pytestmark = pytest.mark.timeout(400)

GRAB = """async video => {
    if (!video.paused)
        await new Promise(resolve => {
            video.requestVideoFrameCallback(resolve);
            setTimeout(resolve, 1000);
        });
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const at = Date.now();
    canvas.getContext("2d").drawImage(video, 0, 0);
    const now = Number(video.dataset.now ?? 0);
    return { at, now, png: canvas.toDataURL("image/png") };
}"""
PAST = "at => Number(document.querySelector('[data-testid=moment]').dataset.now) >= at"
SHOWS = "video => video.readyState >= 2 && !video.seeking && video.videoWidth > 0"


@dataclass(frozen=True)
class Grabbed:
    """What stood on the screen."""

    at_us: int
    """When, by the browser's clock."""
    now_us: int
    """The moment that the page said it shows; 0 when live."""
    number: int | None


def grab(page: Page, name: str) -> Grabbed:
    """The picture a video shows right now."""
    handle = page.get_by_test_id(name).element_handle()
    assert handle is not None
    page.wait_for_function(SHOWS, arg=handle)
    taken: dict[str, Any] = handle.evaluate(GRAB)
    png = base64.b64decode(taken["png"].partition(",")[2])
    with av.open(io.BytesIO(png), "r") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return Grabbed(
        round(taken["at"] * 1000),
        round(taken["now"] * 1000),
        read_frame_number(picture.astype(np.uint8)),
    )


def live_samples(page: Page, camera: int, count: int = 12) -> Iterator[Grabbed]:
    for _ in range(count):
        yield grab(page, f"live-cam-{camera}")
        page.wait_for_timeout(400)


def behind_s(house: House, camera: int, seen: Grabbed) -> float:
    """How long ago the camera saw what the screen shows, by the ledger."""
    assert seen.number is not None
    taken_us = house.ledger.picture_us(camera, seen.number, near_us=seen.at_us)
    return (seen.at_us - taken_us) / 1e6


def open_camera(page: Page, house: House, camera: str, at_us: int | None = None) -> None:
    at = "" if at_us is None else f"?at={format_time(at_us)}"
    page.goto(f"{house.url}/#/camera/{camera}{at}")


def click_moment(page: Page, at_us: int) -> None:
    """Press and let go where the timeline shows a moment."""
    strip = page.get_by_test_id("timeline")
    box = strip.bounding_box()
    assert box is not None
    start, end = (float(strip.get_attribute(f"data-{name}") or 0) for name in ("from", "to"))
    share = (at_us / 1000 - start) / (end - start)
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def numbers_near(house: House, at_us: int, within_us: int) -> set[int]:
    """Pictures of the stored hour around a moment."""
    shots = house.hour.truth.shots
    return {shot.number for shot in shots if abs(shot.wall_us - at_us) <= within_us}


def test_a_stranger_is_asked_to_sign_in(chromium: Browser, house: House) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(house.url)
    expect(page.get_by_role("heading", name="Sign in to Kilocam")).to_be_visible()
    context.close()


def test_a_link_that_was_used_is_refused_in_words(
    signed_in: Page, chromium: Browser, house: House
) -> None:
    assert signed_in.url.startswith(house.url)  # it was used
    context = chromium.new_context()
    page = context.new_page()
    page.goto(house.link)
    expect(page.get_by_role("alert")).to_contain_text("used already")
    context.close()


def test_live_pictures_change_and_are_at_most_two_seconds_behind(
    signed_in: Page, house: House
) -> None:
    signed_in.goto(f"{house.url}/#/")
    expect(signed_in.get_by_test_id("summary")).to_have_text("4 of 4 cameras recording")
    for camera in range(4):
        grab(signed_in, f"live-cam-{camera}")
    seen = list(live_samples(signed_in, 0))
    assert len({sample.number for sample in seen}) >= 8
    late = sorted(behind_s(house, 0, sample) for sample in seen)
    print("behind the ledger, seconds:", [round(value, 2) for value in late])
    assert late[len(late) // 2] <= 2.0, late


def test_a_past_moment_shows_the_picture_of_that_moment(signed_in: Page, house: House) -> None:
    open_camera(signed_in, house, "cam-1")
    grab(signed_in, "live-cam-1")
    signed_in.wait_for_timeout(15_000)
    signed_in.keyboard.press("+")
    signed_in.keyboard.press("+")
    signed_in.keyboard.press("+")  # the strip shows 75 s
    click_moment(signed_in, (time.time_ns() // 1000) - 6_000_000)
    signed_in.get_by_test_id("past").wait_for()
    signed_in.keyboard.press(" ")
    expect(signed_in.get_by_role("button", name="Play")).to_be_visible()
    for ago_s in (14, 9):
        wanted_us = time.time_ns() // 1000 - ago_s * 1_000_000
        click_moment(signed_in, wanted_us)
        signed_in.wait_for_timeout(1500)
        seen = grab(signed_in, "past")
        assert seen.number is not None
        shown_us = house.ledger.picture_us(1, seen.number, near_us=wanted_us)
        print(f"asked {wanted_us}, page says {seen.now_us}, ledger says {shown_us}")
        # A pixel of the strip is 60 ms; the page says which moment it took the click for.
        assert abs(seen.now_us - wanted_us) <= 200_000
        assert abs(shown_us - seen.now_us) <= 200_000


def test_keys_step_and_return_to_live(signed_in: Page, house: House) -> None:
    open_camera(signed_in, house, "hour", house.hour.truth.spec.start_us + 100_000_000)
    first = grab(signed_in, "past")
    signed_in.keyboard.press(" ")
    signed_in.keyboard.press("ArrowRight")
    signed_in.wait_for_timeout(800)
    after = grab(signed_in, "past")
    assert 9_000_000 <= after.now_us - first.now_us <= 14_000_000
    signed_in.keyboard.press("Escape")
    expect(signed_in.get_by_test_id("tile-cam-0")).to_be_visible()


def test_gaps_are_shown_with_their_causes(signed_in: Page, house: House) -> None:
    open_camera(signed_in, house, "hour", house.hour.truth.spec.start_us + 1_250_000_000)
    expect(signed_in.get_by_test_id("gaps")).to_contain_text("timed out · 1 min 30 s")
    strip = signed_in.get_by_test_id("timeline")
    box = strip.bounding_box()
    assert box is not None
    signed_in.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    expect(signed_in.get_by_test_id("hint")).to_contain_text("nothing recorded: timed out")
    # A moment in a gap shows the first picture after it.
    after_ms = (house.hour.truth.spec.start_us + 1_289_900_000) / 1000
    signed_in.wait_for_function(PAST, arg=after_ms)
    seen = grab(signed_in, "past")
    assert seen.number in numbers_near(house, seen.now_us, 400_000)


def test_an_hour_plays_through_at_16_times_the_speed(signed_in: Page, house: House) -> None:
    truth = house.hour.truth
    start_us = truth.spec.start_us
    open_camera(signed_in, house, "hour", start_us)
    grab(signed_in, "past")
    signed_in.keyboard.press("3")
    deadline = time.monotonic() + 360
    moments: list[Grabbed] = []
    while time.monotonic() < deadline:
        seen = grab(signed_in, "past")
        moments.append(seen)
        if seen.now_us > start_us + 3_594_000_000:
            break
        signed_in.wait_for_timeout(1000)
    video = signed_in.get_by_test_id("past")
    state = video.evaluate(
        """video => {
            const quality = video.getVideoPlaybackQuality();
            return [video.error, video.playbackRate, quality.totalVideoFrames];
        }"""
    )
    assert state[:2] == [None, 16]
    now = [(seen.now_us - start_us) / 1e6 for seen in moments]
    print("sampled seconds:", [round(value) for value in now])
    assert now[-1] > 3594
    for before, after in pairwise(now):
        assert -1 <= after - before < 180, (before, after)  # on and on, over gaps and changes
    for seen in moments:
        # At 16 times the speed a few pictures pass while one is taken.
        assert seen.number in numbers_near(house, seen.now_us, 1_000_000), seen


def test_live_and_playback_go_on_while_the_database_is_frozen(
    signed_in: Page, house: House
) -> None:
    with house.frozen_database():
        signed_in.goto(f"{house.url}/#/")
        signed_in.reload()
        late = [behind_s(house, 2, sample) for sample in live_samples(signed_in, 2)]
        assert sorted(late)[len(late) // 2] <= 2.0, late
        open_camera(signed_in, house, "hour", house.hour.truth.spec.start_us + 600_000_000)
        assert grab(signed_in, "past").number is not None


def test_the_page_asks_nobody_but_its_server(signed_in: Page, house: House) -> None:
    asked: list[str] = []
    signed_in.on("request", lambda request: asked.append(request.url))
    signed_in.goto(f"{house.url}/")
    signed_in.reload()
    grab(signed_in, "live-cam-0")
    assert asked
    assert all(url.startswith((house.url, "blob:", "data:")) for url in asked)
    with urlopen(f"{house.url}/healthz") as answer:
        assert answer.status == 200
