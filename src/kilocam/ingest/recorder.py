"""The cameras of one recorder: connects, plays, reconnects, and accounts for what is missing.

Cameras added, changed and removed while running touch no other camera. A connection attempt is a
task of the group; a playing or a waiting camera is none.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from kilocam.core import CameraKey, Clock, Gap, GapCause, Session
from kilocam.ingest.connect import HANDSHAKE_S, Connected, Dialler, address_of, connect
from kilocam.ingest.errors import ConnectFailed
from kilocam.ingest.pacing import Pacing, backoff_s
from kilocam.ingest.sink import PieceSink
from kilocam.ingest.spec import CameraSpec, CameraState, CameraStatus
from kilocam.ingest.stream import Stream
from kilocam.ingest.stream_clock import ArrivalClock
from kilocam.ingest.turns import Turns

log = logging.getLogger(__name__)

HOST_DOWN_RETRY_S = 1.0
WATCH_US = 10_000_000


@dataclass(slots=True, eq=False)
class _Camera:
    """One camera's life in this recorder."""

    spec: CameraSpec
    host: str
    state: CameraState
    since_us: int
    missing_since_us: int
    """Wall time from which footage is missing and not yet accounted for; 0 while it flows."""
    cause: GapCause | None = None
    reason: str = ""
    failures: int = 0
    stream: Stream | None = None
    attempt: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    packets: int = 0
    bytes: int = 0
    frames: int = 0
    last_packet_us: int = 0


class Ingest:
    """Records a set of cameras into a sink.

    Args:
        sink: takes the pieces.
        clock: the machine's clocks.
        random: source of jitter.
        dialler: opens TCP connections.
        epoch: the recorder's epoch, stamped on each session.
        handshake_s: what a camera gets until it plays.
    """

    def __init__(
        self,
        *,
        sink: PieceSink,
        clock: Clock,
        random: Random,
        dialler: Dialler,
        epoch: int,
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._random = random
        self._dialler = dialler
        self._epoch = epoch
        self._handshake_s = handshake_s
        self._cameras: dict[CameraKey, _Camera] = {}
        self._streams: dict[Stream, _Camera] = {}
        self._pacing = Pacing(clock)
        self._arrival = ArrivalClock(clock.wall_us(), clock.monotonic_us())
        self._turns = Turns(clock)
        self._group: asyncio.TaskGroup | None = None
        self._last_session = 0
        self.crashes = 0
        """Attempts that ended in an error nobody foresaw; each is logged."""

    async def run(self) -> None:
        """Record until cancelled; then say farewell to every camera and account for the rest."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for camera in self._cameras.values():
                    self._start(camera)
                group.create_task(self._turns.run())
                group.create_task(self._keep_time())
        finally:
            self._group = None
            for key in list(self._cameras):
                self._drop(key, GapCause.RECORDER_STOPPED)

    def apply(self, specs: Iterable[CameraSpec]) -> None:
        """Make the set of cameras equal to `specs`; unchanged cameras go on undisturbed."""
        wanted = {spec.key: spec for spec in specs}
        for key in [k for k, c in self._cameras.items() if wanted.get(k) != c.spec]:
            self._drop(key, GapCause.NOT_CONNECTED if key in wanted else GapCause.REMOVED)
        for key, spec in wanted.items():
            if key not in self._cameras:
                self._add(spec)

    def watch(self, key: CameraKey) -> None:
        """Somebody looks at this camera live: for the next 10 s its socket is read often."""
        camera = self._cameras.get(key)
        if camera is not None and camera.stream is not None:
            camera.stream.watch(self._clock.monotonic_us() + WATCH_US)

    @property
    def lag_us(self) -> int:
        """How late the last round of turns was."""
        return self._turns.lag_us

    @property
    def cameras(self) -> int:
        """How many are to be recorded."""
        return len(self._cameras)

    @property
    def recording(self) -> int:
        """How many of them play."""
        return len(self._streams)

    def status(self) -> list[CameraStatus]:
        """Every camera's state now."""
        return [self._status(camera) for camera in self._cameras.values()]

    def _status(self, camera: _Camera) -> CameraStatus:
        stream = camera.stream
        return CameraStatus(
            tenant=camera.spec.tenant,
            camera=camera.spec.camera,
            state=camera.state,
            since_us=camera.since_us,
            cause=camera.cause,
            reason=camera.reason,
            last_packet_us=stream.last_packet_us if stream else camera.last_packet_us,
            packets=camera.packets + (stream.packets if stream else 0),
            bytes=camera.bytes + (stream.bytes if stream else 0),
            frames=camera.frames + (stream.frames if stream else 0),
            quirks=stream.session.quirks if stream else (),
        )

    def _add(self, spec: CameraSpec) -> None:
        now = self._clock.wall_us()
        camera = _Camera(
            spec=spec,
            host=address_of(spec.url),
            state=CameraState.WAITING,
            since_us=now,
            missing_since_us=now,
            cause=GapCause.NOT_CONNECTED,
        )
        self._cameras[spec.key] = camera
        self._start(camera)

    def _drop(self, key: CameraKey, cause: GapCause) -> None:
        camera = self._cameras.pop(key)
        if camera.timer is not None:
            camera.timer.cancel()
        if camera.attempt is not None:
            camera.attempt.cancel()
        if camera.stream is not None:
            self._turns.remove(camera.stream)
            self._streams.pop(camera.stream, None)
            camera.stream.close()
            camera.missing_since_us = camera.stream.end_us or camera.stream.session.started_us
            camera.cause = cause
        # After a stop or a removal nothing is missing: the log knows of the one, nobody asks of
        # the other.
        if cause is GapCause.NOT_CONNECTED or camera.stream is None:
            self._account(camera, self._clock.wall_us())

    def _start(self, camera: _Camera) -> None:
        if self._group is None or camera.attempt is not None:
            return
        camera.timer = None
        if not self._pacing.may_try(camera.host):
            self._retry(camera, HOST_DOWN_RETRY_S)
            return
        camera.attempt = self._group.create_task(self._attempt(camera))

    def _retry(self, camera: _Camera, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        camera.timer = loop.call_later(delay_s, self._start, camera)

    async def _attempt(self, camera: _Camera) -> None:
        outcome: GapCause | None = GapCause.NOT_CONNECTED
        try:
            async with self._pacing.permit(camera.host):
                self._enter(camera, CameraState.CONNECTING)
                connected = await connect(
                    camera.spec.url, self._dialler, within_s=self._handshake_s
                )
            outcome = None
            try:
                self._play(camera, connected)
            except BaseException:
                connected.connection.close()
                raise
        except ConnectFailed as failure:
            # A host that answers is no host that fails, though this camera of it does.
            outcome = None if failure.answered else failure.cause
            self._failed(camera, failure)
        except Exception:
            # The edge of a task: one camera's surprise must not end the others'.
            self.crashes += 1
            log.exception("camera %s: connecting failed in an unforeseen way", camera.spec.key)
            self._failed(
                camera, ConnectFailed(GapCause.PROTOCOL, "internal error; see the recorder's log")
            )
        finally:
            camera.attempt = None
            self._pacing.report(camera.host, outcome)

    def _enter(self, camera: _Camera, state: CameraState) -> None:
        if camera.state is not state:
            camera.state, camera.since_us = state, self._clock.wall_us()

    def _failed(self, camera: _Camera, failure: ConnectFailed) -> None:
        if camera.cause is not failure.cause or camera.reason != str(failure):
            log.warning("camera %s: %s", camera.spec.key, failure)
        camera.cause, camera.reason = failure.cause, str(failure)
        self._enter(camera, CameraState.WAITING)
        self._retry(camera, backoff_s(camera.failures, failure.cause, self._random))
        camera.failures += 1
        self._account(camera, self._clock.wall_us())

    def _account(self, camera: _Camera, until_us: int) -> None:
        """Write down that nothing was received since the last account."""
        start, cause = camera.missing_since_us, camera.cause or GapCause.UNKNOWN
        if start and until_us > start:
            gap = Gap(start_us=start, end_us=until_us, cause=cause, detail=camera.reason)
            self._sink.gap(camera.spec.tenant, camera.spec.camera, gap)
            camera.missing_since_us = until_us

    def _play(self, camera: _Camera, connected: Connected) -> None:
        now_wall, now = self._clock.wall_us(), self._clock.monotonic_us()
        self._account(camera, now_wall)
        self._last_session = max(self._last_session + 1, now_wall)
        session = Session(
            tenant=camera.spec.tenant,
            camera=camera.spec.camera,
            session=self._last_session,
            epoch=self._epoch,
            started_us=now_wall,
            source=connected.source,
            sdp=connected.sdp,
            tracks=connected.tracks,
            quirks=tuple(sorted(connected.handshake.quirks)),
        )
        self._sink.open_session(session)
        stream = Stream(
            session=session,
            connected=connected,
            sink=self._sink,
            arrival=self._arrival,
            now_us=now,
            froze=lambda: self._turns.froze_us,
            ended=self._ended,
        )
        camera.stream, camera.missing_since_us = stream, 0
        camera.cause, camera.reason = None, ""
        self._streams[stream] = camera
        self._enter(camera, CameraState.RECORDING)
        stream.receive(connected.rest, now)
        if camera.stream is stream:  # what came along with the answer may have ended it
            self._turns.add(stream)

    def _ended(self, stream: Stream, failure: ConnectFailed) -> None:
        camera = self._streams.pop(stream)
        camera.stream = None
        camera.packets += stream.packets
        camera.bytes += stream.bytes
        camera.frames += stream.frames
        camera.last_packet_us = stream.last_packet_us
        camera.missing_since_us = stream.end_us or stream.session.started_us
        if stream.frames:
            camera.failures = 0
        self._failed(camera, failure)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._arrival.correct(self._clock.wall_us(), self._clock.monotonic_us())
