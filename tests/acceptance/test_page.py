"""The page in a real Chromium, on a whole Kilocam that records simulated cameras."""

import base64
import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, WebSocket, expect
from tests.acceptance.conftest import House

from kilocam.analyse import BoxAt, ObjectSeen, Portrait, StageCount, WindowResult, event_id
from kilocam.bus import Position
from kilocam.core import CameraKey, Window, format_time, share_within
from kilocam.database import Database
from kilocam.fleet import CameraInput, Fleet, Keyring, Role
from kilocam.insight import Likeness, Told, Windows
from kilocam.media import read_frame_number

pytestmark = pytest.mark.timeout(400)

GRAB = """async video => {
    const next = () => video.paused ? null : new Promise(resolve => {
        video.requestVideoFrameCallback(resolve);
        setTimeout(resolve, 1000);
    });
    await next();
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const at = Date.now();
    const now = Number(video.dataset.now ?? 0);
    canvas.getContext("2d").drawImage(video, 0, 0);
    await next();
    const until = Number(video.dataset.now ?? 0);
    return { at, now, until, png: canvas.toDataURL("image/png") };
}"""
LIT = re.compile(r"\bon\b")
FIELD = "API token or sign-in link"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDER = """() => {
    const most = document.documentElement.clientWidth;
    const wide = [...document.querySelectorAll("body *")].filter(
        each => each.getBoundingClientRect().right > most + 0.5);
    const names = wide.map(each => `${each.tagName}.${each.className}`);
    return document.documentElement.scrollWidth > most || innerWidth > 390
        ? [document.documentElement.scrollWidth, ...names] : [];
}"""
LINES = """cell => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return range.getClientRects().length;
}"""
THOUSAND = [f"wall-{number:04}" for number in range(1000)]
SOCKETS = """
    window.sockets = [];
    const Real = WebSocket;
    window.WebSocket = class extends Real {
        constructor(...given) { super(...given); sockets.push(this); }
    };
"""
PAST = "at => Number(document.querySelector('[data-testid=moment]').dataset.now) >= at"
SHOWS = "video => video.readyState >= 2 && !video.seeking && video.videoWidth > 0"


@dataclass(frozen=True)
class Grabbed:
    """What stood on the screen."""

    at_us: int
    """When, by the browser's clock."""
    now_us: int
    """The moment that the page said it shows; 0 when live."""
    until_us: int
    """What it said at the next picture. A playing video goes on while one is taken."""
    number: int | None


def grab(page: Page, name: str) -> Grabbed:
    """The picture a video shows right now."""
    handle = page.get_by_test_id(name).first.element_handle()
    assert handle is not None
    page.wait_for_function(SHOWS, arg=handle)
    taken: dict[str, Any] = handle.evaluate(GRAB)
    png = base64.b64decode(taken["png"].partition(",")[2])
    with av.open(io.BytesIO(png), "r") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return Grabbed(
        round(taken["at"] * 1000),
        round(taken["now"] * 1000),
        round(taken["until"] * 1000),
        read_frame_number(picture.astype(np.uint8)),
    )


def eventually(page: Page, holds: Callable[[], object]) -> None:
    """Wait until it does; how long that takes is the machine's affair."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        page.wait_for_timeout(100)


def shown_us(page: Page) -> int:
    """The moment that playback says it shows."""
    said = page.get_by_test_id("past").first.get_attribute("data-now")
    return round(float(said or 0) * 1000)


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
    expect(page.get_by_text("kilocam link")).to_be_visible()  # where a new one comes from
    page.get_by_label(FIELD).fill(house.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_test_id("summary")).to_be_visible()
    context.close()


def test_a_token_signs_in_and_signing_out_ends_it_everywhere(
    chromium: Browser, house: House
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{house.url}/#/camera/cam-1")
    page.get_by_label(FIELD).fill("kct.default.0000000000.wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The token is not known here")
    page.get_by_label(FIELD).fill(house.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="cam-1")).to_be_visible()  # where the address pointed
    [cookie] = context.cookies()
    stolen = Request(
        f"{house.url}/v1/session", headers={"Cookie": f"{cookie['name']}={cookie['value']}"}
    )
    assert cookie["httpOnly"]
    with urlopen(stolen) as answer:
        assert answer.status == 200
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Kilocam")).to_be_visible()
    with pytest.raises(HTTPError, match="401"):
        urlopen(stolen)
    context.close()


def test_a_refused_camera_shows_its_reason(signed_in: Page, house: House) -> None:
    signed_in.goto(f"{house.url}/#/")
    reason = "127.0.0.1:9 refuses connections; is the camera on, and is this its RTSP port?"
    expect(signed_in.get_by_test_id("tile-refused")).to_contain_text(reason)
    signed_in.get_by_role("button", name="Not recording: 1").click()
    expect(signed_in.get_by_test_id("tile-cam-0")).to_have_count(0)
    signed_in.get_by_test_id("tile-refused").click()
    expect(signed_in.get_by_test_id("stage")).to_contain_text(reason)
    signed_in.keyboard.press("Escape")
    signed_in.get_by_role("button", name="Not recording: 1").click()
    expect(signed_in.get_by_test_id("tile-cam-0")).to_be_visible()


def test_a_camera_that_is_not_recorded_opens_no_socket(signed_in: Page, house: House) -> None:
    opened: list[str] = []
    page = signed_in.context.new_page()
    page.on("websocket", lambda socket: opened.append(socket.url))
    open_camera(page, house, "refused")
    expect(page.get_by_test_id("stage")).to_contain_text("refuses connections")
    live = page.get_by_test_id("go-live")
    expect(live).not_to_have_class(LIT)
    assert not opened
    open_camera(page, house, "cam-0")
    expect(live).to_have_class(LIT)  # there something plays
    page.close()


def test_a_camera_that_does_not_exist_is_told_once_with_a_way_back(
    signed_in: Page, house: House
) -> None:
    page = signed_in.context.new_page()
    open_camera(page, house, "nope")
    expect(page.get_by_role("heading", name="There is no camera “nope”")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("does not exist")
    expect(page.get_by_test_id("stage")).to_have_count(0)
    expect(page.get_by_test_id("draw-zone")).to_have_count(0)
    page.get_by_role("link", name="All cameras").click()
    expect(page.get_by_test_id("tile-cam-0")).to_be_visible()
    page.close()


def see(house: House, label: str, at_us: int) -> None:
    """Two seconds of the stored hour in which something was seen."""
    key = house.hour.key
    box = BoxAt(at_us=at_us + 1_000_000, box=(0.25, 0.25, 0.25, 0.5), score=0.9)
    event = event_id(key, at_us, 0)
    seen = ObjectSeen(event_id=event, opens=True, label=label, still=False, boxes=(box,))
    result = WindowResult(
        window=Window(
            tenant=key.tenant, camera=key.camera, start_us=at_us, end_us=at_us + 2_000_000
        ),
        version="test", partition=key.partition, position=Position(7, at_us), looked_us=at_us,
        objects=(seen,), changed=None, stages={},
    )  # fmt: skip
    house.write(lambda database, _: Windows(database, "test").write(result))


def test_events_are_shown_as_they_come_and_their_pictures_play(
    signed_in: Page, house: House
) -> None:
    start_us = house.hour.truth.spec.start_us
    see(house, "truck", start_us + 60_000_000)
    signed_in.goto(f"{house.url}/#/events")
    cards = signed_in.get_by_test_id("event")
    expect(cards).to_have_count(1)
    see(house, "person", start_us + 120_000_000)
    expect(cards).to_have_count(2)  # it came by itself
    expect(cards.first).to_contain_text("person")
    picture = cards.first.get_by_role("img")
    handle = picture.element_handle()
    signed_in.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=handle)
    cards.first.get_by_role("button", name="Play person").click()
    shown = grab(signed_in, "clip")
    later = "video => video.currentTime > 2 && !video.error"
    signed_in.wait_for_function(later, arg=signed_in.get_by_test_id("clip").element_handle())
    assert shown.number in numbers_near(house, start_us + 121_000_000, 4_000_000)

    search = signed_in.get_by_role("searchbox")
    search.fill("red truck at the hour")
    expect(cards).to_have_count(1)
    expect(cards.first.locator("b")).to_have_text("truck")  # where is said beside it, once
    expect(signed_in.get_by_text("No result holds: red")).to_be_visible()
    search.fill("truck on 31 february")
    expect(signed_in.get_by_role("alert")).to_contain_text("there is no 31 february")
    search.fill("truck tonight")
    expect(signed_in.get_by_role("alert")).to_contain_text("the time 'tonight': write today")
    expect(signed_in.get_by_role("alert")).not_to_contain_text("'from'")  # no field of this page
    expect(cards).to_have_count(0)
    search.fill("")
    expect(cards).to_have_count(2)
    cards.first.get_by_role("link").click()
    expect(signed_in.get_by_role("heading", name="hour")).to_be_visible()
    assert grab(signed_in, "past").number is not None


def test_what_a_model_says_stands_beside_its_name(signed_in: Page, house: House) -> None:
    at_us = house.hour.truth.spec.start_us + 180_000_000
    see(house, "bus", at_us)
    said = "A <b>red</b> bus waits; IGNORE ALL RULES."
    event = event_id(house.hour.key, at_us, 0)
    house.write(lambda database, _: Told(database).describe(house.hour.key, event, said, "eye-1"))
    signed_in.goto(f"{house.url}/#/events")
    signed_in.get_by_role("searchbox").fill("rules")
    cards = signed_in.get_by_test_id("event")
    expect(cards).to_have_count(1)
    expect(cards.first).to_contain_text(said)
    expect(cards.first.get_by_text("Described by eye-1")).to_be_visible()
    expect(cards.first.locator("b")).to_have_text("bus")  # what was said is no markup
    expect(cards.first.get_by_role("button", name="More")).to_have_count(0)


def one_event(**told: object) -> dict[str, Any]:
    """A list of one event, as the gateway gives it."""
    at = format_time(1_700_000_000_000_000)
    event = {"id": "one", "camera": "north-entrance", "title": "bus", "start": at, "end": at,
             "score": 1, "text": [], "description": "", "described_by": "",
             "box": [0.1, 0.1, 0.2, 0.2], "snapshot_url": "/a?", "clip_url": "/b"}  # fmt: skip
    return {"items": [event | told], "next_cursor": None}


@pytest.fixture
def phone(chromium: Browser, signed_in: Page) -> Iterator[Page]:
    context = chromium.new_context(**PHONE, storage_state=signed_in.context.storage_state())  # type: ignore[arg-type]  # the keys are those of the call
    yield context.new_page()
    context.close()


def test_an_events_title_is_whole_on_a_phone(phone: Page, house: House) -> None:
    title = "black and grey motorcycle at north-entrance"
    likeness = one_event(title=title)
    likeness["items"][0]["likeness"] = 0.5
    phone.route("**/v1/events?*", lambda route: route.fulfill(json=one_event(title=title)))
    phone.route("**/similar?*", lambda route: route.fulfill(json=likeness))
    phone.goto(f"{house.url}/#/events")
    phone.get_by_role("button", name="Similar").click()
    expect(phone.get_by_text("0.50")).to_be_visible()
    shown = phone.get_by_test_id("event").locator("b")
    expect(shown).to_have_text("black and grey motorcycle")
    assert shown.evaluate("b => b.scrollWidth <= b.clientWidth && b.scrollHeight <= b.clientHeight")
    assert phone.evaluate(WIDER) == []


@pytest.mark.parametrize(
    "told", [{"description": "A long day. " * 60, "described_by": "eye-1"}, {"text": ["so " * 300]}]
)
def test_a_long_text_is_opened_and_closed_and_its_author_is_always_in_sight(
    phone: Page, house: House, told: dict[str, object]
) -> None:
    phone.route("**/v1/events?*", lambda route: route.fulfill(json=one_event(**told)))
    phone.goto(f"{house.url}/#/events")
    text = phone.get_by_test_id("event").locator("p")
    whole = "p => p.scrollHeight <= p.clientHeight + 1"
    more = phone.get_by_role("button", name="More")
    expect(more).to_be_visible()
    assert not text.evaluate(whole)
    assert more.evaluate(LINES) == 1
    if "described_by" in told:
        expect(phone.get_by_text("Described by eye-1")).to_be_in_viewport(ratio=1)
    more.focus()
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("button", name="Less")).to_be_focused()
    assert text.evaluate(whole)
    phone.get_by_role("button", name="Less").tap()
    expect(more).to_be_visible()
    assert not text.evaluate(whole)


def test_what_looks_like_an_event_is_shown_and_the_newest_are_come_back_to(
    signed_in: Page, house: House
) -> None:
    key, start_us = house.hour.key, house.hour.truth.spec.start_us
    for label, second, vector in (
        ("backpack", 64, (1.0, 0.0)), ("suitcase", 70, (0.6, 0.8)), ("handbag", 76, (0.8, 0.6))
    ):  # fmt: skip
        at_us = start_us + second * 1_000_000
        see(house, label, at_us)
        window = Window(
            tenant=key.tenant, camera=key.camera, start_us=at_us, end_us=at_us + 2_000_000
        )
        portrait = Portrait(
            window=window, event_id=event_id(key, at_us, 0), label=label, at_us=at_us,
            model="test@1", vector=vector,
        )  # fmt: skip
        house.write(partial(_keep, portrait))
    see(house, "motorcycle", start_us + 82_000_000)  # how it looks is not known
    page = signed_in.context.new_page()
    page.goto(f"{house.url}/#/events")
    cards = page.get_by_test_id("event")
    expect(cards.filter(has_text="motorcycle")).to_have_count(1)
    cards.filter(has_text="backpack").get_by_role("button", name="Similar").click()
    expect(page.get_by_test_id("like")).to_contain_text("Like backpack")
    expect(cards).to_have_count(2)
    assert cards.locator("b").all_inner_texts() == ["handbag", "suitcase"]
    assert cards.locator(".likeness").all_inner_texts() == ["0.80", "0.60"]
    page.get_by_role("button", name="Back").click()
    cards.filter(has_text="motorcycle").get_by_role("button", name="Similar").click()
    expect(page.get_by_role("alert")).to_contain_text("looks is not known")
    expect(cards).to_have_count(0)
    page.get_by_role("searchbox").fill("suitcase")
    expect(page.get_by_test_id("like")).to_have_count(0)
    expect(cards).to_have_count(1)
    page.close()


async def _keep(portrait: Portrait, database: Database, _: object) -> None:
    await Likeness(database).keep(portrait)


def audited_window(key: CameraKey, at_us: int, *, moving: bool) -> WindowResult:
    """A quiet window that was looked at all the same."""
    return WindowResult(
        window=Window(
            tenant=key.tenant, camera=key.camera, start_us=at_us, end_us=at_us + 2_000_000
        ),
        version="test", partition=key.partition, position=Position(7, at_us), looked_us=at_us,
        objects=(),
        stages={
            "audit": StageCount(seen=1, passed=int(moving)),
            "whole": StageCount(seen=3, passed=int(moving), cost_us=45_000),
        },
    )  # fmt: skip


def test_what_was_looked_at_and_what_is_missed_is_told_stage_by_stage(
    chromium: Browser, signed_in: Page, house: House
) -> None:
    key, start_us = house.hour.key, house.hour.truth.spec.start_us + 600_000_000
    audited = [audited_window(key, start_us + n * 2_000_000, moving=n == 0) for n in range(40)]
    house.write(lambda database, _: Windows(database, "test").note(audited))
    context = chromium.new_context(**PHONE, storage_state=signed_in.context.storage_state())  # type: ignore[arg-type]  # the keys are those of the call
    page = context.new_page()
    page.goto(f"{house.url}/#/events")
    panel = page.get_by_test_id("analysis")
    expect(panel).to_contain_text("pieces of footage were looked at")
    panel.locator("summary").click()
    panel.get_by_role("combobox").select_option(key.camera)
    whole = page.get_by_test_id("stage-whole")
    expect(whole).to_contain_text("15.0 ms")
    expect(whole.locator("td").first).to_have_text("120")
    expect(page.get_by_test_id("stage-audit").locator("td").nth(2)).to_have_text("2.5 %")
    low, high = share_within(40, 1)
    expect(page.get_by_test_id("missed")).to_have_text(
        "Spot checks of those in which nothing seemed to move: something did in "
        f"{100 * low:.1f} % to {100 * high:.0f} % of them (95 % sure, 40 checked)."
    )
    for cell in whole.locator("td").all():
        assert cell.evaluate(LINES) <= 1  # "15.0 ms" is not broken
    assert page.evaluate(WIDER) == []
    context.close()


@pytest.mark.parametrize(
    ("looked", "skipped", "alarm"),
    [
        (0, {"quiet": 15, "failed": 25}, "No footage of the last 24 hours was looked at"),
        (10, {"quiet": 5, "overload": 25}, "Most footage that should have been looked at"),
        (20, {"quiet": 1015, "failed": 5}, None),
        (558, {}, None),
    ],
)
def test_what_was_not_looked_at_is_told_with_its_reasons_and_most_of_it_as_a_problem(
    signed_in: Page, house: House, looked: int, skipped: dict[str, int], alarm: str | None
) -> None:
    given = {
        "offered": looked + sum(skipped.values()), "looked": looked, "skipped": skipped,
        "cascade": {"stages": [], "missed": {"audited": 0, "moving": 0, "low": 0, "high": 1}},
        "cameras": [],
    }  # fmt: skip
    page = signed_in.context.new_page()
    page.route("**/v1/analysis*", lambda route: route.fulfill(json=given))
    page.goto(f"{house.url}/#/events")
    panel = page.get_by_test_id("analysis")
    expect(panel).to_contain_text(f"{looked} of {given['offered']:,} short pieces of footage")
    said = {"quiet": "as nothing seemed to move", "failed": "as looking at them failed",
            "overload": "for lack of time"}  # fmt: skip
    for reason, count in skipped.items():
        expect(panel).to_contain_text(f"{count:,} {said[reason]}")
    panel.locator("summary").click()
    unchecked = "Spot checks of those in which nothing seemed to move: none was checked yet."
    expect(page.get_by_test_id("missed")).to_have_text(unchecked if "quiet" in skipped else "")
    if alarm:
        expect(page.get_by_test_id("unseen")).to_contain_text(alarm)
    else:
        expect(page.get_by_test_id("unseen")).to_have_count(0)
    page.close()


def test_a_clip_that_plays_is_left_in_peace_by_what_comes(signed_in: Page, house: House) -> None:
    start_us = house.hour.truth.spec.start_us + 150_000_000
    see(house, "boat", start_us)
    page = signed_in.context.new_page()
    page.goto(f"{house.url}/#/events")
    cards = page.get_by_test_id("event")
    expect(page.get_by_role("button", name="Play boat")).to_be_visible()
    told = cards.locator("footer")
    before = told.all_inner_texts()
    page.get_by_role("button", name="Play boat").click()
    clip = page.get_by_test_id("clip")
    page.wait_for_function("video => video.currentTime > 0", arg=clip.element_handle())
    see(house, "train", start_us + 3_000_000)
    page.wait_for_timeout(2500)  # told within one, were it told
    assert told.all_inner_texts() == before
    clip.evaluate("video => { video.playbackRate = 8 }")
    expect(cards).to_have_count(len(before) + 1, timeout=30_000)  # it comes when that has ended
    expect(page.get_by_role("button", name="Play train")).to_be_visible()
    page.close()


def test_a_clip_that_cannot_play_gives_its_picture_back(signed_in: Page, house: House) -> None:
    start_us = house.hour.truth.spec.start_us + 155_000_000
    see(house, "sheep", start_us)
    page = signed_in.context.new_page()
    page.route("**/clip.mp4?*", lambda route: route.fulfill(status=404))
    page.goto(f"{house.url}/#/events")
    with page.expect_response("**/clip.mp4?*"):
        page.get_by_role("button", name="Play sheep").click()
    expect(page.get_by_role("button", name="Play sheep")).to_be_visible()
    see(house, "cow", start_us + 3_000_000)
    expect(page.get_by_role("button", name="Play cow")).to_be_visible()  # the list goes on
    page.close()


def test_a_search_is_answered_though_something_is_played_meanwhile(
    signed_in: Page, house: House
) -> None:
    see(house, "horse", house.hour.truth.spec.start_us + 165_000_000)
    held: list[Route] = []

    def hold(route: Route) -> None:  # as below
        held.append(route)

    page = signed_in.context.new_page()
    page.goto(f"{house.url}/#/events")
    play = page.get_by_role("button", name="Play horse")
    expect(play).to_be_visible()
    page.route("**/v1/search", hold)
    with page.expect_request("**/v1/search"):
        page.get_by_role("searchbox").fill("zebra crossing nowhere")
    play.click()
    for route in held:
        route.continue_()
    expect(page.get_by_text("Nothing was found.")).to_be_visible()
    page.close()


def test_events_go_on_after_their_stream_was_refused_once(signed_in: Page, house: House) -> None:
    page = signed_in.context.new_page()
    page.route("**/v1/events/stream", lambda route: route.fulfill(status=503), times=1)
    with page.expect_response("**/v1/events/stream") as refused:
        page.goto(f"{house.url}/#/events")
    assert refused.value.status == 503
    see(house, "bicycle", house.hour.truth.spec.start_us + 180_000_000)
    expect(page.get_by_test_id("event").first).to_contain_text("bicycle", timeout=10_000)
    page.close()


def test_a_late_list_does_not_replace_what_a_search_found(signed_in: Page, house: House) -> None:
    see(house, "cat", house.hour.truth.spec.start_us + 240_000_000)
    held: list[Route] = []

    def hold(route: Route) -> None:  # the library cannot keep a list's own method
        held.append(route)

    page = signed_in.context.new_page()
    page.route("**/v1/events?*", hold)
    page.goto(f"{house.url}/#/events")
    page.get_by_role("searchbox").fill("dog at the hour")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()
    assert held
    for route in held:
        route.continue_()
    page.wait_for_timeout(1000)
    expect(page.get_by_test_id("event")).to_have_count(0)
    page.close()


def test_a_late_list_does_not_take_away_the_older_ones(signed_in: Page, house: House) -> None:
    asked: list[Route] = []
    held: list[Route] = []

    def seen(name: str, cursor: str | None) -> dict[str, Any]:
        at = format_time(house.hour.truth.spec.start_us)
        card = {"id": name, "camera": "hour", "title": name, "start": at, "end": at, "score": 1,
                "text": [], "box": [0.1, 0.1, 0.2, 0.2], "snapshot_url": "/a?",
                "clip_url": "/b"}  # fmt: skip
        return {"items": [card], "next_cursor": cursor}

    def answer(route: Route) -> None:
        if "cursor=" in route.request.url:
            route.fulfill(json=seen("older", None))
        elif not asked:
            asked.append(route)
            route.fulfill(json=seen("newest", "next"))
        else:
            held.append(route)  # asked again, because something came

    page = signed_in.context.new_page()
    cards = page.get_by_test_id("event")
    page.route("**/v1/events?*", answer)
    page.goto(f"{house.url}/#/events")
    expect(cards).to_have_count(1)
    eventually(page, lambda: held)
    page.get_by_role("button", name="Show older ones").click()
    expect(cards).to_have_count(2)
    for route in held:
        route.fulfill(json=seen("newest", "next"))
    page.wait_for_timeout(500)
    expect(cards).to_have_count(2)
    page.close()


def test_an_event_shows_no_box_before_its_picture_has_come(signed_in: Page, house: House) -> None:
    see(house, "bus", house.hour.truth.spec.start_us + 300_000_000)
    held: list[Route] = []

    def hold(route: Route) -> None:  # as above
        held.append(route)

    page = signed_in.context.new_page()
    page.route("**/snapshot.jpg?*", hold)
    page.goto(f"{house.url}/#/events")
    expect(page.get_by_role("button", name="Play bus")).to_be_visible()
    eventually(page, lambda: held)
    expect(page.locator(".box")).to_have_count(0)
    for route in held:
        route.continue_()
    expect(page.locator(".box").first).to_be_visible()
    page.close()


@pytest.mark.parametrize("path", ["", "#/events", "#/camera/cam-0", "#/camera/refused", "past"])
def test_a_phone_scrolls_in_one_direction_only(
    signed_in: Page, chromium: Browser, house: House, path: str
) -> None:
    """390 CSS pixels; sideways there is nothing to find, on any view."""
    if path == "past":
        path = f"#/camera/hour?at={format_time(house.hour.truth.spec.start_us + 1_250_000_000)}"
    context = chromium.new_context(**PHONE, storage_state=signed_in.context.storage_state())  # type: ignore[arg-type]  # the keys are those of the call
    page = context.new_page()
    page.goto(f"{house.url}/{path}")
    page.get_by_role("button", name="Sign out").wait_for()
    page.wait_for_timeout(2500)
    assert page.evaluate(WIDER) == []
    context.close()


def test_signing_in_fits_a_phone(chromium: Browser, house: House) -> None:
    context = chromium.new_context(**PHONE)  # type: ignore[arg-type]  # as above
    page = context.new_page()
    page.goto(f"{house.url}/#/link-refused")
    page.get_by_label(FIELD).wait_for()
    assert page.evaluate(WIDER) == []
    context.close()


def test_a_wall_of_a_thousand_cameras_plays_no_more_than_can_be_seen(
    chromium: Browser, house: House
) -> None:
    async def add(database: Database, keyring: Keyring) -> str:
        fleet = Fleet(database, keyring)
        await fleet.ensure_tenant("many", actor="test")
        cameras = [CameraInput(id=id_, url="rtsp://h/", enabled=False) for id_ in THOUSAND]
        await fleet.declare("many", cameras, actor="test")
        made = await fleet.tokens.create("many", Role.VIEWER, actor="test")
        return made.secret

    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    status = {"state": "recording", "since": None, "reason": "", "bitrate_bps": 1, "fps": 5,
              "last_packet_at": None}  # fmt: skip
    said = {"items": [{"id": id_, "status": status} for id_ in THOUSAND], "next_cursor": None}
    page.route("**/v1/status*", lambda route: route.fulfill(json=said))  # as if all were recorded
    sockets: list[WebSocket] = []

    def opened(socket: WebSocket) -> None:  # the library cannot keep a list's own method
        sockets.append(socket)

    page.on("websocket", opened)

    def connected() -> int:
        return sum(not socket.is_closed() for socket in sockets)

    def playing() -> list[str]:
        names = "all => all.map(each => each.dataset.testid)"
        found: list[str] = page.locator("video").evaluate_all(names)
        return found

    page.goto(house.url)
    page.get_by_label(FIELD).fill(house.write(add))
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("summary")).to_have_text("1000 of 1000 cameras recording")
    expect(page.locator(".tile")).to_have_count(1000)
    eventually(page, playing)
    page.wait_for_timeout(1500)
    assert len(playing()) <= 24
    assert playing()[0] == "live-wall-0000"
    most = 0
    for _ in range(30):
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(100)
        most = max(most, len(playing()), connected())
    page.keyboard.press("End")
    expect(page.get_by_test_id("tile-wall-0999")).to_be_in_viewport()
    eventually(page, lambda: "live-wall-0999" in playing() and min(playing()) > "live-wall-0900")
    page.wait_for_timeout(1500)
    assert max(most, len(playing()), connected()) <= 24
    page.get_by_role("searchbox").fill("0500")
    expect(page.locator(".tile")).to_have_count(1)
    context.close()


def test_live_pictures_change_and_are_at_most_two_seconds_behind(
    signed_in: Page, house: House
) -> None:
    signed_in.goto(f"{house.url}/#/")
    expect(signed_in.get_by_test_id("summary")).to_have_text("4 of 5 cameras recording")
    for camera in range(4):
        grab(signed_in, f"live-cam-{camera}")
    seen = list(live_samples(signed_in, 0))
    assert len({sample.number for sample in seen}) >= 8
    late = sorted(behind_s(house, 0, sample) for sample in seen)
    print("behind the ledger, seconds:", [round(value, 2) for value in late])
    assert late[len(late) // 2] <= 2.0, late


def test_a_page_seen_again_while_it_waits_to_retry_keeps_one_socket(
    signed_in: Page, house: House
) -> None:
    page = signed_in.context.new_page()
    page.add_init_script(SOCKETS)
    open_camera(page, house, "cam-0")
    grab(page, "live-cam-0")
    page.evaluate("sockets[0].close()")
    expect(page.get_by_test_id("stage")).to_contain_text("trying again")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # the user is back
    page.wait_for_timeout(2500)  # longer than the first wait before a retry
    assert page.evaluate("sockets.filter(each => each.readyState <= 1).length") == 1
    page.close()


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
        # A pixel of the strip is 60 ms; the page says which moment it took the click for.
        eventually(signed_in, lambda: abs(shown_us(signed_in) - wanted_us) <= 200_000)  # noqa: B023  # ended by then
        seen = grab(signed_in, "past")
        assert seen.number is not None
        taken_us = house.ledger.picture_us(1, seen.number, near_us=wanted_us)
        print(f"asked {wanted_us}, page says {seen.now_us}, ledger says {taken_us}")
        assert abs(seen.now_us - wanted_us) <= 200_000
        assert abs(taken_us - seen.now_us) <= 200_000


def test_a_moment_without_footage_is_told_in_the_time_of_the_strip(
    signed_in: Page, house: House
) -> None:
    open_camera(signed_in, house, "refused", time.time_ns() // 1000 - 60_000_000)
    stage = signed_in.get_by_test_id("stage")
    expect(stage).to_contain_text(re.compile(r"no footage to play from (\S+ )?\d\d:\d\d:\d\d on"))


def test_keys_step_and_return_to_live(signed_in: Page, house: House) -> None:
    open_camera(signed_in, house, "hour", house.hour.truth.spec.start_us + 100_000_000)
    first = grab(signed_in, "past")
    signed_in.keyboard.press(" ")
    signed_in.keyboard.press("ArrowRight")
    eventually(signed_in, lambda: shown_us(signed_in) - first.now_us >= 9_000_000)
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


def test_a_slow_timeline_is_asked_for_once_at_a_time(signed_in: Page, house: House) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:  # the library cannot keep a list's own method
        held.append(route)

    page = signed_in.context.new_page()
    page.route("**/footage?*", hold)
    open_camera(page, house, "hour", house.hour.truth.spec.start_us)
    eventually(page, lambda: held)
    page.wait_for_timeout(6000)  # it is renewed each 4 s
    assert len(held) == 1
    held[0].continue_()
    expect(page.get_by_test_id("gaps")).to_contain_text("recorded")
    eventually(page, lambda: len(held) == 2)
    page.close()


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
        numbers = {
            shot.number
            for shot in truth.shots
            if seen.now_us - 1_000_000 <= shot.wall_us <= seen.until_us + 1_000_000
        }
        assert seen.number in numbers, seen


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
