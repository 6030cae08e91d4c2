"""What a camera sends, found out by playing it for a few seconds."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from kilocam.bitstream import BitstreamError, parse_h265_sps, parse_sps
from kilocam.core import Gap, GapCause, Piece, Session, SystemClock
from kilocam.ingest.connect import TcpDialler, connect
from kilocam.ingest.errors import ConnectFailed
from kilocam.ingest.stream import Stream, reference_track
from kilocam.ingest.stream_clock import ArrivalClock
from kilocam.ingest.turns import Turns
from kilocam.rtsp import AccessUnit, StreamReader, UnitKind

_LISTEN_S = 6.0
_FIRST_S = 10.0
"""A camera may wait for its next key frame before it sends anything."""
_LOOK_US = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackReport:
    """One medium as it was seen."""

    media: str
    codec: str
    clock_rate: int
    channels: int
    width: int
    height: int
    fps: float
    bitrate_bps: int
    key_frame_s: float
    """Mean distance of key frames in seconds; 0 when fewer than two came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """A camera that plays."""

    url: str
    tracks: tuple[TrackReport, ...]
    quirks: tuple[str, ...]
    packets: int
    seconds: float


class _Memory:
    """Keeps what one camera sends in a few seconds."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def open_session(self, session: Session) -> None:
        """A probe has one session, and made it itself."""

    def append(self, piece: Piece) -> None:
        self.pieces.append(piece)

    def gap(self, tenant: str, camera: str, gap: Gap) -> None:
        """A probe does not account for what is missing."""


class _Limit:
    """Takes turns beside a stream, to count its time from the first packet on."""

    def __init__(self, stream: Stream, limit: asyncio.Timeout, seconds: float) -> None:
        self._stream = stream
        self._limit = limit
        self._seconds = seconds

    def turn(self, _now_us: int, _buffer: memoryview) -> int:
        if not self._stream.last_packet_us:
            return _LOOK_US
        self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)
        return 0


async def probe(url: str, *, seconds: float = _LISTEN_S) -> ProbeReport:
    """Connect, play for `seconds` from the first packet on, describe.

    Raises:
        ConnectFailed: the camera does not play; one line that says why.
    """
    connected = await connect(url, TcpDialler())
    sink, clock = _Memory(), SystemClock()
    session = Session(
        tenant="probe",
        camera="probe",
        session=1,
        epoch=0,
        started_us=clock.wall_us(),
        source=connected.source,
        sdp=connected.sdp,
        tracks=connected.tracks,
        quirks=tuple(sorted(connected.handshake.quirks)),
    )
    ends: list[ConnectFailed] = []
    turns = Turns(clock)
    stream = Stream(
        session=session,
        connected=connected,
        sink=sink,
        arrival=ArrivalClock(clock.wall_us(), clock.monotonic_us()),
        now_us=clock.monotonic_us(),
        froze=lambda: turns.froze_us,
        ended=lambda _, failure: ends.append(failure),
    )
    stream.receive(connected.rest, clock.monotonic_us())
    if not ends:
        turns.add(stream)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_S) as limit:
                turns.add(_Limit(stream, limit, seconds))
                await turns.run()
    finally:
        stream.close()
    if not sink.pieces:
        raise (
            ends[0]
            if ends
            else ConnectFailed(GapCause.SILENT, f"it plays, but nothing came in {_FIRST_S:g} s")
        )
    reader = StreamReader(session.tracks)
    units: list[AccessUnit] = []
    for piece in sink.pieces:
        media_ts = piece.media_ts if piece.media_ts >= 0 else None
        units += reader.feed(piece.payload, media_ts)
    return ProbeReport(
        url=session.source,
        tracks=tuple(_track(session, n, units) for n in range(len(session.tracks))),
        quirks=session.quirks,
        packets=sum(piece.packets for piece in sink.pieces),
        seconds=seconds,
    )


def _track(session: Session, index: int, units: Sequence[AccessUnit]) -> TrackReport:
    track = session.tracks[index]
    mine = [unit for unit in units if unit.track == track.index]
    span = (mine[-1].ts - mine[0].ts) / track.clock_rate if len(mine) > 1 else 0.0
    keys = [unit.ts for unit in mine if unit.key] if track.media == "video" else []
    width, height = _size(mine) if track is reference_track(session.tracks) else (0, 0)
    size = sum(len(part) for unit in mine for part in unit.units)
    return TrackReport(
        media=track.media,
        codec=track.codec,
        clock_rate=track.clock_rate,
        channels=track.channels,
        width=width,
        height=height,
        fps=round((len(mine) - 1) / span, 2) if span and track.media == "video" else 0.0,
        bitrate_bps=round(size * 8 / span) if span else 0,
        key_frame_s=round((keys[-1] - keys[0]) / (len(keys) - 1) / track.clock_rate, 2)
        if len(keys) > 1
        else 0.0,
    )


def _size(units: Sequence[AccessUnit]) -> tuple[int, int]:
    for unit in units:
        for nal in (*unit.parameter_sets, *unit.units):
            size = _parsed_size(unit.kind, nal)
            if size is not None:
                return size
    return 0, 0


def _parsed_size(kind: UnitKind, nal: bytes) -> tuple[int, int] | None:
    try:
        sps = parse_h265_sps(nal) if kind is UnitKind.H265 else parse_sps(nal)
    except BitstreamError:
        return None
    return sps.width, sps.height
