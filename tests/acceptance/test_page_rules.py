"""Zones and lines drawn in a real Chromium, over a camera's living picture."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import combinations
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.acceptance.conftest import House
from tests.acceptance.test_page import PHONE, SHOWS, WIDER

from kilocam.analyse import BoxAt, ObjectSeen, WindowResult, event_id
from kilocam.bus import Position
from kilocam.core import CameraKey, Window
from kilocam.database import Database
from kilocam.fleet import Keyring, rules_of
from kilocam.insight import Windows

pytestmark = pytest.mark.timeout(400)
CAMERA = "cam-0"
S = 1_000_000


def asked(house: House, method: str, path: str, given: object = None) -> Any:
    request = Request(
        f"{house.url}/v1/cameras/{CAMERA}/{path}",
        method=method,
        data=None if given is None else json.dumps(given).encode(),
        headers={"Authorization": f"Bearer {house.token}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=20) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@contextmanager
def opened(chromium: Browser, signed_in: Page, house: House, **options: Any) -> Iterator[Page]:
    """The camera's view with its picture there; its rules go afterwards."""
    state = signed_in.context.storage_state()
    context = chromium.new_context(storage_state=state, **options)
    page = context.new_page()
    page.goto(f"{house.url}/#/camera/{CAMERA}")
    video = page.get_by_test_id("stage").locator("video")
    page.wait_for_function(SHOWS, arg=video.element_handle())
    yield page
    context.close()
    for rule in asked(house, "GET", "rules")["items"]:
        asked(house, "DELETE", f"rules/{rule['name']}")


@pytest.fixture
def view(chromium: Browser, signed_in: Page, house: House) -> Iterator[Page]:
    """At about noon: what was counted today is not cut by midnight."""
    west = datetime.now(UTC).hour - 12  # of Greenwich
    zone = f"Etc/GMT{west:+d}" if west else "UTC"
    size = {"width": 1280, "height": 1000}
    with opened(chromium, signed_in, house, viewport=size, timezone_id=zone) as page:
        yield page


def click_in_picture(page: Page, *points: tuple[float, float]) -> None:
    """Click at fractions of the picture, by where the video's picture is, not the drawing."""
    left, top, width, height = (
        page.get_by_test_id("stage")
        .locator("video")
        .evaluate("""video => {
        const box = video.getBoundingClientRect();
        const scale = Math.min(box.width / video.videoWidth, box.height / video.videoHeight);
        const [w, h] = [video.videoWidth * scale, video.videoHeight * scale];
        return [box.x + (box.width - w) / 2, box.y + (box.height - h) / 2, w, h];
    }""")
    )
    for x, y in points:
        page.mouse.click(left + x * width, top + y * height)


def save(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Save").click()


def test_a_zone_is_drawn_where_the_picture_is_and_seen_again(view: Page, house: House) -> None:
    view.get_by_test_id("draw-zone").click()
    corners = [(0.2, 0.3), (0.8, 0.3), (0.7, 0.9)]
    click_in_picture(view, *corners)
    save(view, "hall")
    expect(view.get_by_test_id("rules")).to_contain_text("hall zone")
    [rule] = asked(house, "GET", "rules")["items"]
    for (x, y), corner in zip(rule["polygon"], corners, strict=True):
        assert (x, y) == pytest.approx(corner, abs=0.01)
    view.reload()
    expect(view.get_by_test_id("rules-over").locator("polygon")).to_have_count(1)


def test_a_zone_that_crosses_itself_is_refused_and_the_drawing_stays(
    view: Page, house: House
) -> None:
    view.get_by_test_id("draw-zone").click()
    click_in_picture(view, (0.2, 0.2), (0.8, 0.8), (0.8, 0.2), (0.2, 0.8))
    save(view, "knot")
    expect(view.get_by_test_id("rules")).to_contain_text("it crosses itself")
    save(view, "knot")  # once more
    expect(view.get_by_test_id("rules-over").locator(".draft circle")).to_have_count(4)
    view.get_by_role("button", name="Cancel").click()
    expect(view.get_by_test_id("rules-over").locator(".draft")).to_have_count(0)
    assert asked(house, "GET", "rules")["items"] == []


def test_a_drawn_line_counts_who_comes_over_it(view: Page, house: House) -> None:
    view.get_by_test_id("draw-line").click()
    click_in_picture(view, (0.5, 0.9), (0.5, 0.1))  # upwards: the arrow leads to the right
    save(view, "door")
    count = view.get_by_test_id("count-door")
    expect(count).to_have_text("today 0 with the arrow, 0 against it")
    key = CameraKey("default", CAMERA)
    start = time.time_ns() // 1000 // S * S - 2 * S
    boxes = tuple(
        BoxAt(at_us=start + n * S, box=(0.2 + 0.5 * n, 0.3, 0.1, 0.3), score=0.9) for n in (0, 1)
    )
    walker = ObjectSeen(
        event_id=event_id(key, start, 7), opens=True, label="person", still=False, boxes=boxes
    )
    result = WindowResult(
        window=Window(tenant="default", camera=CAMERA, start_us=start, end_us=start + 2 * S),
        version="page", partition=key.partition, position=Position(1, 1), looked_us=start,
        objects=(walker,),
    )  # fmt: skip

    async def write(database: Database, _: Keyring) -> None:
        await Windows(database, "page", rules_of=rules_of).write(result)

    house.write(write)
    expect(count).to_have_text("today 1 with the arrow, 0 against it", timeout=30_000)


def test_drawing_fits_a_phone(chromium: Browser, signed_in: Page, house: House) -> None:
    state = signed_in.context.storage_state()
    context = chromium.new_context(**PHONE, storage_state=state)  # type: ignore[arg-type]  # the keys are those of the call
    page = context.new_page()
    page.goto(f"{house.url}/#/camera/{CAMERA}")
    page.get_by_test_id("draw-line").click()
    expect(page.get_by_label("Name")).to_be_visible()
    for field in (page.get_by_label("Name"), page.get_by_label("Of what")):
        box = field.bounding_box()
        assert box is not None
        assert box["height"] > 40  # for a finger
    assert page.evaluate(WIDER) == []
    context.close()


WIDE = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(params=[WIDE, PHONE], ids=["desk", "phone"])
def small(
    request: pytest.FixtureRequest, chromium: Browser, signed_in: Page, house: House
) -> Iterator[Page]:
    """Where little of it fits."""
    with opened(chromium, signed_in, house, **request.param) as page:
        yield page


def test_why_a_drawing_is_refused_is_in_sight_after_saving(small: Page) -> None:
    small.get_by_test_id("draw-line").click()
    click_in_picture(small, (0.5, 0.5), (0.5, 0.5))
    small.evaluate("scrollTo(0, 0)")
    save(small, "dot")
    expect(small.get_by_role("alert")).to_contain_text("less than 0.2% of the picture apart")
    expect(small.get_by_role("alert")).to_be_in_viewport(ratio=1)


def test_names_of_rules_can_be_read_and_lie_inside_the_picture_none_upon_another(
    small: Page, house: House
) -> None:
    names = ["north-entrance", "north-entrance-2", "left", "below", "line"]
    corners = [(0.1, 0.0), (0.1, 0.02), (0.98, 0.5), (0.5, 1.0)]
    for name, (x, y) in zip(names, corners, strict=False):
        polygon = [[x, y], [0.5, 0.3], [0.4, 0.6]]
        asked(house, "PUT", f"rules/{name}", {"kind": "zone", "polygon": polygon})
    asked(house, "PUT", "rules/line", {"kind": "line", "line": [[0.1, 0.01], [0.3, 0.4]]})
    small.reload()
    texts = small.get_by_test_id("rules-over").locator("text")
    expect(texts).to_have_count(5)
    stage = small.get_by_test_id("stage").locator("video")
    small.wait_for_function(SHOWS, arg=stage.element_handle())
    small.wait_for_timeout(300)  # the names take their places by the picture's size
    whole = stage.bounding_box()
    assert whole is not None
    boxes = [box for each in texts.all() if (box := each.bounding_box())]
    for box in boxes:
        assert box["height"] > 12
        assert box["x"] >= whole["x"] - 1
        assert box["y"] >= whole["y"] - 1
        assert box["x"] + box["width"] <= whole["x"] + whole["width"] + 1
        assert box["y"] + box["height"] <= whole["y"] + whole["height"] + 1
    for one, other in combinations(boxes, 2):
        beside = (one["x"] + one["width"] <= other["x"]) or (
            other["x"] + other["width"] <= one["x"]
        )
        assert beside or abs(one["y"] - other["y"]) > 0.8 * one["height"]


def test_what_removes_a_rule_stands_beside_it(small: Page, house: House) -> None:
    asked(house, "PUT", "rules/l", {"kind": "line", "line": [[0.1, 0.1], [0.3, 0.4]]})
    small.reload()
    expect(small.get_by_test_id("count-l")).to_be_visible()
    beside = (
        small.get_by_test_id("rules")
        .locator("li")
        .evaluate("""line => {
        const [count, remove] = [line.children[2], line.lastChild].map(
            each => each.getBoundingClientRect());
        return remove.y < count.bottom && count.right <= remove.x;
    }""")
    )
    assert beside
