"""Streams out: how far each came, and what its receiver refused for good."""

from typing import Annotated, Any

from pydantic import Field

from kilocam.api.catalogue import Caller, Catalogue, Model, Nothing, Operation
from kilocam.core import KilocamError, format_time
from kilocam.fleet import Role
from kilocam.streams import Ledger, Letter, NotFound, Standing, Unavailable

STREAM_PROBLEMS: dict[type[KilocamError], tuple[int, str]] = {
    NotFound: (404, "not-found"),
    Unavailable: (503, "unavailable"),
}
"""Status and kind of what the operations here may raise."""


class StreamOut(Model):
    """A stream that has begun, configured still or not."""

    name: str
    delivered: Annotated[int, Field(description="Changes that were acknowledged since it began.")]
    dead_letters: Annotated[int, Field(description="Refused for good since it began.")]
    updated: Annotated[str, Field(description="When its place last moved.")]


class StreamList(Model):
    """The streams of the tenant."""

    items: list[StreamOut]
    next_cursor: None = None


class LetterOut(Model):
    """What a receiver refused for good; kept for 30 days."""

    event_id: str
    camera: str
    at: str
    why: str
    body: Annotated[dict[str, Any], Field(description="As it was sent.")]


class LetterList(Model):
    """The newest dead letters."""

    items: list[LetterOut]
    next_cursor: None = None


class ListLetters(Model):
    """Of which stream."""

    name: Annotated[str, Field(max_length=63)]
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class StreamOperations:
    """The operations on streams out."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def enter(self, catalogue: Catalogue) -> None:
        """Put them into the catalogue."""
        catalogue.add(Operation(
            name="list_streams", summary="Streams out: how far each came.",
            method="GET", path="/v1/streams", needs=Role.ADMIN,
            takes=Nothing, gives=StreamList, call=self.list,
        ))  # fmt: skip
        catalogue.add(Operation(
            name="list_letters", summary="What a stream's receiver refused for good, newest first.",
            method="GET", path="/v1/streams/{name}/letters", needs=Role.ADMIN,
            takes=ListLetters, gives=LetterList, call=self.letters,
        ))  # fmt: skip

    async def list(self, caller: Caller, given: Nothing) -> StreamList:
        """Streams of the tenant."""
        del given
        found = await self._ledger.standings(caller.tenant)
        return StreamList(items=[_stream(each) for each in found])

    async def letters(self, caller: Caller, given: ListLetters) -> LetterList:
        """Dead letters of one."""
        found = await self._ledger.letters(caller.tenant, given.name, given.limit)
        return LetterList(items=[_letter(each) for each in found])


def _stream(standing: Standing) -> StreamOut:
    return StreamOut(
        name=standing.name,
        delivered=standing.delivered,
        dead_letters=standing.letters,
        updated=format_time(standing.updated_us),
    )


def _letter(letter: Letter) -> LetterOut:
    return LetterOut(
        event_id=letter.event,
        camera=letter.camera,
        at=format_time(letter.at_us),
        why=letter.why,
        body=letter.body,
    )
