"""Footage: what exists, playlists, pictures, clips. None of it needs a database or a queue."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from kilocam.api.catalogue import Binary, Caller, Catalogue, Model, Operation
from kilocam.api.known import KnownCameras
from kilocam.api.operations.cameras import CameraId
from kilocam.api.problems import Problem
from kilocam.api.requests import MEDIA
from kilocam.core import CameraKey, ConfigError, Gap, Span, format_time, now_us, parse_time
from kilocam.fleet import Role
from kilocam.playback import (
    CONTENT_TYPE,
    Busy,
    NoFootage,
    NoPicture,
    NotPlayable,
    Playback,
    PlaybackError,
)

_HOUR_US = 3_600_000_000
FOOTAGE_US = 7 * 24 * _HOUR_US
"""Every piece of the range is looked at, two a second and camera."""
PLAY_US = 24 * _HOUR_US
"""A day's playlist has 21,600 entries already."""
_AROUND_GAPS = 20
_HEADER_CHARACTERS = 1000
_PRIVATE = {"Cache-Control": "private, no-store"}


def _moment(value: object) -> object:
    """Microseconds of an RFC 3339 time; a '+' that a URL turned into a space is one again."""
    if not isinstance(value, str):
        return value
    try:
        return parse_time(re.sub(r" (\d\d:\d\d)$", r"+\1", value))
    except ConfigError as error:
        raise ValueError(str(error)) from None


Moment = Annotated[
    int, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})
]


class RangeIn(Model):
    """A camera and [from, to)."""

    id: CameraId
    start: Annotated[Moment, Field(alias="from", description="RFC 3339.")]
    end: Annotated[Moment, Field(alias="to", description="RFC 3339.")]


class PlaylistIn(Model):
    """A camera and where playing begins and ends."""

    id: CameraId
    start: Annotated[Moment, Field(alias="from", description="RFC 3339.")]
    end: Annotated[
        Moment | None, Field(alias="to", description="RFC 3339; without it the playlist grows.")
    ] = None


class SnapshotIn(Model):
    """A camera and a moment."""

    id: CameraId
    at: Annotated[Moment | None, Field(description="RFC 3339; the newest if not given.")] = None
    width: Annotated[
        int | None, Field(ge=16, le=7680, description="Scaled down to at most so many pixels.")
    ] = None


class SpanOut(Model):
    """A stretch of footage."""

    start: str
    end: str


class GapOut(SpanOut):
    """A stretch without footage, and why."""

    cause: str
    detail: str


class FootageOut(Model):
    """Every second of the range: recorded, or missing with a cause."""

    ranges: list[SpanOut]
    gaps: list[GapOut]
    coverage: Annotated[float, Field(description="Recorded share of the time that has passed.")]


class FootageOperations:
    """The operations on footage, over playback."""

    def __init__(self, playback: Playback, cameras: KnownCameras) -> None:
        self._playback = playback
        self._cameras = cameras

    def enter(self, catalogue: Catalogue) -> None:
        """Put them into the catalogue."""
        add = catalogue.add
        add(Operation(
            name="get_footage", summary="What is recorded of a camera, what is missing, and why.",
            method="GET", path="/v1/cameras/{id}/footage", needs=Role.VIEWER, tool=True,
            takes=RangeIn, gives=FootageOut, call=self.footage,
        ))  # fmt: skip
        add(Operation(
            name="get_playlist", summary="HLS playlist of a range, for any player.",
            method="GET", path="/v1/cameras/{id}/hls/index.m3u8", needs=Role.VIEWER,
            takes=PlaylistIn, gives=Binary, call=self.playlist, media_type=CONTENT_TYPE,
        ))  # fmt: skip
        add(Operation(
            name="get_snapshot", summary="The picture shown at a moment, exactly.",
            method="GET", path="/v1/cameras/{id}/snapshot.jpg", needs=Role.VIEWER, tool=True,
            takes=SnapshotIn, gives=Binary, call=self.snapshot, media_type="image/jpeg",
        ))  # fmt: skip
        add(Operation(
            name="get_clip", summary="A range as one MP4 file.",
            method="GET", path="/v1/cameras/{id}/clip.mp4", needs=Role.VIEWER, tool=True,
            takes=RangeIn, gives=Binary, call=self.clip, media_type="video/mp4",
        ))  # fmt: skip

    async def footage(self, caller: Caller, given: RangeIn) -> FootageOut:
        """Ranges and gaps."""
        _check_range(given.start, given.end, FOOTAGE_US)
        key = await self._cameras.key(caller.tenant, given.id)
        found = await self._playback.footage(key, given.start, given.end)
        return FootageOut(
            ranges=[_span(span) for span in found.ranges],
            gaps=[_gap(gap) for gap in found.gaps],
            coverage=round(found.coverage, 6),
        )

    async def playlist(self, caller: Caller, given: PlaylistIn) -> Binary:
        """A playlist; a range of which nothing can be played is a problem, not an empty one."""
        end = given.start + PLAY_US if given.end is None else given.end
        _check_range(given.start, end, PLAY_US)
        if given.end is None and now_us() - given.start > PLAY_US:
            hours = PLAY_US // _HOUR_US
            raise Problem(
                422, "invalid", f"without 'to' a playlist begins at most {hours} h ago; give 'to'"
            )
        key = await self._cameras.key(caller.tenant, given.id)
        async with self._explained(key, given.start, end):
            text = await self._playback.playlist(key, given.start, given.end, base=MEDIA)
            if "#EXTINF" not in text:
                raise PlaybackError(
                    f"camera {given.id!r} has no footage to play from {format_time(given.start)} on"
                )
        return Binary(content_type=CONTENT_TYPE, body=text.encode(), headers=_PRIVATE)

    async def snapshot(self, caller: Caller, given: SnapshotIn) -> Binary:
        """A picture."""
        key = await self._cameras.key(caller.tenant, given.id)
        at = now_us() if given.at is None else given.at
        async with self._explained(key, at, at + 1):
            picture = await self._playback.snapshot(key, given.at, max_width=given.width)
        headers = {"Kilocam-Taken": format_time(picture.taken_us), **_PRIVATE}
        return Binary(content_type="image/jpeg", body=picture.data, headers=headers)

    async def clip(self, caller: Caller, given: RangeIn) -> Binary:
        """A file, made while it is sent."""
        _check_range(given.start, given.end, PLAY_US)
        key = await self._cameras.key(caller.tenant, given.id)
        async with self._explained(key, given.start, given.end):
            made = await self._playback.clip(key, given.start, given.end)
        name = re.sub(r"\.\d+|[-:]", "", f"{given.id}_{format_time(given.start)}")
        headers = {"Content-Disposition": f'inline; filename="{name}.mp4"', **_PRIVATE}
        if made.left_out:
            headers["Kilocam-Left-Out"] = header_text("; ".join(made.left_out))
        return Binary(content_type=made.mime, body=made.chunks, headers=headers)

    @asynccontextmanager
    async def _explained(self, key: CameraKey, from_us: int, to_us: int) -> AsyncIterator[None]:
        """Tell what is missing in the range when there is nothing to show."""
        try:
            yield
        except (Busy, NoPicture, NotPlayable):
            raise
        except NoFootage as error:
            raise _nothing(str(error), [error.gap]) from None
        except PlaybackError as error:
            found = await self._playback.footage(key, from_us, to_us)
            gaps = found.gaps[:_AROUND_GAPS]
            causes = ", ".join(sorted({gap.cause for gap in gaps}))
            reason = f" ({causes})" if causes else ""
            raise _nothing(f"{error}{reason}", gaps) from None


def check_order(from_us: int | None, to_us: int | None) -> None:
    """Refuse a range that ends before it begins; one that is open has no order."""
    if from_us is not None and to_us is not None and to_us <= from_us:
        raise Problem(
            422,
            "invalid",
            f"'to' is not after 'from': {format_time(to_us)} is not after {format_time(from_us)}; "
            "swap or mend them",
        )


def _check_range(from_us: int, to_us: int, longest_us: int) -> None:
    check_order(from_us, to_us)
    if to_us - from_us > longest_us:
        hours = longest_us // _HOUR_US
        raise Problem(422, "invalid", f"the range is longer than {hours} h; ask for parts of it")


def header_text(text: str) -> str:
    """Text as a header's value: names of codecs are whatever a camera sends."""
    return re.sub(r"[^ -~]", "?", text)[:_HEADER_CHARACTERS]


def _nothing(text: str, gaps: "list[Gap] | tuple[Gap, ...]") -> Problem:
    return Problem(404, "no-footage", text, gaps=[_gap(gap).model_dump() for gap in gaps])


def _span(span: Span) -> SpanOut:
    return SpanOut(start=format_time(span.start_us), end=format_time(span.end_us))


def _gap(gap: Gap) -> GapOut:
    return GapOut(
        start=format_time(gap.start_us),
        end=format_time(gap.end_us),
        cause=gap.cause,
        detail=gap.detail,
    )
