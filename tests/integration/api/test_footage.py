"""Footage over HTTP, with a database that is dead all the time."""

import io
import json
import re
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import av
import httpx
import numpy as np
import pytest
from tests.integration.api.conftest import SPEC, House, Stored

from kilocam.api.operations.cameras import CameraFigures
from kilocam.core import CameraKey, format_time
from kilocam.media import read_frame_number

pytestmark = pytest.mark.asyncio


def at(seconds: float) -> str:
    return format_time(SPEC.start_us + round(seconds * 1e6))


def between(start: float, end: float) -> dict[str, str]:
    return {"from": at(start), "to": at(end)}


def frame_numbers(data: bytes) -> list[int | None]:
    with av.open(io.BytesIO(data), "r") as container:
        return [
            read_frame_number(picture.to_ndarray(format="rgb24").astype(np.uint8))
            for picture in container.decode(video=0)
        ]


async def test_footage_tells_what_is_there_and_why_something_is_missing(house: House) -> None:
    async with house.signed_in() as client:
        answer = await client.get("/v1/cameras/gate/footage", params=between(0, 30))
    found = answer.json()
    assert [(r["start"], r["end"]) for r in found["ranges"]] == [
        (at(0), at(20)),
        (at(24), at(30)),
    ]
    assert [(g["start"], g["end"], g["cause"]) for g in found["gaps"]] == [
        (at(20), at(24), "timed_out")
    ]
    assert found["coverage"] == pytest.approx(26 / 30, abs=1e-5)


async def test_a_playlist_plays_with_its_links_alone(house: House, stored: Stored) -> None:
    async with house.signed_in() as client:
        answer = await client.get("/v1/cameras/gate/hls/index.m3u8", params=between(0, 30))
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert "private" in answer.headers["cache-control"]
    numbers: list[int | None] = []
    init = b""
    async with house.client() as nobody:
        for line in answer.text.splitlines():
            link = re.fullmatch(r'(?:#EXT-X-MAP:URI=")?(/v1/media/[^"]+)"?', line)
            if link is None:
                continue
            part = await nobody.get(link[1])
            assert part.status_code == 200
            assert part.headers["cache-control"] == "public, max-age=31536000, immutable"
            if line.startswith("#"):
                init = part.content
            else:
                numbers += frame_numbers(init + part.content)
    # 260 pictures were sent; of one a packet was lost, and what hangs on it up to the key frame.
    assert 235 <= len(numbers) <= 259
    assert numbers[:40] == [number % 100 for number in range(40)]


async def test_a_changed_link_opens_nothing(house: House) -> None:
    async with house.signed_in() as client:
        answer = await client.get("/v1/cameras/gate/hls/index.m3u8", params=between(0, 8))
    link = next(line for line in answer.text.splitlines() if line.endswith(".m4s"))
    proof = re.search(r"\.(.)[^./]+/default", link)
    assert proof is not None
    other = "B" if proof[1] == "A" else "A"
    async with house.client() as nobody:
        for changed in (
            link.replace("/gate/", "/yard/"),
            link.replace("/default/", "/other/"),
            link[: proof.start(1)] + other + link[proof.end(1) :],
            link.replace("-v.m4s", "-av.m4s"),
        ):
            refused = await nobody.get(changed)
            assert refused.status_code == 403, changed
            assert refused.json()["type"] == "urn:kilocam:problem:forbidden"


@pytest.mark.parametrize("moment", [0.0, 3.31, 12.5, 19.9, 29.0])
async def test_a_snapshot_is_the_picture_shown_then(
    house: House, stored: Stored, moment: float
) -> None:
    async with house.signed_in() as client:
        answer = await client.get("/v1/cameras/gate/snapshot.jpg", params={"at": at(moment)})
    assert answer.headers["content-type"] == "image/jpeg"
    shown = stored.truth.shown_at(SPEC.start_us + round(moment * 1e6))
    assert frame_numbers(answer.content) == [shown.number]
    assert answer.headers["kilocam-taken"] == format_time(shown.wall_us)


async def test_a_snapshot_is_scaled_down_on_request(house: House) -> None:
    async with house.signed_in() as client:
        answer = await client.get(
            "/v1/cameras/gate/snapshot.jpg", params={"at": at(3), "width": "160"}
        )
    with av.open(io.BytesIO(answer.content)) as container:
        assert container.streams.video[0].width == 160


async def test_a_clip_is_the_range_as_a_file(house: House) -> None:
    async with house.signed_in() as client:
        answer = await client.get("/v1/cameras/gate/clip.mp4", params=between(2, 8))
    assert answer.headers["content-type"].startswith("video/mp4")
    assert answer.headers["content-disposition"].startswith('inline; filename="gate_')
    assert len(frame_numbers(answer.content)) == 60


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("snapshot.jpg", {"at": at(22)}),
        ("clip.mp4", between(20.5, 23.5)),
        ("hls/index.m3u8", between(20.5, 23.5)),
    ],
)
async def test_where_nothing_is_the_problem_names_the_cause(
    house: House, path: str, query: dict[str, str]
) -> None:
    async with house.signed_in() as client:
        answer = await client.get(f"/v1/cameras/gate/{path}", params=query)
    problem = answer.json()
    assert answer.status_code == 404
    assert problem["type"] == "urn:kilocam:problem:no-footage"
    assert "timed_out" in problem["detail"]
    assert problem["gaps"][0]["cause"] == "timed_out"


async def test_times_may_have_an_offset_even_one_that_a_client_forgot_to_escape(
    house: House,
) -> None:
    local = httpx.QueryParams(between(0, 5))
    shifted = {
        name: _shifted(value).isoformat().replace("+00:00", "Z") for name, value in local.items()
    }
    raw = "&".join(f"{name}={value}" for name, value in shifted.items())
    escaped = "&".join(f"{name}={quote(value)}" for name, value in shifted.items())
    async with house.signed_in() as client:
        answers = [
            await client.get(f"/v1/cameras/gate/footage?{query}") for query in (raw, escaped)
        ]
    for answer in answers:
        assert answer.json()["ranges"] == [{"start": at(0), "end": at(5)}]


def _shifted(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday", "to": at(3)}, "from"),
        ({"from": "2026-11-23T10:00:00", "to": at(3)}, "from"),
        ({"from": at(3)}, "to"),
        ({"from": at(3), "to": at(3)}, "'to' is not after 'from'"),
        ({"from": "2020-01-01T00:00:00Z", "to": at(3)}, "longer than"),
    ],
)
async def test_a_range_that_makes_no_sense_is_refused_in_words(
    house: House, query: dict[str, str], field: str
) -> None:
    async with house.signed_in() as client:
        answer = await client.get("/v1/cameras/gate/footage", params=query)
    assert answer.status_code == 422
    assert field in answer.json()["detail"]


async def test_a_playlist_without_an_end_does_not_begin_days_ago(house: House) -> None:
    async with house.signed_in() as client:
        answer = await client.get(
            "/v1/cameras/gate/hls/index.m3u8", params={"from": "2020-01-01T00:00:00Z"}
        )
    assert answer.status_code == 422
    assert "begins at most 24 h ago; give 'to'" in answer.json()["detail"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z"])
async def test_a_moment_that_no_calendar_knows_is_refused(house: House, moment: str) -> None:
    async with house.signed_in() as client:
        answer = await client.get("/v1/cameras/gate/snapshot.jpg", params={"at": moment})
    assert answer.status_code == 422


async def test_a_range_still_to_come_has_neither_footage_nor_gaps(house: House) -> None:
    hour = {"from": "2090-01-01T00:00:00Z", "to": "2090-01-01T01:00:00Z"}
    async with house.signed_in() as client:
        footage = await client.get("/v1/cameras/gate/footage", params=hour)
        others = [
            await client.get("/v1/cameras/gate/clip.mp4", params=hour),
            await client.get("/v1/cameras/gate/hls/index.m3u8", params=hour),
            await client.get("/v1/cameras/gate/snapshot.jpg", params={"at": hour["from"]}),
        ]
    assert (footage.json()["ranges"], footage.json()["gaps"]) == ([], [])
    assert [answer.status_code for answer in others] == [404, 404, 404]


async def test_a_camera_that_only_the_dead_database_could_know_is_not_denied(house: House) -> None:
    async with house.signed_in() as client:
        answer = await client.get("/v1/cameras/attic/footage", params=between(0, 5))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_a_tenant_sees_nothing_of_another(house: House) -> None:
    paths = ["footage", "hls/index.m3u8", "clip.mp4"]
    async with house.signed_in("default") as client:
        answers = [
            await client.get(f"/v1/cameras/vault/{path}", params=between(0, 3)) for path in paths
        ]
        crossed = await client.get(
            "/v1/cameras/vault/footage", params={**between(0, 3), "tenant": "other"}
        )
    assert {answer.status_code for answer in answers} == {503}  # as any camera nobody knows
    assert crossed.status_code == 403
    async with house.signed_in("other") as client:
        own = await client.get("/v1/cameras/vault/footage", params=between(0, 3))
    assert len(own.json()["ranges"]) == 1


async def test_answers_of_the_catalogue_are_json_as_described(house: House) -> None:
    async with house.signed_in() as client:
        described = (await client.get("/v1/openapi.json")).json()
    paths = json.dumps(described["paths"])
    for path in ("footage", "hls/index.m3u8", "snapshot.jpg", "clip.mp4"):
        assert f"/v1/cameras/{{id}}/{path}" in paths
    parameters = described["paths"]["/v1/cameras/{id}/footage"]["get"]["parameters"]
    assert {p["name"] for p in parameters} == {"id", "from", "to"}


async def test_states_are_told_while_the_database_is_dead(house: House) -> None:
    for tenant in ("default", "other"):
        house.board.known[CameraKey(tenant, "gate")] = CameraFigures(
            state="recording", since_us=SPEC.start_us, reason="", bitrate_bps=1, fps=10.0,
            last_packet_us=SPEC.start_us,
        )  # fmt: skip
    async with house.signed_in() as client:
        told = (await client.get("/v1/status")).json()
        listed = await client.get("/v1/cameras")
    assert [(c["id"], c["status"]["state"]) for c in told["items"]] == [("gate", "recording")]
    assert told["next_cursor"] is None
    assert listed.status_code == 503


async def test_states_of_a_thousand_cameras_come_in_pages(house: House) -> None:
    figures = CameraFigures(
        state="recording", since_us=SPEC.start_us, reason="", bitrate_bps=1, fps=10.0,
        last_packet_us=SPEC.start_us,
    )  # fmt: skip
    ids = [f"cam-{number:04}" for number in range(1000)]
    house.board.known.update({CameraKey("default", id_): figures for id_ in ids})
    seen: list[str] = []
    pages, cursor = 0, None
    async with house.signed_in() as client:
        while pages == 0 or cursor:
            query = {"limit": "400", **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/v1/status", params=query)).json()
            seen += [camera["id"] for camera in page["items"]]
            cursor, pages = page["next_cursor"], pages + 1
        default = (await client.get("/v1/status")).json()
    assert (seen, pages) == (ids, 3)
    assert len(default["items"]) == 500
