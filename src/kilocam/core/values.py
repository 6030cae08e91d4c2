"""The frozen values that cross rooms; times are microseconds since 1970 UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One medium of a session, as its SDP describes it.

    `codec` is the lower-case RTP encoding name (`h264`, `mpeg4-generic`, `pcmu`, ...),
    `rtp_channel` the interleaved channel its RTP packets carry in stored payloads (RFC 2326
    section 10.12); RTCP is on `rtcp_channel`.
    """

    index: int
    media: str
    codec: str
    payload_type: int
    clock_rate: int
    channels: int
    rtp_channel: int
    rtcp_channel: int
    fmtp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One connection to a camera, from PLAY until it ends.

    `session` is unique within the camera and grows with time.
    """

    tenant: str
    camera: str
    session: int
    epoch: int
    started_us: int
    source: str
    """The camera's URL without credentials."""
    sdp: bytes
    tracks: tuple[Track, ...]
    quirks: tuple[str, ...] = ()


class PieceFlag(IntFlag):
    """What a reader must know of a piece before it opens the payload."""

    NONE = 0
    KEY = 1
    """A key frame's first packet lies at `key_offset`."""
    DISCONTINUITY = 2
    """Media time does not go on from the piece before."""
    LOST = 4
    """Packets are missing before or within (RTP sequence)."""
    DAMAGED = 8
    """Bytes were skipped to find the next packet (resynchronisation)."""


class Piece(NamedTuple):
    """What one turn brought from one camera: whole packets, at most 0.5 s.

    A tuple, unlike its neighbours: 2000 a second are made, and a frozen dataclass takes thrice as
    long to make.

    Framed as in RFC 2326 section 10.12. The first packet of the session's reference track (video,
    else the first track) in `payload` has the extended (never wrapping) RTP timestamp `media_ts`
    and was, by the stream clock, taken at `wall_us`. A piece without such a packet repeats
    `media_ts` and `wall_us` of the piece before it. `complexity` is the sum of size x 2^(QP/6)
    over `sampled` P-frames.
    """

    tenant: str
    camera: str
    session: int
    wall_us: int
    duration_us: int
    media_ts: int
    key_offset: int
    """Byte offset in `payload` of the first key frame's first packet; -1 without."""
    key_us: int
    """Wall time of that key frame; 0 without."""
    flags: PieceFlag
    packets: int
    frames: int
    complexity: float
    sampled: int
    payload: bytes


class GapCause(StrEnum):
    """Why footage is missing; shown to people as it stands."""

    NOT_CONNECTED = "not_connected"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    PROTOCOL = "protocol_error"
    ENDED = "ended_by_camera"
    SILENT = "silent"
    STALLED = "stalled"
    RECORDER_STOPPED = "recorder_stopped"
    RECORDER_DIED = "recorder_died"
    RECORDER_FROZEN = "recorder_frozen"
    DISK_FULL = "disk_full"
    DISK_FAILED = "disk_failed"
    DISK_SLOW = "disk_slow"
    DAMAGED = "damaged"
    REMOVED = "camera_removed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A stretch of footage that exists: [start_us, end_us)."""

    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch without footage, and why: [start_us, end_us)."""

    start_us: int
    end_us: int
    cause: GapCause
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GopRef:
    """Says that a window of footage has begun.

    Announced when its key frame is appended, so its bytes may still come. A GOP that goes on for
    over 2 s is announced again every 2 s with the same `gop_us`; `start_us` is the window's own
    start. `complexity` is the mean rate complexity of the P-frames sampled in the window before
    `start_us`, 0 when nothing was sampled. A window whose own first samples lie well above that is
    announced a second time, with their mean as its `onset`. The bytes are read by (camera, from,
    to); media never passes through the queue.
    """

    tenant: str
    camera: str
    session: int
    epoch: int
    start_us: int
    gop_us: int
    complexity: float
    bytes_before: int
    """Stored bytes in the window before this one."""
    codec: str
    durable: bool
    onset: float = 0.0
    """0 in the first announcement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GopRefs:
    """Windows of one tenant and partition that began at about the same time, in that order."""

    refs: tuple[GopRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Window:
    """The unit of analysis and of idempotency: one GOP of one camera, at most 2 s of it."""

    tenant: str
    camera: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One object in one picture; box = (x, y, w, h) as fractions, origin top left."""

    label: str
    score: float
    box: tuple[float, float, float, float]
    at_us: int
    colours: Mapping[str, float] = field(default_factory=dict)
    """The share of each in the object's picture; empty when it cannot be told."""
    track: int = 0
