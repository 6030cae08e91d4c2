"""What ingest is told about a camera, and what it tells about it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from kilocam.core import CameraKey, GapCause


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSpec:
    """One camera to be recorded; `url` holds its credentials and is never shown."""

    tenant: str
    camera: str
    url: str = field(repr=False)

    @property
    def key(self) -> CameraKey:
        """The camera's full name."""
        return CameraKey(self.tenant, self.camera)


class CameraState(StrEnum):
    """Where a camera stands, as people see it."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    RECORDING = "recording"


class CameraStatus(NamedTuple):
    """A camera's state now; `cause` and `reason` say why it is not recording.

    A tuple, as a thousand are made each time somebody asks.
    """

    tenant: str
    camera: str
    state: CameraState
    since_us: int
    cause: GapCause | None
    reason: str
    last_packet_us: int
    """Arrival of the newest packet; 0 for none yet."""
    packets: int
    bytes: int
    frames: int
    """Totals since the recorder started; rates are for the reader to take."""
    quirks: tuple[str, ...]
