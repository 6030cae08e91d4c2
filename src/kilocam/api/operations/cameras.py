"""Cameras: list, show, add, change, remove; each with its state now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field

from kilocam.api.catalogue import Caller, Catalogue, Model, Nothing, Operation
from kilocam.core import CameraKey, format_duration, format_time, parse_duration
from kilocam.core.settings import LEAST_WEIGHT, MOST_WEIGHT
from kilocam.fleet import UNSET, Camera, CameraChange, CameraInput, Fleet, Role

CameraId = Annotated[str, Field(description="The camera's id, unique in its tenant.")]
Keep = Annotated[str | None, Field(max_length=30, description="Retention, such as 30d.")]
CameraWeight = Annotated[
    float,
    Field(ge=LEAST_WEIGHT, le=MOST_WEIGHT, description="Where time is short: looked at sooner."),
]
Limit = Annotated[int, Field(ge=1, le=500, description="At most so many items.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFigures:
    """What a recorder last said of a camera."""

    state: str
    since_us: int
    reason: str
    bitrate_bps: int
    fps: float
    last_packet_us: int


class CameraStates(Protocol):
    """Where the newest word of the recorders is to be had; it may know nothing of a camera."""

    async def figures(self) -> Mapping[CameraKey, CameraFigures]:
        """All that is known now."""
        ...


class CameraStatusOut(Model):
    """How the camera is now."""

    state: str
    since: str | None
    reason: str
    bitrate_bps: int
    fps: float
    last_packet_at: str | None


class CameraOut(Model):
    """A camera; its URL is shown without credentials."""

    id: str
    tenant: str
    url: str
    detect_url: str
    transport: str
    keep: str | None
    enabled: bool
    weight: float
    declared: bool
    version: int
    created: str
    updated: str
    status: CameraStatusOut


class CameraList(Model):
    """A page of cameras."""

    items: list[CameraOut]
    next_cursor: str | None


class CameraStateOut(Model):
    """A camera's id and how it is."""

    id: str
    status: CameraStatusOut


class FleetStatusOut(Model):
    """What recorders say of the tenant's cameras, a page of it."""

    items: list[CameraStateOut]
    next_cursor: str | None


class ListCameras(Model):
    """Which page."""

    cursor: str | None = None
    limit: Limit = 100


class ListStates(Model):
    """Which page."""

    cursor: str | None = None
    limit: Limit = 500


class OneCamera(Model):
    """Which camera."""

    id: CameraId


class AddCamera(Model):
    """A new camera."""

    id: CameraId
    url: Annotated[str, Field(description="rtsp://user:password@host/path; recorded.")]
    detect_url: Annotated[str, Field(description="Kept for later: nobody connects to it yet.")] = ""
    transport: Literal["tcp"] = "tcp"
    keep: Keep = None
    enabled: bool = True
    weight: CameraWeight = 1.0


class ChangeCamera(Model):
    """What is to change; what is not given stays."""

    id: CameraId
    url: str = ""
    detect_url: str = ""
    transport: Literal["tcp"] = "tcp"
    keep: Keep = None
    enabled: bool = True
    weight: CameraWeight = 1.0
    version: Annotated[int | None, Field(description="The version the change is based on.")] = None


_UNKNOWN = CameraStatusOut(
    state="unknown", since=None, reason="no recorder has reported it yet",
    bitrate_bps=0, fps=0.0, last_packet_at=None,
)  # fmt: skip


class CameraOperations:
    """The operations on cameras, over the fleet and the recorders' word."""

    def __init__(self, fleet: Fleet, states: CameraStates) -> None:
        self._fleet = fleet
        self._states = states

    def enter(self, catalogue: Catalogue) -> None:
        """Put them into the catalogue."""
        add = catalogue.add
        add(Operation(
            name="list_cameras", summary="Cameras of the tenant, by id, each with its state.",
            method="GET", path="/v1/cameras", needs=Role.VIEWER, tool=True,
            takes=ListCameras, gives=CameraList, call=self.list,
        ))  # fmt: skip
        add(Operation(
            name="add_camera", summary="Add a camera; it is recorded from now on.",
            method="POST", path="/v1/cameras", needs=Role.OPERATOR, status=201,
            takes=AddCamera, gives=CameraOut, call=self.add,
        ))  # fmt: skip
        add(Operation(
            name="get_status", summary="How each recorded camera is; needs no database.",
            method="GET", path="/v1/status", needs=Role.VIEWER,
            takes=ListStates, gives=FleetStatusOut, call=self.status,
        ))  # fmt: skip
        add(Operation(
            name="get_camera", summary="One camera with its state.",
            method="GET", path="/v1/cameras/{id}", needs=Role.VIEWER, tool=True,
            takes=OneCamera, gives=CameraOut, call=self.get,
        ))  # fmt: skip
        add(Operation(
            name="change_camera", summary="Change a camera; no other camera is touched.",
            method="PATCH", path="/v1/cameras/{id}", needs=Role.OPERATOR,
            takes=ChangeCamera, gives=CameraOut, call=self.change,
        ))  # fmt: skip
        add(Operation(
            name="remove_camera", summary="Stop recording a camera; its footage stays.",
            method="DELETE", path="/v1/cameras/{id}", needs=Role.OPERATOR, status=204,
            takes=OneCamera, gives=Nothing, call=self.remove,
        ))  # fmt: skip

    async def status(self, caller: Caller, given: ListStates) -> FleetStatusOut:
        """Cameras that are recorded, by id; asks no database, so it answers when that is dead."""
        figures = await self._states.figures()
        after = given.cursor or ""
        keys = sorted(k for k in figures if k.tenant == caller.tenant and k.camera > after)
        shown = keys[: given.limit]
        return FleetStatusOut(
            items=[CameraStateOut(id=key.camera, status=_status(figures[key])) for key in shown],
            next_cursor=shown[-1].camera if len(keys) > len(shown) else None,
        )

    async def list(self, caller: Caller, given: ListCameras) -> CameraList:
        """A page of the tenant's cameras."""
        page = await self._fleet.cameras(caller.tenant, cursor=given.cursor, limit=given.limit)
        figures = await self._states.figures()
        items = [_shown(camera, figures.get(camera.key)) for camera in page.items]
        return CameraList(items=items, next_cursor=page.next_cursor)

    async def get(self, caller: Caller, given: OneCamera) -> CameraOut:
        """One camera."""
        return await self._show(await self._fleet.camera(caller.tenant, given.id))

    async def add(self, caller: Caller, given: AddCamera) -> CameraOut:
        """A new camera."""
        camera = CameraInput(
            id=given.id,
            url=given.url,
            detect_url=given.detect_url,
            transport=given.transport,
            keep_us=_keep(given.keep),
            enabled=given.enabled,
            weight=given.weight,
        )
        return await self._show(
            await self._fleet.add_camera(caller.tenant, camera, actor=caller.actor)
        )

    async def change(self, caller: Caller, given: ChangeCamera) -> CameraOut:
        """The camera as it is afterwards."""
        said = given.model_fields_set
        change = CameraChange(
            url=given.url if "url" in said else UNSET,
            detect_url=given.detect_url if "detect_url" in said else UNSET,
            transport=given.transport if "transport" in said else UNSET,
            keep_us=_keep(given.keep) if "keep" in said else UNSET,
            enabled=given.enabled if "enabled" in said else UNSET,
            weight=given.weight if "weight" in said else UNSET,
        )
        camera = await self._fleet.update_camera(
            caller.tenant, given.id, change, actor=caller.actor, expected=given.version
        )
        return await self._show(camera)

    async def remove(self, caller: Caller, given: OneCamera) -> Nothing:
        """Nothing is left but the footage."""
        await self._fleet.remove_camera(caller.tenant, given.id, actor=caller.actor)
        return Nothing()

    async def _show(self, camera: Camera) -> CameraOut:
        return _shown(camera, (await self._states.figures()).get(camera.key))


def _keep(text: str | None) -> int | None:
    return None if text is None else parse_duration(text)


def _status(figures: CameraFigures) -> CameraStatusOut:
    return CameraStatusOut(
        state=figures.state,
        since=format_time(figures.since_us),
        reason=figures.reason,
        bitrate_bps=figures.bitrate_bps,
        fps=round(figures.fps, 2),
        last_packet_at=format_time(figures.last_packet_us) if figures.last_packet_us else None,
    )


def _shown(camera: Camera, figures: CameraFigures | None) -> CameraOut:
    return CameraOut(
        id=camera.id,
        tenant=camera.tenant,
        url=camera.url,
        detect_url=camera.detect_url,
        transport=camera.transport,
        keep=None if camera.keep_us is None else format_duration(camera.keep_us),
        enabled=camera.enabled,
        weight=camera.weight,
        declared=camera.declared,
        version=camera.version,
        created=format_time(camera.created_us),
        updated=format_time(camera.updated_us),
        status=_UNKNOWN if figures is None else _status(figures),
    )
