"""Operations on how objects look: whose look is like that of one event's."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from pydantic import Field

from kilocam.api.catalogue import Caller, Catalogue, Model, Operation
from kilocam.api.known import KnownCameras
from kilocam.api.operations.events import EventOut, Limit, check_known, event_out, names
from kilocam.api.operations.footage import Moment, check_order
from kilocam.fleet import Role
from kilocam.insight import Likeness, NotSeen


class SimilarTo(Model):
    """Which event, and where and when to look for others."""

    id: UUID
    camera: Annotated[str, Field(description="Several are separated by commas.")] = ""
    start: Annotated[
        Moment | None,
        Field(alias="from", description="RFC 3339; a week before the event unless given."),
    ] = None
    end: Annotated[
        Moment | None, Field(alias="to", description="RFC 3339; a week after it unless given.")
    ] = None
    limit: Limit = 20


class SimilarOut(EventOut):
    """An event whose object looks like another's."""

    likeness: Annotated[float, Field(description="1 is the same picture, 0 as unlike as any two.")]


class SimilarList(Model):
    """Events, the most alike first."""

    items: list[SimilarOut]
    next_cursor: None = None


class LikenessOperations:
    """The operations on how objects look.

    Args:
        likeness: whose look is like whose.
        cameras: those that may be named.
        problem: why how objects look is not kept now; empty: it is.
    """

    def __init__(
        self, likeness: Likeness, cameras: KnownCameras, problem: Callable[[], Awaitable[str]]
    ) -> None:
        self._likeness = likeness
        self._cameras = cameras
        self._problem = problem

    def enter(self, catalogue: Catalogue) -> None:
        """Put them into the catalogue."""
        catalogue.add(Operation(
            name="list_similar_events", summary="Events whose objects look like one event's.",
            method="GET", path="/v1/events/{id}/similar", needs=Role.VIEWER, tool=True,
            takes=SimilarTo, gives=SimilarList, call=self.similar,
        ))  # fmt: skip

    async def similar(self, caller: Caller, given: SimilarTo) -> SimilarList:
        """The most alike."""
        check_order(given.start, given.end)
        cameras = names(given.camera)
        await check_known(self._cameras, caller.tenant, cameras)
        try:
            found = await self._likeness.similar(
                caller.tenant, str(given.id),
                cameras=cameras, from_us=given.start, to_us=given.end, limit=given.limit,
            )  # fmt: skip
        except NotSeen as error:
            if problem := await self._problem():
                raise NotSeen(f"{error}; how objects look is not kept now: {problem}") from None
            raise
        return SimilarList(
            items=[
                SimilarOut(**event_out(each.event).model_dump(), likeness=round(each.likeness, 3))
                for each in found
            ]
        )
